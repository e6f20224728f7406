"""A channel: one TCP connection, with TLS or without, that reads and writes what is possible now and never blocks.

Nothing here switches greenlets but `wait_readable`.  What is written goes into a buffer first (with TLS: through the
memory BIOs) and from there to the kernel, as much as it takes; the rest follows from the loop when the socket is
writable again.  So a greenlet that is killed can never leave half a frame behind, and no lock is needed.  Reading is
either asked for (`read`) or driven by the loop (`watch`), whose callback runs in the hub and must not switch.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, cast

from gevent import get_hub

from greenh2._errors import ReadError, ServerDisconnected
from greenh2._net.bell import SHORTEST, Leash
from greenh2._net.watcher import SocketWatcher, Watcher, keep_on

if TYPE_CHECKING:
    import ssl  # noqa: TC004  # `start_tls` brings it: plain connections never need it, and it takes long

_READ, _WRITE = 1, 2

#: One call to the kernel takes at most this much (bytes).
_RECEIVE = 256 * 1024
_RECORDS = 64 * 1024
#: One read takes so often what the kernel has, while TLS makes no data of it: a peer could send tickets without end.
_TRIES = 2
#: What TLS itself may have said to a peer that reads none of it (bytes): each KeyUpdate can ask for one more.
_MOST_ANSWERS = 256 * 1024
_GONE = frozenset((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ETIMEDOUT, errno.EBADF))


class Channel:
    """One connection to ``peer`` (text for messages) over a connected socket, which it owns from now on."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        sock.settimeout(0.0)
        self._sock = sock
        self._peer = peer
        self._pid = os.getpid()
        self._hub = get_hub()
        self._tls: ssl.SSLObject | None = None
        #: How TLS was broken: the next `read` raises ReadError.
        self.broken: ssl.SSLError | None = None
        self._out = bytearray()
        #: What TLS takes when the peer, which wants a new handshake, has said more (TLS 1.2; RFC 5246 section 7.4.1.1).
        self._held = bytearray()
        self._answers = 0
        self._reader = cast("SocketWatcher", self._hub.loop.io(sock.fileno(), _READ))
        self._writer: Watcher | None = None
        self._later: Watcher | None = None
        self._watching = False
        self._drained: Callable[[], None] | None = None
        self.write_error: OSError | None = None
        #: How many bytes the kernel has taken so far, and when it last took any (`time.monotonic`).
        self.taken = 0
        self.progressed = 0.0
        #: When a part of a TLS record last came that is not whole yet (`time.monotonic`); 0.0 where the last one is.
        self.midway = 0.0
        #: Whether the peer has ended its side; `read` still returns what came before.
        self.ended = False
        self.closed = False

    # -- facts -----------------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return len(self._out) + len(self._held)

    @property
    def written(self) -> int:
        """What `taken` will be when all that is in the buffer has left."""
        return self.taken + self.unsent

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, or None on a plain connection."""
        return self._tls

    @property
    def alpn(self) -> str | None:
        """The protocol that TLS agreed on, or None."""
        return self._tls.selected_alpn_protocol() if self._tls is not None else None

    def addresses(self) -> tuple[object, object]:
        """Return the local and the remote address."""
        try:
            return self._sock.getsockname(), self._sock.getpeername()
        except OSError:
            return None, None

    def facts(self) -> dict[str, object]:
        """Return what a user may want to know: both addresses, TLS' version and cipher, and whether it went on."""
        local, remote = self.addresses()
        cipher = self._tls.cipher() if self._tls is not None else None
        return {
            "local_address": local,
            "remote_address": remote,
            "tls_version": self._tls.version() if self._tls is not None else None,
            "cipher": cipher[0] if cipher is not None else None,
            "tls_resumed": self._tls is not None and bool(self._tls.session_reused),
        }

    # -- TLS -------------------------------------------------------------------------------------------------

    def start_tls(
        self, context: ssl.SSLContext, server_hostname: str | None, session: ssl.SSLSession | None = None
    ) -> None:
        """Put TLS on top, taking up a session if the server agrees; `handshake` must succeed before anything else."""
        global ssl
        import ssl

        self._cipher_in, self._cipher_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._cipher_in, self._cipher_out, server_hostname=server_hostname, session=session
        )

    def handshake(self) -> bool:
        """Take the TLS handshake as far as it goes now; False while the peer has to say more.  Raises ssl.SSLError.

        What is said last stays in the buffer, and leaves with the first words of whoever speaks next.
        """
        assert self._tls is not None
        done = False
        try:
            self._receive_cipher()
            self._tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self._out += self._cipher_out.read()
            if not done:
                self.flush()
        return done

    def _receive_cipher(self) -> bool:
        """Move what the kernel has into the BIO; False when it has nothing."""
        data = self._receive()
        if data is None:
            return False
        if data:
            self._cipher_in.write(data)
        else:
            self._cipher_in.write_eof()
        return bool(data)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self) -> bytes | None:
        """Return what has arrived, ``b""`` at the end, None when nothing is there now.  Raises ReadError."""
        if self._tls is None:
            return self._receive()
        for _ in range(_TRIES):
            arrived = self._receive_cipher()
            if not arrived and self._all_decrypted(self._tls):
                return None
            data = self._decrypt(self._tls)
            if arrived:
                self.midway = monotonic() if data is None else 0.0
            if data is not None or not arrived:
                return data
        return None  # there may be more, of which the kernel will tell: others have a turn first

    def _receive(self) -> bytes | None:
        try:
            data: bytes = self._sock.recv(_RECEIVE)
        except BlockingIOError:
            return None
        except OSError as exc:
            if exc.errno in _GONE:
                raise ServerDisconnected(f"the connection to {self._peer} was lost: {exc}") from exc
            raise ReadError(f"reading from {self._peer} failed: {exc}") from exc
        self.ended = not data
        return data

    def _all_decrypted(self, tls: ssl.SSLObject) -> bool:
        """Tell whether TLS would have nothing to say but that it wants more, which costs an exception."""
        if self.ended or self.broken is not None:
            return False
        return not self._cipher_in.pending and not tls.pending()

    def _decrypt(self, tls: ssl.SSLObject) -> bytes | None:
        pieces: list[bytes] = []
        try:
            if self.broken is not None:
                raise self.broken
            while piece := tls.read(_RECORDS):
                pieces.append(piece)
                if not self._cipher_in.pending and not tls.pending():
                    break  # asking once more would be answered by an exception, which costs as much as a read
            else:
                self.ended = True  # close_notify
        except ssl.SSLWantReadError:
            if not pieces:
                return None
        except ssl.SSLEOFError:
            self.ended = True
        except ssl.SSLError as exc:
            self.broken = exc  # OpenSSL would call it an end from now on
            if not pieces:
                raise ReadError(f"TLS from {self._peer} is broken: {exc}") from exc
        finally:
            if self._cipher_out.pending:  # answers of TLS itself: KeyUpdate, alerts
                self._answer(self._cipher_out.read())
            if self._held:
                self._say_held()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _answer(self, words: bytes) -> None:
        self._out += words
        self.flush()
        self._answers = self._answers + len(words) if self._out else 0
        if self._answers > _MOST_ANSWERS:
            raise ReadError(
                f"{self._peer} goes on asking for new keys of TLS, and does not read what is sent"
            )

    def watch(self, callback: Callable[[], None]) -> None:
        """Call back in the hub whenever something may be read, until `unwatch`."""
        if not self._watching and not self.closed:
            self._watching = True
            keep_on(self._reader, callback)

    @property
    def watched(self) -> bool:
        """Whether it calls back when something may be read."""
        return self._watching

    def unwatch(self) -> None:
        """Stop calling back."""
        if self._watching:
            self._watching = False
            self._reader.stop()

    def call_later(self, callback: Callable[[], None]) -> None:
        """Call back in the hub once, when all others had a turn, unless the channel is closed before.

        A callback of the loop would not do: those that callbacks ask for run before any timer or socket has a turn.
        """
        if self._later is not None or self.closed:
            return

        def call() -> None:
            self._stop_later()
            if os.getpid() == self._pid:
                callback()

        self._later = self._hub.loop.timer(SHORTEST)
        self._later.start(call)

    def _stop_later(self) -> None:
        if self._later is not None:
            self._later.stop()
            self._later.close()
            self._later = None

    def wait_readable(self, seconds: float | None, leash: Leash | None = None) -> bool:
        """Wait until something may be read; False when the time is over.  Switches greenlets.

        Raises what the leash is called off with.
        """
        leash = leash or Leash()
        self.watch(leash.bell.ring)
        try:
            return leash.wait(seconds)
        finally:
            self.unwatch()

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Take these bytes into the buffer; they leave with the next `flush`, or at once where they are many."""
        if self.write_error is not None or self.closed:
            return
        with memoryview(data) as view:
            for start in range(0, len(view), _RECORDS):
                self._put(view[start : start + _RECORDS])

    def _put(self, piece: memoryview) -> None:
        wire: memoryview | bytes = piece if self._tls is None else self._encrypt(self._tls, piece)
        # What fills the caches of the processor is not carried to memory and back.
        sent = 0
        if len(wire) >= _RECORDS and not self._out and self._writer is None:
            sent = self._offer(wire)
        self._out += wire[sent:] if sent else wire

    def _encrypt(self, tls: ssl.SSLObject, piece: memoryview) -> bytes:
        position = 0
        try:
            while position < len(piece) and not self._held:
                position += tls.write(piece[position:])
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self.write_error = exc
            return self._cipher_out.read()
        self._held += piece[position:]
        return self._cipher_out.read()

    def _say_held(self) -> None:
        """Write what was held back, as far as TLS takes it now; that the buffer is empty is told from the loop."""
        held, self._held = self._held, bytearray()
        self.write(bytes(held))
        self.flush()
        if not self._held:
            self._wait_writable()

    def flush(self) -> None:
        """Give the kernel what it takes now; the loop sends the rest when it can."""
        if self._writer is not None or not self._out:
            return
        self._send()
        if self._out:
            self._wait_writable()

    def _wait_writable(self) -> None:
        if self._writer is None and not self.closed:
            self._writer = self._hub.loop.io(self._sock.fileno(), _WRITE)
            self._writer.start(self._on_writable)

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call back in the hub each time the buffer has become empty, or writing has failed."""
        self._drained = callback

    def _send(self) -> None:
        while self._out:
            with memoryview(self._out) as view:
                sent = self._offer(view)
            if not sent:
                return
            del self._out[:sent]

    def _offer(self, data: memoryview | bytes) -> int:
        """Offer bytes to the kernel and return how many it took; all, after an error: they lead nowhere."""
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as exc:
            self.write_error = exc
            return len(data)
        self.taken += sent
        self.progressed = monotonic()
        return sent

    def _on_writable(self) -> None:
        if os.getpid() != self._pid:  # a copy in a forked child: the connection is not its own
            self._stop_writer()
            return
        self._send()
        if not self._out:
            self._stop_writer()
            if self._drained is not None:
                self._drained()

    def _stop_writer(self) -> None:
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
            self._writer = None

    # -- ends ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Say goodbye in TLS if that takes no waiting, and close.  Never switches; may be called twice."""
        if os.getpid() != self._pid:
            self.abandon()
        if self.closed:
            return
        if self._tls is not None and self.write_error is None:
            try:
                self._tls.unwrap()
            except (ssl.SSLError, OSError):
                pass  # WantRead: the peer's own goodbye is not waited for
            self._out += self._cipher_out.read()
        if self._out and self.write_error is None:
            self._send()
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptor and nothing else: what a forked child does with its copy.  Never switches."""
        if self.closed:
            return
        self.closed = True
        self._watching = False
        if self._hub.loop is not None:  # a thread that has ended takes its loop and our watchers with it
            self._reader.stop()
            self._reader.close()
            self._stop_writer()
            self._stop_later()
        # Not emptied: that cannot be done if a thread was just sending it when the process was forked.
        self._out, self._held = bytearray(), bytearray()
        self._drained = None
        self._sock.close()
