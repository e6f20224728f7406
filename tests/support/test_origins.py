"""The origins that the tests lean on do what they promise; greenh2 has no part in it."""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import gevent.socket
import pytest
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.events import (
    Event as H2Event,
)

from tests.support.certificates import Certificates
from tests.support.daemons import content
from tests.support.origins import Origin, OriginFactory


class Caller:
    """The least HTTP/2 client: h2 over one blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.h2 = H2Connection()
        self.h2.initiate_connection()
        self.seen: list[H2Event] = []
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def get(self, path: str) -> int:
        stream: int = self.h2.get_next_available_stream_id()
        self.h2.send_headers(
            stream,
            [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)],
            end_stream=True,
        )
        self.flush()
        return stream

    def until(self, kind: type[H2Event], stream: int | None = None) -> H2Event:
        """Read until an event of that kind, for that stream if one is given."""
        while True:
            for event in self.seen:
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    self.seen.remove(event)
                    return event
            data = self.sock.recv(65536)
            assert data, f"closed; no {kind.__name__} among {self.seen}"
            for event in self.h2.receive_data(data):
                if isinstance(event, DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                self.seen.append(event)
            self.flush()

    def body(self, stream: int) -> bytes:
        self.until(StreamEnded, stream)
        data = [event for event in self.seen if isinstance(event, DataReceived)]
        return b"".join(event.data or b"" for event in data if event.stream_id == stream)


@contextmanager
def calling(origin: Origin, certificates: Certificates) -> Iterator[Caller]:
    context = certificates.client_context()
    context.set_alpn_protocols(["h2"])
    plain = gevent.socket.create_connection(("127.0.0.1", origin.port), timeout=5)
    with context.wrap_socket(plain, server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "h2"
        yield Caller(sock)


@contextmanager
def asking(origin: Origin) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", origin.port, timeout=5)
    try:
        yield connection
    finally:
        connection.close()


def fetch(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", body: bytes | None = None
) -> bytes:
    connection.request(method, path, body=body)
    with connection.getresponse() as response:
        return response.read()


# origins over HTTP/2


def test_an_origin_answers_over_http2_and_logs_the_request(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin()
    with calling(server, certificates) as caller:
        assert caller.body(caller.get("/bytes/100000")) == content(100_000)
    stats = server.wait_until(lambda stats: not stats.open)
    assert stats.paths == ["/bytes/100000"]
    assert stats.requests[0].outcome == "answered"
    assert (stats.connections[0].protocol, stats.connections[0].closed_by) == ("h2", "peer")


def test_an_origin_sends_trailers(origin: OriginFactory, certificates: Certificates) -> None:
    with calling(origin(), certificates) as caller:
        event = caller.until(TrailersReceived, caller.get("/trailers"))
    assert isinstance(event, TrailersReceived)
    assert event.headers == [(b"x-checksum", b"1234"), (b"x-last", b"yes")]


def test_an_origin_resets_a_stream_with_the_code_asked_for(
    origin: OriginFactory, certificates: Certificates
) -> None:
    with calling(origin(), certificates) as caller:
        event = caller.until(StreamReset, caller.get("/reset/11"))
    assert isinstance(event, StreamReset)
    assert event.error_code == 11


def test_an_origin_refuses_as_many_streams_as_told(origin: OriginFactory, certificates: Certificates) -> None:
    server = origin(refuse_streams=2)
    with calling(server, certificates) as caller:
        caller.until(StreamReset, caller.get("/"))
        caller.until(StreamReset, caller.get("/"))
        assert caller.body(caller.get("/")) == b"hello\n"
    assert [request.outcome for request in server.stats().requests] == ["refused", "refused", "answered"]


def test_an_origin_counts_resets_and_goaways_of_its_client(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin()
    with calling(server, certificates) as caller:
        caller.h2.reset_stream(caller.get("/stall"), 8)
        caller.flush()
        server.wait_until(lambda stats: stats.resets == [8])
        caller.h2.close_connection(error_code=2)
        caller.flush()
        server.wait_until(lambda stats: stats.connections[0].goaway == 2)


def test_after_keepalive_requests_an_origin_says_goaway_and_finishes_what_it_accepted(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin(keepalive_requests=2)
    with calling(server, certificates) as caller:
        caller.get("/sleep/0.5")
        caller.get("/sleep/0.5")
        caller.get("/")
        event = caller.until(ConnectionTerminated)
        assert isinstance(event, ConnectionTerminated)
        assert event.last_stream_id == 3
        stats = server.wait_until(lambda stats: len(stats.requests) == 3)
    assert stats.requests[2].outcome == "ignored"


def test_an_origin_advertises_no_stream_limit_when_told_so(
    origin: OriginFactory, certificates: Certificates
) -> None:
    with calling(origin(max_concurrent_streams=None), certificates) as caller:
        event = caller.until(RemoteSettingsChanged)
    assert isinstance(event, RemoteSettingsChanged)
    assert 3 not in event.changed_settings


def test_an_origin_changes_its_settings_when_asked(origin: OriginFactory, certificates: Certificates) -> None:
    server = origin(max_concurrent_streams=7)
    with calling(server, certificates) as caller:
        caller.until(RemoteSettingsChanged)
        server.settings(max_concurrent_streams=0)
        caller.until(RemoteSettingsChanged)
        assert caller.h2.remote_settings.max_concurrent_streams == 0


def test_an_origin_says_goaway_before_it_closes_an_idle_connection(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin(idle_close=0.05)
    with calling(server, certificates) as caller:
        caller.until(ConnectionTerminated)
        closed = server.wait_until(lambda stats: not stats.open).connections[0]
    assert closed.closed_by == "origin"


def test_a_client_without_the_certificate_asked_for_is_refused(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin(client_ca=certificates.ca_file)
    refused = (ssl.SSLError, ConnectionError, AssertionError)  # which one is a matter of timing
    with pytest.raises(refused), calling(server, certificates) as caller:
        caller.until(RemoteSettingsChanged)
    stats = server.wait_until(lambda stats: bool(stats.connections[0].error))
    assert "CERTIFICATE" in stats.connections[0].error


# origins over HTTP/1.1 and plain TCP


def test_an_origin_answers_over_http1_and_keeps_the_connection(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    with asking(server) as connection:
        assert fetch(connection, "/") == b"hello\n"
        assert fetch(connection, "/echo", "POST", b"x" * 100_000) == b"x" * 100_000
    stats = server.wait_until(lambda stats: not stats.open)
    assert [record.streams for record in stats.connections] == [2]
    assert stats.requests[1].body_length == 100_000


def test_an_origin_closes_http1_after_keepalive_requests(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False, keepalive_requests=2)
    with asking(server) as connection:
        assert [fetch(connection, "/") for _ in range(3)] == [b"hello\n"] * 3
    assert [record.streams for record in server.stats().connections] == [2, 1]


@pytest.mark.parametrize("end", [Origin.hang_up, Origin.drop])
def test_an_origin_closes_every_connection_when_told(
    origin: OriginFactory, end: Callable[[Origin], None]
) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    with asking(server) as connection:
        fetch(connection, "/")
        end(server)
        closed = server.wait_until(lambda stats: not stats.open).connections
    assert [record.closed_by for record in closed] == ["origin"]


def test_a_frozen_origin_answers_no_more(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    with asking(server) as connection:
        fetch(connection, "/")
        server.freeze()
        assert connection.sock is not None
        connection.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            fetch(connection, "/")


def test_a_goaway_without_a_last_id_lets_open_streams_finish(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin()
    with calling(server, certificates) as caller:
        caller.get("/sleep/0.5")
        server.wait_until(lambda stats: len(stats.requests) == 1)
        server.goaway()
        event = caller.until(ConnectionTerminated)
    assert isinstance(event, ConnectionTerminated)
    assert (event.error_code, event.last_stream_id) == (0, 1)


def test_a_certificate_for_another_name_is_told_apart(
    origin: OriginFactory, certificates: Certificates
) -> None:
    server = origin(certificate=certificates.issue("elsewhere.localhost"))
    with pytest.raises(ssl.SSLCertVerificationError), calling(server, certificates):
        raise AssertionError("no handshake should end well")


def test_a_plain_origin_tells_http2_from_http1_by_the_first_bytes(origin: OriginFactory) -> None:
    server = origin(alpn=("h2", "http/1.1"), tls=False)
    with asking(server) as connection:
        fetch(connection, "/")
    with gevent.socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        caller = Caller(sock)
        caller.until(ResponseReceived, caller.get("/"))
    assert [record.protocol for record in server.stats().connections] == ["http/1.1", "h2"]


def test_a_deaf_origin_refuses_new_connections_and_serves_the_old(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    with asking(server) as connection:
        fetch(connection, "/")
        server.deafen()
        with pytest.raises(ConnectionRefusedError):
            gevent.socket.create_connection(("127.0.0.1", server.port), timeout=5)
        assert fetch(connection, "/") == b"hello\n"


def test_waiting_for_what_an_origin_never_sees_fails_with_what_it_saw(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    with asking(server) as connection:
        fetch(connection, "/status/404")
    with pytest.raises(AssertionError, match="/status/404"):
        server.wait_until(lambda stats: len(stats.requests) == 2, timeout=0.02)


def test_a_wrong_order_is_reported(origin: OriginFactory) -> None:
    server = origin()
    server.stop()
    with pytest.raises(RuntimeError, match="stats: KeyError"):
        server.stats()


def test_connections_that_come_at_once_have_numbers_of_their_own(origin: OriginFactory) -> None:
    server = origin(alpn=("http/1.1",), tls=False)
    sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(50)]
    try:
        seen = server.wait_until(lambda stats: len(stats.connections) == 50)
    finally:
        for sock in sockets:
            sock.close()
    assert [record.id for record in seen.connections] == list(range(50))
