"""A server that a test plays itself, byte by byte or frame by frame, plain or over TLS.

    def test_something(raw_server):
        server = raw_server()                                   # HTTP/2 over TLS
        job = gevent.spawn(client.post, server.url, content=b"body")
        peer = server.accept()
        peer.greet()
        stream_id = peer.expect_request().stream_id
        peer.answer(stream_id, 413)
        peer.expect_reset(stream_id, ErrorCodes.NO_ERROR)

Each step runs in a native thread of the hub's pool, with blocking sockets of the standard library's own, while the
test's greenlet waits for it: the server shares no loop with the client, and knows nothing of monkey patching. It
reads only when the test asks for something, so that one which does not read is simply not asked.
"""

import _socket
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import gevent
import pytest
from h2.errors import ErrorCodes
from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.support.certificates import Certificates

PATIENCE = 10.0
"""Seconds that a step may take."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9
_SO_FAR = b"so far: "

T = TypeVar("T")
F = TypeVar("F", bound=Frame)


def natively(step: Callable[..., T], *arguments: object) -> T:
    """Run a step in a native thread; other greenlets run meanwhile."""
    done: list[T] = []

    def run() -> Exception | None:  # pragma: no cover (native thread)
        try:
            done.append(step(*arguments))
        except Exception as exc:  # the pool would print it
            return exc
        return None

    if (error := gevent.get_hub().threadpool.apply(run)) is not None:
        raise error
    return done[0]


class Peer:
    """One accepted connection: bytes in, bytes out, and every way to end."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._tls: ssl.SSLObject | None = None
        self._cipher_in, self._cipher_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._unread = bytearray()
        self.missed_goodbye = False
        """Whether the client has ended TCP without ending TLS."""

    # -- TLS -------------------------------------------------------------------------------------------------

    def start_tls(self, context: ssl.SSLContext, words: bytes = b"") -> None:
        """Shake hands over TLS; what is refused raises ssl.SSLError.

        The words leave together with the last of the handshake; in TLS 1.2 the client is still waiting for that.
        """
        tls = self._tls = context.wrap_bio(self._cipher_in, self._cipher_out, server_side=True)

        def shake_hands() -> None:  # pragma: no cover (native thread)
            tls.do_handshake()
            tls.write(words)

        natively(self._with_tls, shake_hands if words else tls.do_handshake)

    @property
    def tls(self) -> ssl.SSLObject:
        assert self._tls is not None
        return self._tls

    def _with_tls(self, act: Callable[..., T], *arguments: object) -> T:  # pragma: no cover (native thread)
        while True:
            try:
                return act(*arguments)
            except ssl.SSLWantReadError:
                self._send_cipher()
                if data := self._sock.recv(65536):
                    self._cipher_in.write(data)
                else:
                    self._cipher_in.write_eof()
            finally:
                self._send_cipher()

    def _send_cipher(self) -> None:  # pragma: no cover (native thread)
        if cipher := self._cipher_out.read():
            self._sock.sendall(cipher)

    @property
    def address(self) -> object:
        """Where the client connected from."""
        return self._sock.getpeername()

    # -- sending ---------------------------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, waiting until the kernel has taken them."""
        if self._tls is None:
            natively(self._sock.sendall, data)
        else:
            natively(self._with_tls, self._tls.write, data)

    def send_at_once(self, data: bytes) -> None:
        """Send a few bytes, without TLS, before any other greenlet runs."""
        self._sock.sendall(data)

    def send_cipher(self, data: bytes) -> None:
        """Send bytes below TLS."""
        natively(self._sock.sendall, data)

    def encrypt(self, data: bytes) -> bytes:
        """Return the bytes as TLS records, to be sent with `send_cipher`."""
        self.tls.write(data)
        return self._cipher_out.read()

    # -- receiving -------------------------------------------------------------------------------------------

    def read(self) -> bytes:
        """Return what comes next, ``b""`` at the client's end."""
        if self._unread:
            return self._take(len(self._unread))
        return natively(self._receive)

    def _take(self, count: int) -> bytes:
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    def _receive(self) -> bytes:  # pragma: no cover (native thread)
        if self._tls is None:
            return self._sock.recv(1 << 20)
        try:
            return self._with_tls(self._tls.read, 65536)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            self.missed_goodbye = True
            return b""

    def read_exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        while len(self._unread) < count:
            self._read_more()
        return self._take(count)

    def read_until(self, mark: bytes) -> bytes:
        """Return what comes up to a mark, which is included."""
        while mark not in self._unread:
            self._read_more()
        return self._take(self._unread.index(mark) + len(mark))

    def _read_more(self) -> None:
        data = natively(self._receive)
        assert data, f"the client ended after {bytes(self._unread[:1000])!r}"
        self._unread += data

    def expect_end(self) -> bytes:
        """Wait for the client's end, or for its reset, and return what came before."""
        rest = self._take(len(self._unread))
        with suppress(ConnectionResetError):
            while data := natively(self._receive):
                rest += data
        return rest

    # -- ends ------------------------------------------------------------------------------------------------

    def half_close(self) -> None:
        """Send the end of TCP, and go on reading."""
        self._sock.shutdown(socket.SHUT_WR)

    def say_goodbye(self) -> None:
        """Send the end of TLS (close_notify), and nothing more."""
        self.send_cipher(self.goodbye())

    def goodbye(self) -> bytes:
        """Return the end of TLS, to be sent with `send_cipher`."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._cipher_out.read()

    def abort(self) -> None:
        """Reset the connection."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """Close the connection, without an end of TLS; a client whose bytes were not read is sent a reset."""
        self._sock.close()


class _Within:
    """What a peer uses of a socket, over the TLS of another peer: for TLS in TLS."""

    def __init__(self, outer: Peer) -> None:
        self._outer = outer

    def recv(self, _count: int) -> bytes:  # pragma: no cover (native thread)
        return self._outer._receive()

    def sendall(self, data: bytes) -> None:  # pragma: no cover (native thread)
        self._outer._with_tls(self._outer.tls.write, data)

    def shutdown(self, _how: int) -> None:
        self._outer.half_close()

    def setsockopt(self, *option: Any) -> None:
        self._outer._sock.setsockopt(*option)

    def close(self) -> None:
        self._outer.close()


class Request:
    """The head of a request as it was on the wire."""

    def __init__(self, stream_id: int, fields: Iterable[tuple[bytes, bytes]], ended: bool) -> None:
        self.stream_id = stream_id
        self.fields = dict(fields)
        self.ended = ended


class H2Peer(Peer):
    """A connection that speaks frames of HTTP/2; what is not asked for is answered by nobody."""

    def __init__(self, sock: _socket.socket) -> None:
        super().__init__(sock)
        self._encoder = Encoder()
        self._decoder = Decoder()

    def within(self) -> "H2Peer":
        """Return a peer whose bytes are what the TLS of this one carries."""
        return H2Peer(_Within(self))  # type: ignore[arg-type]  # all that is used of one

    def greet(self, settings: dict[int, int] | None = None) -> None:
        """Take the client's preface and SETTINGS; send ours, and acknowledge."""
        assert self.read_exactly(len(PREFACE)) == PREFACE
        self.expect(SettingsFrame)
        self.send(SettingsFrame(0, settings=settings or {}), SettingsFrame(0, flags=["ACK"]))

    def send(self, *frames: Frame) -> None:
        """Send frames, all at once."""
        self.send_bytes(b"".join(frame.serialize() for frame in frames))

    def frames(self) -> Iterator[Frame]:
        """Yield what the client sends, frame by frame."""
        while True:
            head = self.read_exactly(_FRAME_HEADER)
            frame, length = Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(self.read_exactly(length)))
            yield frame

    def expect(self, kind: type[F], **values: object) -> F:
        """Return the next frame of a kind whose attributes are these; all frames before it are passed over."""
        for frame in self.frames():
            if isinstance(frame, kind) and all(getattr(frame, name) == values[name] for name in values):
                return frame
        raise AssertionError("frames() never ends")  # pragma: no cover

    def expect_taken(self) -> None:
        """Wait until the client has taken all that was sent; all frames before its word of that are passed over."""
        self.send(PingFrame(0, _SO_FAR))
        self.expect(PingFrame, flags={"ACK"}, opaque_data=_SO_FAR)

    def expect_request(self) -> Request:
        """Return the next request's head."""
        frame = self.expect(HeadersFrame)
        fields: Any = self._decoder.decode(frame.data, raw=True)
        return Request(frame.stream_id, fields, "END_STREAM" in frame.flags)

    def expect_reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Wait for RST_STREAM with this code; it must be the stream's next end."""
        assert self.expect(RstStreamFrame, stream_id=stream_id).error_code == code

    def expect_goaway(self, code: ErrorCodes) -> None:
        """Wait for GOAWAY with this code."""
        assert self.expect(GoAwayFrame).error_code == code

    def head(
        self, stream_id: int, status: int = 200, *fields: tuple[str, str], end: bool = False
    ) -> HeadersFrame:
        """Make the head of a response."""
        frame = HeadersFrame(stream_id, self._encoder.encode([(":status", str(status)), *fields]))
        frame.flags.add("END_HEADERS")
        if end:
            frame.flags.add("END_STREAM")
        return frame

    def answer(self, stream_id: int, status: int = 200, body: bytes = b"") -> None:
        """Send a whole response."""
        frames: list[Frame] = [self.head(stream_id, status, end=not body)]
        self.send(*frames, *([data(stream_id, body, end=True)] if body else []))

    def open_window(self, stream_id: int, increment: int) -> None:
        """Allow so many more bytes of a request's body on its stream and on the connection."""
        self.send(WindowUpdateFrame(0, increment), WindowUpdateFrame(stream_id, increment))


def data(stream_id: int, body: bytes, *, end: bool = False) -> DataFrame:
    """Make a DATA frame."""
    return DataFrame(stream_id, body, flags=["END_STREAM"] if end else [])


class RawServer:
    """Listens on loopback or a Unix socket; connections wait in the kernel until the test accepts them."""

    def __init__(self, context: ssl.SSLContext | None, uds: str | None = None) -> None:
        self.context = context
        self._peers: list[Peer] = []
        self._sock = _socket.socket(socket.AF_INET if uds is None else socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)  # a slow reader shows sooner
        self._sock.bind(("127.0.0.1", 0) if uds is None else uds)
        self._sock.listen(16)
        self._sock.settimeout(PATIENCE)
        self.port: int = self._sock.getsockname()[1] if uds is None else 1
        self.url = f"{'http' if context is None else 'https'}://localhost:{self.port}"

    def accept(self) -> H2Peer:
        """Return the next connection, with TLS established where that is spoken."""
        peer = self.accept_tcp()
        if self.context is not None:
            peer.start_tls(self.context)
        return peer

    def accept_tcp(self) -> H2Peer:
        """Return the next connection as TCP gave it; HTTP/1.1 is spoken on it with `send_bytes` and the like."""
        descriptor, _ = natively(self._sock._accept)  # type: ignore[attr-defined]  # socket.accept() would be patched
        sock = _socket.socket(fileno=descriptor)
        sock.settimeout(PATIENCE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = H2Peer(sock)
        self._peers.append(peer)
        return peer

    def close(self) -> None:
        """Listen no longer and close every connection."""
        self._sock.close()
        for peer in self._peers:
            peer.close()


class RawServers:
    """Makes servers for a test: ``raw_server(alpn=("h2",), tls=True)``."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._made: list[RawServer] = []

    def __call__(
        self,
        *,
        alpn: Iterable[str] = ("h2",),
        tls: bool = True,
        certificate: str | None = None,
        adjust: Callable[[ssl.SSLContext], object] = lambda context: None,
        uds: str | None = None,
    ) -> RawServer:
        """Listen; ``adjust`` is given the TLS context before it is used, ``uds`` the path of a Unix socket."""
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate or self._certificates.server)
            context.set_alpn_protocols(list(alpn))
            adjust(context)
        server = RawServer(context, uds)
        self._made.append(server)
        return server

    def close(self) -> None:
        """Close all that were made."""
        for server in self._made:
            server.close()


@pytest.fixture
def raw_server(certificates: Certificates) -> Iterator[RawServers]:
    """Makes servers that the test plays itself, and closes them after it."""
    servers = RawServers(certificates)
    yield servers
    servers.close()
