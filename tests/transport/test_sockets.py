"""Sockets of another kind: to a Unix socket, from an address of one's own, with options."""

from __future__ import annotations

import _socket
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import greenh2
from greenh2._errors import CloseError, ConnectError, ConnectTimeout
from greenh2._net import tcp
from greenh2._net.bell import Leash
from greenh2._net.dns import Resolver
from greenh2._net.sockets import SocketSettings
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import H2Peer, RawServers

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


def head_of(peer: H2Peer) -> bytes:
    return peer.read_until(b"\r\n\r\n")


# -- Unix sockets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [str, Path])
def test_a_request_goes_over_a_unix_socket(
    raw_server: RawServers, make_client: MakeClient, path: str, form: Any
) -> None:
    server = raw_server(tls=False, uds=path)
    client = make_client(uds=form(path))
    for _ in range(2):
        asking = gevent.spawn(client.get, "http://shop.example/tea")
        peer = server.accept()
        head = head_of(peer)
        assert head.startswith(b"GET /tea HTTP/1.1\r\nHost: shop.example\r\n")
        peer.send_bytes(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        response = asking.get()
        assert response.text == "ok"
        assert response.connection_info["remote_address"] == path


def test_tls_and_http2_go_over_a_unix_socket(
    raw_server: RawServers, make_client: MakeClient, path: str
) -> None:
    server = raw_server(uds=path)
    client = make_client(uds=path)
    asking = gevent.spawn(client.get, "https://localhost/")  # the name that the certificate must have
    peer = server.accept()
    peer.greet()
    peer.answer(peer.expect_request().stream_id, 204)
    assert asking.get().http_version == "HTTP/2"
    asking = gevent.spawn(client.get, "https://localhost/")
    peer.answer(peer.expect_request().stream_id, 200)  # on the same connection
    assert asking.get().status_code == 200


def test_each_host_has_connections_of_its_own(
    raw_server: RawServers, make_client: MakeClient, path: str
) -> None:
    server = raw_server(tls=False, uds=path)
    client = make_client(uds=path)
    for host in (b"a.example", b"b.example"):
        asking = gevent.spawn(client.get, f"http://{host.decode()}/")
        peer = server.accept()  # a new one, though the first is idle
        assert b"Host: " + host in head_of(peer)
        peer.send_bytes(OK)
        asking.get()


def test_a_unix_socket_that_is_not_there_is_told(make_client: MakeClient, path: str) -> None:
    with pytest.raises(ConnectError, match=f"http://a.example by way of {path}: No such file"):
        make_client(uds=path).get("http://a.example/")


def test_a_path_that_is_too_long_is_told(make_client: MakeClient) -> None:
    with pytest.raises(ConnectError, match="path too long"):
        make_client(uds="/tmp/" + "x" * 200).get("http://a.example/")


@pytest.fixture
def full(path: str) -> Iterator[_socket.socket]:
    """A Unix socket whose queue is full, until somebody accepts."""
    listener, guest = _socket.socket(socket.AF_UNIX), _socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    guest.setblocking(False)
    guest.connect(path)
    yield listener
    listener.close()
    guest.close()


def to_unix(path: str, seconds: float | None, leash: Leash | None = None) -> socket.socket:
    settings = SocketSettings.of(uds=path)
    return tcp.connect(
        "a.example", 80, "http://a.example", seconds, resolver=at(), leash=leash, settings=settings
    )


def test_a_full_queue_is_waited_for(full: _socket.socket, path: str) -> None:
    connecting = gevent.spawn(to_unix, path, None)
    gevent.sleep(0.05)
    assert not connecting.ready()
    accepted = full._accept()[0]  # type: ignore[attr-defined]  # there is room for one now
    connecting.get(timeout=5).close()
    os.close(accepted)


@pytest.mark.usefixtures("full")
def test_a_full_queue_is_not_waited_for_longer_than_allowed(path: str) -> None:
    with pytest.raises(ConnectTimeout, match=r"by way of .*socket within 0.3 s"):
        to_unix(path, 0.3)


@pytest.mark.usefixtures("full")
def test_waiting_for_a_full_queue_can_be_called_off(path: str) -> None:
    leash = Leash()
    connecting = gevent.spawn(to_unix, path, None, leash)
    gevent.sleep(0.05)
    leash.call_off(CloseError("closed"))
    with pytest.raises(CloseError, match="closed"):
        connecting.get(timeout=5)


@pytest.mark.usefixtures("full")
def test_a_greenlet_killed_at_a_full_queue_leaves_nothing(path: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    connecting = gevent.spawn(to_unix, path, None)
    gevent.sleep(0.05)
    connecting.kill()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.usefixtures("full")
def test_a_timeout_from_outside_at_a_full_queue_passes_whatever_its_class(path: str) -> None:
    with pytest.raises(TimeoutError, match="mine"), gevent.Timeout(0.1, TimeoutError("mine")):
        to_unix(path, None)


# -- local addresses -------------------------------------------------------------------------------------------


def at(*hosts: str, port: int = 1) -> Resolver:
    def resolve(host: str, _port: int) -> list[Any]:
        families = [(socket.AF_INET6 if ":" in host else socket.AF_INET, host) for host in hosts]
        return [
            (family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))
            for family, host in families
        ]

    return resolve


def test_a_request_comes_from_the_address_that_was_asked_for(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    server = raw_server(tls=False)
    asking = gevent.spawn(make_client(local_address="127.0.0.2").get, server.url)
    peer = server.accept()
    assert isinstance(peer.address, tuple)
    assert peer.address[0] == "127.0.0.2"
    head_of(peer)
    peer.send_bytes(OK)
    assert asking.get().connection_info["local_address"][0] == "127.0.0.2"


def test_http2_comes_from_there_as_well(origin: OriginFactory, make_client: MakeClient) -> None:
    server = origin()
    response = make_client(local_address="127.0.0.2").get(server.url)
    assert (response.http_version, response.connection_info["local_address"][0]) == ("HTTP/2", "127.0.0.2")


def test_only_addresses_of_its_family_are_tried(raw_server: RawServers) -> None:
    server = raw_server(tls=False)
    settings = SocketSettings.of(local_address="127.0.0.2")
    # In order, ::1 would be the first; and nobody listens there, which would make the failure a refusal.
    sock = tcp.connect(
        "a.example", 1, "peer", 5.0, resolver=at("::1", "127.0.0.1", port=server.port), settings=settings
    )
    assert (sock.family, sock.getsockname()[0]) == (socket.AF_INET, "127.0.0.2")
    sock.close()


def test_a_host_without_such_an_address_cannot_be_reached() -> None:
    settings = SocketSettings.of(local_address="127.0.0.2")
    with pytest.raises(
        ConnectError, match=r"none of its addresses can be reached from local_address='127.0.0.2'"
    ):
        tcp.connect("a.example", 1, "peer", 5.0, resolver=at("::1"), settings=settings)


def test_an_address_that_is_not_of_this_machine_is_told(
    raw_server: RawServers, make_client: MakeClient
) -> None:
    client = make_client(local_address="192.0.2.1")
    with pytest.raises(ConnectError, match=r"local_address='192.0.2.1' was refused: Cannot assign"):
        client.get(raw_server(tls=False).url)


# -- options ---------------------------------------------------------------------------------------------------


def test_options_are_set_before_connecting(raw_server: RawServers) -> None:
    options: list[tuple[int, int, int | bytes]] = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),  # ours, undone
        (socket.SOL_SOCKET, socket.SO_RCVBUF, (8192).to_bytes(4, "little")),
    ]
    settings = SocketSettings.of(options=options)
    sock = tcp.connect(
        "a", 1, "peer", 5.0, resolver=at("127.0.0.1", port=raw_server(tls=False).port), settings=settings
    )
    found = [sock.getsockopt(level, option) for level, option, _ in options]
    sock.close()
    assert found == [1, 0, 16384]  # Linux doubles the buffer


def test_options_are_set_on_unix_sockets_too(raw_server: RawServers, path: str) -> None:
    raw_server(tls=False, uds=path)
    settings = SocketSettings.of(uds=path, options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])
    sock = tcp.connect("a", 1, "peer", 5.0, resolver=at(), settings=settings)
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    sock.close()
    assert found == 1


def test_an_option_that_is_refused_is_told(raw_server: RawServers, make_client: MakeClient) -> None:
    client = make_client(socket_options=[(socket.IPPROTO_TCP, 9999, 1)])
    with pytest.raises(ConnectError, match=r"the socket option \(6, 9999, 1\) was refused: "):
        client.get(raw_server(tls=False).url)


def test_a_transport_takes_the_same_settings(raw_server: RawServers, path: str) -> None:
    server = raw_server(tls=False, uds=path)
    with greenh2.Client(transport=greenh2.HTTPTransport(uds=path)) as client:
        asking = gevent.spawn(client.get, "http://a.example/")
        peer = server.accept()
        head_of(peer)
        peer.send_bytes(OK)
        assert asking.get().text == "ok"


# -- what could never work -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({"socket_options": 7}, TypeError, "socket_options is a list of tuples for .*, not 7"),
        ({"uds": 7}, TypeError, "uds is the path of a Unix socket, not int"),
        ({"uds": ""}, ValueError, "uds='' names no Unix socket"),
        ({"uds": "/x", "local_address": "127.0.0.1"}, ValueError, "uds and local_address exclude each other"),
        (
            {"local_address": ("127.0.0.1", 0)},
            TypeError,
            "local_address is an IP address as a str, not tuple",
        ),
        ({"local_address": "localhost"}, ValueError, "local_address='localhost' is no IP address"),
        ({"local_address": "fe80::1%lo"}, ValueError, "one with a zone is not supported"),
        ({"socket_options": [(1, 2)]}, ValueError, r"socket_options are tuples .*, not \(1, 2\)"),
        ({"socket_options": [(1, 2, "3")]}, ValueError, "socket_options are tuples"),
        ({"socket_options": [(1, 2, None)]}, ValueError, "socket_options are tuples"),
    ],
)
def test_what_could_never_work_is_refused_at_once(
    settings: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        greenh2.Client(**settings)


def test_an_option_may_be_none_with_a_length() -> None:
    option = (socket.SOL_SOCKET, 1, None, 4)
    assert SocketSettings.of(options=[option]).options == (option,)
