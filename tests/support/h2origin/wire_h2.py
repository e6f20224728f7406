"""HTTP/2 as the origin speaks it: h2 for the protocol, one task for each stream."""

import asyncio
import time
from collections.abc import Mapping

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from tests.support.h2origin.door import Door
from tests.support.h2origin.exchange import Fields, Incoming
from tests.support.h2origin.paths import answer
from tests.support.h2origin.record import RequestRecord


class H2Wire:
    def __init__(self, door: Door) -> None:
        self.door = door
        self.options = door.origin.options
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = Settings(client=False, initial_values=self._first_settings())
        self.last_allowed: int | None = None
        self._streams: dict[int, Stream] = {}
        self.h2.initiate_connection()
        self.flush()

    def _first_settings(self) -> dict[SettingCodes, int]:
        wanted = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.MAX_CONCURRENT_STREAMS: self.options.max_concurrent_streams,
            SettingCodes.INITIAL_WINDOW_SIZE: self.options.initial_window_size,
            SettingCodes.MAX_FRAME_SIZE: self.options.max_frame_size,
        }
        return {code: value for code, value in wanted.items() if value is not None}

    # bytes in

    def receive(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except H2Error as exc:
            self.door.record.error = f"{type(exc).__name__}: {exc}"
            self.flush()
            self.door.close()
            return
        for event in events:
            self._handle(event)
        self.flush()
        if any(isinstance(event, WindowUpdated | RemoteSettingsChanged) for event in events):
            for stream in self._streams.values():
                stream.window_moved.set()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._open(event)
            case DataReceived():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    stream.incoming.feed(event.data)
                if stream is None or not stream.incoming.held:
                    self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            case TrailersReceived() if event.stream_id in self._streams:
                assert event.headers is not None
                self._streams[event.stream_id].trailers = _text(event.headers)
            case StreamEnded() if event.stream_id in self._streams:
                stream = self._streams[event.stream_id]
                stream.incoming.finish(stream.trailers)
            case StreamReset():
                if event.remote_reset:
                    self.door.record.resets.append(int(event.error_code or 0))
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].stop("reset")
            case PingReceived():
                self.door.record.pings += 1
            case RemoteSettingsChanged():
                for code, change in event.changed_settings.items():
                    name = code.name if isinstance(code, SettingCodes) else str(code)
                    self.door.record.settings[name] = change.new_value
            case ConnectionTerminated():
                self.door.record.goaway = int(event.error_code or 0)
                # h2 shuts its state machine on any GOAWAY; RFC 9113 6.8 lets the open streams finish.
                self.h2.state_machine.state = ConnectionState.SERVER_OPEN
            case _:
                pass

    def _open(self, event: RequestReceived) -> None:
        assert event.headers is not None
        fields = _text(event.headers)
        pseudo = dict(fields)
        record = RequestRecord(
            connection=self.door.record.id,
            stream_id=event.stream_id,
            method=pseudo.get(":method", ""),
            path=pseudo.get(":path", ""),
            scheme=pseudo.get(":scheme", ""),
            authority=pseudo.get(":authority", ""),
            headers=[(name, value) for name, value in fields if not name.startswith(":")],
            received=time.monotonic(),
        )
        origin = self.door.origin
        origin.requests.append(record)
        seen = self.door.record
        seen.streams += 1
        if self.last_allowed is not None and event.stream_id > self.last_allowed:
            record.outcome = "ignored"
            return
        if origin.refusals_left > 0:
            origin.refusals_left -= 1
            record.outcome = "refused"
            self.h2.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        stream = Stream(self, Incoming(record))
        self._streams[event.stream_id] = stream
        seen.open_streams = len(self._streams)
        seen.most_open_streams = max(seen.most_open_streams, seen.open_streams)
        self.door.busy()
        stream.start()
        if self.options.keepalive_requests is not None and seen.streams >= self.options.keepalive_requests:
            self.goaway(0, event.stream_id)

    # bytes out

    def flush(self) -> None:
        self.door.write(self.h2.data_to_send())

    def goaway(self, code: int, last: int | None) -> None:
        """Send GOAWAY beside h2, which would end the connection with it, and close once all is answered."""
        highest = self.h2.highest_inbound_stream_id
        self.last_allowed = highest if last is None else last
        self.flush()
        frame = GoAwayFrame(0, last_stream_id=self.last_allowed, error_code=code)
        self.door.write(frame.serialize())
        for stream_id in [stream_id for stream_id in self._streams if stream_id > self.last_allowed]:
            self._streams[stream_id].stop("ignored")
        self._close_when_done()

    def say_goodbye(self) -> None:
        self.goaway(0, None)

    def settings(self, values: Mapping[str, int]) -> None:
        self.h2.update_settings({SettingCodes[name.upper()]: value for name, value in values.items()})
        self.flush()

    def done(self, stream_id: int) -> None:
        if self._streams.pop(stream_id, None) is None:
            return
        self.door.record.open_streams = len(self._streams)
        if not self._streams:
            self.door.idle()
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self.last_allowed is not None and not self._streams:
            self.door.close()

    def lost(self) -> None:
        for stream in list(self._streams.values()):
            stream.stop("lost")


class Stream:
    """One stream being answered; a Reply."""

    def __init__(self, wire: H2Wire, incoming: Incoming) -> None:
        self.wire = wire
        self.incoming = incoming
        self.id = incoming.record.stream_id
        self.window_moved = asyncio.Event()
        self.trailers: Fields = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def stop(self, outcome: str) -> None:
        self.incoming.record.outcome = self.incoming.record.outcome or outcome
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self.wire.done(self.id)

    async def _run(self) -> None:
        try:
            await answer(self.incoming, self)
        except (H2Error, ValueError, KeyError) as exc:
            self.wire.door.record.error = f"{self.incoming.record.path}: {type(exc).__name__}: {exc}"
            self.reset(ErrorCodes.INTERNAL_ERROR)
        self.stop("answered")

    async def informational(self, status: int, headers: Fields) -> None:
        await self.head(status, headers)

    async def head(self, status: int, headers: Fields, *, length: int | None = None) -> None:
        fields = [(":status", str(status)), *headers]
        if length is not None:
            fields.append(("content-length", str(length)))
        self.wire.h2.send_headers(self.id, fields)
        self.wire.flush()

    async def data(self, data: bytes) -> None:
        if self.incoming.record.method == "HEAD":
            return
        h2, left = self.wire.h2, memoryview(data)
        while left:
            room = min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size, len(left))
            if room > 0:
                h2.send_data(self.id, bytes(left[:room]))
                self.wire.flush()
                left = left[room:]
                await self.wire.door.drain()
            else:
                self.window_moved.clear()
                await self.window_moved.wait()

    async def end(self, trailers: Fields | None = None) -> None:
        if trailers and self.incoming.record.method != "HEAD":
            self.wire.h2.send_headers(self.id, trailers, end_stream=True)
        else:
            self.wire.h2.end_stream(self.id)
        self.wire.flush()

    def reset(self, code: int) -> None:
        self.incoming.record.outcome = "reset"
        try:
            self.wire.h2.reset_stream(self.id, code)
        except H2Error:  # it is over already
            return
        self.wire.flush()

    def goaway(self, code: int, last: int | None) -> None:
        self.wire.goaway(code, self.id if last is None else last)

    def close(self) -> None:
        self.incoming.record.outcome = "closed"
        self.wire.door.close()

    def freeze(self) -> None:
        self.wire.door.freeze()

    def settings(self, values: Mapping[str, int]) -> None:
        self.wire.settings(values)


def _text(headers: object) -> Fields:
    """Header pairs as str, whatever h2 made of them."""
    fields: Fields = []
    assert isinstance(headers, list)
    for name, value in headers:
        fields.append((_str(name), _str(value)))
    return fields


def _str(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
