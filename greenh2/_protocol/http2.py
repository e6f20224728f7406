"""HTTP/2 for a client: h2's state machine, behind a frame splitter, with greenh2's own judgement of responses.

h2 keeps stream states and flow control, and is shown well-formed responses only: one header block that says 200 for
the head, and END_STREAM for the end.  What it leaves open or does harshly is done here: GOAWAY lets the streams at
or below its last id finish, a malformed response ends its own stream only, frames that race our RST_STREAM are not
answered, and the windows are credited as the user reads.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from h2.errors import ErrorCodes
from h2.events import Event as H2Event
from h2.events import PingAckReceived, RemoteSettingsChanged, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError as H2ProtocolError

from greenh2._errors import LocalProtocolError, RemoteProtocolError, ServerDisconnected, TransportError
from greenh2._protocol.answer import Answer
from greenh2._protocol.events import (
    CapacityChanged,
    ConnectionFailed,
    DataReceived,
    Event,
    Fields,
    HeadReceived,
    PingAnswered,
    RequestHead,
    ResponseEnded,
    StreamFailed,
    WindowOpened,
)
from greenh2._protocol.fields import Malformed, request_fields, section_size
from greenh2._protocol.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    Frame,
    FrameSplitter,
    FrameType,
    FrameViolation,
    content,
    frame_bytes,
)
from greenh2._protocol.goaway import Goaway, code_name
from greenh2._protocol.hpack import STAND_IN, BlockDecoder, BlockEncoder
from greenh2._protocol.machine import CONNECTION_WINDOW, MAX_FRAME_SIZE, STREAM_WINDOW, new_machine

#: Streams opened before the server's SETTINGS have told how many it allows.  RFC 9113 section 6.5.2 sets no bound, but
#: a server that allows fewer than arrive may refuse them, or end the connection; the first request never waits.
INITIAL_STREAMS = 1
#: Frames that bring nothing which may come between two of use, and in so many seconds: PING and SETTINGS make us queue
#: answers (CVE-2019-9512, -9515), and empty DATA, WINDOW_UPDATE, resets and the like cost time (CVE-2019-9518).
MAX_CHATTER = 10_000
CHATTER_SPAN = 10.0
_LAST_STREAM_ID = 2**31 - 1
#: A header block that says ":status: 200", by HPACK's static table: what h2 is shown of a response.
_STATUS_200 = b"\x88"
_FOR_H2 = frozenset(
    (FrameType.SETTINGS, FrameType.PING, FrameType.RST_STREAM, FrameType.WINDOW_UPDATE, FrameType.PRIORITY)
)
_STREAM_CLOSED = ErrorCodes.STREAM_CLOSED.to_bytes(4, "big")


class _Stream:
    """What we know of one stream that h2 holds open."""

    __slots__ = ("answer", "local_done", "remote_done", "unread")

    def __init__(self, *, to_head: bool, local_done: bool) -> None:
        self.answer = Answer(to_head=to_head)
        self.local_done = local_done
        self.remote_done = False
        self.unread = 0


class Http2Protocol:
    """One HTTP/2 connection of a client, without its socket."""

    name = "HTTP/2"
    multiplexed = True

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._encoder = BlockEncoder()
        self._h2 = new_machine(self._encoder)
        self._splitter = FrameSplitter(MAX_FRAME_SIZE)
        self._decoder = BlockDecoder()
        self._streams: dict[int, _Stream] = {}
        self._next_id = 1
        self._out = bytearray()
        self._uncredited = 0
        self._chatter = 0
        self._chatter_since = monotonic()
        self._settings_unacked = 1
        self._max_streams: float = INITIAL_STREAMS
        self._goaway: Goaway | None = None
        self._broken = False

    @property
    def streams_allowed(self) -> float:
        return self._max_streams

    @property
    def greeting(self) -> bool:
        return not self._splitter.started and not self.retired

    @property
    def retired(self) -> bool:
        return self._broken or self._goaway is not None or self._next_id > _LAST_STREAM_ID

    @property
    def wants_data(self) -> bool:
        return True

    # -- sending ---------------------------------------------------------------------------------------------

    def open(self, head: RequestHead, *, end: bool) -> int:
        fields = request_fields(head)
        allowed = self._h2.remote_settings.max_header_list_size
        if allowed is not None and (size := section_size(fields)) > allowed:
            raise LocalProtocolError(
                f"the request's header fields take {size} bytes; {self._origin} accepts at most {allowed} "
                "(SETTINGS_MAX_HEADER_LIST_SIZE). Nothing was sent."
            )
        stream_id = self._next_id
        self._encoder.prepare(fields)
        self._h2.send_headers(stream_id, STAND_IN, end_stream=end)
        self._next_id += 2
        self._streams[stream_id] = _Stream(to_head=head.method == b"HEAD", local_done=end)
        self._chatter = 0
        return stream_id

    def sendable(self, stream_id: int) -> int:
        stream = self._streams.get(stream_id)
        if stream is None or stream.local_done:
            return 0
        return max(0, min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size))

    def send(self, stream_id: int, data: bytes, *, end: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.local_done:
            return
        self._h2.send_data(stream_id, data, end_stream=end)
        self._chatter = 0
        if end:
            stream.local_done = True
            if stream.remote_done:
                del self._streams[stream_id]

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
        if stream is None or stream.remote_done:
            return
        stream.unread += cost
        if stream.unread >= STREAM_WINDOW // 2:
            self._h2.increment_flow_control_window(stream.unread, stream_id)
            stream.unread = 0

    def ping(self, payload: bytes) -> None:
        """Queue a PING with these 8 bytes."""
        if not self._broken:
            self._h2.ping(payload)

    def shutdown(self) -> None:
        if not self._broken:
            self._close()
            self._h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=0)

    def outgoing(self) -> bytes:
        self._out += self._h2.data_to_send()
        out = bytes(self._out)
        self._out.clear()
        return out

    # -- receiving -------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._broken:
            return events
        if not data:
            events.append(ConnectionFailed(self._disconnected()))
            self._close()
            return events
        try:
            for frame in self._splitter.feed(data):
                self._take(frame, events)
        except FrameViolation as violation:
            self._h2.close_connection(violation.code, last_stream_id=0)
            events.append(self._failed(str(violation), violation.__cause__))
        except H2ProtocolError as exc:  # h2 has queued the GOAWAY already
            events.append(self._failed(repr(exc), exc))
        return events

    def _take(self, frame: Frame, events: list[Event]) -> None:
        self._chatter += 1
        if self._chatter > MAX_CHATTER:
            self._check_pace()
        match frame.kind:
            case FrameType.DATA:
                self._take_data(frame, events)
            case FrameType.HEADERS:
                self._take_headers(frame, events)
            case FrameType.GOAWAY:
                self._take_goaway(frame, events)
            case FrameType.SETTINGS if frame.flags & ACK:
                self._check_acknowledgement(frame)
            case FrameType.PUSH_PROMISE:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "a push was promised, with push disabled")
            case FrameType.RST_STREAM if frame.stream_id >= self._next_id or not frame.stream_id % 2:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"RST_STREAM on idle {frame.stream_id}")
            case kind if kind in _FOR_H2:
                self._feed(frame, events)
            case _:
                return  # RFC 9113 section 5.5: what is unknown is ignored

    def _feed(self, frame: Frame, events: list[Event]) -> None:
        for event in self._h2.receive_data(frame.raw):
            self._translate(event, events)

    def _translate(self, event: H2Event, events: list[Event]) -> None:
        match event:
            case WindowUpdated(stream_id=stream_id):
                events.append(WindowOpened(stream_id or 0))
            case StreamReset(stream_id=stream_id, error_code=code, remote_reset=remote):
                self._reset_by_peer(stream_id, int(code or 0), bool(remote), events)
            case PingAckReceived(ping_data=payload):
                events.append(PingAnswered(payload or b""))
            case RemoteSettingsChanged():
                self._max_streams = self._declared_streams()
                # INITIAL_WINDOW_SIZE may have changed: uploaders must look again.
                events += [CapacityChanged(), WindowOpened(0)]

    # HEADERS, DATA

    def _take_headers(self, frame: Frame, events: list[Event]) -> None:
        section = self._decoder.decode(frame.payload)  # also for a stream that is over: the table is shared
        stream_id = frame.stream_id
        end = bool(frame.flags & END_STREAM)
        shown = frame_bytes(FrameType.HEADERS, END_HEADERS, stream_id, _STATUS_200)
        stream = self._receiving(stream_id)
        if stream is None:
            self._drop(stream_id, shown)
            return
        try:
            head = stream.answer.take_fields(section, end=end)
        except Malformed as exc:
            self._malformed(stream_id, exc, events)
            return
        if head is not None:
            self._h2.receive_data(shown)
            self._chatter = 0
            events.append(HeadReceived(stream_id, head))
        if end:
            self._h2.receive_data(frame_bytes(FrameType.DATA, END_STREAM, stream_id))
            self._end(stream_id, stream, [] if head is not None else section.fields.copy(), events)

    def _take_data(self, frame: Frame, events: list[Event]) -> None:
        data = content(frame)
        stream_id = frame.stream_id
        end = bool(frame.flags & END_STREAM)
        stream = self._receiving(stream_id)
        if stream is not None:
            try:
                stream.answer.take_data(len(data), end=end)
            except Malformed as exc:
                self._malformed(stream_id, exc, events)
                stream = None
        if stream is None:
            self._drop(stream_id, frame.raw)
            return
        self._h2.receive_data(frame.raw)
        cost = len(frame.raw) - FRAME_HEADER
        self._credit_connection(cost)
        if data:
            self._chatter = 0
            events.append(DataReceived(stream_id, data, cost))
        elif not end:
            self.consumed(stream_id, cost)  # nobody will: it was padding
        if end:
            self._end(stream_id, stream, [], events)

    def _receiving(self, stream_id: int) -> _Stream | None:
        """Return the stream if its response may go on."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.remote_done:  # RFC 9113 section 5.1, half-closed (remote)
            self._reset(stream_id, ErrorCodes.STREAM_CLOSED)
            return None
        return stream

    def _drop(self, stream_id: int, raw: bytes) -> None:
        """Let h2 judge and count a frame of a stream that is over, but not answer it.

        h2 sends a RST_STREAM for each.  RFC 9113 section 5.1 wants such frames ignored, and servers count resets.
        """
        self._h2.receive_data(raw)
        queued = self._h2.data_to_send()
        self._out += queued.removesuffix(frame_bytes(FrameType.RST_STREAM, 0, stream_id, _STREAM_CLOSED))

    def _credit_connection(self, cost: int) -> None:
        # A quarter at a time: h2 keeps up to a half to itself, of what was dropped.
        self._uncredited += cost
        if self._uncredited >= CONNECTION_WINDOW // 4:
            self._h2.increment_flow_control_window(self._uncredited)
            self._uncredited = 0

    def _end(self, stream_id: int, stream: _Stream, trailers: Fields, events: list[Event]) -> None:
        stream.remote_done = True
        if stream.local_done:
            del self._streams[stream_id]
        events.append(ResponseEnded(stream_id, trailers))

    # SETTINGS, PING, GOAWAY

    def _check_pace(self) -> None:
        now = monotonic()
        if now - self._chatter_since < CHATTER_SPAN:
            raise FrameViolation(ErrorCodes.ENHANCE_YOUR_CALM, "too many frames of no use, and nothing else")
        self._chatter, self._chatter_since = 0, now

    def _check_acknowledgement(self, settings: Frame) -> None:
        if settings.stream_id:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"SETTINGS on stream {settings.stream_id}")
        if settings.payload:
            raise FrameViolation(ErrorCodes.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS has a payload")
        self._settings_unacked -= 1
        if self._settings_unacked < 0:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "SETTINGS were acknowledged that were never sent")

    def _declared_streams(self) -> float:
        # RFC 9113 section 6.5.2: initially there is no limit to this value. h2 says 2**32 + 1 for that.
        declared = self._h2.remote_settings.max_concurrent_streams
        return declared if declared < 2**32 else inf

    def _take_goaway(self, frame: Frame, events: list[Event]) -> None:
        self._goaway = Goaway.parse(frame).after(self._goaway)
        last_id = self._goaway.last_id
        self._out += self._h2.data_to_send()
        for stream_id in [number for number in self._streams if number > last_id]:
            answered = self._streams[stream_id].remote_done
            self._reset(stream_id, ErrorCodes.CANCEL)
            if not answered:
                error = RemoteProtocolError(
                    f"{self._origin} did not process stream {stream_id}: {self._goaway}",
                    unprocessed=True,
                    http11_required=self._goaway.code == ErrorCodes.HTTP_1_1_REQUIRED,
                    moved=not self._goaway.code,
                )
                events.append(StreamFailed(stream_id, error))
        # The resets tell h2 what comes late from now on. The server knows; and if it has closed, a needless word
        # would be met by a TCP reset, which costs the answers that are on their way.
        self._h2.data_to_send()
        events.append(CapacityChanged())

    # -- ends ------------------------------------------------------------------------------------------------

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        del self._streams[stream_id]
        self._h2.reset_stream(stream_id, code)

    def _reset_by_peer(self, stream_id: int, code: int, remote: bool, events: list[Event]) -> None:
        if self._streams.pop(stream_id).remote_done:
            return  # RFC 9113 section 8.1: a whole answer outlives its stream
        what = "reset" if remote else "broke the rules of"
        error = RemoteProtocolError(
            f"{self._origin} {what} stream {stream_id}: {code_name(code)}",
            unprocessed=remote and code == ErrorCodes.REFUSED_STREAM,
            http11_required=remote and code == ErrorCodes.HTTP_1_1_REQUIRED,
        )
        events.append(StreamFailed(stream_id, error))

    def _malformed(self, stream_id: int, problem: Malformed, events: list[Event]) -> None:
        """End a stream whose response is malformed (RFC 9113 section 8.1.1: a stream error of PROTOCOL_ERROR)."""
        self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
        error = RemoteProtocolError(f"malformed response from {self._origin}: {problem}")
        events.append(StreamFailed(stream_id, error))

    def _close(self) -> None:
        """End all streams at once: from here on nothing is sent for them."""
        self._broken = True
        self._streams.clear()

    def _failed(self, message: str, cause: BaseException | None) -> ConnectionFailed:
        self._close()
        error = RemoteProtocolError(f"{self._origin} broke HTTP/2, the connection is closed: {message}")
        error.__cause__ = cause
        return ConnectionFailed(error)

    def _disconnected(self) -> TransportError:
        when = " before the response ended" if self._streams else ""
        message = f"{self._origin} closed the connection{when}"
        if self._goaway is None:
            return ServerDisconnected(message)
        kind = RemoteProtocolError if self._goaway.code else ServerDisconnected
        return kind(f"{message}, after {self._goaway}")
