"""What each path of the origin answers."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

from tests.support.h2origin.exchange import Fields, Incoming, Reply

PATTERN = bytes(range(256)) * 256
Path = Callable[[Incoming, Reply, list[str], dict[str, str]], Awaitable[None]]
PATHS: dict[str, Path] = {}

for_ever = asyncio.Event


def path(name: str) -> Callable[[Path], Path]:
    """Answer ``/name/argument/argument?query`` by the decorated function."""

    def keep(answer: Path) -> Path:
        PATHS[name] = answer
        return answer

    return keep


async def answer(request: Incoming, reply: Reply) -> None:
    """Answer one request by its path; an unknown one is a 404."""
    parts = urlsplit(request.record.path)
    name, *arguments = parts.path.lstrip("/").split("/")
    query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    await PATHS.get(name, missing)(request, reply, arguments, query)


async def whole(reply: Reply, body: bytes, *, status: int = 200, headers: Fields | None = None) -> None:
    await reply.head(status, [("content-type", "text/plain"), *(headers or [])], length=len(body))
    await reply.data(body)
    await reply.end()


def pattern(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


async def missing(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    await whole(reply, b"no such path\n", status=404)


@path("")
async def hello(request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    await request.body()
    await whole(reply, b"hello\n")


@path("bytes")
async def many_bytes(_request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/bytes/N``: N bytes of the pattern 0, 1 ... 255, 0 ... with a content-length."""
    left = int(arguments[0])
    await reply.head(200, [("content-type", "application/octet-stream")], length=left)
    while left > 0:
        await reply.data(PATTERN[:left])
        left -= min(left, len(PATTERN))
    await reply.end()


@path("sleep")
async def sleep(request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/sleep/SECONDS``"""
    await request.body()
    await asyncio.sleep(float(arguments[0]))
    await whole(reply, b"slept\n")


@path("drip")
async def drip(_request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/drip/N/INTERVAL``: the head, then N lines, a pause before each, without a content-length."""
    await reply.head(200, [("content-type", "text/plain")])
    for _ in range(int(arguments[0])):
        await asyncio.sleep(float(arguments[1]))
        await reply.data(b"drip\n")
    await reply.end()


@path("echo")
async def echo(request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """The request's body, with its content-type."""
    body = await request.body()
    kind = dict(request.record.headers).get("content-type", "application/octet-stream")
    await reply.head(200, [("content-type", kind)], length=len(body))
    await reply.data(body)
    await reply.end()


@path("headers")
async def headers(request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """The request's head as JSON."""
    await request.body()
    seen = request.record
    body = json.dumps(
        {"method": seen.method, "path": seen.path, "authority": seen.authority, "headers": seen.headers}
    ).encode()
    await reply.head(200, [("content-type", "application/json")], length=len(body))
    await reply.data(body)
    await reply.end()


@path("status")
async def status(request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/status/N``: 204 and 304 have no body."""
    await request.body()
    code = int(arguments[0])
    if code in (204, 304):
        await reply.head(code, [])
        await reply.end()
    else:
        await whole(reply, f"status {code}\n".encode(), status=code)


@path("redirect")
async def redirect(request: Incoming, reply: Reply, _arguments: list[str], query: dict[str, str]) -> None:
    """``/redirect?to=URL&status=302``"""
    await request.body()
    await whole(
        reply, b"elsewhere\n", status=int(query.get("status", "302")), headers=[("location", query["to"])]
    )


@path("cookie")
async def cookie(_request: Incoming, reply: Reply, _arguments: list[str], query: dict[str, str]) -> None:
    """``/cookie?name=value``: one Set-Cookie for each."""
    await whole(
        reply, b"baked\n", headers=[("set-cookie", f"{name}={value}") for name, value in query.items()]
    )


@path("basic")
async def basic(request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """401 unless some basic credentials came; their encoded form otherwise."""
    kind, _, given = dict(request.record.headers).get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        await whole(reply, given.encode())
    else:
        await whole(
            reply, b"who is it?\n", status=401, headers=[("www-authenticate", 'Basic realm="origin"')]
        )


@path("gzip")
async def gzipped(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    await whole(reply, gzip.compress(b"squeezed\n" * 1000), headers=[("content-encoding", "gzip")])


@path("deflate")
async def deflated(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    await whole(reply, zlib.compress(b"squeezed\n" * 1000), headers=[("content-encoding", "deflate")])


@path("trailers")
async def trailers(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    await reply.head(200, [("content-type", "text/plain"), ("trailer", "x-checksum")])
    await reply.data(b"a body, then trailers\n")
    await reply.end([("x-checksum", "1234"), ("x-last", "yes")])


@path("hints")
async def hints(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """A 103, then the answer."""
    await reply.informational(103, [("link", "</style.css>; rel=preload")])
    await whole(reply, b"hinted\n")


@path("wide")
async def wide(_request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/wide/N``: a response header of N bytes."""
    await whole(reply, b"wide\n", headers=[("x-wide", "w" * int(arguments[0]))])


@path("early")
async def early(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """The whole answer before the request's body has come."""
    await whole(reply, b"enough\n", status=413)


@path("hold")
async def hold(request: Incoming, _reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """Give no window back for the body (HTTP/1.1: do not read it) and never answer."""
    request.held = True
    await for_ever().wait()


@path("stall")
async def stall(_request: Incoming, _reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """Never answer."""
    await for_ever().wait()


@path("stall-body")
async def stall_body(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """The head and ten bytes of a thousand, then nothing."""
    await reply.head(200, [("content-type", "text/plain")], length=1000)
    await reply.data(b"ten bytes.")
    await for_ever().wait()


@path("reset")
async def reset(_request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/reset/CODE``: RST_STREAM instead of an answer."""
    reply.reset(int(arguments[0]))


@path("reset-body")
async def reset_body(_request: Incoming, reply: Reply, arguments: list[str], _query: dict[str, str]) -> None:
    """``/reset-body/CODE``: the head and ten bytes of a thousand, then RST_STREAM."""
    await reply.head(200, [("content-type", "text/plain")], length=1000)
    await reply.data(b"ten bytes.")
    reply.reset(int(arguments[0]))


@path("close")
async def close(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """The connection is closed instead of an answer."""
    reply.close()


@path("close-body")
async def close_body(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """The head and ten bytes of a thousand, then the connection is closed."""
    await reply.head(200, [("content-type", "text/plain")], length=1000)
    await reply.data(b"ten bytes.")
    reply.close()


@path("goaway")
async def goaway(request: Incoming, reply: Reply, _arguments: list[str], query: dict[str, str]) -> None:
    """``/goaway?last=ID&code=0``: GOAWAY, then the answer if this stream is at or below `last`."""
    last = int(query["last"]) if "last" in query else None
    reply.goaway(int(query.get("code", "0")), last)
    if last is None or request.record.stream_id <= last:
        await whole(reply, b"going away\n")
    else:
        await for_ever().wait()


@path("freeze")
async def freeze(_request: Incoming, reply: Reply, _arguments: list[str], _query: dict[str, str]) -> None:
    """From now on the connection neither reads nor writes."""
    reply.freeze()
    await for_ever().wait()


@path("settings")
async def settings(_request: Incoming, reply: Reply, _arguments: list[str], query: dict[str, str]) -> None:
    """``/settings?max_concurrent_streams=N``: new SETTINGS on this connection, then the answer."""
    reply.settings({name: int(value) for name, value in query.items()})
    await whole(reply, b"settings sent\n")
