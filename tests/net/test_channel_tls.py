"""What TLS adds to a channel: records, its own goodbye, and its own traffic under ours."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import gevent
import pytest
from gevent.event import Event

from greenh2._errors import ReadError
from greenh2._net import channel as channels
from greenh2._net.channel import Channel
from greenh2._net.trust import TlsSettings
from tests.net.conftest import Dial, Pair, read_some, shake_hands
from tests.support.badnet import BYTE_BY_BYTE, Relay
from tests.support.certificates import Certificates
from tests.support.processes import Child
from tests.support.rawserver import RawServers


def test_a_channel_knows_its_tls_and_what_was_agreed(secure: Pair, plain: Pair) -> None:
    channel, _ = secure
    assert channel.alpn == "h2"
    assert channel.tls is not None
    assert channel.tls.version() == "TLSv1.3"
    assert plain[0].tls is None
    assert plain[0].alpn is None


def test_half_a_record_is_nothing_yet(secure: Pair) -> None:
    channel, peer = secure
    record = peer.encrypt(b"whole")
    peer.send_cipher(record[:7])
    assert channel.wait_readable(5.0)
    assert channel.read() is None
    peer.send_cipher(record[7:])
    assert read_some(channel) == b"whole"


class Tickets:
    """What a channel uses of a socket, with a server behind it that has nothing to say but session tickets."""

    def __init__(self, certificates: Certificates) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server)
        context.num_tickets = 1000
        self._in, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._server = context.wrap_bio(self._in, self.out, server_side=True)
        self._socket, self._other = socket.socketpair()

    def fileno(self) -> int:
        return self._socket.fileno()

    def settimeout(self, _seconds: float) -> None:
        self._socket.setblocking(False)

    def send(self, data: memoryview | bytes) -> int:
        with suppress(ssl.SSLWantReadError):
            self._in.write(data)
            self._server.do_handshake()
        return len(data)

    def recv(self, _count: int) -> bytes:
        if not (data := self.out.read(4096)):
            raise BlockingIOError
        return data

    def close(self) -> None:
        self._socket.close()
        self._other.close()


def test_tickets_without_end_are_taken_in_several_turns_of_the_loop(certificates: Certificates) -> None:
    tickets = Tickets(certificates)
    channel = Channel(cast("socket.socket", tickets), "the peer")
    channel.start_tls(certificates.client_context(), "localhost")
    while not channel.handshake():
        pass
    channel.flush()
    reads = 0
    while tickets.out.pending:
        assert channel.read() is None
        reads += 1
    assert reads > 10
    channel.close()


def test_records_that_arrive_together_are_read_together(secure: Pair) -> None:
    channel, peer = secure
    peer.send_cipher(peer.encrypt(b"one, ") + peer.encrypt(b"two"))
    assert read_some(channel) == b"one, two"


def test_the_end_of_tls_is_the_end(secure: Pair) -> None:
    channel, peer = secure
    peer.send_bytes(b"last words")
    peer.say_goodbye()
    received = b""
    while not channel.ended:
        received += read_some(channel)
    assert received == b"last words"
    assert read_some(channel) == b""


def test_the_end_of_tcp_without_that_of_tls_is_the_end_too(secure: Pair) -> None:
    channel, peer = secure
    peer.half_close()
    assert read_some(channel) == b""
    assert channel.ended


def test_closing_says_the_goodbye_of_tls(secure: Pair) -> None:
    channel, peer = secure
    channel.close()
    assert peer.expect_end() == b""
    assert not peer.missed_goodbye


def test_an_abandoned_channel_says_no_goodbye(secure: Pair) -> None:
    channel, peer = secure
    channel.abandon()
    assert peer.expect_end() == b""
    assert peer.missed_goodbye


def test_garbage_below_tls_is_an_error(secure: Pair) -> None:
    channel, peer = secure
    peer.send_cipher(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ReadError, match="TLS from the peer is broken"):
        read_some(channel)


def test_what_came_before_the_garbage_is_read_before_the_error(secure: Pair) -> None:
    channel, peer = secure
    peer.send_cipher(peer.encrypt(b"sound") + b"\x17\x03\x03\x00\x20" + bytes(32))
    assert read_some(channel) == b"sound"
    with pytest.raises(ReadError):
        read_some(channel)


def test_nothing_can_be_written_once_tls_is_broken(secure: Pair) -> None:
    channel, peer = secure
    peer.send_cipher(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ReadError):
        read_some(channel)
    channel.write(b"more")
    assert isinstance(channel.write_error, ssl.SSLError)


def test_every_byte_on_its_own_makes_the_same_handshake_and_the_same_words(
    raw_server: RawServers, certificates: Certificates, dial: Dial
) -> None:
    server = raw_server()
    with Relay(server.port, to_client=BYTE_BY_BYTE) as net:
        server.port = net.port
        channel = dial(server)
        context = TlsSettings(verify=certificates.ca_file).context()
        shaking = gevent.spawn(shake_hands, channel, context, "localhost", "the peer", 10.0)
        peer = server.accept()
        shaking.get()
        peer.send_bytes(b"word by word")
        received = b""
        while len(received) < 12:
            received += read_some(channel)
        assert received == b"word by word"
        channel.close()


# -- new keys: only openssl's own server can be asked for them -----------------------------------------------------


class KeyUpdater:
    """`openssl s_server`, which sends what it is told on its standard input.

    A line of K is a KeyUpdate, and in TLS 1.2 one of r asks for a new handshake.
    """

    def __init__(self, certificate: str, folder: Path) -> None:
        reads, self._orders = os.pipe()
        self._out = folder / "received"
        out = os.open(self._out, os.O_WRONLY | os.O_CREAT, 0o600)
        command = [
            "/usr/bin/stdbuf",  # so that it is seen at once what it has done
            "-oL",
            "/usr/bin/openssl",
            "s_server",
            "-cert",
            certificate,
            "-accept",
            "127.0.0.1:0",
            "-alpn",
            "h2",
        ]
        self._child = Child(command, folder / "log", stdin=reads, stdout=out)
        os.close(reads)
        os.close(out)

    def port(self) -> int:
        while (
            b"ACCEPT 127.0.0.1:" not in (text := self._out.read_bytes())
            or b"\n" not in text.split(b"ACCEPT")[1]
        ):
            assert not self._child.has_ended()
            gevent.sleep(0.005)
        return int(text.split(b"ACCEPT 127.0.0.1:")[1].split(b"\n")[0])

    def tell(self, line: bytes) -> None:
        os.write(self._orders, line + b"\n")

    def renew(self, time: int) -> None:
        """Let it make new keys for the so-manieth time; what it is told in the same breath it would drop."""
        self.tell(b"K")
        while self.received().count(b"SSL_do_handshake -> 1") < time:
            assert not self._child.has_ended()
            gevent.sleep(0.005)

    def received(self) -> bytes:
        return self._out.read_bytes()

    def received_within(self, line: bytes, seconds: float) -> None:
        """Wait until it has been sent a line."""
        with gevent.Timeout(seconds):
            while line not in self.received():
                gevent.sleep(0.005)

    def stop(self) -> None:
        os.close(self._orders)
        self._child.stop()


@pytest.fixture
def key_updater(certificates: Certificates, tmp_path: Path) -> Iterator[KeyUpdater]:
    if not (
        Path("/usr/bin/openssl").exists() and Path("/usr/bin/stdbuf").exists()
    ):  # pragma: no cover (both are)
        pytest.skip("there is no openssl, or no stdbuf")
    server = KeyUpdater(certificates.server, tmp_path)
    yield server
    server.stop()


def test_new_keys_in_mid_stream_disturb_neither_direction(
    key_updater: KeyUpdater, raw_server: RawServers, certificates: Certificates, dial: Dial
) -> None:
    server = raw_server(tls=False)
    server.port = key_updater.port()
    channel = dial(server)
    context = TlsSettings(verify=certificates.ca_file).context()
    shake_hands(channel, context, "localhost", "the peer", 5.0)
    for number in range(5):
        assert channel.read() is None
        key_updater.renew(number + 1)
        key_updater.tell(b"after update %d" % number)
        received = b""
        while not received.endswith(b"\n"):
            received += read_some(channel)
        assert received == b"after update %d\n" % number
        channel.write(b"line %d\n" % number)
        channel.flush()
        key_updater.received_within(b"line %d\n" % number, 5.0)
    channel.close()


class Hesitant:
    """What a channel uses of a socket that has nothing at every other look: its peer does not answer so fast."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.fileno, self.send, self.close = sock.fileno, sock.send, sock.close
        self._looks = 0

    def recv(self, size: int) -> bytes:
        self._looks += 1
        if self._looks % 2 == 0:
            raise BlockingIOError
        return self._socket.recv(size)


@pytest.mark.parametrize("size", [10, 300_000])
def test_what_is_written_while_the_peer_wants_a_new_handshake_leaves_after_it(
    key_updater: KeyUpdater, raw_server: RawServers, certificates: Certificates, dial: Dial, size: int
) -> None:
    server = raw_server(tls=False)
    server.port = key_updater.port()
    channel = dial(server)
    context = ssl.create_default_context(cafile=certificates.ca_file)  # a user's own, which allows that
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    shake_hands(channel, context, "localhost", "the peer", 5.0)
    channel._sock = cast("socket.socket", Hesitant(channel._sock))
    key_updater.tell(b"r")
    assert channel.wait_readable(5.0)
    assert channel.read() is None
    line = b"." * size + b"\n"
    channel.write(line)
    channel.write(b"and more\n")
    assert channel.write_error is None
    assert channel.unsent == len(line) + len(b"and more\n")
    drained = Event()
    channel.on_drained(drained.set)

    def listen() -> None:
        assert channel.read() is None

    channel.watch(listen)
    assert drained.wait(5.0)
    assert channel.unsent == 0
    key_updater.received_within(line + b"and more\n", 5.0)
    channel.close()


class Deaf:
    """What a channel uses of a socket whose peer speaks, and reads nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.fileno, self.recv, self.close = sock.fileno, sock.recv, sock.close

    def settimeout(self, _seconds: float) -> None:
        self._socket.settimeout(0.0)

    def send(self, _data: memoryview | bytes) -> int:
        raise BlockingIOError


def test_answers_to_new_keys_do_not_pile_up_for_a_peer_that_does_not_read(
    key_updater: KeyUpdater,
    raw_server: RawServers,
    certificates: Certificates,
    dial: Dial,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "_MOST_ANSWERS", 200)  # some 27 bytes each
    server = raw_server(tls=False)
    server.port = key_updater.port()
    channel = dial(server)
    context = TlsSettings(verify=certificates.ca_file).context()
    shake_hands(channel, context, "localhost", "the peer", 5.0)
    assert channel.read() is None
    channel._sock = cast("socket.socket", Deaf(channel._sock))
    with pytest.raises(ReadError, match="does not read"):
        for time in range(1, 30):
            key_updater.renew(time)
            assert channel.wait_readable(5.0)
            assert channel.read() is None
