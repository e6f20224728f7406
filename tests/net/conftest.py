"""Channels to a server that the test plays itself."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from greenh2._net import tcp, tls
from greenh2._net.channel import Channel
from greenh2._net.dns import resolve
from greenh2._net.layer import stack
from greenh2._net.trust import TlsSettings
from tests.support.certificates import Certificates
from tests.support.processes import Child
from tests.support.rawserver import H2Peer, RawServer, RawServers, raw_server

OpenSsl = Callable[..., str]
Pair = tuple[Channel, H2Peer]
Dial = Callable[[RawServer], Channel]

__all__ = ["raw_server"]


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    """Runs the program `openssl` and returns what it prints."""
    log = tmp_path / "openssl.log"

    def run(*arguments: str) -> str:
        log.unlink(missing_ok=True)
        child = Child(["/usr/bin/openssl", *arguments], log)
        while not child.has_ended():
            gevent.sleep(0.001)
        return log.read_text()

    return run


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Connects to a server, without TLS; what it made is closed after the test."""
    made: list[Channel] = []

    def to(server: RawServer) -> Channel:
        sock = tcp.connect("127.0.0.1", server.port, "the peer", 5.0, resolver=resolve)
        made.append(Channel(sock, "the peer"))
        return made[-1]

    yield to
    while made:
        made.pop().close()


@pytest.fixture
def plain(raw_server: RawServers, dial: Dial) -> Pair:
    """A channel without TLS, and its peer."""
    server = raw_server(tls=False)
    return dial(server), server.accept()


@pytest.fixture
def secure(raw_server: RawServers, dial: Dial, certificates: Certificates) -> Pair:
    """A channel with TLS, and its peer."""
    server = raw_server()
    channel = dial(server)
    context = TlsSettings(verify=certificates.ca_file).context()
    shaking = gevent.spawn(shake_hands, channel, context, "localhost", "the peer", 5.0)
    peer = server.accept()
    shaking.get()
    hear_out(channel, peer)
    return channel, peer


@pytest.fixture
def nested(secure: Pair, certificates: Certificates) -> Iterator[Pair]:
    """A channel with TLS in TLS, and its peer."""
    outer, peer = secure
    channel = stack(outer, outer._sock, "the peer", b"")
    context = TlsSettings(verify=certificates.ca_file).context()
    shaking = gevent.spawn(shake_hands, channel, context, "localhost", "the peer", 5.0)
    inner = peer.within()
    inner.start_tls(server_context(certificates))
    shaking.get()
    hear_out(channel, inner)
    yield channel, inner
    channel.close()


def hear_out(channel: Channel, peer: H2Peer) -> None:
    """Read what TLS itself has to say after the handshake: unread, it would make a reset of the channel's end."""
    peer.send_bytes(b".")
    assert read_some(channel) == b"."


def read_some(channel: Channel) -> bytes:
    """Wait for something to read; TLS may have something of its own to say first."""
    while (data := channel.read()) is None:
        assert channel.wait_readable(5.0)
    return data


def shake_hands(channel: Channel, context: ssl.SSLContext, hostname: str, peer: str, seconds: float) -> None:
    """Speak TLS, to the last word, which would leave with the first one of a protocol."""
    tls.handshake(channel, context, hostname, peer, seconds)
    channel.flush()


def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    return context


@pytest.fixture(params=["plain", "secure", "nested"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """A channel with TLS or without, or with TLS in TLS, and its peer."""
    made: Pair = request.getfixturevalue(request.param)
    return made
