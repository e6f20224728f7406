"""What a GreenAdapter puts on the wire is what requests' own puts there; what it reads is told as it stood."""

import gevent
import pytest
import requests

from tests.adapters.making import MakeSession
from tests.support.origins import OriginFactory
from tests.support.rawserver import RawServers


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("/a?b[]=1", "/a?b%5B%5D=1"),
        ("/a/../b", "/a/../b"),
        ("//a", "//a"),
        ("", "/"),
        ("?x", "/?x"),
        ("/a?", "/a"),
        ("/a%2fb?c%2fd", "/a%2Fb?c%2Fd"),
        ("/a%?b%zz", "/a%25?b%25zz"),
        ("/é?€", "/%C3%A9?%E2%82%AC"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/;@:!$&'()*+,=~?/?", "/;@:!$&'()*+,=~?/?"),
        ('/"<>[]\\^`{|}', "/%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D"),
        ("/a#b", "/a"),
    ],
)
def test_the_url_of_a_prepared_request_is_sent_as_urllib3_sends_it(
    origin: OriginFactory, session: requests.Session, given: str, sent: str
) -> None:
    server = origin()
    prepared = session.prepare_request(requests.Request("GET", server.url))
    prepared.url = server.url + given
    session.send(prepared)
    assert server.stats().paths == [sent]


def test_what_is_sent_through_a_proxy_is_escaped_in_the_same_way(
    raw_server: RawServers, session: requests.Session
) -> None:
    server = raw_server(tls=False)
    proxies = {"http": f"http://localhost:{server.port}"}
    job = gevent.spawn(session.get, "http://a.example/b?c[]", params="d[]=1", proxies=proxies)
    peer = server.accept()
    head = peer.read_until(b"\r\n\r\n")
    assert head.startswith(b"GET http://a.example/b?c%5B%5D&d%5B%5D=1 HTTP/1.1\r\n")
    peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert job.get().ok


@pytest.mark.parametrize(
    ("phrase", "told"), [(b" ", ""), (b" So Be It", "So Be It"), (b" caf\xe9", "caf\xe9")]
)
def test_the_phrase_behind_a_status_is_told_as_it_stood_even_where_there_is_none(
    raw_server: RawServers, session: requests.Session, phrase: bytes, told: str
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(session.get, server.url)
    peer = server.accept()
    peer.read_until(b"\r\n\r\n")
    peer.send_bytes(b"HTTP/1.1 200" + phrase + b"\r\nContent-Length: 0\r\n\r\n")
    assert job.get().reason == told


def test_chunks_are_said_to_be_readable(origin: OriginFactory, make_session: MakeSession) -> None:
    server = origin(alpn=("http/1.1",))
    response = make_session().get(f"{server.url}/drip/3/0", stream=True)
    assert response.raw.chunked
    assert response.raw.supports_chunked_reads()
    assert b"".join(response.raw.read_chunked()) == b"drip\n" * 3
