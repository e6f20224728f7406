"""A handler of signals may raise anywhere: where it strikes a request that sets out, the next ones are not harmed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gevent
import pytest

import greenh2
from greenh2._connection.connection import Connection
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory

GEVENT = str(Path(gevent.__file__).parent)
Tracer = Callable[[FrameType, str, Any], Any]


class Struck(BaseException):
    """What the handler raises."""


@contextmanager
def strike(within: CodeType, step: int) -> Iterator[None]:
    """Raise Struck before a step of what this code does, and all that it calls; nothing where it has fewer steps.

    gevent is spared: on libuv a watcher that is half started has its loop read memory that has been freed.
    """
    left, inside = step, 0

    def look(frame: FrameType, event: str, _: Any) -> Tracer:
        nonlocal left, inside
        if frame.f_code is within:
            inside += (event == "call") - (event == "return")
        if event == "line" and inside and not frame.f_code.co_filename.startswith(GEVENT):
            left -= 1
            if not left:
                raise Struck
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


@BOTH
def test_a_request_that_is_struck_while_it_is_put_on_its_way_leaves_no_half_of_itself(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    url = f"{origin(alpn=alpn).url}/headers"
    client = make_client(limits=1)

    def ask(mark: str) -> None:
        told = client.post(url, headers={"X-Mark": mark, mark: "x"}, content=b"body").json()["headers"]
        assert ["x-mark", mark] in [[name.lower(), value] for name, value in told]

    struck, step = True, -2
    while struck:
        step += 3  # a line is seldom alone
        struck = False
        mark = f"mark-{step}"
        ask(mark)  # met a second time it is put into the table of HPACK, and referred to from then on
        with gevent.Timeout(10.0):
            try:
                with strike(Connection.begin.__code__, step):
                    ask(mark)
            except Struck:
                struck = True
            for again in (mark, f"other-{step}", mark):
                ask(again)
    assert step > 20
    assert "0 streams, 0 waiting" in repr(client)


def test_siblings_of_a_request_that_is_struck_hear_that_their_connection_is_lost_or_go_on(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    for step in (1, 12, 60):
        sibling = gevent.spawn(client.get, f"{server.url}/sleep/0.2")
        gevent.sleep(0)
        with pytest.raises(Struck), strike(Connection.begin.__code__, step):
            client.get(f"{server.url}/headers", headers={f"x-{step}": "new"})
        with gevent.Timeout(10.0):
            try:
                assert sibling.get().text == "slept\n"
            except greenh2.ReadError as error:
                assert "interrupted by Struck()" in str(error)
            assert client.get(server.url).text == "hello\n"
