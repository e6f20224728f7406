"""What an origin is told (Options) and what it has seen (ConnectionRecord, RequestRecord), as JSON values."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Options:
    """How an origin behaves. Times are seconds."""

    alpn: tuple[str, ...] = ("h2",)
    """What it speaks: offered by ALPN, or on plain TCP recognised by the first bytes."""
    tls: bool = True
    certificate: str = ""
    """A PEM file with key and chain."""
    client_ca: str = ""
    """A PEM file: when given, clients must show a certificate issued by it."""
    max_concurrent_streams: int | None = 100
    """None: not advertised at all."""
    initial_window_size: int | None = None
    max_frame_size: int | None = None
    idle_close: float | None = None
    """Close a connection that had no open stream for so long."""
    idle_goaway: bool = True
    """Say GOAWAY before an idle close."""
    refuse_streams: int = 0
    """The first so many streams, over all connections, get RST_STREAM(REFUSED_STREAM)."""
    keepalive_requests: int | None = None
    """After so many requests: GOAWAY naming the last of them (HTTP/1.1: Connection: close)."""
    handshake_delay: float = 0.0
    """Sit on an accepted connection for so long before TLS, or before the first byte is read."""


@dataclass(kw_only=True)
class ConnectionRecord:
    """One connection as the origin saw it. Times are time.monotonic(), which all processes here share."""

    id: int
    opened: float
    closed: float | None = None
    closed_by: str = ""
    """"peer" or "origin", once closed."""
    protocol: str = ""
    """"h2", "http/1.1", or nothing while that is not settled."""
    tls_version: str = ""
    client_certificate: str = ""
    """The common or alternative name in the client's certificate, if it showed one."""
    streams: int = 0
    """Requests that began on it."""
    open_streams: int = 0
    most_open_streams: int = 0
    resets: list[int] = field(default_factory=list)
    """The code of every RST_STREAM received."""
    goaway: int | None = None
    """The code of the GOAWAY received."""
    pings: int = 0
    settings: dict[str, int] = field(default_factory=dict)
    """What the client said in its SETTINGS, by the names of RFC 9113."""
    error: str = ""
    """What went wrong on the origin's side, if anything did."""


@dataclass(kw_only=True)
class RequestRecord:
    """One request as the origin saw it."""

    connection: int
    stream_id: int
    """1, 2, 3 ... on HTTP/1.1."""
    method: str
    path: str
    scheme: str
    authority: str
    headers: list[tuple[str, str]]
    """Without pseudo-headers, in order, names as they came."""
    received: float
    body_length: int = 0
    body_sha256: str = ""
    body_complete: bool = False
    trailers: list[tuple[str, str]] = field(default_factory=list)
    outcome: str = ""
    """Nothing yet, or answered, reset, closed, refused, ignored (above the last id of a GOAWAY), lost."""
