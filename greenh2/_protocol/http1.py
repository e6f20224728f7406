"""HTTP/1.1 for a client: h11's state machine, in the words that HTTP/2 uses too.

One stream at a time.  What h11 leaves open is decided here: a connection with bytes after its response, with both
Content-Length and Transfer-Encoding, or with an unfinished upload is not used again, and interim responses are counted.
"""

from __future__ import annotations

import h11

from greenh2._errors import LocalProtocolError, RemoteProtocolError, ServerDisconnected, TransportError
from greenh2._protocol.events import (
    CapacityChanged,
    ConnectionFailed,
    DataReceived,
    Event,
    Fields,
    HeadReceived,
    RequestHead,
    ResponseEnded,
    ResponseHead,
)

#: The most that a response's head may take (bytes).
MAX_HEAD = 128 * 1024
MAX_FIELD_LINES = 1000
MAX_INTERIM = 50
#: What the user may leave unread before reading from the network pauses (bytes).
READ_AHEAD = 256 * 1024
_PIECE = 64 * 1024


class Http1Protocol:
    """One HTTP/1.1 connection of a client, without its socket."""

    name = "HTTP/1.1"
    multiplexed = False
    greeting = False
    backlog = False

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._stream = 0
        self._out: list[bytes] = []
        self._retired = False
        self._broken = False
        self._started = False
        self._sending = False
        self._answered = False
        self._interim = 0
        self._unread = 0

    @property
    def streams_allowed(self) -> float:
        return 1

    @property
    def retired(self) -> bool:
        return self._retired

    @property
    def wants_data(self) -> bool:
        return self._unread < READ_AHEAD

    # -- sending ---------------------------------------------------------------------------------------------

    def open(self, head: RequestHead, *, end: bool) -> int:
        try:
            request = h11.Request(method=head.method, target=head.target, headers=head.fields)
            self._out.append(self._h11.send(request) or b"")
        except h11.LocalProtocolError as exc:
            self._retired = self._retired or self._h11.our_state is h11.ERROR
            raise LocalProtocolError(f"the request to {self._origin} cannot be sent: {exc}") from exc
        self._stream += 1
        self._started = self._answered = False
        self._sending = True
        self._interim = self._unread = 0
        if end:
            self._end_request()
        return self._stream

    def sendable(self, stream_id: int) -> int:
        return _PIECE if self._sending and stream_id == self._stream else 0

    def send(self, stream_id: int, data: bytes | memoryview, *, end: bool) -> None:
        if not self.sendable(stream_id):
            return
        try:
            if data:
                self._out.append(self._h11.send(h11.Data(data=bytes(data))) or b"")
            if end:
                self._end_request()
        except h11.LocalProtocolError as exc:
            self._retired = True
            raise LocalProtocolError(
                f"the body of the request to {self._origin} does not fit its Content-Length: {exc}"
            ) from exc

    def _end_request(self) -> None:
        self._out.append(self._h11.send(h11.EndOfMessage()) or b"")
        self._sending = False
        if self._answered:
            self._next_cycle()

    def stop_sending(self, stream_id: int) -> None:
        if stream_id == self._stream and self._sending:
            self._sending = False
            self._retired = True  # the server still counts on bytes that will never come

    def cancel(self, stream_id: int) -> None:
        if stream_id == self._stream and not (self._answered and not self._sending):
            self._retired = self._broken = True
            self._sending = False

    def consumed(self, stream_id: int, cost: int) -> None:
        if stream_id == self._stream:
            self._unread -= cost

    def ping(self, payload: bytes) -> None:
        """Do nothing: HTTP/1.1 has no such question."""

    def shutdown(self) -> None:
        self._retired = True

    def outgoing(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out

    # -- receiving -------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._broken:
            return events
        if self._answered or not self._stream:
            self._take_unasked(data, events)
            return events
        if data:
            self._started = True
        try:
            self._h11.receive_data(data)
            while self._take(self._h11.next_event(), events):
                pass
        except h11.RemoteProtocolError as exc:
            self._fail(self._error(data, exc), events)
        return events

    def receive_more(self) -> list[Event]:
        """Return nothing: all that arrives is taken at once."""
        return []

    def _take(self, event: object, events: list[Event]) -> bool:
        """Translate one event of h11; False when it has no more for now."""
        match event:
            case h11.Data(data=data):
                self._unread += len(data)
                events.append(DataReceived(self._stream, bytes(data), len(data)))
            case h11.Response():
                self._take_head(event, events)
            case h11.InformationalResponse(status_code=status):
                self._interim += 1
                if status == 101:
                    raise h11.RemoteProtocolError("the server switched to another protocol unasked")
                if self._interim > MAX_INTERIM:
                    raise h11.RemoteProtocolError(f"more than {MAX_INTERIM} interim (1xx) responses")
            case h11.EndOfMessage():
                events.append(ResponseEnded(self._stream, _bounded(event)))
                self._answered = True
                self._finish(events)
                return False
            case _:  # NEED_DATA, PAUSED, ConnectionClosed
                return False
        return True

    def _take_head(self, response: h11.Response, events: list[Event]) -> None:
        if not response.http_version.startswith(b"1."):
            raise h11.RemoteProtocolError(f"its version is {response.http_version!r}")
        fields = _bounded(response)
        names = {name for name, _ in response.headers}
        if b"content-length" in names and b"transfer-encoding" in names:
            # RFC 9112 section 6.3: somebody may be smuggling. This answer is read, and no other after it.
            self._retired = True
        version = b"HTTP/" + response.http_version
        events.append(
            HeadReceived(self._stream, ResponseHead(response.status_code, fields, response.reason, version))
        )

    def _finish(self, events: list[Event]) -> None:
        # Not DONE: Connection: close, or HTTP/1.0. Trailing: bytes that nobody asked for, or the connection's end.
        if self._h11.their_state is not h11.DONE or any(self._h11.trailing_data):
            self._retired = True
        if not self._sending:
            self._next_cycle()
        events.append(CapacityChanged())

    def _next_cycle(self) -> None:
        if not self._retired:
            self._h11.start_next_cycle()

    def _take_unasked(self, data: bytes, events: list[Event]) -> None:
        """Bytes or the end between two responses: nothing that a next request may be answered with."""
        what = f"sent {len(data)} bytes that nobody asked for" if data else "closed the idle connection"
        self._fail(ServerDisconnected(f"{self._origin} {what}"), events)

    def _error(self, data: bytes, exc: h11.RemoteProtocolError) -> TransportError:
        if data:
            error: TransportError = RemoteProtocolError(f"{self._origin} broke HTTP/1.1: {exc}")
        elif not self._started:
            error = ServerDisconnected(f"{self._origin} closed the connection without sending a response")
        else:
            error = ServerDisconnected(f"{self._origin} closed the connection before the response ended")
        error.__cause__ = exc
        return error

    def _fail(self, error: TransportError, events: list[Event]) -> None:
        self._retired = self._broken = True
        self._sending = False
        events.append(ConnectionFailed(error))


def _bounded(message: h11.Response | h11.EndOfMessage) -> Fields:
    """Return the field lines as they were sent; h11 bounds them only while they are incomplete."""
    fields: Fields = message.headers.raw_items()
    if len(fields) > MAX_FIELD_LINES or sum(len(name) + len(value) for name, value in fields) > MAX_HEAD:
        raise h11.RemoteProtocolError(f"{len(fields)} field lines, or more than {MAX_HEAD} bytes of them")
    return fields
