"""One accepted connection: TLS or not, then the wire that the client chose."""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from tests.support.h2origin.record import ConnectionRecord

if TYPE_CHECKING:
    from tests.support.h2origin.house import Origin

PREFACE = b"PRI * HTTP/2.0"


class Wire(Protocol):
    def receive(self, data: bytes) -> None: ...

    def lost(self) -> None: ...

    def say_goodbye(self) -> None:
        """Whatever politeness asks for before an idle connection is closed."""

    def goaway(self, code: int, last: int | None) -> None: ...

    def settings(self, values: Mapping[str, int]) -> None: ...


LINGER = 0.1
"""How long the client may take to close after us (seconds)."""


class Door(asyncio.Protocol):
    """Settles which protocol is spoken, then passes bytes between the transport and a Wire."""

    def __init__(self, origin: "Origin") -> None:
        self.origin = origin
        self.record = ConnectionRecord(id=-1, opened=time.monotonic())
        self.wire: Wire | None = None
        self.frozen = False
        self._transport: asyncio.Transport | None = None
        self._plain: asyncio.Transport | None = None
        self._early = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._settling: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast("asyncio.Transport", transport)
        self._transport = self._plain = plain
        # Numbered here: asyncio makes a Door for each connection that waits before it tells the first of them.
        self.record.id = len(self.origin.connections)
        self.origin.connections.append(self.record)
        self.origin.doors.add(self)
        # Python 3.10 adds its reader after this call, paused or not.
        asyncio.get_running_loop().call_soon(plain.pause_reading)
        # asyncio does so itself only where the listening socket names its protocol.
        plain.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._settling = asyncio.create_task(self._settle(plain))

    def data_received(self, data: bytes) -> None:
        if self.wire is None:
            self._early += data
            self._recognise()
        else:
            self.wire.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.record.closed is None:
            self.record.closed = time.monotonic()
            self.record.closed_by = self.record.closed_by or "peer"
        self.origin.doors.discard(self)
        self._writable.set()
        self.busy()
        if self._settling is not None:
            self._settling.cancel()
        if self.wire is not None:
            self.wire.lost()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # what wires call

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self.frozen and data:
            self._transport.write(data)

    async def drain(self) -> None:
        await self._writable.wait()

    def close(self, *, abruptly: bool = False) -> None:
        """Close, after what is written has been sent, or abruptly."""
        if self._transport is None:
            return
        self.record.closed_by = self.record.closed_by or "origin"
        if abruptly:
            self._transport.abort()
        else:
            self._transport.close()
            # asyncio's TLS waits 30 s for the client's close_notify. A server lingers for a moment: to close with
            # bytes unread sends a TCP reset, which may overtake the last answers.
            if self._plain is not None and self._writable.is_set():
                asyncio.get_running_loop().call_later(LINGER, self._plain.close)

    def freeze(self) -> None:
        self.frozen = True
        if self._transport is not None:
            self._transport.pause_reading()

    def busy(self) -> None:
        """A stream is open: the idle close is off."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def idle(self) -> None:
        """No stream is open any more: the idle close is on, if there is to be one."""
        self.busy()
        if self.origin.options.idle_close is not None:
            self._idle = asyncio.get_running_loop().call_later(
                self.origin.options.idle_close, self._idle_close
            )

    def _idle_close(self) -> None:
        if self.wire is not None and self.origin.options.idle_goaway:
            self.wire.say_goodbye()
        self.close()

    # how a connection begins

    async def _settle(self, plain: asyncio.Transport) -> None:
        options = self.origin.options
        await asyncio.sleep(options.handshake_delay)
        if not options.tls:
            plain.resume_reading()
            return
        assert self.origin.context is not None
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(plain, self, self.origin.context, server_side=True)
        except (OSError, ssl.SSLError) as exc:
            self.record.error = f"{type(exc).__name__}: {exc}"
            self.connection_lost(exc)
            return
        if secured is None:  # the peer left while the handshake ended
            return
        self._transport = secured
        tls: ssl.SSLObject = secured.get_extra_info("ssl_object")
        self.record.tls_version = tls.version() or ""
        certificate = tls.getpeercert() or {}
        names = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
        self.record.client_certificate = names[0][1] if names else ""
        self._begin(tls.selected_alpn_protocol() or "http/1.1")

    def _recognise(self) -> None:
        if self.origin.options.tls:
            return
        if "h2" in self.origin.options.alpn and PREFACE.startswith(self._early[: len(PREFACE)]):
            if len(self._early) >= len(PREFACE):
                self._begin("h2")
        else:
            self._begin("http/1.1")

    def _begin(self, protocol: str) -> None:
        from tests.support.h2origin.wire_h1 import H1Wire
        from tests.support.h2origin.wire_h2 import H2Wire

        self.record.protocol = protocol
        self.wire = H2Wire(self) if protocol == "h2" else H1Wire(self)
        self.idle()
        early, self._early = self._early, b""
        if early:
            self.wire.receive(early)
