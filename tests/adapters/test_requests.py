"""requests over greenh2: what a Session does stays what it was, over HTTP/2 and HTTP/1.1."""

import gzip
import io
import json
import pickle
import shutil
from collections.abc import Generator, Iterator
from typing import Any

import gevent
import pytest
import requests
import urllib3
from urllib3.util import SKIP_HEADER

import greenh2
from greenh2.adapters.requests import GreenAdapter, RawResponse
from greenh2.adapters.requests.bodies import request_of
from tests.adapters.making import MakeSession
from tests.support.clients import BOTH
from tests.support.origins import OriginFactory
from tests.support.rawserver import RawServers


@BOTH
def test_a_response_says_what_requests_says_of_it(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    response = session.get(f"{server.url}/echo", params={"a": "1 2"})
    assert (response.status_code, response.ok) == (200, True)
    assert response.reason == {"h2": "OK", "http/1.1": "So Be It"}[alpn[0]]
    assert response.headers["Content-Length"] == "0"
    assert response.url == f"{server.url}/echo?a=1+2"
    assert response.elapsed.total_seconds() > 0
    assert response.connection is session.adapters["https://"]
    assert isinstance(response.raw, RawResponse)
    assert isinstance(response.raw, urllib3.HTTPResponse)
    assert response.raw.version == {"h2": 20, "http/1.1": 11}[alpn[0]]
    assert response.raw.version_string == {"h2": "HTTP/2", "http/1.1": "HTTP/1.1"}[alpn[0]]
    assert response.raw.extensions["connection_info"]["tls_version"].startswith("TLSv1")
    assert server.stats().paths == ["/echo?a=1+2"]


def test_a_status_without_a_phrase_is_told_by_its_registered_one(
    origin: OriginFactory, session: requests.Session
) -> None:
    response = session.get(f"{origin().url}/status/404")
    assert response.reason == "Not Found"
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not Found"):
        response.raise_for_status()


def test_greenlets_share_one_connection(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    jobs = [gevent.spawn(session.get, f"{server.url}/sleep/0.3") for _ in range(30)]
    gevent.joinall(jobs, raise_error=True)
    (connection,) = server.stats().connections
    assert (connection.protocol, connection.streams) == ("h2", 30)
    assert connection.most_open_streams > 10


def test_plain_http_is_spoken_too(origin: OriginFactory, session: requests.Session) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    assert [session.get(server.url).text for _ in range(3)] == ["hello\n"] * 3
    assert len(server.stats().connections) == 1


@BOTH
def test_headers_are_sent_as_they_were_prepared_and_in_order(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    session.headers.clear()
    headers: dict[str, str | bytes] = {"X-One": "1", "User-Agent": SKIP_HEADER, "x-two": b"2", "X-Three": "3"}
    session.post(f"{server.url}/echo", data=b"abc", headers=headers)
    (seen,) = server.stats().requests
    sent = [(name.lower(), value) for name, value in seen.headers if name.lower() != "host"]
    assert sent == [("x-one", "1"), ("x-two", "2"), ("x-three", "3"), ("content-length", "3")]
    assert seen.authority == f"localhost:{server.port}"


def test_text_in_headers_is_latin_1_as_with_http_client() -> None:
    prepared = requests.Request("get", "http://a.example", headers={"A": "\xe4", "B": b"\xc3\xa4"}).prepare()
    assert request_of(prepared, greenh2.Timeout(None)).headers.raw[1:] == [
        (b"A", b"\xe4"),
        (b"B", b"\xc3\xa4"),
    ]


def test_a_host_header_is_the_authority(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    session.get(server.url, headers={"Host": "other.example"})
    assert server.stats().requests[0].authority == "other.example"


def pieces() -> Iterator[bytes]:
    yield b"ab"
    yield b""
    yield b"cd"


class Unseekable:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.len = len(data)
        self.read = self._file.read


class Again:
    def __iter__(self) -> Iterator[bytes]:
        return pieces()


@BOTH
@pytest.mark.parametrize(
    ("body", "framing"),
    [
        (b"abcd", ("content-length", "4")),
        ("abcd", ("content-length", "4")),
        ({"a": "b"}, ("content-length", "3")),
        (io.BytesIO(b"abcd"), ("content-length", "4")),
        (io.StringIO("abcd"), ("content-length", "4")),
        (Unseekable(b"abcd"), ("content-length", "4")),
        (pieces(), ("transfer-encoding", "chunked")),
        (iter(["ab", "cd"]), ("transfer-encoding", "chunked")),
        (Again(), ("transfer-encoding", "chunked")),
    ],
    ids=[
        "bytes",
        "str",
        "form",
        "file",
        "text-file",
        "unseekable",
        "generator",
        "iterator-of-str",
        "iterable",
    ],
)
def test_every_kind_of_body_arrives(
    origin: OriginFactory,
    make_session: MakeSession,
    alpn: tuple[str, ...],
    body: Any,
    framing: tuple[str, str],
) -> None:
    if isinstance(body, io.IOBase):
        body.seek(0)
    elif isinstance(body, Unseekable):
        body = Unseekable(b"abcd")
    elif isinstance(body, Iterator):
        body = pieces() if isinstance(body, Generator) else iter(["ab", "cd"])
    server = origin(alpn=alpn)
    response = make_session().post(f"{server.url}/echo", data=body)
    assert response.content == (b"a=b" if isinstance(body, dict) else b"abcd")
    fields = [(name.lower(), value) for name, value in server.stats().requests[0].headers]
    if framing[0] == "content-length" or alpn == ("http/1.1",):
        assert framing in fields
    else:
        assert {"content-length", "transfer-encoding"}.isdisjoint(dict(fields))


def test_a_file_is_sent_from_where_it_stands(origin: OriginFactory, session: requests.Session) -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(6)
    assert session.post(f"{origin().url}/echo", data=file).content == b"6789"


@pytest.mark.parametrize("again", [307, 308])
def test_a_file_is_sent_again_to_where_it_was_moved(
    origin: OriginFactory, session: requests.Session, again: int
) -> None:
    server = origin()
    url = f"{server.url}/redirect?to={server.url}/echo&status={again}"
    response = session.post(url, data=io.BytesIO(b"moved"))
    assert (response.content, [step.status_code for step in response.history]) == (b"moved", [again])


def test_cookies_are_kept_and_sent(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    response = session.get(f"{server.url}/cookie?a=1&b=2")
    assert response.cookies.get_dict() == session.cookies.get_dict() == {"a": "1", "b": "2"}
    seen = session.get(f"{server.url}/headers").json()
    assert ["cookie", "a=1; b=2"] in seen["headers"]


def test_authentication_is_left_to_requests(origin: OriginFactory, session: requests.Session) -> None:
    response = session.get(f"{origin().url}/basic", auth=("user", "secret"))
    assert response.text == "dXNlcjpzZWNyZXQ="


@BOTH
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_are_decoded(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...], coding: str
) -> None:
    assert session.get(f"{origin(alpn=alpn).url}/{coding}").content == b"squeezed\n" * 1000


@BOTH
def test_a_body_of_known_length_comes_in_pieces_of_the_size_asked_for(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]
) -> None:
    with session.get(f"{origin(alpn=alpn).url}/bytes/250000", stream=True) as response:
        sizes = [len(piece) for piece in response.iter_content(100_000)]
    assert sizes == [100_000, 100_000, 50_000]


@BOTH
def test_a_body_of_unknown_length_comes_as_it_arrives(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    with session.get(f"{server.url}/drip/1000000/0.1", stream=True) as response:
        lines = response.iter_lines()
        with gevent.Timeout(5):  # in which less comes than the 512 bytes that iter_lines() asks for
            assert [next(lines) for _ in range(2)] == [b"drip"] * 2
    server.wait_until(lambda stats: stats.requests[0].outcome in ("reset", "lost", "closed"))


@BOTH
def test_raw_is_a_file(origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]) -> None:
    url = f"{origin(alpn=alpn).url}/bytes/100000"
    whole = session.get(url).content
    with session.get(url, stream=True) as response:
        raw = response.raw
        assert (raw.read(10), raw.tell(), raw.closed) == (whole[:10], 10, False)
        assert raw.read1(1) == whole[10:11]
        copy = io.BytesIO()
        shutil.copyfileobj(raw, copy)
        assert copy.getvalue() == whole[11:]
        assert (raw.isclosed(), raw.read(), raw.readable()) == (True, b"", True)
    with session.get(url, stream=True) as response:
        with io.BufferedReader(response.raw) as reader:
            assert reader.read() == whole


def test_raw_is_not_decoded_unless_that_is_asked_for(
    origin: OriginFactory, session: requests.Session
) -> None:
    url, squeezed = f"{origin().url}/gzip", b"squeezed\n" * 1000
    with session.get(url, stream=True) as response:
        assert gzip.decompress(response.raw.read()) == squeezed
    with session.get(url, stream=True) as response:
        assert response.raw.read(decode_content=True) == squeezed
    with session.get(url, stream=True) as response:
        assert b"".join(response.raw.stream(1000, decode_content=True)) == squeezed
    with session.get(url, stream=True) as response:
        assert list(response.raw) == [b"squeezed\n"] * 1000


def test_chunks_can_be_read_where_there_are_any(origin: OriginFactory, session: requests.Session) -> None:
    with session.get(f"{origin(alpn=('http/1.1',)).url}/drip/3/0", stream=True) as response:
        assert b"".join(response.raw.read_chunked()) == b"drip\n" * 3
    with session.get(f"{origin().url}/drip/3/0", stream=True) as response:
        with pytest.raises(urllib3.exceptions.ResponseNotChunked):
            next(response.raw.read_chunked())


@BOTH
def test_a_response_to_head_has_no_body(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    response = session.head(f"{server.url}/status/204")
    assert (response.status_code, response.content) == (204, b"")


def test_a_response_can_be_pickled(origin: OriginFactory, session: requests.Session) -> None:
    response = pickle.loads(pickle.dumps(session.get(f"{origin().url}/headers")))
    assert json.loads(response.text)["path"] == "/headers"


def test_a_session_can_be_pickled(
    origin: OriginFactory, make_session: MakeSession, certificates: object
) -> None:
    session = make_session(max_retries=3, limits=greenh2.Limits(max_connections=7), http2=False)
    server = origin(alpn=("h2", "http/1.1"))
    session.get(server.url)
    with pickle.loads(pickle.dumps(session)) as copy:
        adapter = copy.adapters["https://"]
        assert isinstance(adapter, GreenAdapter)
        assert adapter.max_retries.total == 3
        assert adapter._pools.options["limits"].max_connections == 7  # type: ignore[union-attr]
        assert copy.get(server.url).raw.version == 11
    assert len(server.stats().connections) == 2


def test_an_adapter_is_closed_and_used_again(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    session.get(server.url)
    session.close()
    server.wait_until(lambda stats: not stats.open)
    assert session.get(server.url).ok
    assert len(server.stats().connections) == 2


def test_an_adapter_that_is_dropped_closes_what_is_idle(
    origin: OriginFactory, make_session: MakeSession
) -> None:
    server = origin()
    adapter = GreenAdapter(limits=greenh2.Limits(keepalive_expiry=None))
    with requests.Session() as session:
        session.mount("https://", adapter)
        session.verify = make_session().verify
        session.get(server.url)
        session.adapters.clear()
    del adapter
    stats = server.wait_until(lambda stats: not stats.open)
    assert stats.connections[0].goaway == 0


def test_a_second_request_goes_over_a_second_connection_when_the_first_was_closed(
    raw_server: RawServers, session: requests.Session
) -> None:
    server = raw_server(tls=False)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    first = gevent.spawn(session.get, server.url)
    peer = server.accept_tcp()
    peer.read_until(b"\r\n\r\n")
    peer.send_bytes(answer)
    assert first.get().text == "ok"
    peer.close()
    second = gevent.spawn(session.get, server.url)
    peer = server.accept_tcp()
    peer.read_until(b"\r\n\r\n")
    peer.send_bytes(answer)
    assert second.get().text == "ok"


def test_what_was_refused_unprocessed_is_sent_again(origin: OriginFactory, session: requests.Session) -> None:
    server = origin(refuse_streams=1)
    assert session.post(f"{server.url}/echo", data=b"abc").content == b"abc"
    assert [request.outcome for request in server.stats().requests] == ["refused", "answered"]
