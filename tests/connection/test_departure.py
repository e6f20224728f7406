"""When a request has left: until then its time is that for writing, from then on that for reading."""

import socket
import time

import gevent
import pytest

import greenh2
from greenh2._connection.connection import Connection
from greenh2._models.body import BytesBody
from greenh2._models.timeouts import Deadline, Timeout
from tests.connection.conftest import UPLOAD, Ends


def with_little_room(connection: Connection) -> None:
    """Let the kernel take almost nothing, so that a request stays in our own buffer."""
    connection.channel._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


@pytest.mark.parametrize(("read", "write"), [(0.5, 5.0), (5.0, 2.0)])
def test_the_reading_time_does_not_start_before_the_request_has_left(
    http1: Ends, read: float, write: float
) -> None:
    connection, peer = http1
    with_little_room(connection)
    limits = Deadline(Timeout(5.0, read=read, write=write))
    size = 250_000
    job = gevent.spawn(connection.open().send, UPLOAD, BytesBody(bytes(size)), None, limits)
    peer.read_until(b"\r\n\r\n")
    gevent.sleep(0.8)
    assert connection.channel.unsent
    peer.read_until(b"0\r\n\r\n")
    peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert job.get().status == 200
    connection.close("the test is over")


def test_a_request_that_does_not_leave_is_a_write_timeout(http1: Ends) -> None:
    connection, peer = http1
    with_little_room(connection)
    limits = Deadline(Timeout(5.0, write=0.1))
    exchange = connection.open()
    job = gevent.spawn(exchange.send, UPLOAD, BytesBody(bytes(250_000)), None, limits)
    peer.read_until(b"\r\n\r\n")
    with pytest.raises(greenh2.WriteTimeout):
        job.get()
    exchange.close()
    assert connection.closed


def test_the_reading_time_starts_when_the_request_has_left(http1: Ends) -> None:
    connection, peer = http1
    with_little_room(connection)
    exchange = connection.open()
    limits = Deadline(Timeout(5.0, read=0.2))
    job = gevent.spawn(exchange.send, UPLOAD, BytesBody(bytes(250_000)), None, limits)
    peer.read_until(b"\r\n\r\n")
    gevent.sleep(0.4)
    assert not job.ready()
    peer.read_until(b"0\r\n\r\n")
    with pytest.raises(greenh2.ReadTimeout, match=r"did not answer for \d"):
        job.get()
    exchange.close()


def test_an_answer_that_lies_in_the_socket_is_not_late(http1: Ends) -> None:
    connection, peer = http1
    exchange = connection.open()
    job = gevent.spawn(exchange.send, UPLOAD, BytesBody(b"x"), None, Deadline(Timeout(5.0, read=0.5)))
    peer.read_until(b"0\r\n\r\n")
    peer.send_at_once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    time.sleep(0.6)  # somebody holds up the loop
    assert job.get().status == 200
    connection.close("the test is over")
