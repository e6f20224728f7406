"""A channel as the ground for another one: TLS in TLS, and tunnels whose first bytes have been read already."""

from __future__ import annotations

import socket
from typing import cast

from greenh2._net.channel import Channel

#: The channel below is given at most this much beyond what the kernel has taken (bytes).
_PIECE = 64 * 1024


class Layer:
    """What a `Channel` uses of a socket, over a channel that it owns from now on.  Never blocks, never switches.

    Written bytes go into the buffer of the channel below, which sends them itself; while it has any left it takes no
    more, as a socket whose buffer is full.
    """

    def __init__(self, below: Channel, sock: socket.socket, early: bytes) -> None:
        self._below = below
        self._sock = sock
        self._early = early

    def fileno(self) -> int:
        return self._sock.fileno()

    def settimeout(self, _seconds: float) -> None:
        """Do nothing: the socket never blocks."""

    def getsockname(self) -> object:
        return self._sock.getsockname()

    def getpeername(self) -> object:
        return self._sock.getpeername()

    def recv(self, _count: int) -> bytes:
        """Return what has arrived, which may be more than was asked for: what stays here no kernel would tell of."""
        if self._early:
            early, self._early = self._early, b""
            return early
        data = self._below.read()
        if data is None:
            raise BlockingIOError
        return data

    def send(self, data: memoryview | bytes) -> int:
        below, piece = self._below, bytes(data[:_PIECE])
        if below.unsent and below.write_error is None:
            raise BlockingIOError
        below.write(piece)
        below.flush()
        if below.write_error is not None:
            raise below.write_error
        return len(piece)

    def close(self) -> None:
        self._below.close()


def stack(below: Channel, sock: socket.socket, peer: str, early: bytes) -> Channel:
    """Return a channel whose bytes are what the one below carries over its socket, after those read early."""
    channel = Channel(cast("socket.socket", Layer(below, sock, early)), peer)
    # Both watch one descriptor, of whose errors libuv tells only the first.
    below.on_drained(channel._on_writable)
    return channel
