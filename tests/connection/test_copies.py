"""Exchanges ended by finalizers, and connections that are copies in a forked child."""

from types import SimpleNamespace

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import PingFrame

from greenh2._models.body import BytesBody
from tests.connection.conftest import HEAD, Ends, deadline, in_mid_answer, is_readable


def test_an_exchange_may_be_ended_from_a_finalizer(h2: Ends) -> None:
    connection, peer = h2
    exchange, stream_id = in_mid_answer(h2)
    connection.leave_soon(exchange)
    assert not exchange.over
    peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    assert exchange.over
    connection.close("the test is over")


@pytest.mark.parametrize("place", ["child", "dead thread"])
def test_a_finalizer_in_a_child_or_after_the_loop_does_nothing(h2: Ends, place: str) -> None:
    connection, _ = h2
    exchange = connection.open()
    hub, pid = connection._hub, connection._pid
    if place == "child":
        connection._pid += 1
    else:
        connection._hub = SimpleNamespace(loop=None)  # type: ignore[assignment]  # as a thread leaves it that has ended
    connection.leave_soon(exchange)
    connection._hub, connection._pid = hub, pid
    gevent.sleep(0)
    assert not exchange.over
    connection.close("the test is over")


def test_a_childs_copy_neither_reads_nor_writes_and_leaving_it_only_closes(h2: Ends) -> None:
    connection, peer = h2
    exchange = connection.open()
    job = gevent.spawn(exchange.send, HEAD, BytesBody(b""), 0, deadline())
    peer.expect_request()
    connection._pid += 1
    connection.channel._pid += 1
    peer.send(PingFrame(0, b"to parent"[:8]))
    connection.flush_soon()
    with gevent.Timeout(5.0):
        while not is_readable(connection):
            gevent.sleep(0.001)
    gevent.sleep(0.001)  # the loop sees it too
    assert connection.channel.read()  # nobody has taken it
    exchange.close()
    assert connection.closed
    assert peer.expect_end() == b""
    job.kill()
