"""HTTP/1.1 as the origin speaks it: h11 for the protocol, one task for the connection."""

import asyncio
import time
from collections.abc import Mapping

import h11

from tests.support.h2origin.door import Door
from tests.support.h2origin.exchange import Fields, Incoming
from tests.support.h2origin.paths import answer
from tests.support.h2origin.record import RequestRecord


class H1Wire:
    def __init__(self, door: Door) -> None:
        self.door = door
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self.exchange: Exchange | None = None
        self._requests: asyncio.Queue[Incoming] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    # bytes in

    def receive(self, data: bytes) -> None:
        if self.exchange is not None and self.exchange.incoming.held:
            self.door.freeze()
            return
        self.h11.receive_data(data)
        self._pump()

    def _pump(self) -> None:
        try:
            while True:
                event = self.h11.next_event()
                match event:
                    case h11.Request():
                        self._open(event)
                    case h11.Data() if self.exchange is not None:
                        self.exchange.incoming.feed(bytes(event.data))
                    case h11.EndOfMessage() if self.exchange is not None:
                        self.exchange.incoming.finish(_text(event.headers))
                    case _:
                        return  # NEED_DATA, PAUSED or ConnectionClosed
                if self.h11.they_are_waiting_for_100_continue:
                    self.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        except h11.RemoteProtocolError as exc:
            self.door.record.error = f"{type(exc).__name__}: {exc}"
            self.door.close()

    def _open(self, request: h11.Request) -> None:
        fields = _text(request.headers.raw_items())
        seen = self.door.record
        seen.streams += 1
        record = RequestRecord(
            connection=seen.id,
            stream_id=seen.streams,
            method=request.method.decode(),
            path=request.target.decode("latin-1"),
            scheme="https" if self.door.origin.options.tls else "http",
            authority=next((value for name, value in fields if name.lower() == "host"), ""),
            headers=fields,
            received=time.monotonic(),
        )
        self.door.origin.requests.append(record)
        seen.open_streams = 1
        seen.most_open_streams = 1
        self.door.busy()
        incoming = Incoming(record)
        self.exchange = Exchange(self, incoming)
        self._requests.put_nowait(incoming)

    # answering

    async def _run(self) -> None:
        while True:
            incoming = await self._requests.get()
            exchange = self.exchange
            assert exchange is not None
            try:
                await answer(incoming, exchange)
                await incoming.body()
                incoming.record.outcome = incoming.record.outcome or "answered"
            except (h11.LocalProtocolError, ValueError, KeyError) as exc:
                self.door.record.error = f"{incoming.record.path}: {type(exc).__name__}: {exc}"
                self.door.close(abruptly=True)
                return
            self.exchange = None
            self.door.record.open_streams = 0
            if self.h11.our_state is not h11.DONE or self.h11.their_state is not h11.DONE:
                self.door.close()
                return
            self.h11.start_next_cycle()
            self.door.idle()
            self._pump()

    def send(self, event: h11.Event) -> None:
        data = self.h11.send(event)
        if data is not None:
            self.door.write(data)

    def say_goodbye(self) -> None:
        """HTTP/1.1 has no word for it."""

    def goaway(self, _code: int, _last: int | None) -> None:
        if self.exchange is None:
            self.door.close()
        else:
            self.exchange.last = True

    def settings(self, values: Mapping[str, int]) -> None:
        """HTTP/1.1 has none."""

    def lost(self) -> None:
        if self.exchange is not None:
            self.exchange.incoming.record.outcome = self.exchange.incoming.record.outcome or "lost"
        self.door.record.open_streams = 0
        self._task.cancel()


class Exchange:
    """One request being answered; a Reply."""

    def __init__(self, wire: H1Wire, incoming: Incoming) -> None:
        self.wire = wire
        self.incoming = incoming
        limit = wire.door.origin.options.keepalive_requests
        self.last = limit is not None and wire.door.record.streams >= limit

    async def informational(self, status: int, headers: Fields) -> None:
        self.wire.send(
            h11.InformationalResponse(status_code=status, headers=_bytes(headers), reason=b"Hold on")
        )

    async def head(self, status: int, headers: Fields, *, length: int | None = None) -> None:
        fields = list(headers)
        if length is not None:
            fields.append(("content-length", str(length)))
        if self.last:
            fields.append(("connection", "close"))
        self.wire.send(h11.Response(status_code=status, headers=_bytes(fields), reason=b"So Be It"))

    async def data(self, data: bytes) -> None:
        if self.incoming.record.method != "HEAD":
            self.wire.send(h11.Data(data=data))
            await self.wire.door.drain()

    async def end(self, trailers: Fields | None = None) -> None:
        self.wire.send(h11.EndOfMessage(headers=_bytes(trailers or [])))
        if not self.incoming.record.body_complete and self.wire.h11.they_are_waiting_for_100_continue:
            self.wire.door.close()

    def reset(self, _code: int) -> None:
        self.incoming.record.outcome = "reset"
        self.wire.door.close(abruptly=True)

    def goaway(self, _code: int, _last: int | None) -> None:
        self.last = True

    def close(self) -> None:
        self.incoming.record.outcome = "closed"
        self.wire.door.close()

    def freeze(self) -> None:
        self.wire.door.freeze()

    def settings(self, values: Mapping[str, int]) -> None:
        self.wire.settings(values)


def _text(headers: object) -> Fields:
    assert hasattr(headers, "__iter__")
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]


def _bytes(fields: Fields) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
