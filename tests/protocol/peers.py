"""Two servers in memory for Http2Protocol: a real one (h2), and one that writes whatever frames it is told to."""

from __future__ import annotations

from typing import TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event as ServerEvent
from h2.settings import SettingCodes, Settings
from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from greenh2._errors import TransportError
from greenh2._protocol.events import ConnectionFailed, Event, Protocol, RequestHead, StreamFailed
from greenh2._protocol.http2 import Http2Protocol

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = RequestHead(b"GET", b"https", b"example.org", b"/", [(b"Host", b"example.org")])
HEAD = RequestHead(b"HEAD", b"https", b"example.org", b"/", [(b"Host", b"example.org")])
POST = RequestHead(b"POST", b"https", b"example.org", b"/", [(b"Host", b"example.org")], expects_body=True)

AnyFrame = TypeVar("AnyFrame", bound=Frame)
AnyEvent = TypeVar("AnyEvent", bound=ServerEvent)


def receive(client: Protocol, portion: bytes) -> list[Event]:
    """Let a client take a portion of bytes to its end, however many goes that takes."""
    events = client.receive(portion)
    while client.backlog:
        events += client.receive_more()
    return events


class Talk:
    """An Http2Protocol and a stock h2 server, which talk until neither has more to say."""

    def __init__(self, settings: dict[SettingCodes, int] | None = None) -> None:
        self.client = Http2Protocol("https://example.org")
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.server.local_settings = Settings(client=False, initial_values=settings or {})
        self.server.initiate_connection()
        self.seen: list[ServerEvent] = []
        self.greeting = self.carry()

    def carry(self) -> list[Event]:
        """Carry bytes both ways until all is said, and return what the client made of them."""
        events: list[Event] = []
        while True:
            up, down = self.client.outgoing(), self.server.data_to_send()
            if not up and not down:
                return events
            self.seen += self.server.receive_data(up)
            if down:
                events += receive(self.client, down)

    def open(self, head: RequestHead = GET, *, end: bool = True) -> int:
        """Open a stream and let the server know."""
        stream_id = self.client.open(head, end=end)
        self.carry()
        return stream_id

    def answer(self, stream_id: int, *fields: tuple[bytes, bytes], end: bool = False) -> list[Event]:
        """Let the server send 200 with these fields."""
        self.server.send_headers(stream_id, [(b":status", b"200"), *fields], end_stream=end)
        return self.carry()

    def saw(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        """Return what the server has seen of a kind."""
        return [event for event in self.seen if isinstance(event, kind)]


class Script:
    """An Http2Protocol against a server that says what the test says; each method sends and returns the events."""

    def __init__(self, *, greeted: bool = True) -> None:
        self.client = Http2Protocol("https://example.org")
        self._encoder = Encoder()
        self._unparsed = b""
        if greeted:
            self.say(SettingsFrame(0))
            self.said()

    def open(self, head: RequestHead = GET, *, end: bool = True) -> int:
        stream_id = self.client.open(head, end=end)
        self.said()
        return stream_id

    def say(self, *frames: Frame | bytes) -> list[Event]:
        """Send frames in one portion."""
        return receive(
            self.client,
            b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames),
        )

    def block(self, *fields: tuple[bytes, bytes]) -> bytes:
        """Encode a field section; each must be sent, in order."""
        return self._encoder.encode(fields)

    def headers(self, stream_id: int, *fields: tuple[bytes, bytes], end: bool = False) -> HeadersFrame:
        """Make a HEADERS frame of these fields, as they are."""
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream_id, self.block(*fields), flags=flags)

    def ok(self, stream_id: int, *fields: tuple[bytes, bytes], end: bool = False) -> HeadersFrame:
        """Make the head of a response with status 200."""
        return self.headers(stream_id, (b":status", b"200"), *fields, end=end)

    def said(self) -> list[Frame]:
        """Return the frames that the client has queued since the last time."""
        return parse(self.client.outgoing())

    def resets(self) -> list[tuple[int, ErrorCodes]]:
        """Return the streams that the client has reset since the last look, and why."""
        return [
            (frame.stream_id, ErrorCodes(frame.error_code)) for frame in only(self.said(), RstStreamFrame)
        ]

    def goaways(self) -> list[ErrorCodes]:
        """Return the codes with which the client has ended the connection since the last look."""
        return [ErrorCodes(frame.error_code) for frame in only(self.said(), GoAwayFrame)]


def data(stream_id: int, content: bytes = b"", *, end: bool = False, padding: int | None = None) -> DataFrame:
    """Make a DATA frame."""
    flags = (["END_STREAM"] if end else []) + (["PADDED"] if padding is not None else [])
    return DataFrame(stream_id, content, pad_length=padding or 0, flags=flags)


def parse(wire: bytes) -> list[Frame]:
    """Take a client's bytes apart."""
    wire = wire.removeprefix(PREFACE)
    frames: list[Frame] = []
    while wire:
        frame, length = Frame.parse_frame_header(memoryview(wire[:9]))
        frame.parse_body(memoryview(wire[9 : 9 + length]))
        frames.append(frame)
        wire = wire[9 + length :]
    return frames


def only(frames: list[Frame], kind: type[AnyFrame]) -> list[AnyFrame]:
    """Return the frames of a kind."""
    return [frame for frame in frames if isinstance(frame, kind)]


def failure(events: list[Event]) -> TransportError:
    """Return the error of the only failure among the events."""
    (error,) = [event.error for event in events if isinstance(event, StreamFailed | ConnectionFailed)]
    return error


def connection_failure(events: list[Event]) -> TransportError:
    """Return why the connection failed, which must be the last event."""
    last = events[-1]
    assert isinstance(last, ConnectionFailed)
    return last.error


def stream_failure(events: list[Event], stream_id: int) -> TransportError:
    """Return why a stream failed, which must be all that happened to streams, and must not end the connection."""
    (failed,) = [event for event in events if isinstance(event, StreamFailed | ConnectionFailed)]
    assert isinstance(failed, StreamFailed)
    assert failed.stream_id == stream_id
    return failed.error
