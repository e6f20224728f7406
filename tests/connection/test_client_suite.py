"""What a server may do wrong or oddly, frame by frame, and what a client must make of it, by sections of RFC 9113.

A client makes a GET as users do, over TLS and over plain TCP; the server takes it, says something, and looks at what
comes back.  The cases are those that h2spec puts to clients, 57 of them, and a few more of that kind.
"""

from collections.abc import Callable
from typing import NamedTuple

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

import greenh2
from greenh2._protocol.machine import MAX_FRAME_SIZE
from tests.support.clients import MakeClient
from tests.support.rawserver import H2Peer, RawServers, data

PROTOCOL_ERROR = ErrorCodes.PROTOCOL_ERROR
FRAME_SIZE_ERROR = ErrorCodes.FRAME_SIZE_ERROR
FLOW_CONTROL_ERROR = ErrorCodes.FLOW_CONTROL_ERROR
STREAM_CLOSED = ErrorCodes.STREAM_CLOSED
COMPRESSION_ERROR = ErrorCodes.COMPRESSION_ERROR
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
_INITIAL_WINDOW, _FRAME_SIZE = 4, 5
QUESTION = b"are you?"

Words = Callable[[H2Peer, int], list[Frame | bytes]]


class Goaway(NamedTuple):
    """The connection ends, by GOAWAY with one of these codes first."""

    codes: tuple[ErrorCodes, ...]


class Reset(NamedTuple):
    """The stream ends, by RST_STREAM with this code; the connection lives."""

    code: ErrorCodes


class Case(NamedTuple):
    section: str
    what: str
    words: Words
    verdict: Goaway | Reset | None  #: None: all is well, a PING behind it is answered
    status: int | None = None  #: What the user gets; None: an error


CASES: list[Case] = []


def ends(section: str, what: str, *codes: ErrorCodes, status: int | None = None) -> Callable[[Words], Words]:
    return _case(section, what, Goaway(codes), status)


def resets(section: str, what: str, code: ErrorCodes) -> Callable[[Words], Words]:
    return _case(section, what, Reset(code), None)


def passes(section: str, what: str, status: int | None = 200) -> Callable[[Words], Words]:
    return _case(section, what, None, status)


def _case(
    section: str, what: str, verdict: Goaway | Reset | None, status: int | None
) -> Callable[[Words], Words]:
    def add(words: Words) -> Words:
        CASES.append(Case(section, what, words, verdict, status))
        return words

    return add


def raw(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def more(stream_id: int, block: bytes = b"\x00\x01x\x01y", *, end: bool = False) -> ContinuationFrame:
    return ContinuationFrame(stream_id, block, flags=["END_HEADERS"] if end else [])


def open_head(stream_id: int, *, end: bool = False) -> HeadersFrame:
    """The beginning of a header block that says 200 and is to be continued."""
    return HeadersFrame(stream_id, b"\x88", flags=["END_STREAM"] if end else [])


def head(stream_id: int, *, end: bool = False) -> HeadersFrame:
    frame = open_head(stream_id, end=end)
    frame.flags.add("END_HEADERS")
    return frame


# -- 3 and 4: the beginning, the format and the size of frames -----------------------------------------------------

passes("3.4", "a preface and SETTINGS that come by themselves are answered")(
    lambda peer, stream: [peer.head(stream, end=True)]
)
passes("4.1", "a frame of unknown type")(
    lambda peer, stream: [raw(0x16, 0, 0, bytes(8)), head(stream, end=True)]
)
passes("4.1", "flags that are not defined")(
    lambda peer, stream: [raw(PING, 0x16, 0, bytes(8)), head(stream, end=True)]
)
passes("4.1", "the reserved bit")(
    lambda peer, stream: [raw(PING, 0, 1 << 31, bytes(8)), head(stream, end=True)]
)
passes("4.2", "DATA of 16384 bytes")(
    lambda peer, stream: [head(stream), data(stream, bytes(16384), end=True)]
)
passes("4.2", "DATA as large as we announced")(
    lambda peer, stream: [head(stream), data(stream, bytes(MAX_FRAME_SIZE), end=True)]
)
ends("4.2", "DATA larger than we announced", FRAME_SIZE_ERROR)(
    lambda peer, stream: [head(stream), data(stream, bytes(MAX_FRAME_SIZE + 1), end=True)]
)
ends("4.2", "HEADERS larger than we announced", FRAME_SIZE_ERROR)(
    lambda peer, stream: [raw(HEADERS, 5, stream, bytes(MAX_FRAME_SIZE + 1))]
)
ends("4.3", "a header block that cannot be decoded", COMPRESSION_ERROR)(
    lambda peer, stream: [raw(HEADERS, 5, stream, b"\x40")]
)

# -- 5: streams ----------------------------------------------------------------------------------------------------

ends("5.1", "DATA on an idle stream", PROTOCOL_ERROR)(lambda peer, stream: [data(2, b"test", end=True)])
ends("5.1", "RST_STREAM on an idle stream", PROTOCOL_ERROR)(
    lambda peer, stream: [RstStreamFrame(2, error_code=ErrorCodes.CANCEL)]
)
ends("5.1", "WINDOW_UPDATE on an idle stream", PROTOCOL_ERROR)(
    lambda peer, stream: [WindowUpdateFrame(2, 100)]
)
ends("5.1", "CONTINUATION on an idle stream", PROTOCOL_ERROR)(lambda peer, stream: [more(2, end=True)])
# What comes late on a stream that was reset, and DATA behind the end, is ignored: servers count resets.
passes("5.1", "DATA behind RST_STREAM", None)(
    lambda peer, stream: [head(stream), RstStreamFrame(stream, error_code=8), data(stream, b"test", end=True)]
)
passes("5.1", "HEADERS behind RST_STREAM", None)(
    lambda peer, stream: [head(stream), RstStreamFrame(stream, error_code=8), head(stream, end=True)]
)
ends("5.1", "CONTINUATION behind RST_STREAM", PROTOCOL_ERROR, STREAM_CLOSED)(
    lambda peer, stream: [head(stream), RstStreamFrame(stream, error_code=8), more(stream, end=True)]
)
passes("5.1", "DATA behind the end")(
    lambda peer, stream: [head(stream, end=True), data(stream, b"test", end=True)]
)
ends("5.1", "HEADERS behind the end", STREAM_CLOSED, status=200)(
    lambda peer, stream: [head(stream, end=True), head(stream, end=True)]
)
ends("5.1", "CONTINUATION behind the end", PROTOCOL_ERROR, STREAM_CLOSED, status=200)(
    lambda peer, stream: [head(stream, end=True), more(stream, end=True)]
)
ends("5.1.1", "HEADERS on a stream that nobody opened", PROTOCOL_ERROR)(
    lambda peer, stream: [head(101, end=True)]
)
ends("5.1.1", "HEADERS on an even stream", PROTOCOL_ERROR)(lambda peer, stream: [head(2, end=True)])
ends("5.4.1", "the connection is closed after an error", PROTOCOL_ERROR)(
    lambda peer, stream: [raw(PING, 0, 3, bytes(8))]
)
ends("5.4.1", "GOAWAY is sent before that", PROTOCOL_ERROR)(lambda peer, stream: [raw(PING, 0, 5, bytes(8))])
passes("5.5", "a frame of an extension")(
    lambda peer, stream: [raw(0xFF, 0xFF, 5, bytes(20)), head(stream, end=True)]
)

# -- 6: each kind of frame -----------------------------------------------------------------------------------------

ends("6.1", "DATA on stream 0", PROTOCOL_ERROR)(lambda peer, stream: [raw(DATA, 1, 0, b"test")])
passes("6.1", "DATA where the stream is closed")(
    lambda peer, stream: [head(stream, end=True), data(stream, b"test"), data(stream, b"test", end=True)]
)
ends("6.1", "DATA with more padding than there is room for", PROTOCOL_ERROR)(
    lambda peer, stream: [
        peer.head(stream, 200, ("content-length", "4")),
        raw(DATA, 9, stream, b"\x06Test"),
    ]
)
ends("6.2", "PRIORITY within a header block", PROTOCOL_ERROR)(
    lambda peer, stream: [open_head(stream), PriorityFrame(stream, stream_weight=255), more(stream, end=True)]
)
ends("6.2", "HEADERS on stream 0", PROTOCOL_ERROR)(lambda peer, stream: [raw(HEADERS, 5, 0, b"\x88")])
ends("6.2", "HEADERS with more padding than there is room for", PROTOCOL_ERROR)(
    lambda peer, stream: [raw(HEADERS, 12, stream, b"\x11" + peer.head(stream).data)]
)
ends("6.3", "PRIORITY on stream 0", PROTOCOL_ERROR)(
    lambda peer, stream: [raw(PRIORITY, 0, 0, bytes(4) + b"\xff")]
)
ends("6.3", "PRIORITY of 4 bytes", FRAME_SIZE_ERROR, status=200)(
    lambda peer, stream: [head(stream, end=True), raw(PRIORITY, 0, stream, b"\x80\0\0\1")]
)
ends("6.4", "RST_STREAM on stream 0", PROTOCOL_ERROR)(
    lambda peer, stream: [raw(RST_STREAM, 0, 0, b"\0\0\0\x08")]
)
ends("6.4", "RST_STREAM on a stream of ours that is idle", PROTOCOL_ERROR)(
    lambda peer, stream: [RstStreamFrame(stream + 2, error_code=ErrorCodes.CANCEL)]
)
ends("6.4", "RST_STREAM of 3 bytes", FRAME_SIZE_ERROR, status=200)(
    lambda peer, stream: [head(stream, end=True), raw(RST_STREAM, 0, stream, bytes(3))]
)
ends("6.5", "an acknowledgement of SETTINGS with a payload", FRAME_SIZE_ERROR)(
    lambda peer, stream: [raw(SETTINGS, 1, 0, b"\0")]
)
ends("6.5", "SETTINGS on a stream", PROTOCOL_ERROR)(
    lambda peer, stream: [raw(SETTINGS, 0, 1, b"\0\3\0\0\0d")]
)
ends("6.5", "SETTINGS of 3 bytes", PROTOCOL_ERROR, FRAME_SIZE_ERROR)(
    lambda peer, stream: [raw(SETTINGS, 0, 0, bytes(3))]
)
ends("6.5.2", "a window larger than may be", FLOW_CONTROL_ERROR)(
    lambda peer, stream: [SettingsFrame(0, {_INITIAL_WINDOW: 2**31})]
)
ends("6.5.2", "frames smaller than may be", PROTOCOL_ERROR)(
    lambda peer, stream: [SettingsFrame(0, {_FRAME_SIZE: 16383})]
)
ends("6.5.2", "frames larger than may be", PROTOCOL_ERROR)(
    lambda peer, stream: [SettingsFrame(0, {_FRAME_SIZE: 2**24})]
)
passes("6.5.2", "a setting that nobody knows")(
    lambda peer, stream: [SettingsFrame(0, {0xFF: 1}), head(stream, end=True)]
)
ends("6.8", "GOAWAY on a stream", PROTOCOL_ERROR)(lambda peer, stream: [raw(GOAWAY, 0, 1, bytes(8))])
ends("6.7", "PING on a stream", PROTOCOL_ERROR)(lambda peer, stream: [raw(PING, 0, 1, bytes(8))])
ends("6.7", "PING of 6 bytes", FRAME_SIZE_ERROR)(lambda peer, stream: [raw(PING, 0, 0, bytes(6))])
ends("6.9", "WINDOW_UPDATE by 0", PROTOCOL_ERROR)(lambda peer, stream: [raw(WINDOW_UPDATE, 0, 0, bytes(4))])
resets("6.9", "WINDOW_UPDATE of a stream by 0", PROTOCOL_ERROR)(
    lambda peer, stream: [head(stream), raw(WINDOW_UPDATE, 0, stream, bytes(4))]
)
ends("6.9", "WINDOW_UPDATE of 3 bytes", FRAME_SIZE_ERROR)(
    lambda peer, stream: [raw(WINDOW_UPDATE, 0, 0, b"\0\0\1")]
)
ends("6.9.1", "a window of the connection beyond 2^31-1", FLOW_CONTROL_ERROR)(
    lambda peer, stream: [WindowUpdateFrame(0, 2**31 - 1), WindowUpdateFrame(0, 2**31 - 1)]
)
resets("6.9.1", "a window of a stream beyond 2^31-1", FLOW_CONTROL_ERROR)(
    lambda peer, stream: [
        head(stream),
        WindowUpdateFrame(stream, 2**31 - 1),
        WindowUpdateFrame(stream, 2**31 - 1),
    ]
)
passes("6.10", "a header block in three frames")(
    lambda peer, stream: [open_head(stream, end=True), more(stream), more(stream, end=True)]
)
ends("6.10", "DATA within a header block", PROTOCOL_ERROR)(
    lambda peer, stream: [open_head(stream), more(stream), data(stream, b"test", end=True)]
)
ends("6.10", "CONTINUATION on stream 0", PROTOCOL_ERROR)(
    lambda peer, stream: [open_head(stream, end=True), raw(CONTINUATION, 4, 0, b"\x00\x01x\x01y")]
)
ends("6.10", "CONTINUATION behind the end of a header block", PROTOCOL_ERROR)(
    lambda peer, stream: [head(stream), more(stream, end=True)]
)
ends("6.10", "CONTINUATION behind the last one", PROTOCOL_ERROR)(
    lambda peer, stream: [open_head(stream), more(stream, end=True), more(stream, end=True)]
)
ends("6.10", "CONTINUATION behind DATA", PROTOCOL_ERROR)(
    lambda peer, stream: [open_head(stream), data(stream, b"test", end=True), more(stream)]
)

_names = [f"{case.section} {case.what}".replace(" ", "-") for case in CASES]
BOTH = pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])


class Stage(NamedTuple):
    client: greenh2.Client
    url: str
    job: "gevent.Greenlet[..., greenh2.Response]"
    peer: H2Peer
    stream_id: int

    def status(self) -> int | None:
        """Return the status that the user got, None for an error that says who broke the rules."""
        try:
            return self.job.get(timeout=5.0).status_code
        except greenh2.RemoteProtocolError:
            return None

    def is_well(self) -> bool:
        """Tell whether the connection carries another request; frames that came before its head are passed over."""
        again = gevent.spawn(self.client.get, self.url)
        self.peer.answer(self.peer.expect_request().stream_id, 204)
        return again.get(timeout=5.0).status_code == 204


def stage(raw_server: RawServers, make_client: MakeClient, tls: bool) -> Stage:
    server = raw_server(tls=tls)
    client = make_client(http2=True if tls else "prior-knowledge", timeout=5.0)
    job = gevent.spawn(client.get, server.url)
    peer = server.accept()
    peer.greet()
    return Stage(client, server.url, job, peer, peer.expect_request().stream_id)


def say(peer: H2Peer, words: list[Frame | bytes]) -> None:
    peer.send_bytes(b"".join(word if isinstance(word, bytes) else word.serialize() for word in words))


@BOTH
@pytest.mark.parametrize("case", CASES, ids=_names)
def test_a_client_does_as_the_standard_says(
    raw_server: RawServers, make_client: MakeClient, tls: bool, case: Case
) -> None:
    it = stage(raw_server, make_client, tls)
    words = case.words(it.peer, it.stream_id)
    match case.verdict:
        case Goaway(codes=codes):
            say(it.peer, words)
            assert it.peer.expect(GoAwayFrame).error_code in codes
            assert not it.peer.expect_end()
            assert it.status() == case.status
        case Reset(code=code):
            say(it.peer, words)
            it.peer.expect_reset(it.stream_id, code)
            assert it.status() == case.status
            assert it.is_well()
        case None:
            say(it.peer, [*words, PingFrame(0, QUESTION)])
            it.peer.expect(PingFrame, flags={"ACK"}, opaque_data=QUESTION)
            assert it.status() == case.status
            assert it.is_well()


@BOTH
def test_settings_are_acknowledged_at_once(
    raw_server: RawServers, make_client: MakeClient, tls: bool
) -> None:
    it = stage(raw_server, make_client, tls)
    it.peer.expect_taken()
    it.peer.send(SettingsFrame(0, {2: 0}))  # ENABLE_PUSH
    it.peer.expect(SettingsFrame, flags={"ACK"})
    it.peer.answer(it.stream_id)
    assert it.status() == 200


@BOTH
def test_a_ping_is_answered_with_its_payload_and_an_answer_to_one_is_not(
    raw_server: RawServers, make_client: MakeClient, tls: bool
) -> None:
    it = stage(raw_server, make_client, tls)
    it.peer.send(PingFrame(0, b"invalid!", flags=["ACK"]), PingFrame(0, QUESTION))
    pong = it.peer.expect(PingFrame)
    assert pong.opaque_data == QUESTION
    assert set(pong.flags) == {"ACK"}
    it.peer.answer(it.stream_id)
    assert it.status() == 200


@BOTH
def test_what_is_wrong_on_an_idle_connection_is_answered_too(
    raw_server: RawServers, make_client: MakeClient, tls: bool
) -> None:
    it = stage(raw_server, make_client, tls)
    it.peer.answer(it.stream_id)
    assert it.status() == 200
    say(it.peer, [raw(DATA, 1, 0, b"test")])
    it.peer.expect_goaway(PROTOCOL_ERROR)
    assert not it.peer.expect_end()
