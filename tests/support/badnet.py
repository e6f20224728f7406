"""A bad network: a TCP relay between a client and any server on loopback, which does what networks do.

    with Relay(server.port) as net:
        client.get(net.url_of(server))
        net.swallow()                       # from now on nothing gets through, and nobody is told

It runs in native threads with the standard library's own sockets, two for each connection, whatever is patched.
"""

import _socket
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from gevent.monkey import get_original

_start_thread: Callable[[Callable[..., None], tuple[object, ...]], int] = get_original("_thread", "start_new_thread")
_lock = get_original("_thread", "allocate_lock")
_sleep: Callable[[float], None] = get_original("time", "sleep")


@dataclass(frozen=True, slots=True)
class Pace:
    """How bytes travel: late by so many seconds, in portions of so many bytes, with pauses between them."""

    delay: float = 0.0
    portion: int = 65536
    pause: float = 0.0


BYTE_BY_BYTE = Pace(portion=1, pause=0.0002)
"""Every byte on its own, so that every boundary is met."""


class Relay:
    """Listens on ``port`` and passes on what comes, to the client at one pace and to the server at another."""

    def __init__(self, target: int, *, to_client: Pace | None = None, to_server: Pace | None = None) -> None:
        self.to_client = to_client or Pace()
        self.to_server = to_server or Pace()
        self._target = target
        self._swallows = False
        self._links: list[tuple[_socket.socket, _socket.socket]] = []
        self._alive = _Count()
        self._listener = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self._alive.start(self._accept)

    # -- what a test does ------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for link in self._links:
            for sock in link:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end_links()

    def end_towards_client(self) -> None:
        """Send the client the end of every connection; what it sends goes on to the server."""
        for client, _ in self._links:
            client.shutdown(socket.SHUT_WR)

    def swallow(self) -> None:
        """Be a black hole: take nothing and bring nothing from now on, on new connections too, and tell nobody."""
        self._swallows = True

    def close(self) -> None:
        """Listen no longer, end every connection, and wait for the threads."""
        self._shut(self._listener)
        self._end_links()
        self._alive.wait_for_none()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # -- what the threads do: coverage does not see them -------------------------------------------------------

    def _accept(self) -> None:  # pragma: no cover
        while True:
            try:
                descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]  # accept() would be patched
            except OSError:
                return
            client = _socket.socket(fileno=descriptor)
            server = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect(("127.0.0.1", self._target))
            self._links.append((client, server))
            self._alive.start(self._pump, client, server, lambda: self.to_server)
            self._alive.start(self._pump, server, client, lambda: self.to_client)

    def _pump(self, source: _socket.socket, sink: _socket.socket, pace: Callable[[], Pace]) -> None:  # pragma: no cover
        with suppress(OSError):
            while data := source.recv(65536):
                if self._swallows:
                    _sleep(pace().delay)
                    continue
                self._pass_on(data, sink, pace())
            if not self._swallows:
                sink.shutdown(socket.SHUT_WR)

    def _pass_on(self, data: bytes, sink: _socket.socket, pace: Pace) -> None:  # pragma: no cover
        _sleep(pace.delay)
        for position in range(0, len(data), pace.portion):
            sink.sendall(data[position : position + pace.portion])
            _sleep(pace.pause)

    def _end_links(self) -> None:
        links, self._links = self._links, []
        for link in links:
            for sock in link:
                self._shut(sock)
