"""One request and the means to answer it, the same for HTTP/2 and HTTP/1.1."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from tests.support.h2origin.record import RequestRecord

Fields = list[tuple[str, str]]


class Reply(Protocol):
    """How a path answers. Each method sends what flow control lets through, and waits for the rest."""

    async def informational(self, status: int, headers: Fields) -> None: ...

    async def head(self, status: int, headers: Fields, *, length: int | None = None) -> None: ...

    async def data(self, data: bytes) -> None: ...

    async def end(self, trailers: Fields | None = None) -> None: ...

    def reset(self, code: int) -> None:
        """End this exchange alone (HTTP/1.1: the connection)."""

    def goaway(self, code: int, last: int | None) -> None:
        """Take no new requests; `last` None stands for this one."""

    def close(self) -> None:
        """Close the connection in the middle of whatever is going on."""

    def freeze(self) -> None:
        """Stop reading and writing, for ever, with the connection left open."""

    def settings(self, values: Mapping[str, int]) -> None: ...


class Incoming:
    """A request whose body may still be arriving."""

    def __init__(self, record: RequestRecord) -> None:
        self.record = record
        self.held = False
        """True: the body is taken, but no window is given back for it."""
        self._body = bytearray()
        self._digest = hashlib.sha256()
        self._complete = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._body += data
        self._digest.update(data)
        self.record.body_length = len(self._body)

    def finish(self, trailers: Iterable[tuple[str, str]] = ()) -> None:
        self.record.body_sha256 = self._digest.hexdigest()
        self.record.body_complete = True
        self.record.trailers = list(trailers)
        self._complete.set()

    async def body(self) -> bytes:
        await self._complete.wait()
        return bytes(self._body)
