"""Clients and connections in conversation with a server that the test plays itself."""

import select
from collections.abc import Callable
from functools import cached_property
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

import greenh2
from greenh2._connection.connection import Connection
from greenh2._connection.dial import Dialer
from greenh2._connection.exchange import Exchange
from greenh2._models.body import BytesBody
from greenh2._models.route import Route
from greenh2._models.timeouts import Deadline, Timeout
from greenh2._net.trust import TlsSettings
from greenh2._protocol.events import RequestHead
from tests.support.clients import MakeClient, make_client
from tests.support.rawserver import H2Peer, RawServer, RawServers, data, raw_server

__all__ = ["make_client", "raw_server"]

_poll: Callable[[], "select.poll"] = get_original("select", "poll")


class Talk:
    """A client and a server; requests run in greenlets of their own while the test plays the peer."""

    def __init__(self, server: RawServer, client: greenh2.Client) -> None:
        self.server = server
        self.client = client

    @cached_property
    def peer(self) -> H2Peer:
        """The first connection; over HTTP/2 the greetings have been exchanged."""
        return self.accept()

    def accept(self) -> H2Peer:
        """Take the next connection."""
        peer = self.server.accept()
        if peer.tls.selected_alpn_protocol() == "h2":
            peer.greet()
        return peer

    def request(
        self, method: str = "GET", path: str = "/", **options: Any
    ) -> "gevent.Greenlet[..., greenh2.Response]":
        """Start a request whose response is read."""
        return gevent.spawn(self.client.request, method, self.server.url + path, **options)

    def stream(
        self, method: str = "GET", path: str = "/", **options: Any
    ) -> "gevent.Greenlet[..., greenh2.Response]":
        """Start a request whose response is not read yet."""
        request = self.client.build_request(method, self.server.url + path, **options)
        return gevent.spawn(self.client.send, request, stream=True)

    def warm_up(self) -> None:
        """Make the first connection over HTTP/2, so that later requests leave in the turn in which they are made."""
        job = self.request(timeout=5.0)
        self.peer.answer(self.peer.expect_request().stream_id, 204)
        job.get()

    def wait_until_heard(self) -> None:
        """Wait until the kernel has something for the client's one connection, or the client has closed that."""
        (pool,) = self.client._transport._pools.values()  # type: ignore[union-attr]
        with gevent.Timeout(5.0):
            while any(not is_readable(connection) for connection in pool.connections):
                gevent.sleep(0.001)


def is_readable(connection: Connection) -> bool:
    """Tell whether there is something to read, without reading it."""
    poll = _poll()
    poll.register(connection.channel._sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


Converse = Callable[..., Talk]


@pytest.fixture
def talk(raw_server: RawServers, make_client: MakeClient) -> Converse:
    """Opens a conversation: ``talk("http1", timeout=1.0)``, over HTTP/2 unless it is told otherwise."""

    def open_one(protocol: str = "h2", **options: Any) -> Talk:
        server = raw_server(alpn=("h2",) if protocol == "h2" else ("http/1.1",))
        return Talk(server, make_client(**options))

    return open_one


# -- connections without a client -----------------------------------------------------------------------------------

Ends = tuple[Connection, H2Peer]
HOST = (b"Host", b"localhost")
HEAD = RequestHead(b"POST", b"http", b"localhost", b"/", [HOST], True)
UPLOAD = RequestHead(b"POST", b"http", b"localhost", b"/", [HOST, (b"Transfer-Encoding", b"chunked")], True)


def connect(raw_server: RawServers, http2: bool) -> Ends:
    server = raw_server(tls=False)
    dial = Dialer(TlsSettings(), http2="prior-knowledge" if http2 else False)
    connection = dial(Route("http", "127.0.0.1", server.port), 5.0, None)
    peer = server.accept()
    if http2:
        peer.greet()
        while connection.greeting:
            gevent.sleep(0.001)
            connection.probe()
    return connection, peer


@pytest.fixture
def h2(raw_server: RawServers) -> Ends:
    """An HTTP/2 connection, greetings exchanged, and its peer."""
    return connect(raw_server, http2=True)


@pytest.fixture
def http1(raw_server: RawServers) -> Ends:
    """An HTTP/1.1 connection and its peer."""
    return connect(raw_server, http2=False)


def in_mid_answer(ends: Ends) -> tuple[Exchange, int]:
    """Send a request, and return its exchange and the stream's number when the head of the answer is there."""
    connection, peer = ends
    exchange = connection.open()
    job = gevent.spawn(exchange.send, HEAD, BytesBody(b""), 0, deadline())
    stream_id = peer.expect_request().stream_id
    peer.send(peer.head(stream_id))
    job.get()
    return exchange, stream_id


def deadline() -> Deadline:
    """Five seconds for everything, from now on."""
    return Deadline(Timeout(5.0))


def send_gzip(it: Talk, protocol: str, packed: bytes) -> None:
    """Have the peer answer its one request with a body in gzip."""
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        head = it.peer.head(stream_id, 200, ("content-encoding", "gzip"))
        it.peer.send(head, *[data(stream_id, packed[i : i + 16384]) for i in range(0, len(packed), 16384)])
        it.peer.send(data(stream_id, b"", end=True))
    else:
        it.peer.read_until(b"\r\n\r\n")
        it.peer.send_bytes(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
        )
