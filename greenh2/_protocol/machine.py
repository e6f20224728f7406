"""The machine: HTTP/2's connection as a whole, which is h2's: preface, SETTINGS, PING, GOAWAY, and the window for all.

It is shown no streams.  What h2 leaves open is decided here: acknowledgements that nobody asked for, and how many
frames may come that bring nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from struct import Struct
from time import monotonic

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event as H2Event
from h2.settings import SettingCodes, Settings
from hpack import Encoder

from greenh2._protocol.answer import MAX_HEADER_LIST_SIZE
from greenh2._protocol.frames import Frame, FrameType, FrameViolation, frame_bytes

#: What one unread response may hold (bytes); the window is given back as the user reads.
STREAM_WINDOW = 2 * 1024 * 1024
#: What all may hold together (bytes); given back on arrival, so that one slow reader never stalls its siblings.
CONNECTION_WINDOW = 16 * 1024 * 1024
#: RFC 9113 section 6.9.1 allows no larger one, of a stream or for all (bytes).
MAX_WINDOW = 2**31 - 1
#: Of what we take, and of DATA that we send, whatever the peer takes: so that streams take turns (bytes).
MAX_FRAME_SIZE = 64 * 1024
_DEFAULT_WINDOW = 65535
#: Streams opened before the server's SETTINGS have told how many it allows.  RFC 9113 section 6.5.2 sets no bound, but
#: a server that allows fewer than arrive may refuse them, or end the connection; the first request never waits.
INITIAL_STREAMS = 1
#: DATA sent before them (bytes).  RFC 9113 section 6.9.2 allows 65,535, and a server whose windows are smaller may end
#: the stream for it (nghttpd does), while most bodies are smaller than this.
INITIAL_DATA = 16 * 1024
#: Frames that bring nothing which may come between two of use, and in so many seconds: PING and SETTINGS make us queue
#: answers (CVE-2019-9512, -9515), and empty DATA, WINDOW_UPDATE, resets and the like cost time (CVE-2019-9518).
MAX_CHATTER = 10_000
CHATTER_SPAN = 10.0
_SETTING = Struct("!HL")
_KNOWN = frozenset(SettingCodes)


class Machine:
    """What a client and its peer have agreed on for a connection, and what is to be said about that."""

    def __init__(self, encoder: Encoder) -> None:
        self._h2 = _new_connection(encoder)
        self._receivable = CONNECTION_WINDOW
        self._unacknowledged = 1
        self._held_back = _DEFAULT_WINDOW - INITIAL_DATA
        self._chatter = 0
        self._chatter_since = monotonic()
        #: How many streams the peer allows at once.
        self.streams_allowed: float = INITIAL_STREAMS
        self._note_settings()

    def _note_settings(self) -> None:
        """Take down what each request asks for: h2 looks its settings up anew each time."""
        settings = self._h2.remote_settings
        #: What the peer takes on a new stream (bytes).
        self.initial_window = settings.initial_window_size
        #: What a request's fields may take (bytes, RFC 9113 section 6.5.2); None without bound.
        self.max_header_list_size = settings.max_header_list_size
        #: The largest frame that the peer takes (bytes).
        self.max_frame_size = settings.max_frame_size

    @property
    def sendable(self) -> int:
        """How much DATA may be sent now over all streams, and in one frame (bytes)."""
        window = self._h2.outbound_flow_control_window - self._held_back
        return min(window, self.max_frame_size, MAX_FRAME_SIZE)

    def sent(self, size: int) -> None:
        """Note that so much DATA is on its way."""
        self._h2.outbound_flow_control_window -= size
        self._chatter = 0

    def enlarged(self, increment: int) -> None:
        """Note that the peer takes so much more DATA over all streams.  Raises FrameViolation."""
        if not increment:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "the connection's window was enlarged by nothing")
        self._h2.outbound_flow_control_window += increment
        if self._h2.outbound_flow_control_window > MAX_WINDOW:
            raise FrameViolation(ErrorCodes.FLOW_CONTROL_ERROR, "the connection's window was made too large")

    def of_use(self) -> None:
        """Note that the peer has brought what was asked for, or was asked for more."""
        self._chatter = 0

    def count(self) -> None:
        """Count a frame.  Raises FrameViolation when too many have brought nothing."""
        self._chatter += 1
        if self._chatter > MAX_CHATTER:
            now = monotonic()
            if now - self._chatter_since < CHATTER_SPAN:
                raise FrameViolation(
                    ErrorCodes.ENHANCE_YOUR_CALM, "too many frames of no use, and nothing else"
                )
            self._chatter, self._chatter_since = 0, now

    def received(self, size: int) -> int:
        """Take so much out of the window for all; return by how much it is to grow now.  Raises FrameViolation."""
        self._receivable -= size
        if self._receivable < 0:
            raise FrameViolation(
                ErrorCodes.FLOW_CONTROL_ERROR, "more was sent than the connection's window allows"
            )
        if self._receivable > CONNECTION_WINDOW * 3 // 4:
            return 0
        increment, self._receivable = CONNECTION_WINDOW - self._receivable, CONNECTION_WINDOW
        return increment

    def take(self, frame: Frame) -> Iterator[H2Event]:
        """Take SETTINGS or PING and yield what that means.  Raises h2's ProtocolError."""
        if frame.kind == FrameType.SETTINGS:
            if (least := _least_table(frame.payload)) is not None:
                self._h2.encoder.header_table_size = least
            frame = frame._replace(payload=_known(frame.payload))
        yield from self._h2.receive_data(frame_bytes(*frame))
        if frame.kind == FrameType.SETTINGS:
            # RFC 9113 section 6.5.2: initially there is no limit to this value. h2 says 2**32 + 1 for that.
            declared = self._h2.remote_settings.max_concurrent_streams
            self.streams_allowed = declared if declared < 2**32 else inf
            self._held_back = 0
            self._note_settings()

    def take_acknowledgement(self, settings: Frame) -> None:
        """Take an acknowledgement of SETTINGS, of which h2 would take any number.  Raises FrameViolation."""
        if settings.stream_id:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"SETTINGS on stream {settings.stream_id}")
        if settings.payload:
            raise FrameViolation(ErrorCodes.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS has a payload")
        self._unacknowledged -= 1
        if self._unacknowledged < 0:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "SETTINGS were acknowledged that were never sent")

    def ping(self, payload: bytes) -> None:
        """Say PING with these 8 bytes."""
        self._h2.ping(payload)

    def end(self, code: ErrorCodes) -> None:
        """Say GOAWAY.  The server has opened no streams: its last is 0."""
        self._h2.close_connection(code, last_stream_id=0)

    def outgoing(self) -> bytes:
        """Return what is to be said, once."""
        return self._h2.data_to_send()


def _known(settings: bytes) -> bytes:
    """Return the settings that have a meaning, each once; RFC 9113 section 6.5.2: the others are ignored.

    h2 would keep all, in a hundred times their size, and take a second for what one frame may hold.
    """
    if len(settings) % _SETTING.size:
        return settings  # of which h2 says what is wrong
    known = {code: value for code, value in _SETTING.iter_unpack(settings) if code in _KNOWN}
    return b"".join([_SETTING.pack(code, value) for code, value in known.items()])


def _least_table(settings: bytes) -> int | None:
    """Return the least of the sizes that a table is given, which counts though it holds for a moment only.

    RFC 9113 section 6.5.3 has settings heeded in their order, and RFC 7541 section 4.2 has the least size told.
    """
    if len(settings) % _SETTING.size:
        return None
    sizes = [
        value for code, value in _SETTING.iter_unpack(settings) if code == SettingCodes.HEADER_TABLE_SIZE
    ]
    return min(sizes, default=None)


def _new_connection(encoder: Encoder) -> H2Connection:
    """Return h2's connection with preface, SETTINGS and WINDOW_UPDATE queued, which tells the encoder what may be."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    connection.encoder = encoder
    connection.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_SIZE,
        },
    )
    # To tell of the table's default size has nginx resize it in its first block, which is then like no other.
    del connection.local_settings[SettingCodes.HEADER_TABLE_SIZE]
    connection.max_inbound_frame_size = MAX_FRAME_SIZE
    connection.initiate_connection()
    connection.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)
    return connection
