"""The ways that a GreenTransport of httpx and httpx2 takes: proxies, Unix sockets, addresses, repeats."""

import importlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import greenh2
from tests.support.rawserver import H2Peer, RawServers, raw_server

__all__ = ["raw_server"]

# Any: httpx or httpx2, and what they make.
Family = Any
Make = Callable[..., Any]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECRET = b"Proxy-Authorization: Basic dXNlcjpoaWRkZW4="


@pytest.fixture(params=["httpx", "httpx2"])
def family(request: pytest.FixtureRequest) -> Family:
    return importlib.import_module(request.param)


@pytest.fixture
def transport_class(family: Family) -> Any:
    return importlib.import_module(f"greenh2.adapters.{family.__name__}").GreenTransport


@pytest.fixture
def make(family: Family, transport_class: Any) -> Iterator[Make]:
    """Makes clients of httpx over a GreenTransport with these options."""
    made: list[Any] = []

    def client(**options: Any) -> Any:
        client = family.Client(transport=transport_class(**options))
        made.append(client)
        return client

    yield client
    for client_made in made:
        client_made.close()


def head_of(peer: H2Peer) -> bytes:
    return peer.read_until(b"\r\n\r\n")


@pytest.mark.parametrize(
    "proxy_of",
    [
        lambda family, url: url.replace("://", "://user:hidden@"),
        lambda family, url: family.URL(url.replace("://", "://user:hidden@")),
        lambda family, url: family.Proxy(url, auth=("user", "hidden"), headers={"X-Team": "green"}),
        lambda family, url: family.Proxy(url.replace("://", "://user:hidden@")),
        lambda family, url: greenh2.Proxy(url, auth=("user", "hidden")),
    ],
    ids=["str", "URL", "Proxy", "Proxy with its user in the URL", "greenh2.Proxy"],
)
def test_a_proxy_may_be_told_in_every_form(
    raw_server: RawServers, family: Family, make: Make, proxy_of: Callable[[Family, str], Any]
) -> None:
    server = raw_server(tls=False)
    proxy = proxy_of(family, f"http://localhost:{server.port}")
    job = gevent.spawn(make(proxy=proxy).get, "http://a.example/1")
    peer = server.accept()
    head = head_of(peer)
    assert head.startswith(b"GET http://a.example/1 HTTP/1.1\r\n")
    assert SECRET in head
    assert (b"X-Team: green" in head) is bool(getattr(proxy, "headers", None))
    peer.send_bytes(ANSWER)
    assert job.get().text == "ok"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "invalid"])
def test_a_proxy_that_can_be_none_is_refused_as_httpx_refuses_it(transport_class: Any, url: str) -> None:
    with pytest.raises(ValueError, match="http, https, socks5"):
        transport_class(proxy=url)


def test_limits_that_are_none_are_refused_by_name(transport_class: Any) -> None:
    with pytest.raises(TypeError, match="limits are Limits of httpx or of greenh2, not 100"):
        transport_class(limits=100)


def test_a_proxy_without_a_host_is_an_invalid_url_of_httpx(family: Family, transport_class: Any) -> None:
    with pytest.raises(family.InvalidURL, match="no host"):
        transport_class(proxy="http://")


def test_one_that_is_mounted_is_taken_in_place_of_the_other(
    raw_server: RawServers, family: Family, transport_class: Any
) -> None:
    server = raw_server(tls=False)
    mounts = {"all://a.example": transport_class(proxy=f"http://localhost:{server.port}")}
    with family.Client(transport=transport_class(), mounts=mounts) as client:
        job = gevent.spawn(client.get, "http://a.example/")
        peer = server.accept()
        assert head_of(peer).startswith(b"GET http://a.example/ ")
        peer.send_bytes(ANSWER)
        assert job.get().text == "ok"


def test_a_unix_socket_leads_everywhere(raw_server: RawServers, make: Make, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = raw_server(tls=False, uds=path)
    job = gevent.spawn(make(uds=path).get, "http://shop.example/tea")
    peer = server.accept()
    assert head_of(peer).startswith(b"GET /tea HTTP/1.1\r\nHost: shop.example\r\n")
    peer.send_bytes(ANSWER)
    assert job.get().text == "ok"


def test_an_address_to_connect_from_is_heeded(raw_server: RawServers, make: Make) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make(local_address="127.0.0.2").get, f"http://127.0.0.1:{server.port}/")
    peer = server.accept()
    head_of(peer)
    peer.send_bytes(ANSWER)
    stream = job.get().extensions["network_stream"]
    assert stream.get_extra_info("client_addr")[0] == "127.0.0.2"


def test_options_of_the_socket_are_set(raw_server: RawServers, family: Family, make: Make) -> None:
    server = raw_server(tls=False)
    with pytest.raises(family.ConnectError, match="the socket option"):
        make(socket_options=[(socket.IPPROTO_TCP, 9999, 1)]).get(f"http://127.0.0.1:{server.port}/")


def test_a_connection_that_cannot_be_made_is_tried_again_so_often(family: Family, make: Make) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/"
        events: list[str] = []

        def trace(event: str, facts: object) -> None:
            events.append(event)

        with pytest.raises(family.ConnectError):
            make(retries=1).get(url, extensions={"trace": trace})
    assert events.count("connection.dial") == 2


def test_both_a_unix_socket_and_a_proxy_are_too_much(transport_class: Any) -> None:
    with pytest.raises(ValueError, match="uds= and proxy="):
        transport_class(uds="/nowhere", proxy="http://localhost")


@pytest.mark.parametrize(("phrase", "told"), [(b" ", ""), (b" So Be It", "So Be It")])
def test_the_phrase_behind_a_status_is_told_as_it_stood_even_where_there_is_none(
    raw_server: RawServers, make: Make, phrase: bytes, told: str
) -> None:
    server = raw_server(tls=False)
    job = gevent.spawn(make().get, f"http://localhost:{server.port}/")
    peer = server.accept()
    head_of(peer)
    peer.send_bytes(b"HTTP/1.1 200" + phrase + b"\r\nContent-Length: 0\r\n\r\n")
    assert job.get().reason_phrase == told


@pytest.mark.parametrize("by_another", [False, True], ids=["by its reader", "by another greenlet"])
def test_a_response_that_is_closed_while_it_is_read_ends_in_an_error_of_httpx(
    raw_server: RawServers, make: Make, family: Family, by_another: bool
) -> None:
    server = raw_server(tls=False)

    def ask() -> None:
        with make().stream("GET", server.url) as response:
            for _ in response.iter_raw():
                if by_another:
                    gevent.spawn(response.close)
                else:
                    response.close()

    asking = gevent.spawn(ask)
    peer = server.accept_tcp()
    head_of(peer)
    peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    with pytest.raises(family.ReadError) as caught:
        asking.get()
    assert isinstance(caught.value.__cause__, greenh2.StreamClosed)


def test_a_transport_that_was_closed_with_one_client_serves_the_next(
    raw_server: RawServers, family: Family, transport_class: Any
) -> None:
    server = raw_server(tls=False)
    transport = transport_class()
    for _ in range(2):
        with family.Client(transport=transport) as client:
            asking = gevent.spawn(client.get, server.url)
            peer = server.accept_tcp()
            head_of(peer)
            peer.send_bytes(ANSWER)
            assert asking.get().text == "ok"
        assert peer.expect_end() == b""
