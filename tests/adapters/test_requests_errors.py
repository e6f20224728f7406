"""What goes wrong over a GreenAdapter is told in requests' words, with what greenh2 said as the cause."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests
import urllib3
from requests import exceptions as told
from urllib3.util import Timeout

import greenh2
from greenh2.adapters.requests import GreenAdapter, RawResponse, WriteTimeout
from tests.adapters.making import MakeSession, Scripted
from tests.support.certificates import Certificates
from tests.support.clients import BOTH
from tests.support.origins import OriginFactory
from tests.support.rawserver import RawServers

Errors = type[requests.RequestException]


@BOTH
@pytest.mark.parametrize(
    ("path", "error", "cause"),
    [
        ("close", told.ConnectionError, greenh2.ServerDisconnected),
        ("close-body", told.ChunkedEncodingError, greenh2.ServerDisconnected),
    ],
)
def test_an_answer_that_is_broken_off(
    origin: OriginFactory,
    session: requests.Session,
    alpn: tuple[str, ...],
    path: str,
    error: Errors,
    cause: type[greenh2.HTTPError],
) -> None:
    with pytest.raises(error) as caught:
        session.post(f"{origin(alpn=alpn).url}/{path}", data=b"")
    said = caught.value
    beneath = said.args[0]
    assert type(beneath) is urllib3.exceptions.ProtocolError
    assert isinstance(beneath.__cause__, cause)
    if path == "close":
        assert said.__cause__ is beneath.__cause__
        assert said.request is not None
        assert said.request.method == "POST"


def test_a_stream_that_is_reset(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    with pytest.raises(told.ConnectionError) as caught:
        session.get(f"{server.url}/reset/2")
    assert isinstance(caught.value.__cause__, greenh2.RemoteProtocolError)
    with pytest.raises(told.ChunkedEncodingError):
        session.get(f"{server.url}/reset-body/2")
    assert session.get(server.url).ok
    assert len(server.stats().connections) == 1


def test_nobody_listens(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    server.stop()
    with pytest.raises(told.ConnectionError, match="Connection refused") as caught:
        session.get(server.at("127.0.0.1"))
    assert type(caught.value) is told.ConnectionError
    assert isinstance(caught.value.__cause__, greenh2.ConnectError)
    assert isinstance(caught.value.args[0], urllib3.exceptions.MaxRetryError)
    assert isinstance(caught.value.args[0].reason, urllib3.exceptions.NewConnectionError)


def test_nobody_knows_the_certificate(origin: OriginFactory, session: requests.Session) -> None:
    with pytest.raises(told.SSLError) as caught:
        session.get(origin().url, verify=True)
    assert isinstance(caught.value.__cause__, greenh2.ConnectError)


def test_a_name_that_is_not_that_of_the_certificate(
    origin: OriginFactory, session: requests.Session, certificates: Certificates
) -> None:
    with pytest.raises(told.SSLError, match="localhost"):
        session.get(origin(certificate=certificates.issue("other.example")).url)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"verify": "/no/such"}, "CA certificate bundle"), ({"cert": "/no/such"}, "certificate file")],
)
def test_files_that_do_not_exist(
    origin: OriginFactory, session: requests.Session, options: dict[str, Any], error: str
) -> None:
    server = origin()
    with pytest.raises(OSError, match=f"{error}, invalid path: /no/such"):
        session.get(server.url, **options)
    assert server.stats().connections == ()


@pytest.mark.parametrize("pair", [False, True], ids=["one-file", "pair"])
def test_a_client_shows_its_certificate(
    origin: OriginFactory, session: requests.Session, certificates: Certificates, pair: bool
) -> None:
    path = certificates.issue("someone@example.org")
    server = origin(client_ca=certificates.ca_file)
    assert session.get(server.url, cert=(path, path) if pair else path).ok
    assert server.stats().connections[0].client_certificate == "someone@example.org"


def test_nothing_is_verified_when_that_is_asked_for(origin: OriginFactory, session: requests.Session) -> None:
    with pytest.warns(greenh2.InsecureRequestWarning):
        assert session.get(origin().url, verify=False).ok


@pytest.mark.parametrize("timeout", [0.3, (0.3, 5), Timeout(connect=0.3, read=5), Timeout(total=0.3)])
def test_a_handshake_that_takes_too_long(
    origin: OriginFactory, session: requests.Session, timeout: Any
) -> None:
    with pytest.raises(told.ConnectTimeout) as caught:
        session.get(origin(handshake_delay=60).url, timeout=timeout)
    assert isinstance(caught.value.__cause__, greenh2.ConnectTimeout)


@BOTH
@pytest.mark.parametrize("timeout", [0.3, (5, 0.3), Timeout(connect=5, read=0.3), Timeout(total=0.3)])
def test_an_answer_that_takes_too_long(
    origin: OriginFactory, session: requests.Session, alpn: tuple[str, ...], timeout: Any
) -> None:
    server = origin(alpn=alpn)
    session.get(server.url)  # so that no time goes by for connecting
    with pytest.raises(told.ReadTimeout, match="Read timed out") as caught:
        session.get(f"{server.url}/stall", timeout=timeout)
    assert isinstance(caught.value.__cause__, greenh2.ReadTimeout)


def test_a_body_that_takes_too_long(origin: OriginFactory, session: requests.Session) -> None:
    server = origin()
    session.get(server.url)
    with pytest.raises(told.ConnectionError) as caught:
        session.get(f"{server.url}/stall-body", timeout=0.7)
    assert isinstance(caught.value.args[0], urllib3.exceptions.ReadTimeoutError)
    assert isinstance(caught.value.args[0].__cause__, greenh2.ReadTimeout)
    server.wait_until(lambda stats: stats.resets == [8])


def test_a_body_that_is_broken_off_is_closed(origin: OriginFactory, session: requests.Session) -> None:
    response = session.get(f"{origin().url}/close-body", stream=True)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        response.raw.read()
    assert (response.raw.closed, response.raw.isclosed(), response.raw.read()) == (True, True, b"")


def test_a_server_that_takes_too_little(origin: OriginFactory, session: requests.Session) -> None:
    with pytest.raises(WriteTimeout) as caught:
        session.post(f"{origin().url}/hold", data=bytes(1_000_000), timeout=(5, 0.3))
    assert isinstance(caught.value, (told.ConnectionError, told.Timeout))
    assert isinstance(caught.value.__cause__, greenh2.WriteTimeout)


def test_a_pool_that_is_full_for_too_long(origin: OriginFactory, make_session: MakeSession) -> None:
    server = origin(alpn=("http/1.1",))
    session = make_session(limits=greenh2.Limits(max_connections=1))
    with session.get(f"{server.url}/stall-body", stream=True):
        with pytest.raises(told.ConnectTimeout) as caught:
            gevent.spawn(session.get, server.url, timeout=(0.3, None)).get()
    assert isinstance(caught.value.__cause__, greenh2.PoolTimeout)


@pytest.mark.parametrize("timeout", [0, -1, "3", (1, 2, 3), True])
def test_timeouts_that_mean_nothing(session: requests.Session, timeout: Any) -> None:
    with pytest.raises(ValueError, match="imeout"):
        session.get("https://localhost/", timeout=timeout)


def test_a_coding_that_is_broken(make_session: MakeSession) -> None:
    def answer(request: greenh2.Request) -> greenh2.Response:
        return greenh2.Response(200, headers={"Content-Encoding": "gzip"}, stream=iter_closing([b"no gzip"]))

    session = make_session(pool=greenh2.MockTransport(answer))
    with pytest.raises(told.ContentDecodingError):
        session.get("https://a.example/")


class iter_closing:  # noqa: N801
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"url": "ftp://localhost/"}, told.InvalidSchema),
        ({"url": "https://[::x]/"}, told.InvalidURL),
        ({"headers": {"a b": "c"}}, told.InvalidHeader),
        ({"headers": {"Content-Length": "9"}, "body": b"abc"}, told.InvalidHeader),
    ],
    ids=["scheme", "host", "field", "length"],
)
def test_what_cannot_be_sent(session: requests.Session, change: dict[str, Any], error: Errors) -> None:
    prepared = requests.Request("POST", "https://localhost/").prepare()
    for name, value in change.items():
        setattr(prepared, name, value)
    with pytest.raises(error) as caught:
        session.adapters["https://"].send(prepared)
    if error is not told.InvalidSchema:
        assert isinstance(caught.value.__cause__, (greenh2.InvalidURL, greenh2.LocalProtocolError))


def test_a_body_of_no_kind_that_can_be_sent(session: requests.Session) -> None:
    prepared = requests.Request("POST", "https://localhost/").prepare()
    prepared.body = 7  # type: ignore[assignment]
    with pytest.raises(TypeError, match="not int"):
        session.adapters["https://"].send(prepared)


@pytest.mark.parametrize("prefix", ["http://user:secret@", ""])
def test_a_proxy_that_is_not_there(origin: OriginFactory, session: requests.Session, prefix: str) -> None:
    server = origin()
    server.stop()
    proxy = f"{prefix}127.0.0.1:{server.port}"
    with pytest.raises(told.ProxyError, match="could not connect to the proxy") as caught:
        session.get("https://a.example/", proxies={"https": proxy})
    assert isinstance(caught.value.__cause__, greenh2.ConnectError)
    assert "secret" not in str(caught.value)


def test_requests_go_through_a_proxy_and_share_its_connection(
    raw_server: RawServers, session: requests.Session
) -> None:
    server = raw_server(tls=False)
    proxies = {"http": f"http://user:secret@localhost:{server.port}"}
    first = gevent.spawn(session.get, "http://a.example/1", proxies=proxies)
    peer = server.accept_tcp()
    for path, job in (("1", first), ("2", None)):
        job = job or gevent.spawn(session.get, "http://a.example/2", proxies=proxies)
        head = peer.read_until(b"\r\n\r\n")
        assert head.startswith(f"GET http://a.example/{path} HTTP/1.1".encode())
        assert head.count(b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=") == 1
        peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert job.get().text == "ok"


@pytest.mark.parametrize("proxy", ["http://:8080", "http://[::x]:80", "ftp://a.example"])
def test_a_proxy_that_is_no_url_is_refused(session: requests.Session, proxy: str) -> None:
    with pytest.raises(told.InvalidProxyURL):
        session.get("https://localhost/", proxies={"https": proxy})


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected", "beneath"),
    [
        (
            caused(greenh2.ConnectError("no such name"), socket.gaierror(-2, "unknown")),
            told.ConnectionError,
            urllib3.exceptions.NameResolutionError,
        ),
        (
            caused(greenh2.ConnectError("broken"), caused(greenh2.ReadError("TLS"), ssl.SSLError("bad"))),
            told.SSLError,
            urllib3.exceptions.SSLError,
        ),
        (greenh2.LocalProtocolError("too long"), told.InvalidHeader, urllib3.exceptions.InvalidHeader),
        (greenh2.TotalTimeout("too late"), told.ReadTimeout, urllib3.exceptions.ReadTimeoutError),
        (greenh2.CloseError("closed"), told.ConnectionError, urllib3.exceptions.ProtocolError),
        (greenh2.ProxyError("refused"), told.ProxyError, urllib3.exceptions.ProxyError),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_every_error_has_its_place(
    make_session: MakeSession, error: Exception, expected: Errors, beneath: type[Exception]
) -> None:
    session = make_session(pool=greenh2.MockTransport(Scripted(error)))
    with pytest.raises(expected) as caught:
        session.get("https://a.example/")
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error
    said = caught.value.args[0]
    assert isinstance(said.reason if isinstance(said, urllib3.exceptions.MaxRetryError) else said, beneath)


def test_tls_that_breaks_within_a_body(make_session: MakeSession) -> None:
    class Broken(iter_closing):
        def __iter__(self) -> Iterator[bytes]:
            yield b"some"
            raise caused(greenh2.ReadError("record"), ssl.SSLError("bad record"))

    session = make_session(
        pool=greenh2.MockTransport(lambda request: greenh2.Response(200, stream=Broken([])))
    )
    with pytest.raises(told.SSLError, match="record"):
        session.get("https://a.example/")


@BOTH
@pytest.mark.parametrize("path", ["stall", "stall-body", "drip/1000000/0.01"])
def test_a_request_that_is_killed_leaves_nothing(
    origin: OriginFactory, make_session: MakeSession, alpn: tuple[str, ...], path: str
) -> None:
    server = origin(alpn=alpn)
    session = make_session(limits=greenh2.Limits(max_connections=1))
    for end in ("kill", "timeout"):
        before = len(server.stats().requests)
        limit = gevent.Timeout(1.0 if end == "timeout" else None)
        job = gevent.spawn(limited, limit, session, f"{server.url}/{path}")
        server.wait_until(lambda stats, before=before: len(stats.requests) > before)  # type: ignore[misc]
        if end == "kill":
            job.kill()
        else:
            with pytest.raises(gevent.Timeout) as caught:
                job.get()
            assert caught.value is limit
        assert session.get(server.url, timeout=5).text == "hello\n"
    assert "0 streams, 0 waiting" in repr(session.adapters["https://"])


def limited(limit: gevent.Timeout, session: requests.Session, url: str) -> None:
    with limit:
        session.get(url)


def test_a_response_that_is_dropped_gives_its_place_back(
    origin: OriginFactory, make_session: MakeSession
) -> None:
    server = origin(alpn=("http/1.1",))
    session = make_session(limits=greenh2.Limits(max_connections=1))
    response = session.get(f"{server.url}/stall-body", stream=True)
    with pytest.warns(ResourceWarning, match="stall-body was dropped"):
        del response
    assert session.get(server.url, timeout=5).ok


def test_a_response_that_cannot_be_made_gives_its_place_back(
    origin: OriginFactory, certificates: Certificates
) -> None:
    class Failing(GreenAdapter):
        def build_response(self, request: requests.PreparedRequest, raw: RawResponse) -> requests.Response:
            if raw.headers["content-type"] == "text/plain" and raw.length_remaining == 1000:
                raise LookupError("not made")
            return super().build_response(request, raw)

    server = origin(alpn=("http/1.1",))
    with requests.Session() as session:
        session.verify = certificates.ca_file
        session.mount("https://", Failing(limits=greenh2.Limits(max_connections=1)))
        with pytest.raises(LookupError) as caught:  # whose traceback holds the response
            session.get(f"{server.url}/stall-body")
        assert session.get(server.url, timeout=5).ok
        assert caught.value.args == ("not made",)
