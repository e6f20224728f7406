"""The head of a response that is broken, which is a ConnectionError, whatever else requests calls it."""

import gevent
import pytest
import requests
import urllib3
from requests import exceptions as told

import greenh2
from greenh2.adapters.requests import InvalidLength
from tests.support.rawserver import RawServers

HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\nContent-Length: 32\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "also", "cause"),
    [
        (HALF_A_HEAD, told.ChunkedEncodingError, greenh2.ServerDisconnected),
        (TWO_LENGTHS, told.InvalidHeader, greenh2.RemoteProtocolError),
        (TWO_LENGTHS.replace(b"32", b"abc"), told.InvalidHeader, greenh2.RemoteProtocolError),
    ],
    ids=["half a head", "two lengths", "a length that is none"],
)
def test_a_head_that_is_broken_is_told_by_the_name_that_requests_has_and_as_a_connection_error(
    raw_server: RawServers,
    session: requests.Session,
    answer: bytes,
    also: type[requests.RequestException],
    cause: type[Exception],
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(session.get, server.url)
    peer = server.accept()
    peer.read_until(b"\r\n\r\n")
    peer.send_bytes(answer)
    peer.close()
    with pytest.raises(also) as caught:
        job.get()
    assert isinstance(caught.value, told.ConnectionError)
    assert type(caught.value.args[0]) is urllib3.exceptions.ProtocolError
    assert isinstance(caught.value.__cause__, cause)


def test_two_lengths_over_http2_are_told_by_the_same_name(
    raw_server: RawServers, session: requests.Session
) -> None:
    server = raw_server()
    job = gevent.spawn(session.get, server.url)
    peer = server.accept()
    peer.greet()
    request = peer.expect_request()
    peer.send(peer.head(request.stream_id, 200, ("content-length", "16"), ("content-length", "32")))
    with pytest.raises(InvalidLength, match="two different content-length"):
        job.get()


@pytest.mark.parametrize("answer", [b"", b"HTTP/0.9 what\r\n\r\n"], ids=["nothing", "nonsense"])
def test_what_requests_knows_as_a_connection_error_is_nothing_else(
    raw_server: RawServers, session: requests.Session, answer: bytes
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(session.post, server.url)
    peer = server.accept()
    peer.read_until(b"\r\n\r\n")
    peer.send_bytes(answer)
    peer.close()
    with pytest.raises(told.ConnectionError) as caught:
        job.get()
    assert type(caught.value) is told.ConnectionError
