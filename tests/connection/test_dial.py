"""From a route to a connection: which protocol is spoken, and what is left when it comes to nothing."""

import os
import socket
import ssl
from collections.abc import Mapping

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame, SettingsFrame

from greenh2._connection.connection import Connection
from greenh2._connection.dial import Dialer
from greenh2._errors import ConnectError, ConnectTimeout
from greenh2._models.route import Route
from greenh2._models.settings import Http2Choice
from greenh2._models.trace import Trace
from greenh2._net.dns import Address
from greenh2._net.trust import TlsSettings
from tests.support.certificates import Certificates
from tests.support.rawserver import RawServer, RawServers


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def route_to(server: RawServer, *, http1_only: bool = False) -> Route:
    scheme = server.url.partition(":")[0]
    name = "localhost" if scheme == "https" else None
    return Route(scheme, "127.0.0.1", server.port, name, http1_only)


def dialer(
    certificates: Certificates,
    http2: Http2Choice = True,
    *,
    http1: bool = True,
    alpn: tuple[str, ...] | None = None,
) -> Dialer:
    offered = alpn or (("h2",) if http2 else ()) + (("http/1.1",) if http1 else ())
    return Dialer(TlsSettings(verify=certificates.ca_file, alpn=offered), http1=http1, http2=http2)


def dial(server: RawServer, dialer: Dialer, route: Route | None = None) -> Connection:
    """Dial, answer the handshake, and return the connection."""
    dialing = gevent.spawn(dialer, route or route_to(server), 5.0, None)
    server.accept()
    return dialing.get()


BOTH, H2, H1 = ("h2", "http/1.1"), ("h2",), ("http/1.1",)


@pytest.mark.parametrize(
    ("offered", "http2", "http1", "spoken"),
    [
        (BOTH, True, True, "HTTP/2"),
        (H1, True, True, "HTTP/1.1"),
        ((), True, True, "HTTP/1.1"),
        (BOTH, False, True, "HTTP/1.1"),
        (BOTH, True, False, "HTTP/2"),
        (BOTH, "prior-knowledge", True, "HTTP/2"),
        (H1, "prior-knowledge", True, "HTTP/1.1"),
        ((), "prior-knowledge", True, "HTTP/2"),
        ((), "prior-knowledge", False, "HTTP/2"),
    ],
)
def test_over_tls_the_server_chooses_among_what_is_allowed(
    raw_server: RawServers,
    certificates: Certificates,
    offered: tuple[str, ...],
    http2: Http2Choice,
    http1: bool,
    spoken: str,
) -> None:
    connection = dial(raw_server(alpn=offered), dialer(certificates, http2, http1=http1))
    assert connection.protocol.name == spoken
    connection.close("the test is over")


@pytest.mark.parametrize(
    ("http2", "spoken"), [(True, "HTTP/1.1"), (False, "HTTP/1.1"), ("prior-knowledge", "HTTP/2")]
)
def test_without_tls_http_2_is_spoken_only_where_it_is_known(
    raw_server: RawServers, certificates: Certificates, http2: Http2Choice, spoken: str
) -> None:
    connection = dial(raw_server(tls=False), dialer(certificates, http2))
    assert connection.protocol.name == spoken
    connection.close("the test is over")


def test_without_tls_http_2_is_spoken_where_nothing_else_may_be(
    raw_server: RawServers, certificates: Certificates
) -> None:
    connection = dial(raw_server(tls=False), dialer(certificates, True, http1=False))
    assert connection.protocol.name == "HTTP/2"
    connection.close("the test is over")


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("http2", [True, "prior-knowledge"])
def test_a_route_for_http_1_1_alone_offers_nothing_else(
    raw_server: RawServers, certificates: Certificates, tls: bool, http2: Http2Choice
) -> None:
    server = raw_server(alpn=BOTH, tls=tls)
    connection = dial(server, dialer(certificates, http2), route_to(server, http1_only=True))
    assert connection.protocol.name == "HTTP/1.1"
    connection.close("the test is over")


@pytest.mark.parametrize("offered", [H1, ()])
def test_a_server_that_does_not_speak_http_2_is_an_error_where_nothing_else_is_allowed(
    raw_server: RawServers, certificates: Certificates, offered: tuple[str, ...]
) -> None:
    with pytest.raises(ConnectError, match="does not speak HTTP/2"):
        dial(raw_server(alpn=offered), dialer(certificates, http1=False, alpn=BOTH))


@pytest.mark.parametrize(
    ("scheme", "http2", "http1", "only1", "known"),
    [
        ("https", True, True, False, None),
        ("https", True, False, False, True),
        ("https", False, True, False, False),
        ("https", "prior-knowledge", True, False, True),
        ("https", True, True, True, False),
        ("http", True, True, False, False),
        ("http", True, False, False, True),
        ("http", "prior-knowledge", True, False, True),
        ("http", "prior-knowledge", True, True, False),
    ],
)
def test_what_is_known_of_a_route_before_any_dial(
    scheme: str, http2: Http2Choice, http1: bool, only1: bool, known: bool | None
) -> None:
    dialer = Dialer(TlsSettings(), http1=http1, http2=http2)
    assert dialer.multiplexed(Route(scheme, "localhost", 443, None, only1)) is known


# -- what is left of a dial that came to nothing -----------------------------------------------------------------


def test_a_refused_certificate_leaves_no_descriptor(raw_server: RawServers) -> None:
    server = raw_server()
    before = descriptors()
    dialing = gevent.spawn(Dialer(TlsSettings()), route_to(server), 5.0, None)
    peer = server.accept_tcp()
    with pytest.raises(OSError, match="alert unknown ca"):
        peer.start_tls(server.context)  # type: ignore[arg-type]  # it has one
    with pytest.raises(ConnectError):
        dialing.get()
    peer.close()
    assert descriptors() <= before


def test_settings_that_cannot_be_used_leave_no_descriptor(raw_server: RawServers) -> None:
    server = raw_server()
    before = descriptors()
    with pytest.raises(ConnectError, match="cannot be used"):
        Dialer(TlsSettings(verify="/no/such/file"))(route_to(server), 5.0, None)
    assert descriptors() <= before


def test_dns_tcp_and_tls_share_one_time(raw_server: RawServers, certificates: Certificates) -> None:
    server = raw_server()

    def slow(host: str, port: int) -> list[Address]:
        gevent.sleep(0.8)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    before = descriptors()
    settings = TlsSettings(verify=certificates.ca_file)
    route = Route("https", "localhost", server.port, "localhost")
    with pytest.raises(ConnectTimeout, match=r"TLS .* within 1 s"), gevent.Timeout(1.7):
        Dialer(settings, resolver=slow)(route, 1.0, None)
    assert descriptors() <= before


def test_a_kill_in_mid_handshake_leaves_no_descriptor(
    raw_server: RawServers, certificates: Certificates
) -> None:
    server = raw_server()
    before = descriptors()
    dialing = gevent.spawn(dialer(certificates), route_to(server), None, None)
    peer = server.accept_tcp()
    peer.read()
    dialing.kill()
    assert peer.expect_end() == b""
    peer.close()
    assert descriptors() <= before


def test_a_timeout_from_outside_in_mid_handshake_leaves_no_descriptor(
    raw_server: RawServers, certificates: Certificates
) -> None:
    server = raw_server()
    before = descriptors()
    outside = gevent.Timeout(0.05)
    with pytest.raises(gevent.Timeout) as caught, outside:
        dialer(certificates)(route_to(server), 5.0, None)
    assert caught.value is outside
    assert descriptors() <= before


def test_an_error_in_a_trace_hook_leaves_no_descriptor(
    raw_server: RawServers, certificates: Certificates
) -> None:
    server = raw_server(tls=False)

    def hook(event: str, facts: Mapping[str, object]) -> None:
        if event == "connection.connected":
            raise RuntimeError("mine")

    before = descriptors()
    with pytest.raises(RuntimeError, match="mine"):
        dialer(certificates)(route_to(server), 5.0, Trace("a request", hook))
    assert descriptors() <= before


# -- dead on arrival -----------------------------------------------------------------------------------------------


def test_a_server_that_says_goodbye_with_the_handshake_is_a_connect_error(
    raw_server: RawServers, certificates: Certificates
) -> None:
    server = raw_server(adjust=lambda context: setattr(context, "maximum_version", ssl.TLSVersion.TLSv1_2))
    before = descriptors()
    dialing = gevent.spawn(dialer(certificates), route_to(server), 5.0, None)
    peer = server.accept_tcp()
    goodbye = (
        SettingsFrame(0).serialize() + GoAwayFrame(0, error_code=ErrorCodes.ENHANCE_YOUR_CALM).serialize()
    )
    peer.start_tls(server.context, goodbye)  # type: ignore[arg-type]  # it has one
    with pytest.raises(ConnectError, match="ended the connection at once: GOAWAY ENHANCE_YOUR_CALM"):
        dialing.get()
    peer.close()
    assert descriptors() <= before
