"""A peer is one HTTP client behind one small shape, so that every client is given the same jobs.

A file in ``benchmarks/peers/`` is a peer.  It imports its client as the client's users do, monkey patching first
where they do that, and has

    DISTRIBUTION: str           what pip installs
    MODULE: str                 what a program imports, and what the work `import` measures
    PROTOCOLS: tuple[str, ...]  what it speaks, the best first, out of HTTP2 and HTTP1
    setup(site: Site) -> Peer   makes a client; no connection yet

What a client can do beyond `close` is told by the protocols below; a work that asks for more than that is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from benchmarks.meter import Meter

HTTP2: Final = "HTTP/2"
HTTP1: Final = "HTTP/1.1"
PATIENCE: Final = 120.0
"""Seconds that a client may wait for anything: no work is meant to reach it."""


class Unable(Exception):
    """A client cannot do a work; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What a client is told before the first request."""

    ca_file: str
    http2: bool = True
    origins: int = 1
    connections: int | None = None
    """How many connections to bound the pool to, and to keep; None leaves the client's own defaults."""
    one_stream: bool = False
    """Whether an HTTP/2 connection may carry only one request at a time."""
    headers: Mapping[str, str] = field(default_factory=dict)


class Peer(Protocol):
    """A client."""

    def close(self) -> None: ...


@runtime_checkable
class Gets(Protocol):
    """A client that many greenlets share, each calling it as if it were alone."""

    def get(self, url: str) -> int:
        """Get a URL, read the whole body into memory, and return its length; raise unless the status is 200."""
        ...


@runtime_checkable
class GetsMany(Protocol):
    """A client without greenlets that keeps many requests under way by itself."""

    def get_many(self, urls: Sequence[str], requests: int, width: int, meter: Meter) -> None:
        """Get the URLs in turn, `width` at once, until there were so many requests; measure what is its own."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A client that need not hold a whole body in memory."""

    def download(self, url: str) -> int:
        """Get a URL piece by piece, keep nothing, and return the length of the body."""
        ...

    def upload(self, url: str, path: str) -> None:
        """PUT a file; raise unless the answer is 204."""
        ...


@runtime_checkable
class Posts(Protocol):
    """A client that can send what is only being made."""

    def post(self, url: str, body: Iterator[bytes] | bytes) -> None:
        """POST what an iterator yields, or bytes; raise unless the answer is 204."""
        ...
