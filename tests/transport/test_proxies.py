"""Requests through proxies which the test plays itself, and which play the origin behind them too."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import RstStreamFrame, SettingsFrame

import greenh2
from greenh2 import ConnectError, ConnectTimeout, HTTPTransport, Proxy, ProxyError
from greenh2._connection.dial import Dialer
from greenh2._models.route import Route
from greenh2._models.settings import Http2Choice
from greenh2._net.dns import Address
from greenh2._net.trust import TlsSettings
from tests.support.certificates import Certificates
from tests.support.clients import MakeClient
from tests.support.rawserver import PREFACE, H2Peer, RawServer, RawServers, raw_server

__all__ = ["raw_server"]

SECRET = "dXNlcjpoaWRkZW4="
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
END = b"\r\n\r\n"
OPEN, ASK_PASSWORD, ACCEPTED = b"\x05\x00", b"\x05\x02", b"\x01\x00"
DONE = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    """What the origins behind the proxies speak; a.example is among their names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.issue("a.example", "b.example"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def proxy_at(server: RawServer, scheme: str = "http", user: str = "user:hidden@") -> str:
    return f"{scheme}://{user}localhost:{server.port}"


def open_tunnel(server: RawServer, *, tls: ssl.SSLContext | None = None) -> tuple[str, H2Peer]:
    """Take CONNECT on a new connection and open the tunnel; return the head of CONNECT, and the origin."""
    peer = server.accept()
    connect = peer.read_until(END).decode()
    peer.send_bytes(OPENED)
    if tls is not None:
        peer.start_tls(tls)
    return connect, peer


def serve_http1(peer: H2Peer, answer: bytes = ANSWER) -> str:
    """Answer one request over HTTP/1.1 and return its head."""
    head = peer.read_until(END).decode()
    peer.send_bytes(answer)
    return head


def error_of(job: "gevent.Greenlet[..., Any]") -> BaseException:
    job.join()
    assert job.exception is not None
    return job.exception


# -- CONNECT ---------------------------------------------------------------------------------------------------


def test_https_goes_through_a_tunnel_in_which_alpn_decides_and_no_credentials_are_seen(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server))
    job = gevent.spawn(client.get, "https://a.example/1")
    connect, origin = open_tunnel(server, tls=tls)
    assert connect.startswith("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n")
    assert f"Proxy-Authorization: Basic {SECRET}" in connect
    origin.greet()
    request = origin.expect_request()
    assert b"proxy-authorization" not in request.fields
    assert request.fields[b":path"] == b"/1"
    origin.answer(request.stream_id, body=b"ok")
    response = job.get()
    assert (response.text, response.http_version) == ("ok", "HTTP/2")
    assert response.extensions["connection_info"]["proxy"] == f"http://localhost:{server.port}"
    assert "proxy-authorization" not in response.request.headers


def test_tunnels_are_kept_for_their_origin_and_no_other(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    tls.set_alpn_protocols(["http/1.1"])
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server))
    job = gevent.spawn(client.get, "https://a.example/1")
    _, origin = open_tunnel(server, tls=tls)
    serve_http1(origin)
    job.get()
    job = gevent.spawn(client.get, "https://a.example/2")
    assert serve_http1(origin).startswith("GET /2 ")
    job.get()
    job = gevent.spawn(client.get, "https://b.example/")
    connect, other = open_tunnel(server, tls=tls)
    assert connect.startswith("CONNECT b.example:443 ")
    assert "Host: b.example\r\n" in serve_http1(other)
    job.get()
    assert f"https://b.example through http://localhost:{server.port} HTTP/1.1" in client.dump()
    assert "hidden" not in client.dump() + repr(client)


def test_a_tunnel_is_never_used_for_a_direct_request_nor_the_reverse(
    raw_server: RawServers, make_client: MakeClient, certificates: Certificates
) -> None:
    origin, middle = raw_server(alpn=("http/1.1",)), raw_server(tls=False)
    proxies = [Proxy(proxy_at(middle, user=user)) for user in ("", "other:user@")]
    choices = {"/direct": None, "/one": proxies[0], "/two": proxies[1]}
    transport = HTTPTransport(verify=certificates.ca_file, proxy=lambda url: choices[url.path])
    client = make_client(transport=transport)
    peers: dict[str, H2Peer] = {}
    for path in (*choices, *choices):
        job = gevent.spawn(client.get, f"{origin.url}{path}")
        if path not in peers:
            peers[path] = origin.accept() if path == "/direct" else open_tunnel(middle, tls=origin.context)[1]
        assert serve_http1(peers[path]).startswith(f"GET {path} ")
        assert job.get().text == "ok"


def test_a_function_that_returns_no_proxy_is_told_so(make_client: MakeClient) -> None:
    transport = HTTPTransport(proxy=lambda url: 3128)  # type: ignore[arg-type, return-value]  # what is tested
    with pytest.raises(TypeError, match="not int"):
        make_client(transport=transport).get("http://a.example")


def test_what_comes_right_behind_the_head_of_the_reply_is_not_lost(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server), http2="prior-knowledge")
    job = gevent.spawn(client.get, "http://a.example/")
    peer = server.accept()
    assert peer.read_until(END).startswith(b"CONNECT a.example:80 ")
    peer.send_bytes(OPENED + SettingsFrame().serialize())  # the only ones
    assert peer.read_exactly(len(PREFACE)) == PREFACE
    peer.answer(peer.expect_request().stream_id, body=b"ok")
    assert job.get().text == "ok"
    (connection,) = next(iter(client._transport._pools.values())).connections  # type: ignore[union-attr]
    assert not connection.greeting


def test_a_refusal_is_told_and_leaves_neither_place_nor_socket(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server), limits=1)
    job = gevent.spawn(client.get, "https://a.example/")
    peer = server.accept()
    peer.read_until(END)
    peer.send_bytes(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\n")
    peer.send_bytes(b"Not that one.")
    error = error_of(job)
    assert isinstance(error, ProxyError)
    assert str(error) == (
        f"the proxy http://localhost:{server.port} opens no tunnel to a.example:443: 403 Forbidden (Not that one.)"
    )
    assert str(error.request.url) == "https://a.example/"
    peer.expect_end()
    job = gevent.spawn(client.get, "https://a.example/")
    _, origin = open_tunnel(server, tls=tls)
    origin.greet()
    origin.answer(origin.expect_request().stream_id)
    assert job.get().status_code == 200


def test_a_refusal_whose_body_does_not_come_is_told_without_it(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server), timeout=None).get, "https://a.example/")
    peer = server.accept()
    peer.send_bytes(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n")
    with pytest.raises(ProxyError, match=r"502 Bad Gateway$"):
        job.get()


def test_a_refusal_concerns_all_who_waited_for_the_tunnel(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server), limits=1)
    jobs = [gevent.spawn(client.get, "https://a.example/") for _ in range(3)]
    peer = server.accept()
    peer.read_until(END)
    peer.send_bytes(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
    errors = [error_of(job) for job in jobs]
    assert all(isinstance(error, ProxyError) for error in errors)
    assert len({id(error) for error in errors}) == 3


def test_an_end_before_the_answer_is_a_proxy_error(raw_server: RawServers, make_client: MakeClient) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server)).get, "https://a.example/")
    peer = server.accept()
    peer.read_until(END)
    peer.close()
    with pytest.raises(ProxyError, match="ended the connection before it answered CONNECT"):
        job.get()


def test_a_reset_before_the_answer_is_a_proxy_error(raw_server: RawServers, make_client: MakeClient) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server)).get, "https://a.example/")
    peer = server.accept()
    peer.read_until(END)
    peer.abort()
    with pytest.raises(ProxyError, match=r"was lost before it opened a tunnel to https://a\.example"):
        job.get()


def test_a_head_without_end_is_given_up(raw_server: RawServers, make_client: MakeClient) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server)).get, "https://a.example/")
    peer = server.accept()
    peer.send_bytes(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000)
    with pytest.raises(ProxyError, match=r"no HTTP/1\.1"):
        job.get()
    peer.expect_end()


def test_nobody_at_the_proxy_is_a_connect_error_that_names_it(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    server.close()
    with pytest.raises(ConnectError, match=f"could not connect to the proxy http://localhost:{server.port}"):
        make_client(proxy=proxy_at(server)).get("https://a.example/")


def test_a_proxy_that_dies_under_a_tunnel_ends_the_request_and_frees_the_place(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server), limits=1)
    job = gevent.spawn(client.post, "https://a.example/", content=b"x")
    _, origin = open_tunnel(server, tls=tls)
    origin.greet()
    stream_id = origin.expect_request().stream_id
    origin.send(origin.head(stream_id))
    origin.abort()
    with pytest.raises(greenh2.ReadError):
        job.get()
    again = gevent.spawn(client.get, "https://a.example/")
    _, origin = open_tunnel(server, tls=tls)
    origin.greet()
    origin.answer(origin.expect_request().stream_id)
    assert again.get().status_code == 200


def test_a_certificate_that_does_not_fit_is_the_origin_s_fault(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server)).get, "https://c.example/")
    with pytest.raises(OSError, match="alert"):
        open_tunnel(server, tls=tls)
    with pytest.raises(ConnectError, match=r"the certificate of https://c\.example was not accepted"):
        job.get()


# -- whole requests ----------------------------------------------------------------------------------------------


def test_http_is_asked_for_by_its_whole_url_over_one_connection_for_all_origins(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    proxy = Proxy(proxy_at(server), headers={"X-Team": "green"})
    client = make_client(proxy=proxy)
    job = gevent.spawn(client.get, "http://a.example/1?q=1")
    peer = server.accept()
    head = serve_http1(peer)
    assert head.startswith("GET http://a.example/1?q=1 HTTP/1.1\r\nHost: a.example\r\n")
    assert f"Proxy-Authorization: Basic {SECRET}\r\n" in head
    assert "X-Team: green\r\n" in head
    response = job.get()
    assert response.text == "ok"
    assert "proxy-authorization" not in response.request.headers
    upload = gevent.spawn(client.post, "http://b.example:81", content=b"body")
    assert serve_http1(peer).startswith("POST http://b.example:81/ HTTP/1.1\r\nHost: b.example:81\r\n")
    assert peer.read() == b"body"
    assert upload.get().text == "ok"


def test_an_answer_of_the_proxy_s_own_is_a_response(raw_server: RawServers, make_client: MakeClient) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server)).get, "http://a.example/")
    serve_http1(server.accept(), b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
    assert job.get().status_code == 407


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (b"*", "OPTIONS http://a.example HTTP/1.1"),
        (b"/a//b", "OPTIONS http://a.example/a//b HTTP/1.1"),
        (b"http://c.example/", "OPTIONS http://c.example/ HTTP/1.1"),
    ],
)
def test_a_target_of_the_request_s_own_is_made_absolute(
    raw_server: RawServers, make_client: MakeClient, target: bytes, sent: str
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server))
    job = gevent.spawn(client.request, "OPTIONS", "http://a.example/", extensions={"target": target})
    assert serve_http1(server.accept()).startswith(sent + "\r\n")
    job.get()


def test_credentials_in_the_request_s_headers_hold(raw_server: RawServers, make_client: MakeClient) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server))
    job = gevent.spawn(client.get, "http://a.example/", headers={"Proxy-Authorization": "Bearer 1"})
    head = serve_http1(server.accept())
    assert head.count("Proxy-Authorization") == 1
    assert "Bearer 1" in head
    job.get()


@pytest.mark.parametrize(
    ("url", "proxy", "http1", "http2", "forwarded"),
    [
        ("http://a.example", "http://p.example", True, True, True),
        ("http://a.example", "https://p.example", True, True, True),
        ("http://a.example", "http://p.example", True, False, True),
        ("http://a.example", "http://p.example", True, "prior-knowledge", False),
        ("http://a.example", "http://p.example", False, True, False),
        ("http://a.example", "socks5://p.example", True, True, False),
        ("https://a.example", "http://p.example", True, True, False),
        ("https://a.example", "socks5h://p.example", True, True, False),
    ],
)
def test_only_plain_http_1_1_is_forwarded(
    url: str, proxy: str, http1: bool, http2: Http2Choice, forwarded: bool
) -> None:
    route, through = Route.of(greenh2.URL(url)), Proxy(proxy)
    dialer = Dialer(TlsSettings(), http1=http1, http2=http2)
    found = dialer.through(route, through)
    assert found.proxy is through
    assert found.forwarding is forwarded
    assert found.host == ("p.example" if forwarded else "a.example")
    if forwarded:
        assert dialer.multiplexed(found) is False
        assert str(found) == found.origin == proxy
    else:
        assert dialer.multiplexed(found) is dialer.multiplexed(route)
        assert str(found) == f"{url} through {through.origin}"


# -- TLS with the proxy ------------------------------------------------------------------------------------------


def test_through_an_https_proxy_tls_runs_in_tls(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(alpn=("h2", "http/1.1"))
    client = make_client(proxy=proxy_at(server, "https"), cert=None)
    job = gevent.spawn(client.post, "https://a.example/", content=b"x" * 300_000)
    outer = server.accept()
    assert outer.tls.selected_alpn_protocol() == "http/1.1"
    assert f"Proxy-Authorization: Basic {SECRET}".encode() in outer.read_until(END)
    outer.send_bytes(OPENED)
    origin = outer.within()
    origin.start_tls(tls)
    assert origin.tls.selected_alpn_protocol() == "h2"
    origin.greet({4: 1 << 20})
    request = origin.expect_request()
    origin.open_window(request.stream_id, 1 << 20)
    assert b"proxy-authorization" not in request.fields
    origin.answer(request.stream_id, body=b"ok")
    assert job.get().text == "ok"
    client.close()
    origin.expect_end()
    assert not origin.missed_goodbye
    outer.expect_end()
    assert not outer.missed_goodbye


def test_http_is_forwarded_over_tls_by_an_https_proxy(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(alpn=("http/1.1",))
    job = gevent.spawn(make_client(proxy=proxy_at(server, "https")).get, "http://a.example/")
    assert serve_http1(server.accept()).startswith("GET http://a.example/ HTTP/1.1\r\n")
    response = job.get()
    assert response.text == "ok"
    assert response.extensions["connection_info"]["tls_version"] == "TLSv1.3"


def test_the_proxy_s_certificate_is_verified_before_anything_is_told(
    raw_server: RawServers, make_client: MakeClient, certificates: Certificates
) -> None:
    server = raw_server(certificate=certificates.issue("other.example"))
    job = gevent.spawn(make_client(proxy=proxy_at(server, "https")).get, "http://a.example/")
    peer = server.accept_tcp()
    assert server.context is not None
    with pytest.raises(OSError, match="alert"):
        peer.start_tls(server.context)
    with pytest.raises(
        ConnectError, match=f"the certificate of the proxy https://localhost:{server.port} was"
    ):
        job.get()


def test_a_context_of_the_proxy_s_own_is_used_for_it_and_for_nothing_else(
    raw_server: RawServers, certificates: Certificates, tls: ssl.SSLContext
) -> None:
    server = raw_server()
    proxy = Proxy(proxy_at(server, "https"), ssl_context=certificates.client_context())
    with greenh2.Client(proxy=proxy) as client:  # which trusts other authorities
        job = gevent.spawn(client.get, "https://a.example/")
        outer = server.accept()
        outer.read_until(END)
        outer.send_bytes(OPENED)
        with pytest.raises(OSError, match="alert"):
            outer.within().start_tls(tls)
        with pytest.raises(ConnectError, match=r"the certificate of https://a\.example was not accepted"):
            job.get()


def test_a_client_certificate_is_not_shown_to_the_proxy(certificates: Certificates) -> None:
    cert = (certificates.server,)
    dialer = Dialer(TlsSettings(verify=certificates.ca_file, cert=cert))
    settings = dialer.tls_with(Proxy("https://p.example"))
    assert (settings.verify, settings.cert, settings.alpn) == (certificates.ca_file, None, ("http/1.1",))


def test_a_proxy_that_nobody_verifies_is_warned_of_once(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(alpn=("http/1.1",))
    client = make_client(proxy=proxy_at(server, "https"), verify=False)

    def twice() -> list[str]:
        with pytest.warns(greenh2.InsecureRequestWarning) as caught:
            for _ in range(2):
                client.get("http://a.example/")
        return [str(warning.message) for warning in caught]

    job = gevent.spawn(twice)
    peer = server.accept()
    serve_http1(peer)
    serve_http1(peer)
    (message,) = job.get()
    assert message.startswith(f"The certificate of https://localhost:{server.port} is not verified")


# -- SOCKS -------------------------------------------------------------------------------------------------------


def test_socks5h_lets_the_proxy_resolve(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server, "socks5h")).get, "https://a.example/")
    peer = server.accept()
    assert peer.read_exactly(4) == b"\x05\x02\x00\x02"
    peer.send_bytes(ASK_PASSWORD)
    assert peer.read_exactly(13) == b"\x01\x04user\x06hidden"
    peer.send_bytes(ACCEPTED)
    assert peer.read_exactly(16) == b"\x05\x01\x00\x03\x09a.example\x01\xbb"
    peer.send_bytes(DONE)
    peer.start_tls(tls)
    peer.greet()
    peer.answer(peer.expect_request().stream_id, body=b"ok")
    assert job.get().text == "ok"


def test_plain_http_through_socks_is_asked_for_as_without_and_its_first_bytes_are_not_lost(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server, "socks5h", ""))
    job = gevent.spawn(client.get, "http://a.example/")
    peer = server.accept()
    assert peer.read_exactly(3) == b"\x05\x01\x00"
    peer.send_bytes(OPEN)
    peer.read_exactly(16)
    peer.send_bytes(DONE)
    assert serve_http1(peer).startswith("GET / HTTP/1.1\r\nHost: a.example\r\n")
    assert job.get().text == "ok"


def test_socks5_resolves_here_and_tries_one_address_after_the_other(
    raw_server: RawServers, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = raw_server(tls=False)
    transport = HTTPTransport(proxy=f"socks5://127.0.0.1:{server.port}")
    found: list[Address] = [(2, ("10.0.0.1", 80)), (10, ("fd00::1", 80, 0, 0))]
    monkeypatch.setattr(
        transport, "_dialer", Dialer(TlsSettings(), http2=False, resolver=lambda host, port: list(found))
    )
    job = gevent.spawn(make_client(transport=transport).get, "http://a.example/")
    for address, reply in ((b"\x01\x0a\x00\x00\x01", b"\x05\x04" + DONE[2:]), (b"\x04\xfd", DONE)):
        peer = server.accept()
        peer.read_exactly(3)
        peer.send_bytes(OPEN)
        assert peer.read_until(b"\x00\x50").startswith(b"\x05\x01\x00" + address)
        peer.send_bytes(reply)
    serve_http1(peer)
    assert job.get().text == "ok"


def test_socks5_looks_a_name_up_once_the_proxy_has_let_it_in(
    raw_server: RawServers, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = raw_server(tls=False)
    transport = HTTPTransport(proxy=f"socks5://127.0.0.1:{server.port}")
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[Address]:
        asked.append(host)
        raise ConnectError(f"nobody knows {host}")

    monkeypatch.setattr(transport, "_dialer", Dialer(TlsSettings(), http2=False, resolver=resolve))
    job = gevent.spawn(make_client(transport=transport).get, "http://a.example/")
    peer = server.accept()
    peer.read_exactly(3)
    assert asked == []
    peer.send_bytes(OPEN)
    with pytest.raises(ConnectError, match="nobody knows a"):
        job.get()
    assert asked == ["a.example"]
    peer.expect_end()


@pytest.mark.parametrize("code", [2, 4])
def test_an_address_that_is_not_reached_is_told(
    raw_server: RawServers, make_client: MakeClient, code: int
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server, "socks5"), limits=1)
    job = gevent.spawn(client.get, "http://127.0.0.1:99/")
    peer = server.accept()
    peer.send_bytes(OPEN + b"\x05" + bytes([code]) + DONE[2:])
    with pytest.raises(ProxyError, match=r"opens no tunnel to 127\.0\.0\.1 port 99"):
        job.get()
    peer.expect_end()


# -- ends while the tunnel is being made ---------------------------------------------------------------------------

Begin = Callable[[H2Peer], object]


def silent(_peer: H2Peer) -> None:
    """Accept and say nothing."""


def half_a_head(peer: H2Peer) -> None:
    peer.send_bytes(OPENED[:-2])


def asking(peer: H2Peer) -> None:
    peer.send_bytes(ASK_PASSWORD)
    peer.read_until(b"hidden")


def accepting(peer: H2Peer) -> None:
    asking(peer)
    peer.send_bytes(ACCEPTED)
    peer.read_until(b"\x01\xbb")


def opened(peer: H2Peer) -> None:
    peer.send_bytes(OPENED)
    peer.read_until(b"a.example")  # in the clear, in the first message of TLS


STAGES = pytest.mark.parametrize(
    ("scheme", "begin"),
    [
        ("http", silent),
        ("http", half_a_head),
        ("http", opened),
        ("https", silent),
        ("socks5h", silent),
        ("socks5h", asking),
        ("socks5h", accepting),
    ],
)


def send_another(client: greenh2.Client, server: RawServer, scheme: str) -> None:
    """See that the only place is free: another request gets it."""
    job = gevent.spawn(client.get, "http://a.example/")
    peer = server.accept_tcp()
    if server.context is not None:
        peer.start_tls(server.context)
    if scheme == "socks5h":
        peer.send_bytes(ASK_PASSWORD + ACCEPTED + DONE)
        peer.read_until(b"\x00\x50")
    serve_http1(peer)
    assert job.get(timeout=5).text == "ok"


@STAGES
@pytest.mark.parametrize("how", ["kill", "timeout", "connect timeout", "close"])
def test_whatever_ends_a_request_while_its_tunnel_is_made_frees_place_and_socket(
    raw_server: RawServers, make_client: MakeClient, scheme: str, begin: Begin, how: str
) -> None:
    server = raw_server(alpn=("http/1.1",), tls=scheme == "https")
    limited = greenh2.Timeout(None, connect=0.5 if how == "connect timeout" else None)
    client = make_client(proxy=proxy_at(server, scheme), limits=1, timeout=limited)
    job = gevent.spawn(client.get, "https://a.example/")
    peer = server.accept_tcp()
    begin(peer)
    if how == "kill":
        job.kill(block=False)
        assert isinstance(job.get(), gevent.GreenletExit)
    elif how == "timeout":
        interruption = gevent.Timeout()
        gevent.get_hub().loop.run_callback(job.throw, interruption)
        assert error_of(job) is interruption
    elif how == "connect timeout":
        error = error_of(job)
        assert isinstance(error, ConnectTimeout)
        assert "within 0.5 s" in str(error) or "TLS" in str(error)
    else:
        client.close()
        assert isinstance(error_of(job), greenh2.CloseError)
    peer.expect_end()
    if how != "close":
        send_another(client, server, scheme)


def test_a_proxy_that_goes_on_saying_little_has_the_connect_timeout_for_all_of_it(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    client = make_client(proxy=proxy_at(server), timeout=greenh2.Timeout(None, connect=0.5))
    job = gevent.spawn(client.get, "https://a.example/")
    peer = server.accept()
    with suppress(OSError):  # when it has given up
        for _ in range(40):
            if job.dead:
                break
            peer.send_bytes(b"HTTP/1.1 100 Continue\r\n\r\n")
            job.join(0.1)
    assert job.dead
    assert isinstance(job.exception, ConnectTimeout)


def test_errors_of_a_stream_pass_through_a_tunnel_as_they_are(
    raw_server: RawServers, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make_client(proxy=proxy_at(server)).post, "https://a.example/", content=b"x")
    _, origin = open_tunnel(server, tls=tls)
    origin.greet()
    origin.send(RstStreamFrame(origin.expect_request().stream_id, ErrorCodes.INTERNAL_ERROR))
    with pytest.raises(greenh2.RemoteProtocolError, match="INTERNAL_ERROR"):
        job.get()
