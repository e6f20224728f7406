"""Connections: several addresses raced 250 ms apart, all within one time (RFC 8305); or a Unix socket."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import gevent
from gevent.monkey import get_original

from greenh2._errors import ConnectError, ConnectTimeout
from greenh2._net.bell import Leash, end_of
from greenh2._net.dns import Address, Resolver, literal
from greenh2._net.lookup import Lookup
from greenh2._net.sockets import SocketSettings
from greenh2._net.watcher import Watcher

_StandardSocket: type[socket.socket] = get_original("socket", "socket")
#: RFC 8305 section 5: the recommended Connection Attempt Delay (seconds).
ATTEMPT_DELAY = 0.25
#: How long to wait for room in the queue of a Unix socket, of which the kernel tells nothing (seconds).
_QUEUE_PAUSE = 0.02


class PlainSocket(_StandardSocket):  # type: ignore[valid-type,misc] # the class is found when gevent may have patched
    """The standard library's own socket, whether or not it was patched; one that is dropped closes without a word.

    Our sockets never block, and are waited for by watchers of our own: gevent's class would add two more of them to
    each, and a layer of Python to each call.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if self.fileno() >= 0:  # else it is closed, or was never opened: then the standard close() would fail
            self.close()


def connect(
    host: str,
    port: int,
    peer: str,
    seconds: float | None,
    *,
    resolver: Resolver,
    leash: Leash | None = None,
    settings: SocketSettings = SocketSettings(),  # noqa: B008  # frozen
    since: float | None = None,
) -> socket.socket:
    """Return a connected socket to the first address that answers, or to the Unix socket.  Switches greenlets.

    The name lookup and all addresses share the seconds, which began at the moment ``since`` (`time.monotonic`), by
    default now.  With a local address, only addresses of its family are
    tried.  Raises ConnectTimeout or ConnectError, and what the leash is called off with.  A kill or a gevent.Timeout
    from outside passes through and leaves no descriptor behind.
    """
    leash = leash or Leash()
    end = end_of(seconds, since)
    if settings.uds is not None:
        return _connect_unix(settings.uds, settings, peer, seconds, leash)
    found = addresses(host, port, peer, seconds, resolver, leash, since=since)
    return _Race(found, peer, seconds, end, leash, settings).run()


def addresses(
    host: str,
    port: int,
    peer: str,
    seconds: float | None,
    resolver: Resolver,
    leash: Leash,
    *,
    since: float | None = None,
) -> list[Address]:
    """Return the addresses of a host, in the order in which they should be tried.  Switches greenlets.

    The seconds count as those of `connect` do.  Raises ConnectTimeout, what the resolver raises, and what the leash is
    called off with.
    """
    return literal(host, port) or _resolve(host, port, peer, seconds, resolver, leash, end_of(seconds, since))


def _connect_unix(
    path: str, settings: SocketSettings, peer: str, seconds: float | None, leash: Leash
) -> socket.socket:
    end = end_of(seconds)
    sock = PlainSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _refused(peer, path):
            sock.settimeout(0.0)
            settings.prepare(sock)
        while True:
            with _refused(peer, path):
                if not (code := sock.connect_ex(path)):
                    return sock
                if code != errno.EAGAIN:  # its queue is full
                    raise OSError(code, os.strerror(code))
            # Outside: what is raised in a wait from outside may be of any class, an OSError too, and passes.
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                raise ConnectTimeout(f"no connection to {peer} by way of {path} within {seconds:.3g} s")
            leash.wait(_QUEUE_PAUSE if left is None else min(left, _QUEUE_PAUSE))
    except BaseException:
        sock.close()
        raise


@contextmanager
def _refused(peer: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ConnectError(f"could not connect to {peer} by way of {path}: {exc.strerror or exc}") from exc


def _resolve(
    host: str,
    port: int,
    peer: str,
    seconds: float | None,
    resolver: Resolver,
    leash: Leash,
    end: float | None,
) -> list[Address]:
    """Ask the resolver in a greenlet of its own, which serves all who ask for the same meanwhile."""
    with Lookup(resolver, host, port, leash.bell) as lookup:
        while not lookup.over:  # the bell may have been rung for something before this
            left = None if end is None else end - monotonic()
            if not leash.wait(left) and not lookup.over:
                raise ConnectTimeout(f"the name of {peer} was not resolved within {seconds:.3g} s")
    return lookup.answer()


class _Race:
    """Attempts in flight, one socket and one watcher each; the first that connects wins, the rest are closed."""

    def __init__(
        self,
        addresses: list[Address],
        peer: str,
        seconds: float | None,
        end: float | None,
        leash: Leash,
        settings: SocketSettings,
    ) -> None:
        fitting = [address for address in addresses if settings.fits(address)]
        self._waiting = _interleaved(fitting)
        self._none = "its name has no address"
        if addresses and not fitting and settings.local is not None:
            self._none = f"none of its addresses can be reached from local_address={settings.local[1][0]!r}"
        self._settings = settings
        self._peer = peer
        self._seconds = seconds
        self._end = end
        self._leash = leash
        self._attempts: dict[socket.socket, tuple[Watcher, Address]] = {}
        self._failures: list[str] = []
        self._failed = False

    def run(self) -> socket.socket:
        try:
            while self._waiting:
                self._start(self._waiting.pop(0))
                if (winner := self._await()) is not None:
                    return winner
            reasons = "; ".join(self._failures) or self._none
            raise ConnectError(f"could not connect to {self._peer}: {reasons}")
        finally:
            for sock in list(self._attempts):
                self._forget(sock)
                sock.close()

    def _start(self, address: Address) -> None:
        family, target = address
        self._failed = False
        try:
            sock = PlainSocket(family, socket.SOCK_STREAM)
        except OSError as exc:
            self._fail(target[0], str(exc))
            return
        try:
            sock.settimeout(0.0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._settings.prepare(sock)
            code = sock.connect_ex(target)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
            watcher = gevent.get_hub().loop.io(sock.fileno(), 2)
            self._attempts[sock] = (watcher, address)
            watcher.start(self._leash.bell.ring)
        except OSError as exc:
            self._fail(target[0], str(exc))
            sock.close()
        except BaseException:
            sock.close()
            raise

    def _fail(self, host: str, why: str) -> None:
        self._failures.append(f"{host}: {why}")
        self._failed = True

    def _await(self) -> socket.socket | None:
        """Wait for a winner, the next one's turn (a failure brings it on), or until none is left."""
        turn = monotonic() + ATTEMPT_DELAY
        while self._attempts:
            now = monotonic()
            if self._end is not None and now >= self._end:
                raise ConnectTimeout(f"no connection to {self._peer} within {self._seconds:.3g} s")
            if self._waiting and (self._failed or now >= turn):
                return None
            bounds = [end - now for end in (self._end, turn if self._waiting else None) if end is not None]
            self._leash.wait(min(bounds) if bounds else None)
            for sock in list(self._attempts):
                if self._connected(sock):
                    self._forget(sock)
                    return sock
        return None

    def _connected(self, sock: socket.socket) -> bool:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            _, (_, target) = self._attempts[sock]
            self._fail(target[0], os.strerror(code))
            self._forget(sock)
            sock.close()
            return False
        try:
            sock.getpeername()
        except OSError:
            return False  # still connecting
        return True

    def _forget(self, sock: socket.socket) -> None:
        watcher, _ = self._attempts.pop(sock)
        watcher.stop()
        watcher.close()


def _interleaved(addresses: list[Address]) -> list[Address]:
    """Alternate between the families, the system's first choice first (RFC 8305 section 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    second = [address for address in addresses if address[0] != addresses[0][0]]
    mixed: list[Address] = []
    while first or second:
        mixed += first[:1] + second[:1]
        first, second = first[1:], second[1:]
    return mixed
