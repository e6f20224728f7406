"""HTTP/1.1 for a client: h11's state machine, in the words that HTTP/2 uses too.

One stream at a time.  Plain requests and responses are handled without h11 (plain.py), which is called in as soon as
one is not.  What h11 leaves open is decided here: a connection with bytes after its response, with both
Content-Length and Transfer-Encoding, or with an unfinished upload is not used again, and interim responses are counted.
"""

from __future__ import annotations

from time import monotonic

import h11

from greenh2._errors import LocalProtocolError, RemoteProtocolError, ServerDisconnected, TransportError
from greenh2._protocol.events import (
    LONGEST_TURN,
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
from greenh2._protocol.plain import MAX_FIELD_LINES, MAX_HEAD, PlainRequests, plain_response

MAX_INTERIM = 50
#: What chunks may be wrapped in, beyond so many bytes for each of them, and three for each byte of the body (bytes):
#: extensions are read, and nobody hears of them (CVE-2023-39326).
MAX_WRAPPING = 256 * 1024
_CHUNK = 64
#: What the user may leave unread before reading from the network pauses (bytes).
READ_AHEAD = 256 * 1024
_PIECE = 64 * 1024


class Http1Protocol:
    """One HTTP/1.1 connection of a client, without its socket."""

    name = "HTTP/1.1"
    multiplexed = False
    greeting = False
    farewell = ""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        #: For the present exchange, where that is not plain.
        self._h11: h11.Connection
        self._requests = PlainRequests()
        #: The request whose answer is expected to be plain, and what is missing of its body once the head is there.
        self._plain: RequestHead | None = None
        self._missing: int | None = None
        self._stream = 0
        self._out: list[bytes] = []
        self._retired = False
        self._broken = False
        self._started = False
        self._sending = False
        self._answered = False
        self._interim = 0
        self._unread = 0
        self._wrapping = 0
        self.backlog = False

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
        if self._stream and (self._sending or not self._answered):
            self._retired = True
            raise LocalProtocolError(f"a request to {self._origin} is open on this connection already")
        plain = self._requests.write(head) if end else None
        if plain is None:
            machine = _new_h11()
            self._out.append(self._begin(machine, head, end=end))
            self._h11 = machine
        else:
            self._out.append(plain)
        self._plain = None if plain is None else head
        self._missing = None
        self._stream += 1
        self._started = self._answered = False
        self._sending = not end
        self._interim = self._unread = self._wrapping = 0
        return self._stream

    def _begin(self, machine: h11.Connection, head: RequestHead, *, end: bool) -> bytes:
        try:
            request = h11.Request(method=head.method, target=head.target, headers=head.fields)
            said = machine.send(request) or b""
            return said + (machine.send(h11.EndOfMessage()) or b"") if end else said
        except h11.LocalProtocolError as exc:
            raise LocalProtocolError(f"the request to {self._origin} cannot be sent: {exc}") from exc

    def begun(self, stream_id: int) -> bool:
        return self._started and stream_id == self._stream

    def arriving(self, stream_id: int, *, more: bool) -> bool:
        return stream_id == self._stream

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

    @property
    def unsaid(self) -> bool:
        return bool(self._out)

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
        if self._plain is not None:
            rest = self._take_plain_head(data, events) if self._missing is None else data
            if rest is None:
                self._call_in_h11(self._plain)
            elif data:
                self._take_plain(rest, events)
                return events
            else:
                self._fail(self._disconnected(), events)
                return events
        self._wrapping += len(data)
        try:
            self._h11.receive_data(data)
        except h11.RemoteProtocolError as exc:
            self._fail(self._error(data, exc), events)
        else:
            self._take_what_is_there(data, events)
        return events

    def _take_plain_head(self, data: bytes, events: list[Event]) -> bytes | None:
        """Take a plain head and return what came behind it; None when it is not plain, or not whole."""
        plain = plain_response(data)
        if plain is None:
            return None
        head, self._missing, end = plain
        events.append(HeadReceived(self._stream, head))
        return data[end:]

    def _take_plain(self, data: bytes, events: list[Event]) -> None:
        """Take a piece of a body whose length is known."""
        assert self._missing is not None
        piece = data[: self._missing]
        self._missing -= len(piece)
        if piece:
            self._unread += len(piece)
            events.append(DataReceived(self._stream, piece, len(piece)))
        if not self._missing:
            self._answered = True
            self._retired = self._retired or len(data) > len(piece)  # bytes that nobody asked for
            events += [ResponseEnded(self._stream), CapacityChanged()]

    def _call_in_h11(self, head: RequestHead) -> None:
        """Let h11 have the response to a request that has left without it."""
        self._plain = None
        self._h11 = _new_h11()
        self._begin(self._h11, head, end=True)

    def receive_more(self) -> list[Event]:
        events: list[Event] = []
        self.backlog = self.backlog and not self._broken
        if self.backlog:
            self._take_what_is_there(b"more", events)
        return events

    def _take_what_is_there(self, data: bytes, events: list[Event]) -> None:
        """Take from h11 as much as one turn allows."""
        self.backlog = False
        end = monotonic() + LONGEST_TURN
        try:
            while self._take(self._h11.next_event(), events):
                if monotonic() > end:
                    self.backlog = True
                    return
            if self._wrapping > MAX_WRAPPING and self._h11.their_state is h11.SEND_BODY:
                raise h11.RemoteProtocolError("its chunks are wrapped in far more than they hold")
        except h11.RemoteProtocolError as exc:
            self._fail(self._error(data, exc), events)

    def _take(self, event: object, events: list[Event]) -> bool:
        """Translate one event of h11; False when it has no more for now."""
        match event:
            case h11.Data(data=data):
                self._unread += len(data)
                self._wrapping -= _CHUNK + 3 * len(data)
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
        self._wrapping = 0
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
        events.append(CapacityChanged())

    def _take_unasked(self, data: bytes, events: list[Event]) -> None:
        """Bytes or the end between two responses: nothing that a next request may be answered with."""
        what = f"sent {len(data)} bytes that nobody asked for" if data else "closed the idle connection"
        self._fail(ServerDisconnected(f"{self._origin} {what}"), events)

    def _error(self, data: bytes, exc: h11.RemoteProtocolError) -> TransportError:
        if data:
            error: TransportError = RemoteProtocolError(f"{self._origin} broke HTTP/1.1: {exc}")
        else:
            error = self._disconnected()
        error.__cause__ = exc
        return error

    def _disconnected(self) -> ServerDisconnected:
        when = "before the response ended" if self._started else "without sending a response"
        error = ServerDisconnected(f"{self._origin} closed the connection {when}")
        error.partial = self._started
        return error

    def _fail(self, error: TransportError, events: list[Event]) -> None:
        self._retired = self._broken = True
        self._sending = False
        events.append(ConnectionFailed(error))


def _new_h11() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)


def _bounded(message: h11.Response | h11.EndOfMessage) -> Fields:
    """Return the field lines as they were sent; h11 bounds them only while they are incomplete."""
    fields: Fields = message.headers.raw_items()
    if len(fields) > MAX_FIELD_LINES or sum(len(name) + len(value) for name, value in fields) > MAX_HEAD:
        raise h11.RemoteProtocolError(f"{len(fields)} field lines, or more than {MAX_HEAD} bytes of them")
    return fields
