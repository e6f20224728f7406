"""A Work is one job that every peer is given, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Get:
    """GET small bodies from many greenlets."""

    http2: bool = True
    greenlets: int = 64
    requests: int = 6_000
    size: int = 1_000
    origins: int = 1
    connections: int | None = None
    """How many connections the pool is bounded to; None leaves each client's own default."""
    one_stream: bool = False
    fields: int = 0
    """How many further header fields the request carries, and the response too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """GET one large body, streamed."""

    http2: bool = True
    megabytes: int = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """PUT one large file, or POST as much out of memory."""

    http2: bool = True
    megabytes: int = 100
    in_memory: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Idle:
    """Open many connections, then leave them idle."""

    http2: bool = True
    connections: int = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """Import the client in a new interpreter that has imported gevent."""

    times: int = 7


Task = Get | Download | Upload | Idle | Import
_TASKS: Final[dict[str, type[Task]]] = {kind.__name__: kind for kind in (Get, Download, Upload, Idle, Import)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A task under a name."""

    name: str
    title: str
    task: Task
    figure: str
    """The figure of a round that the ratio to greenh2 is taken of: a name out of FIGURES."""
    axis: str = ""
    """What grows, in a series; "" for a work that stands alone."""
    at: int = 0
    """How large it has grown here."""
    once: bool = False
    """Whether one round tells as much as many."""


FIGURES: Final = {
    "cpu_us": "CPU, us/request",
    "cpu_ms": "CPU, ms",
    "requests_per_second": "requests/s",
    "under_way": "under way",
    "megabytes_per_second": "MB/s",
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "p99_ms": "p99, ms",
    "import_ms": "import, ms",
    "each_kb": "kB/connection",
    "open_ms": "CPU to open, ms",
    "connections": "connections",
    "peak_mb": "peak, MB",
}
"""Every figure that a round can have, and what a column of them is called."""


def works(
    *, requests: int | None = None, megabytes: int | None = None, connections: int | None = None
) -> list[Work]:
    """Return the works that stand alone, smaller or larger than usual if so asked."""
    found = []
    for protocol, http2 in (("h2", True), ("h1", False)):
        spoken = "HTTP/2" if http2 else "HTTP/1.1"
        for greenlets, usual in ((64, 6_000), (1, 2_000), (1_000, 10_000)):
            crowd = "1 greenlet" if greenlets == 1 else f"{greenlets:,} greenlets"
            get = Get(
                http2=http2,
                greenlets=greenlets,
                requests=max(requests or usual, greenlets),
                connections=None if http2 else max(greenlets, 100),
            )
            found.append(
                Work(
                    name=f"{protocol}-{greenlets}",
                    title=f"GET 1 kB, {spoken}, {crowd}",
                    task=get,
                    figure="p50_ms" if greenlets == 1 else "cpu_us",
                )
            )
    for origins in (1, 50):
        title = f"GET 1 kB, HTTP/2, 500 greenlets, max_connections=20, {origins} origin{'s' * (origins > 1)}"
        pressed = Get(greenlets=500, requests=requests or 10_000, origins=origins, connections=20)
        found.append(Work(name=f"origins-{origins}", title=title, task=pressed, figure="cpu_us"))
    size = megabytes or 100
    many = connections or 10_000
    found += [
        Work(
            name="download",
            title=f"{size} MB down, HTTP/2, streamed",
            task=Download(megabytes=size),
            figure="cpu_ms",
        ),
        Work(
            name="upload",
            title=f"{size} MB up, HTTP/2, from a file",
            task=Upload(megabytes=size),
            figure="cpu_ms",
        ),
        Work(
            name="upload-bytes",
            title=f"{size} MB up, HTTP/2, from memory",
            task=Upload(megabytes=size, in_memory=True),
            figure="cpu_ms",
        ),
        Work(
            name="idle-h2",
            title=f"{many:,} idle connections, HTTP/2",
            task=Idle(connections=many),
            figure="each_kb",
            once=True,
        ),
        Work(
            name="idle-h1",
            title=f"{many:,} idle connections, HTTP/1.1",
            task=Idle(http2=False, connections=many),
            figure="each_kb",
            once=True,
        ),
        Work(name="import", title="import, beyond gevent's own", task=Import(), figure="import_ms"),
    ]
    return found


AXES: Final = {
    "greenlets": "greenlets, GET 1 kB over HTTP/2",
    "origins": "origins, GET 1 kB over HTTP/2, 500 greenlets, a connection for each",
    "connections": "connections, GET 1 kB over HTTP/2, one stream and one greenlet on each",
    "bytes": "bytes of body, GET over HTTP/2, 64 greenlets",
    "fields": "header fields added to request and to response, GET 1 kB over HTTP/2, 64 greenlets",
}
"""What the series of `growth` let grow."""


def growth(*, requests: int | None = None) -> Iterator[Work]:
    """Yield the series: one work for each point."""
    usual = Get(requests=requests or 5_000)

    def point(axis: str, at: int, get: Get) -> Work:
        return Work(
            name=f"growth-{axis}-{at}",
            title=f"growth: {at:,} {axis}",
            task=get,
            figure="cpu_us",
            axis=axis,
            at=at,
        )

    for greenlets in (1, 4, 16, 64, 250, 1_000, 4_000, 10_000):
        enough = max(usual.requests, 3 * greenlets)
        yield point("greenlets", greenlets, replace(usual, greenlets=greenlets, requests=enough))
    for origins in (1, 2, 5, 10, 20, 50):
        yield point(
            "origins", origins, replace(usual, greenlets=500, origins=origins, connections=max(origins, 20))
        )
    for connections in (1, 10, 100, 1_000, 5_000):
        alone = replace(usual, greenlets=connections, connections=connections, one_stream=True)
        enough = max(usual.requests, 3 * connections)
        yield point("connections", connections, replace(alone, requests=enough))
    for size in (100, 1_000, 10_000, 100_000, 1_000_000):
        fewer = min(usual.requests, {100_000: 2_000, 1_000_000: 300}.get(size, usual.requests))
        yield point("bytes", size, replace(usual, size=size, requests=fewer))
    for fields in (0, 5, 10, 20, 50, 100):
        yield point("fields", fields, replace(usual, fields=fields))


def encode(task: Task) -> dict[str, Any]:
    """Return a task as what JSON can carry."""
    return {"kind": type(task).__name__, **asdict(task)}


def decode(encoded: dict[str, Any]) -> Task:
    """Return the task that was encoded."""
    rest = dict(encoded)
    return _TASKS[rest.pop("kind")](**rest)
