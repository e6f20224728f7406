"""HTTP/2 for a client: h2's state machine, behind a frame splitter, with greenh2's own judgement of responses.

h2 keeps HPACK, stream states and flow control.  What it leaves open or does harshly is done here: GOAWAY lets the
streams at or below its last id finish, a malformed response ends its own stream only, a limit of zero streams is
waited for, and the windows are credited as the user reads.
"""

from __future__ import annotations

from math import inf

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived as H2Data
from h2.events import Event as H2Event
from h2.events import (
    InformationalResponseReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.events import StreamEnded as H2Ended
from h2.exceptions import ProtocolError as H2ProtocolError
from h2.settings import SettingCodes, Settings

from greenh2._errors import LocalProtocolError, RemoteProtocolError, ServerDisconnected, TransportError
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
    ResponseHead,
    StreamFailed,
    WindowOpened,
)
from greenh2._protocol.fields import Malformed, check_fields, content_length, request_fields, section_size, split_status
from greenh2._protocol.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    Frame,
    FrameSplitter,
    FrameType,
    FrameViolation,
    data_length,
    end_stream_set,
)
from greenh2._protocol.hpack import BoundedEncoder, JudgingDecoder, is_interim

#: What one unread response may hold (bytes); the window is given back as the user reads.
STREAM_WINDOW = 2 * 1024 * 1024
#: What all may hold together (bytes); given back on arrival, so that one slow reader never stalls its siblings.
CONNECTION_WINDOW = 16 * 1024 * 1024
MAX_FRAME_SIZE = 64 * 1024
MAX_HEADER_LIST_SIZE = 128 * 1024
#: Streams opened before the server's SETTINGS have told how many it allows.  RFC 9113 section 6.5.2 sets no bound, but
#: a server that allows fewer than arrive may refuse them, or end the connection; the first request never waits.
INITIAL_STREAMS = 1
#: 1xx responses before the final one (RFC 9110 section 15.2 sets no bound; Go and curl set one too).
MAX_INTERIM = 50
_LAST_STREAM_ID = 2**31 - 1
_NO_BODY = frozenset((204, 304))


class _Stream:
    """What we know of one open stream."""

    __slots__ = ("declared", "head_request", "head_seen", "interim", "local_done", "received", "remote_done", "unread")

    def __init__(self, head_request: bool, local_done: bool) -> None:
        self.head_request = head_request
        self.local_done = local_done
        self.remote_done = False
        self.head_seen = False
        self.interim = 0
        self.declared: int | None = None
        self.received = 0
        self.unread = 0


class Http2Protocol:
    """One HTTP/2 connection of a client, without its socket."""

    name = "HTTP/2"
    multiplexed = True

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,  # Request and fields.py have checked them
                normalize_outbound_headers=False,
                validate_inbound_headers=False,  # fields.py checks them, as a matter of the stream
                normalize_inbound_headers=False,
            )
        )
        self._h2.encoder = BoundedEncoder()
        self._decoder = self._h2.decoder = JudgingDecoder()
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_SIZE,
            },
        )
        self._h2.max_inbound_frame_size = MAX_FRAME_SIZE
        self._splitter = FrameSplitter(MAX_FRAME_SIZE)
        self._streams: dict[int, _Stream] = {}
        self._next_id = 1
        self._block: Frame | None = None
        self._uncredited = 0
        self._settings_unacked = 1
        self._max_streams: float = INITIAL_STREAMS
        self._goaway: tuple[int, int, bytes] | None = None
        self._broken = False
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65535)

    # -- what the connection asks ----------------------------------------------------------------------------

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
        self._h2.send_headers(stream_id, fields, end_stream=end)
        self._next_id += 2
        self._streams[stream_id] = _Stream(head.method == b"HEAD", end)
        return stream_id

    def sendable(self, stream_id: int) -> int:
        if stream_id not in self._streams:
            return 0
        return max(0, min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size))

    def send(self, stream_id: int, data: bytes, *, end: bool) -> None:
        self._h2.send_data(stream_id, data, end_stream=end)
        if end:
            stream = self._streams[stream_id]
            stream.local_done = True
            if stream.remote_done:
                del self._streams[stream_id]

    def stop_sending(self, stream_id: int) -> None:
        # RFC 9113 section 8.1: NO_ERROR tells the peer that its answer was enough. Only after the whole answer:
        # RST_STREAM would end the receiving side as well.
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
        self._h2.ping(payload)

    def shutdown(self) -> None:
        if not self._broken:
            self._broken = True
            self._h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=0)

    def outgoing(self) -> bytes:
        return self._h2.data_to_send()

    # -- receiving -------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._broken:
            return events
        if not data:
            events.append(ConnectionFailed(self._disconnected()))
            self._broken = True
            return events
        try:
            for frame in self._splitter.feed(data):
                self._take(frame, events)
        except FrameViolation as violation:
            events.append(self._fail(violation.code, str(violation)))
        except H2ProtocolError as exc:
            # h2 has queued the GOAWAY already
            events.append(self._failed(f"{exc or type(exc).__name__}", exc))
        return events

    def _take(self, frame: Frame, events: list[Event]) -> None:
        match frame.kind:
            case FrameType.DATA:
                self._take_data(frame, events)
            case FrameType.HEADERS | FrameType.CONTINUATION:
                self._take_header_block(frame, events)
            case FrameType.GOAWAY:
                self._take_goaway(frame, events)
            case FrameType.SETTINGS:
                self._take_settings(frame, events)
            case FrameType.PUSH_PROMISE:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "a push was promised, though push is disabled")
            case FrameType.RST_STREAM if frame.stream_id >= self._next_id or not frame.stream_id % 2:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"RST_STREAM on the idle stream {frame.stream_id}")
            case _:
                self._feed(frame.raw, events)

    def _feed(self, raw: bytes, events: list[Event]) -> None:
        for event in self._h2.receive_data(raw):
            self._translate(event, events)

    def _translate(self, event: H2Event, events: list[Event]) -> None:
        match event:
            case WindowUpdated(stream_id=stream_id):
                events.append(WindowOpened(stream_id or 0))
            case StreamReset(stream_id=stream_id, error_code=code, remote_reset=remote):
                self._reset_by_peer(stream_id, int(code or 0), bool(remote), events)
            case PingAckReceived(ping_data=payload):
                events.append(PingAnswered(payload or b""))
            case _:
                return  # the frame-wise handlers below have dealt with it

    # DATA

    def _take_data(self, frame: Frame, events: list[Event]) -> None:
        stream = self._streams.get(frame.stream_id)
        if stream is not None and not stream.head_seen:
            self._malformed(frame.stream_id, "DATA arrived where a response's header fields were due", events)
        elif stream is not None and stream.head_request and data_length(frame):
            self._malformed(frame.stream_id, "a response to HEAD has a body", events)
        cost = len(frame.raw) - FRAME_HEADER
        for event in self._h2.receive_data(frame.raw):
            if stream is None or frame.stream_id not in self._streams:
                continue
            if isinstance(event, H2Data):
                self._credit_connection(cost)
                self._deliver(frame.stream_id, stream, event.data or b"", cost, events)
            elif isinstance(event, H2Ended):
                self._ended(frame.stream_id, stream, [], events)

    def _deliver(self, stream_id: int, stream: _Stream, data: bytes, cost: int, events: list[Event]) -> None:
        stream.received += len(data)
        if stream.declared is not None and stream.received > stream.declared:
            self._malformed(stream_id, f"the body is longer than its content-length of {stream.declared}", events)
        elif data:
            events.append(DataReceived(stream_id, data, cost))
        else:
            self.consumed(stream_id, cost)

    def _credit_connection(self, cost: int) -> None:
        self._uncredited += cost
        if self._uncredited >= CONNECTION_WINDOW // 2:
            self._h2.increment_flow_control_window(self._uncredited)
            self._uncredited = 0

    # HEADERS

    def _take_header_block(self, frame: Frame, events: list[Event]) -> None:
        if frame.kind == FrameType.HEADERS:
            self._block = frame
        first = self._block
        stream = self._streams.get(first.stream_id) if first is not None else None
        raw = frame.raw
        problem = ""
        if first is not None and stream is not None:
            self._decoder.trailers = stream.head_seen
            self._decoder.ends_stream = bool(first.flags & END_STREAM)
            if stream.head_seen and not first.flags & END_STREAM:
                problem = "trailers without END_STREAM"
                raw = end_stream_set(frame) if frame is first else raw
        self._decoder.fields = []
        happened = self._h2.receive_data(raw)
        if not frame.flags & END_HEADERS or stream is None or first is None or first.stream_id not in self._streams:
            return
        for event in happened:
            if isinstance(event, (ResponseReceived, InformationalResponseReceived, TrailersReceived)):
                self._judge(first.stream_id, stream, self._decoder.fields, problem, events)
            elif isinstance(event, H2Ended) and first.stream_id in self._streams:
                trailers = self._decoder.fields if self._decoder.trailers else []
                self._ended(first.stream_id, stream, trailers, events)
            elif isinstance(event, StreamReset):
                self._translate(event, events)

    def _judge(self, stream_id: int, stream: _Stream, fields: Fields, problem: str, events: list[Event]) -> None:
        try:
            if problem:
                raise Malformed(problem)
            if sum(len(name) + len(value) + 32 for name, value in fields) > MAX_HEADER_LIST_SIZE:
                raise Malformed(f"the header fields take more than {MAX_HEADER_LIST_SIZE} bytes")
            if stream.head_seen:
                check_fields(fields)
                return
            status, regular = split_status(fields)
            if is_interim(fields):
                stream.interim += 1
                if self._decoder.ends_stream:
                    raise Malformed("an interim response ended the stream")
                if stream.interim > MAX_INTERIM:
                    raise Malformed(f"more than {MAX_INTERIM} interim (1xx) responses")
                return
            stream.declared = 0 if stream.head_request or status in _NO_BODY else content_length(regular)
            stream.head_seen = True
            events.append(HeadReceived(stream_id, ResponseHead(status, regular)))
        except Malformed as exc:
            self._malformed(stream_id, str(exc), events)

    def _ended(self, stream_id: int, stream: _Stream, trailers: Fields, events: list[Event]) -> None:
        if stream.declared is not None and stream.received < stream.declared:
            message = f"the body ended after {stream.received} of {stream.declared} bytes (content-length)"
            self._malformed(stream_id, message, events)
            return
        stream.remote_done = True
        if stream.local_done:
            del self._streams[stream_id]
        events.append(ResponseEnded(stream_id, trailers))

    # SETTINGS, GOAWAY

    def _take_settings(self, frame: Frame, events: list[Event]) -> None:
        if frame.flags & ACK:
            self._settings_unacked -= 1
            if self._settings_unacked < 0:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "SETTINGS were acknowledged that were never sent")
        for event in self._h2.receive_data(frame.raw):
            if isinstance(event, RemoteSettingsChanged):
                self._max_streams = self._declared_streams()
                events.append(CapacityChanged())
                events.append(WindowOpened(0))  # INITIAL_WINDOW_SIZE may have changed: uploaders must look again

    def _declared_streams(self) -> float:
        # RFC 9113 section 6.5.2: initially there is no limit to this value. h2 says 2**32 + 1 for that.
        declared = self._h2.remote_settings.max_concurrent_streams
        return declared if declared < 2**32 else inf

    def _take_goaway(self, frame: Frame, events: list[Event]) -> None:
        payload = frame.payload
        if frame.stream_id:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"GOAWAY on stream {frame.stream_id}")
        if len(payload) < 8:
            raise FrameViolation(ErrorCodes.FRAME_SIZE_ERROR, f"GOAWAY of {len(payload)} bytes")
        last_id = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        code = int.from_bytes(payload[4:8], "big")
        debug = payload[8:264]
        if self._goaway is not None:
            if last_id > self._goaway[0]:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "a second GOAWAY raised the last stream id")
            debug = self._goaway[2] or debug
            code = code or self._goaway[1]
        self._goaway = (last_id, code, debug)
        for stream_id in [number for number in self._streams if number > last_id]:
            self._streams.pop(stream_id)
            events.append(StreamFailed(stream_id, self._refused_by_goaway(stream_id)))
        events.append(CapacityChanged())

    def _refused_by_goaway(self, stream_id: int) -> TransportError:
        return RemoteProtocolError(
            f"{self._origin} is closing the connection{self._goaway_text()} and did not process stream {stream_id}",
            unprocessed=True,
        )

    def _goaway_text(self) -> str:
        if self._goaway is None:
            return ""
        last_id, code, debug = self._goaway
        said = f", {debug!r}" if debug else ""
        return f" (GOAWAY {_code_name(code)}, last stream {last_id}{said})"

    # -- ends ------------------------------------------------------------------------------------------------

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        del self._streams[stream_id]
        self._h2.reset_stream(stream_id, code)

    def _reset_by_peer(self, stream_id: int, code: int, remote: bool, events: list[Event]) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        if stream.remote_done:  # the answer is whole: RFC 9113 section 8.1 lets a server reset the rest of an upload
            return
        who = f"{self._origin} reset stream {stream_id} with {_code_name(code)}"
        if not remote:
            who = f"stream {stream_id} of {self._origin} broke the protocol ({_code_name(code)})"
        events.append(
            StreamFailed(
                stream_id,
                RemoteProtocolError(
                    who,
                    unprocessed=remote and code == ErrorCodes.REFUSED_STREAM,
                    http11_required=remote and code == ErrorCodes.HTTP_1_1_REQUIRED,
                ),
            )
        )

    def _malformed(self, stream_id: int, message: str, events: list[Event]) -> None:
        """End a stream whose response is malformed (RFC 9113 section 8.1.1: a stream error of PROTOCOL_ERROR)."""
        self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
        events.append(StreamFailed(stream_id, RemoteProtocolError(f"malformed response from {self._origin}: {message}")))

    def _fail(self, code: ErrorCodes, message: str) -> ConnectionFailed:
        """Queue GOAWAY with this code and end the connection."""
        self._h2.close_connection(code, last_stream_id=0)
        return self._failed(message, None)

    def _failed(self, message: str, cause: Exception | None) -> ConnectionFailed:
        self._broken = True
        error = RemoteProtocolError(f"{self._origin} broke HTTP/2, the connection is closed: {message}")
        error.__cause__ = cause
        return ConnectionFailed(error)

    def _disconnected(self) -> TransportError:
        if self._goaway is not None and self._goaway[1]:
            return RemoteProtocolError(f"{self._origin} closed the connection{self._goaway_text()}")
        return ServerDisconnected(f"{self._origin} closed the connection{self._goaway_text()} before the response ended")


def _code_name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"code {code:#x}"

