"""What honest servers say: transcripts of answers, as lists of the pieces that mutation works on.

A transcript has a stage for each request that it answers; a stage is a list of frames, or of lines and chunks.
"""

import gzip
from collections.abc import Callable
from random import Random

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

Stage = list[bytes]
Transcript = list[Stage]
Field = tuple[str, str]

BODY = bytes(range(256)) * 5
PACKED = gzip.compress(BODY)


class Answers:
    """The frames of one HTTP/2 connection, whose header blocks share a table."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def block(self, *fields: Field) -> bytes:
        return self._encoder.encode(list(fields))

    def head(self, stream: int, *fields: Field, status: int = 200, end: bool = False) -> Frame:
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream, self.block((":status", str(status)), *fields), flags=flags)

    def body(self, stream: int, body: bytes = BODY, size: int = 500) -> list[Frame]:
        frames: list[Frame] = [
            DataFrame(stream, body[start : start + size]) for start in range(0, len(body), size)
        ]
        frames[-1].flags.add("END_STREAM")
        return frames

    def plain(self, stream: int) -> list[Frame]:
        return [self.head(stream, ("content-length", str(len(BODY)))), *self.body(stream)]


def wire(*stages: list[Frame]) -> Transcript:
    first, *rest = [[frame.serialize() for frame in stage] for stage in stages]
    return [[SettingsFrame(0, {3: 100, 4: 65535}).serialize(), *first], *rest]


def twice(random: Random) -> Transcript:
    it = Answers()
    return wire(it.plain(1), it.plain(3))


def interim(random: Random) -> Transcript:
    it = Answers()
    return wire([*[it.head(1, ("link", "</a>"), status=103) for _ in range(3)], *it.plain(1)])


def trailers(random: Random) -> Transcript:
    it = Answers()
    body = it.body(1)
    body[-1].flags.discard("END_STREAM")
    return wire(
        [it.head(1), *body, HeadersFrame(1, it.block(("x-sum", "1")), flags=["END_HEADERS", "END_STREAM"])]
    )


def packed(random: Random) -> Transcript:
    it = Answers()
    return wire([it.head(1, ("content-encoding", "gzip")), *it.body(1, PACKED, 10)])


def redirect(random: Random) -> Transcript:
    it = Answers()
    return wire([it.head(1, ("location", "/next"), status=302, end=True)], it.plain(3))


def leaving(random: Random) -> Transcript:
    it = Answers()
    frames = it.plain(1)
    frames.insert(
        random.randrange(len(frames)), GoAwayFrame(0, last_stream_id=random.choice([0, 1, 3, 2**31 - 1]))
    )
    return wire(frames, it.plain(3))


def reset(random: Random) -> Transcript:
    it = Answers()
    return wire([*it.plain(1)[:2], RstStreamFrame(1, error_code=random.randrange(14))], it.plain(3))


def talkative(random: Random) -> Transcript:
    it = Answers()
    frames = it.plain(1)
    words: list[Frame] = [
        PingFrame(0, b"12345678"),
        PingFrame(0, b"12345678", flags=["ACK"]),
        SettingsFrame(0, {1: random.choice([0, 100, 4096]), 4: 10, 5: 16384}),
        SettingsFrame(0, flags=["ACK"]),
        WindowUpdateFrame(0, 1000),
        WindowUpdateFrame(1, 1000),
        PriorityFrame(1, stream_weight=3),
    ]
    for word in random.sample(words, 4):
        frames.insert(random.randrange(len(frames)), word)
    return wire(frames, it.plain(3))


def padded(random: Random) -> Transcript:
    it = Answers()
    return wire(
        [it.head(1), *[DataFrame(1, b"x", pad_length=9, flags=["PADDED"]) for _ in range(5)], *it.body(1)]
    )


def continued(random: Random) -> Transcript:
    it = Answers()
    block = it.block((":status", "200"), *[(f"x-{number}", "y" * 20) for number in range(20)])
    third = len(block) // 3
    frames: list[Frame] = [
        HeadersFrame(1, block[:third]),
        ContinuationFrame(1, block[third : 2 * third]),
        ContinuationFrame(1, block[2 * third :], flags=["END_HEADERS"]),
    ]
    return wire([*frames, *it.body(1)])


HTTP2: list[Callable[[Random], Transcript]] = [
    twice,
    interim,
    trailers,
    packed,
    redirect,
    leaving,
    reset,
    talkative,
    padded,
    continued,
]


def lines(status: str, *fields: Field) -> Stage:
    return [
        f"HTTP/1.1 {status}\r\n".encode(),
        *[f"{name}: {value}\r\n".encode() for name, value in fields],
        b"\r\n",
    ]


LENGTH = ("Content-Length", str(len(BODY)))


def plain1(random: Random) -> Transcript:
    return [[*lines("200 OK", ("Server", "x"), LENGTH), BODY[:700], BODY[700:]]] * 2


def chunked1(random: Random) -> Transcript:
    parts = [BODY[start : start + 300] for start in range(0, len(BODY), 300)]
    chunks = [piece for part in parts for piece in (b"%x;a=b\r\n" % len(part), part, b"\r\n")]
    head = lines("200 OK", ("Transfer-Encoding", "chunked"))
    return [[*head, *chunks, b"0\r\n", b"X-Sum: 1\r\n", b"\r\n"]] * 2


def interim1(random: Random) -> Transcript:
    return [[*lines("103 Early Hints", ("Link", "</a>")) * 2, *lines("200 OK", LENGTH), BODY]] * 2


def packed1(random: Random) -> Transcript:
    length = ("Content-Length", str(len(PACKED)))
    return [[*lines("200 OK", ("Content-Encoding", "gzip"), length), PACKED[:9], PACKED[9:]]] * 2


def redirect1(random: Random) -> Transcript:
    return [lines("302 Found", ("Location", "/next"), ("Content-Length", "0")), *plain1(random)]


def last1(random: Random) -> Transcript:
    return [[*lines("200 OK", ("Connection", "close")), BODY]]


def empty1(random: Random) -> Transcript:
    return [lines("204 No Content"), lines("304 Not Modified", LENGTH)]


HTTP1: list[Callable[[Random], Transcript]] = [plain1, chunked1, interim1, packed1, redirect1, last1, empty1]
