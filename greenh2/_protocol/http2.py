"""HTTP/2 for a client: its streams and their frames, beside h2's state machine for the connection as a whole.

h2 speaks for the connection (machine.py).  Streams are kept here, for what h2 does harshly, and because each would cost
a request several times what it costs here: GOAWAY lets the streams at or below its last id finish, a malformed response
ends its own stream only, frames that race our RST_STREAM are not answered, and the windows grow as the user reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from h2.errors import ErrorCodes
from h2.events import PingAckReceived, RemoteSettingsChanged
from h2.exceptions import ProtocolError as H2ProtocolError
from h2.settings import SettingCodes

from greenh2._errors import LocalProtocolError, RemoteProtocolError, ServerDisconnected, TransportError
from greenh2._protocol.events import (
    LONGEST_TURN,
    CapacityChanged,
    ConnectionFailed,
    DataReceived,
    Event,
    Fields,
    HeadReceived,
    InterimReceived,
    PingAnswered,
    RequestHead,
    ResponseEnded,
    StreamFailed,
    WindowOpened,
)
from greenh2._protocol.fields import Malformed, pseudo_fields, section_size
from greenh2._protocol.frames import (
    ACK,
    END_STREAM,
    WORD,
    Frame,
    FrameSplitter,
    FrameType,
    FrameViolation,
    check_size,
    content,
    frame_bytes,
    header_frames,
    word,
)
from greenh2._protocol.goaway import Goaway, reset_error
from greenh2._protocol.hpack import BlockDecoder, BlockEncoder
from greenh2._protocol.machine import MAX_FRAME_SIZE, MAX_WINDOW, Machine
from greenh2._protocol.memory import Memory
from greenh2._protocol.stream import LAST_STREAM_ID, Stream, Streams

_DATA, _HEADERS = int(FrameType.DATA), int(FrameType.HEADERS)
_PRIORITY_SIZE = 5


class Http2Protocol:
    """One HTTP/2 connection of a client, without its socket."""

    name = "HTTP/2"
    multiplexed = True

    def __init__(self, origin: str, memory: Memory | None = None) -> None:
        memory = memory or Memory()
        self._origin = origin
        self._encoder = BlockEncoder(memory)
        self._machine = Machine(self._encoder)
        self._splitter = FrameSplitter(MAX_FRAME_SIZE)
        self._frames: Iterator[Frame] = iter(())
        self._decoder = BlockDecoder(memory)
        self._streams = Streams()
        self._out = [self._machine.outgoing()]
        self._goaway: Goaway | None = None
        self._broken = False
        self.backlog = False

    @property
    def streams_allowed(self) -> float:
        return self._machine.streams_allowed

    @property
    def greeting(self) -> bool:
        return not self._splitter.started and not self.retired

    @property
    def retired(self) -> bool:
        return self._broken or self._goaway is not None or self._streams.next_id > LAST_STREAM_ID

    @property
    def farewell(self) -> str:
        return str(self._goaway or "")

    @property
    def wants_data(self) -> bool:
        return True

    # -- sending ---------------------------------------------------------------------------------------------

    def open(self, head: RequestHead, *, end: bool) -> int:
        machine, encoder = self._machine, self._encoder
        regular = encoder.regular(head.fields)
        pseudo = pseudo_fields(head, regular.host)
        allowed = machine.max_header_list_size
        if allowed is not None and (size := section_size(pseudo) + regular.size) > allowed:
            raise LocalProtocolError(
                f"the request's header fields take {size} bytes; {self._origin} accepts at most {allowed} "
                "(SETTINGS_MAX_HEADER_LIST_SIZE). Nothing was sent."
            )
        stream_id = self._streams.next_id
        flags = END_STREAM if end else 0
        block = encoder.block(pseudo, regular)
        self._out.append(header_frames(flags, stream_id, block, machine.max_frame_size))
        self._streams.begin(
            Stream(to_head=head.method == b"HEAD", local_done=end, sendable=machine.initial_window)
        )
        machine.of_use()
        return stream_id

    def begun(self, stream_id: int) -> bool:
        return self._streams.answered(stream_id)

    def arriving(self, stream_id: int, *, more: bool) -> bool:
        return self._splitter.may_be_of(stream_id, more=more)

    def sendable(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        if stream is None or stream.local_done:
            return 0
        return max(0, min(stream.sendable, self._machine.sendable))

    def send(self, stream_id: int, data: bytes | memoryview, *, end: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.local_done:
            return
        self._out.append(frame_bytes(_DATA, END_STREAM if end else 0, stream_id, data))
        stream.sendable -= len(data)
        self._machine.sent(len(data))
        if end:
            stream.local_done = True
            if stream.remote_done:
                self._streams.finish(stream_id)

    def stop_sending(self, stream_id: int) -> None:
        # RFC 9113 section 8.1: NO_ERROR says that the answer was enough. A reset ends receiving too, so not before.
        stream = self._streams.get(stream_id)
        if stream is not None and stream.remote_done:
            self._reset(stream_id, ErrorCodes.NO_ERROR)

    def cancel(self, stream_id: int) -> None:
        if stream_id in self._streams:
            self._reset(stream_id, ErrorCodes.CANCEL)

    def consumed(self, stream_id: int, cost: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None and (increment := stream.credit(cost)):
            self._enlarge(stream_id, increment)

    def ping(self, payload: bytes) -> None:
        """Queue a PING with these 8 bytes."""
        if not self._broken:
            self._machine.ping(payload)

    def shutdown(self) -> None:
        if not self._broken:
            self._close()
            self._machine.end(ErrorCodes.NO_ERROR)

    @property
    def unsaid(self) -> bool:
        return bool(self._out)

    def outgoing(self) -> bytes:
        self._collect()
        out, self._out = b"".join(self._out), []
        return out

    def _collect(self) -> None:
        """Put what h2 has to say behind what was said before."""
        if said := self._machine.outgoing():
            self._out.append(said)

    def _enlarge(self, stream_id: int, increment: int) -> None:
        self._out.append(frame_bytes(FrameType.WINDOW_UPDATE, 0, stream_id, increment.to_bytes(WORD, "big")))

    # -- receiving -------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        if self._broken:
            return []
        if not data:
            failed = ConnectionFailed(self._disconnected())
            self._close()
            return [failed]
        self._frames = self._splitter.feed(data)
        return self.receive_more()

    def receive_more(self) -> list[Event]:
        events: list[Event] = []
        self.backlog = False
        end = monotonic() + LONGEST_TURN
        try:
            for frame in self._frames:
                self._take(frame, events)
                if monotonic() > end:
                    self.backlog = True
                    break
        except FrameViolation as violation:
            self._machine.end(violation.code)
            events.append(self._failed(str(violation), violation.__cause__))
        except H2ProtocolError as exc:  # h2 has queued the GOAWAY already
            events.append(self._failed(repr(exc), exc))
        return events

    def _take(self, frame: Frame, events: list[Event]) -> None:
        self._machine.count()
        kind = frame.kind
        if kind == _DATA:
            self._take_data(frame, events)
        elif kind == _HEADERS:
            self._take_headers(frame, events)
        else:
            self._take_control(frame, events)

    def _take_control(self, frame: Frame, events: list[Event]) -> None:
        match frame.kind:
            case FrameType.GOAWAY:
                self._take_goaway(frame, events)
            case FrameType.SETTINGS if frame.flags & ACK:
                self._machine.take_acknowledgement(frame)
            case FrameType.SETTINGS | FrameType.PING:
                self._feed(frame, events)
            case FrameType.WINDOW_UPDATE:
                self._take_window_update(frame, events)
            case FrameType.RST_STREAM:
                self._take_reset(frame, events)
            case FrameType.PUSH_PROMISE:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "a push was promised, with push disabled")
            case FrameType.PRIORITY if not frame.stream_id:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "PRIORITY of no stream")
            case FrameType.PRIORITY:
                check_size(frame, _PRIORITY_SIZE)
            case _:
                return  # RFC 9113 section 5.5: what is unknown is ignored

    def _feed(self, frame: Frame, events: list[Event]) -> None:
        for event in self._machine.take(frame):
            if isinstance(event, PingAckReceived):
                events.append(PingAnswered(event.ping_data or b""))
            elif isinstance(event, RemoteSettingsChanged):
                if window := event.changed_settings.get(SettingCodes.INITIAL_WINDOW_SIZE):
                    self._streams.resize_windows((window.new_value or 0) - (window.original_value or 0))
                events += [CapacityChanged(), WindowOpened(0)]  # uploaders must look again
        self._collect()

    # HEADERS, DATA

    def _take_headers(self, frame: Frame, events: list[Event]) -> None:
        section = self._decoder.decode(content(frame))  # also for a stream that is over: the table is shared
        stream_id = frame.stream_id
        stream = self._receiving(stream_id)
        if stream is None:
            if self._streams.finished(stream_id):
                raise FrameViolation(ErrorCodes.STREAM_CLOSED, f"HEADERS on stream {stream_id} after its end")
            return
        end = bool(frame.flags & END_STREAM)
        try:
            head = stream.answer.take_fields(section, end=end)
        except Malformed as exc:
            self._malformed(stream_id, exc, events)
            return
        if head is not None:
            self._machine.of_use()
            events.append(HeadReceived(stream_id, head))
        elif not end:
            events.append(InterimReceived(stream_id))
        if end:
            self._end(stream_id, stream, [] if head is not None else section.fields.copy(), events)

    def _take_data(self, frame: Frame, events: list[Event]) -> None:
        stream_id, cost = frame.stream_id, len(frame.payload)
        if increment := self._machine.received(cost):
            self._enlarge(0, increment)
        data = content(frame)
        stream = self._receiving(stream_id)
        if stream is None:
            return
        end = bool(frame.flags & END_STREAM)
        stream.receivable -= cost
        if stream.receivable < 0:
            self._fail(stream_id, ErrorCodes.FLOW_CONTROL_ERROR, "sent more than its window allows", events)
            return
        try:
            stream.answer.take_data(len(data), end=end)
        except Malformed as exc:
            self._malformed(stream_id, exc, events)
            return
        if data:
            self._machine.of_use()
            events.append(DataReceived(stream_id, data, cost))
        elif not end:
            self.consumed(stream_id, cost)  # nobody will: it was padding
        if end:
            self._end(stream_id, stream, [], events)

    def _receiving(self, stream_id: int) -> Stream | None:
        """Return the stream if its response may go on."""
        stream = self._streams.get(stream_id)
        if stream is None:
            self._streams.check_begun(stream_id)
            return None  # what was on its way when the stream ended: RFC 9113 section 5.1, closed
        if stream.remote_done:  # RFC 9113 section 5.1, half-closed (remote)
            self._reset(stream_id, ErrorCodes.STREAM_CLOSED)
            return None
        return stream

    def _end(self, stream_id: int, stream: Stream, trailers: Fields, events: list[Event]) -> None:
        stream.remote_done = True
        if stream.local_done:
            self._streams.finish(stream_id)
        events.append(ResponseEnded(stream_id, trailers))

    # WINDOW_UPDATE, RST_STREAM

    def _take_window_update(self, frame: Frame, events: list[Event]) -> None:
        increment = word(frame) & MAX_WINDOW
        if not frame.stream_id:
            self._machine.enlarged(increment)
            events.append(WindowOpened(0))
            return
        self._streams.check_begun(frame.stream_id)
        stream = self._streams.get(frame.stream_id)
        if stream is None:
            return  # RFC 9113 section 5.1: it may cross the end of the stream
        stream.sendable += increment
        if not increment:
            self._fail(frame.stream_id, ErrorCodes.PROTOCOL_ERROR, "enlarged its window by nothing", events)
        elif stream.sendable > MAX_WINDOW:
            self._fail(frame.stream_id, ErrorCodes.FLOW_CONTROL_ERROR, "made its window too large", events)
        else:
            events.append(WindowOpened(frame.stream_id))

    def _take_reset(self, frame: Frame, events: list[Event]) -> None:
        stream_id, code = frame.stream_id, word(frame)
        self._streams.check_begun(stream_id)
        stream = self._streams.pop(stream_id, None)
        if stream is None or stream.remote_done:  # RFC 9113 section 8.1: a whole answer outlives its stream
            return
        events.append(StreamFailed(stream_id, reset_error(self._origin, stream_id, code)))

    # GOAWAY

    def _take_goaway(self, frame: Frame, events: list[Event]) -> None:
        self._goaway = Goaway.parse(frame).after(self._goaway)
        last_id = self._goaway.last_id
        for stream_id in [number for number in self._streams if number > last_id]:
            # No RST_STREAM: the server knows, and if it has closed, a needless word would be met by a TCP reset, which
            # costs the answers that are on their way.
            stream = self._streams.pop(stream_id)
            if not stream.remote_done:
                events.append(StreamFailed(stream_id, self._goaway.refusal(self._origin, stream_id)))
        events.append(CapacityChanged())

    # -- ends ------------------------------------------------------------------------------------------------

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        del self._streams[stream_id]
        self._out.append(frame_bytes(FrameType.RST_STREAM, 0, stream_id, code.to_bytes(WORD, "big")))

    def _fail(self, stream_id: int, code: ErrorCodes, deed: str, events: list[Event]) -> None:
        """End a stream on which the peer broke a rule of its own."""
        whole = self._streams[stream_id].remote_done
        self._reset(stream_id, code)
        if not whole:
            error = RemoteProtocolError(f"{self._origin} {deed} on stream {stream_id}: {code.name}")
            events.append(StreamFailed(stream_id, error))

    def _malformed(self, stream_id: int, problem: Malformed, events: list[Event]) -> None:
        """End a stream whose response is malformed (RFC 9113 section 8.1.1: a stream error of PROTOCOL_ERROR)."""
        self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
        error = RemoteProtocolError(f"malformed response from {self._origin}: {problem}")
        events.append(StreamFailed(stream_id, error))

    def _close(self) -> None:
        """End all streams at once: from here on nothing is sent for them."""
        self._broken = True
        self._streams.end()

    def _failed(self, message: str, cause: BaseException | None) -> ConnectionFailed:
        self._close()
        error = RemoteProtocolError(f"{self._origin} broke HTTP/2, the connection is closed: {message}")
        error.__cause__ = cause
        return ConnectionFailed(error)

    def _disconnected(self) -> TransportError:
        when = " before the response ended" if self._streams else ""
        after = f", after {self.farewell}" if self._goaway is not None else ""
        kind = RemoteProtocolError if self._goaway is not None and self._goaway.code else ServerDisconnected
        return kind(f"{self._origin} closed the connection{when}{after}")
