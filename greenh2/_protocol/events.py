"""The words in which the two protocols tell what arrived, and in which they are told what to send.

One vocabulary serves HTTP/1.1 and HTTP/2.  A stream is one request with its response; HTTP/1.1 numbers them
1, 2, 3 ... on a connection, one at a time.
"""

from __future__ import annotations

from typing import Protocol as Interface

from greenh2._errors import TransportError

#: How long a protocol takes what has arrived at one go (seconds): a turn of the loop belongs to others too.
LONGEST_TURN = 0.005
#: Field lines in order, duplicates kept, names as they were received or given.
Fields = list[tuple[bytes, bytes]]


class _Told:
    """What all of these have in common: those that say the same are equal."""

    __slots__ = ()

    def _all(self) -> tuple[object, ...]:
        names: tuple[str, ...] = self.__slots__
        return tuple(getattr(self, name) for name in names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Told) and type(other) is type(self) and self._all() == other._all()

    __hash__ = None  # type: ignore[assignment]  # they can be changed

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._all()!r}"


class RequestHead(_Told):
    """All of a request but its body.  ``fields`` holds Host, as given by the model."""

    __slots__ = ("authority", "expects_body", "fields", "method", "scheme", "target")

    def __init__(
        self,
        method: bytes,
        scheme: bytes,
        authority: bytes,
        target: bytes,
        fields: Fields,
        expects_body: bool = False,
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.target = target
        self.fields = fields
        self.expects_body = expects_body


class ResponseHead(_Told):
    """The final status and fields of a response (1xx are never delivered)."""

    __slots__ = ("fields", "http_version", "reason", "status")

    def __init__(
        self, status: int, fields: Fields, reason: bytes = b"", http_version: bytes = b"HTTP/2"
    ) -> None:
        self.status = status
        self.fields = fields
        self.reason = reason
        self.http_version = http_version


class HeadReceived(_Told):
    """The final head of a response."""

    __slots__ = ("head", "stream_id")

    def __init__(self, stream_id: int, head: ResponseHead) -> None:
        self.stream_id = stream_id
        self.head = head


class InterimReceived(_Told):
    """An interim response (1xx) has arrived over HTTP/2; over HTTP/1.1 the bytes alone tell."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


class DataReceived(_Told):
    """A piece of a body; ``cost`` is what it took from the flow-control window, padding included."""

    __slots__ = ("cost", "data", "stream_id")

    def __init__(self, stream_id: int, data: bytes, cost: int) -> None:
        self.stream_id = stream_id
        self.data = data
        self.cost = cost


class ResponseEnded(_Told):
    """The response is whole."""

    __slots__ = ("stream_id", "trailers")

    def __init__(self, stream_id: int, trailers: Fields | None = None) -> None:
        self.stream_id = stream_id
        self.trailers: Fields = [] if trailers is None else trailers


class StreamFailed(_Told):
    """This stream is over, its siblings are not."""

    __slots__ = ("error", "stream_id")

    def __init__(self, stream_id: int, error: TransportError) -> None:
        self.stream_id = stream_id
        self.error = error


class WindowOpened(_Told):
    """More of the request's body may be sent; stream 0 means: on every stream."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


class CapacityChanged(_Told):
    """More or fewer streams may be opened than before, or none any more."""

    __slots__ = ()


class PingAnswered(_Told):
    """The peer has answered a PING with these bytes."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


class ConnectionFailed(_Told):
    """The whole connection is over.  Always the last event; what is to be told to the peer is in the output."""

    __slots__ = ("error",)

    def __init__(self, error: TransportError) -> None:
        self.error = error


Event = (
    HeadReceived
    | InterimReceived
    | DataReceived
    | ResponseEnded
    | StreamFailed
    | WindowOpened
    | CapacityChanged
    | PingAnswered
    | ConnectionFailed
)


class Protocol(Interface):
    """What a connection needs of either protocol."""

    #: "HTTP/2" or "HTTP/1.1", for people.
    name: str
    #: Whether several streams may be open at once.
    multiplexed: bool
    #: Whether `receive` left something to be taken by `receive_more`, so that others get their turn.
    backlog: bool

    @property
    def streams_allowed(self) -> float:
        """How many streams may be open at once at this moment (``inf`` = no bound)."""

    @property
    def greeting(self) -> bool:
        """Whether the peer has yet to say how many streams it allows."""

    @property
    def retired(self) -> bool:
        """Whether no stream may be opened on this connection ever again."""

    @property
    def farewell(self) -> str:
        """What the peer gave as the reason why it ends, for messages; empty when it said nothing."""

    @property
    def wants_data(self) -> bool:
        """Whether reading from the network should go on (False: the user is behind)."""

    def open(self, head: RequestHead, *, end: bool) -> int:
        """Queue a request's head and return the stream's number; LocalProtocolError leaves no trace.

        To be called only while `retired` is False and fewer streams than `streams_allowed` are open.
        """

    def begun(self, stream_id: int) -> bool:
        """Whether anything of the answer has arrived, also after the connection has failed; False before `open`."""

    def arriving(self, stream_id: int, *, more: bool) -> bool:
        """Whether the bytes that came last may be a part of what this stream waits for.

        ``more``: others came behind them that cannot be read yet, a part of a record of TLS.
        """

    def sendable(self, stream_id: int) -> int:
        """Return how many bytes of body may be sent now."""

    def send(self, stream_id: int, data: bytes | memoryview, *, end: bool) -> None:
        """Queue a piece of the body, at most `sendable` bytes; dropped if the stream is over."""

    def stop_sending(self, stream_id: int) -> None:
        """Give up the rest of the request's body, because the answer is already there."""

    def cancel(self, stream_id: int) -> None:
        """End a stream early; what still arrives for it is dropped."""

    def consumed(self, stream_id: int, cost: int) -> None:
        """Say that the user has taken data that cost this much."""

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the network, ``b""`` for its end, and return what they mean."""

    def receive_more(self) -> list[Event]:
        """Go on with what has arrived, where `backlog` says that not all of it has been taken yet."""

    def ping(self, payload: bytes) -> None:
        """Queue a question to which the peer must answer, where the protocol has one."""

    def shutdown(self) -> None:
        """Queue the goodbye that the protocol has (GOAWAY)."""

    @property
    def unsaid(self) -> bool:
        """Whether a stream, or an answer to the peer, has put something into `outgoing`."""

    def outgoing(self) -> bytes:
        """Return what is to be written, once."""
