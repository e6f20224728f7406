"""A bad network: a TCP relay between a client and any server on loopback, which does what networks do.

    with Relay(server.port) as net:
        client.get(f"https://localhost:{net.port}/")
        net.swallow()                       # from now on nothing gets through, and nobody is told

It lives in a native thread with the standard library's own sockets, whatever is patched, and shares no loop with the
client. What a test asks for is done when the call returns, which takes microseconds and never switches greenlets.
"""

import _socket
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gevent.monkey import get_original

_start_thread: Callable[[Callable[[], None], tuple[()]], int] = get_original("_thread", "start_new_thread")
_new_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
_poll: Callable[[], "select.poll"] = get_original("select", "poll")
_MOST = 256 * 1024
"""Bytes that may be under way in one direction before the sender is made to wait."""
_FOR_EVER = 3600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How bytes travel: late by so many seconds, in portions of so many bytes, with pauses between them."""

    delay: float = 0.0
    portion: int = 65536
    pause: float = 0.0


_AT_ONCE = Pace()
BYTE_BY_BYTE = Pace(portion=1, pause=0.0002)
"""Every byte on its own, so that every boundary is met."""


class Relay:
    """Listens on ``port`` and passes on what comes, to the client at one pace and to the server at another."""

    def __init__(self, target: int, *, to_client: Pace = _AT_ONCE, to_server: Pace = _AT_ONCE) -> None:
        self.to_client = to_client
        self.to_server = to_server
        self._target = target
        self._swallows = False
        self._closing = False
        self._links: list[_Link] = []
        self._orders: deque[tuple[Callable[[], object], Any]] = deque()
        self._wakes, self._wake = _socket.socketpair()
        self._listener = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)  # a slow line shows sooner
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self._ended = _new_lock()
        self._ended.acquire()
        _start_thread(self._run, ())

    # -- what a test does ------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        self._do(self._cut)

    def end_towards_client(self) -> None:
        """Send the client the end of every connection; what it sends still gets to the server."""
        self._do(self._end_towards_client)

    def swallow(self) -> None:
        """Be a black hole: take nothing and bring nothing from now on, on new connections too, and tell nobody."""
        self._do(lambda: setattr(self, "_swallows", True))

    def lead_to(self, target: int) -> None:
        """Lead connections that are made from now on to another server."""
        self._do(lambda: setattr(self, "_target", target))

    def restore(self) -> None:
        """Be a network again: what was held up arrives."""
        self._do(lambda: setattr(self, "_swallows", False))

    def close(self) -> None:
        """Listen no longer, and reset every connection."""
        self._do(lambda: setattr(self, "_closing", True))
        self._ended.acquire()
        self._wake.close()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, order: Callable[[], object]) -> None:
        done = _new_lock()
        done.acquire()
        self._orders.append((order, done))
        self._wake.send(b"!")
        done.acquire()

    # -- the thread, which coverage does not see ---------------------------------------------------------------

    def _run(self) -> None:  # pragma: no cover
        while not self._closing:
            for descriptor, _ in self._wait():
                if descriptor == self._wakes.fileno():
                    self._obey()
                elif descriptor == self._listener.fileno():
                    self._connect()
            if not self._swallows:
                self._links = [link for link in self._links if link.work()]
        self._cut()
        self._listener.close()
        self._wakes.close()
        self._ended.release()

    def _wait(self) -> list[tuple[int, int]]:  # pragma: no cover
        poll = _poll()
        poll.register(self._wakes.fileno(), select.POLLIN)
        poll.register(self._listener.fileno(), select.POLLIN)
        pause = _FOR_EVER
        for link in () if self._swallows else self._links:
            pause = min(pause, link.register(poll))
        return poll.poll(pause * 1000)

    def _obey(self) -> None:  # pragma: no cover
        self._wakes.recv(1)
        order, done = self._orders.popleft()
        order()
        done.release()

    def _connect(self) -> None:  # pragma: no cover
        descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]  # socket.accept() would be patched
        self._links.append(_Link(self, _socket.socket(fileno=descriptor), self._target))

    def _end_towards_client(self) -> None:  # pragma: no cover
        for link in self._links:
            link.client.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:  # pragma: no cover
        for link in self._links:
            link.cut()
        self._links = []


class _Link:
    """One connection: a socket on either side, a lane in either direction."""

    def __init__(self, relay: Relay, client: _socket.socket, target: int) -> None:  # pragma: no cover
        self.client = client
        self.server = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.server.connect(("127.0.0.1", target))
        for sock in (self.client, self.server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
        self._lanes = (
            _Lane(self.client, self.server, lambda: relay.to_server),
            _Lane(self.server, self.client, lambda: relay.to_client),
        )

    def register(self, poll: "select.poll") -> float:  # pragma: no cover
        """Say what is waited for; return the seconds until there is something to send."""
        up, down = self._lanes
        poll.register(self.client.fileno(), up.reads * select.POLLIN | down.blocked * select.POLLOUT)
        poll.register(self.server.fileno(), down.reads * select.POLLIN | up.blocked * select.POLLOUT)
        return min(up.pause(), down.pause())

    def work(self) -> bool:  # pragma: no cover
        """Read and write what is possible; False when the connection is over, and closed."""
        try:
            for lane in self._lanes:
                lane.work()
        except OSError:  # one side was reset, or has closed: so is the other
            self.cut()
            return False
        if all(lane.done for lane in self._lanes):
            self.client.close()
            self.server.close()
            return False
        return True

    def cut(self) -> None:  # pragma: no cover
        for sock in (self.client, self.server):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


class _Lane:
    """One direction of one connection."""

    def __init__(
        self, source: _socket.socket, sink: _socket.socket, pace: Callable[[], Pace]
    ) -> None:  # pragma: no cover
        self.blocked = False
        self.done = False
        self._source = source
        self._sink = sink
        self._pace = pace
        self._ended = False
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._next = 0.0

    @property
    def reads(self) -> bool:  # pragma: no cover
        return not self._ended and self._held < _MOST

    def pause(self) -> float:  # pragma: no cover
        """Return the seconds until there is something to send."""
        if not self._under_way or self.blocked:
            return _FOR_EVER
        return max(0.0, max(self._under_way[0][0], self._next) - time.monotonic())

    def work(self) -> None:  # pragma: no cover
        while self.reads and (data := self._receive()) is not None:
            self._under_way.append((time.monotonic() + self._pace().delay, data))
            self._held += len(data)
            self._ended = not data
        self.blocked = False
        while not self.blocked and self._under_way and self.pause() == 0.0:
            self._send(*self._under_way.popleft())

    def _receive(self) -> bytes | None:  # pragma: no cover
        try:
            return self._source.recv(65536)
        except BlockingIOError:
            return None

    def _send(self, due: float, data: bytes) -> None:  # pragma: no cover
        if not data:
            self._sink.shutdown(socket.SHUT_WR)
            self.done = True
            return
        sent = 0
        try:
            sent = self._sink.send(data[: self._pace().portion])
        except BlockingIOError:
            self.blocked = True
        self._held -= sent
        if sent < len(data):
            self._under_way.appendleft((due, data[sent:]))
        self._next = time.monotonic() + self._pace().pause
