"""The peers and checks that the tests lean on do what they promise; greenh2 has no part in it."""

import gc
import http.client
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import gevent.socket
import pytest
from gevent.event import Event
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

from tests.support import leaks
from tests.support.certificates import Certificates
from tests.support.daemons import Daemons, content, find
from tests.support.leaks import Census
from tests.support.loopback import LeftLoopbackError, is_loopback
from tests.support.origins import Origin, OriginFactory
from tests.support.watchdog import Watchdog


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
        caller.get("/sleep/0.05")
        caller.get("/sleep/0.05")
        caller.get("/")
        event = caller.until(ConnectionTerminated)
        assert isinstance(event, ConnectionTerminated)
        assert event.last_stream_id == 3
    assert [request.outcome for request in server.stats().requests][2] == "ignored"


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


# real servers


def test_nginx_serves_files(daemons: Daemons, certificates: Certificates) -> None:
    server = daemons.nginx()
    assert server.plain is not None
    assert _download(server.plain) == content(600_000)


def test_apache_serves_files(daemons: Daemons, certificates: Certificates) -> None:
    server = daemons.apache()
    assert server.plain is not None
    assert _download(server.plain) == content(600_000)


def test_nghttpd_takes_connections(daemons: Daemons) -> None:
    assert daemons.nghttpd().h1 is None


def _download(url: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=5)
    try:
        return fetch(connection, "/600000.bin")
    finally:
        connection.close()


def test_a_missing_server_skips_outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        find("no-such-server")


def test_a_missing_server_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have it"):
        find("no-such-server")


# the checks around every test


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback_is_allowed(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "::2", "example.org", "::ffff:10.0.0.1", "0.0.0.0"])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("kind", [socket.socket, gevent.socket.socket])
def test_a_connect_off_loopback_is_refused(kind: type[socket.socket]) -> None:
    with kind() as sock, pytest.raises(LeftLoopbackError):
        sock.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("look_up", [socket.getaddrinfo, gevent.socket.getaddrinfo])
@pytest.mark.parametrize("name", ["example.org", b"example.org"])
def test_a_foreign_name_is_not_looked_up(
    look_up: Callable[[str | bytes, int], object], name: str | bytes
) -> None:
    with pytest.raises(socket.gaierror, match="stay on loopback"):
        look_up(name, 80)


@pytest.mark.parametrize("name", ["a.localhost", b"f.localhost", "localhost."])
def test_names_below_localhost_are_localhost(name: str | bytes) -> None:
    assert ("127.0.0.1", 80) in [entry[4] for entry in gevent.socket.getaddrinfo(name, 80)]


def test_a_greenlet_that_stays_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE", 0.05)
    census = Census()
    stop = Event()
    idler = gevent.spawn(stop.wait)
    assert ["greenlet" in leak for leak in census.leaks()] == [True]
    stop.set()
    idler.join()
    assert census.leaks() == []


def test_a_descriptor_that_stays_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    if not leaks.open_descriptors():
        pytest.skip("this system has no /proc")
    monkeypatch.setattr(leaks, "PATIENCE", 0.05)
    census = Census()
    reads, writes = os.pipe()
    assert ["descriptor" in leak for leak in census.leaks()] == [True, True]
    os.close(reads)
    os.close(writes)
    assert census.leaks() == []


def test_a_greenlet_that_ends_soon_is_no_leak() -> None:
    census = Census()
    gevent.spawn(gevent.sleep, 0.05)
    assert census.leaks() == []


def test_garbage_is_no_leak() -> None:
    gc.disable()
    try:
        census = Census()
        loop: list[object] = [gevent.socket.socket()]
        loop.append(loop)
        loop[0].close()  # type: ignore[attr-defined]  # a socket
        del loop
        assert census.leaks() == []
    finally:
        gc.enable()


def test_the_watchdog_barks_when_nobody_calls_it_off(capsys: pytest.CaptureFixture[str]) -> None:
    barks: list[str] = []
    dog = Watchdog(0.01, lambda: barks.append("woof"))
    with gevent.Timeout(5):
        while not barks:
            gevent.sleep(0.005)
    dog.call_off()
    assert "Greenlet" in capsys.readouterr().err or barks == ["woof"]


def test_a_watchdog_does_not_keep_the_loop_busy() -> None:
    dog = Watchdog(60, lambda: None)
    try:
        assert gevent.wait(timeout=5)
    finally:
        dog.call_off()
