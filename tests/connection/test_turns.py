"""Connections with many answers are read one after the other, each when those whom the last one served have run."""

import gevent
import pytest

from greenh2._connection.connection import Connection
from greenh2._connection.turns import MANY, Turns
from greenh2._models.body import BytesBody
from greenh2._models.timeouts import Deadline, Timeout
from greenh2._protocol.events import RequestHead
from tests.connection.conftest import HOST, connect, is_readable
from tests.support.rawserver import RawServers

HEAD = RequestHead(b"GET", b"http", b"localhost", b"/", [HOST], False)


def let_run() -> None:
    """Let all run that can."""
    for _ in range(20):
        gevent.sleep(0)


def hear(connection: Connection) -> None:
    """Wait until there is something to read."""
    with gevent.Timeout(5.0):
        while not is_readable(connection):
            gevent.sleep(0.001)


def test_who_comes_first_has_a_turn_at_once() -> None:
    turns, done = Turns(), list[str]()
    turns.take(lambda: done.append("first"))
    assert done == ["first"]
    let_run()
    turns.take(lambda: done.append("second"))
    assert done == ["first", "second"]


def test_the_next_has_a_turn_when_those_have_run_whom_the_first_woke() -> None:
    turns, done = Turns(), list[str]()
    loop = gevent.get_hub().loop

    def waking(name: str) -> None:
        done.append(name)
        for number in range(3):
            loop.run_callback(done.append, f"{name} woke {number}")

    def second() -> None:
        waking("second")

    turns.take(lambda: waking("first"))
    turns.take(second)
    turns.take(lambda: waking("third"))
    turns.take(second)
    let_run()
    assert done == [
        line
        for name in ("first", "second", "third")
        for line in (name, f"{name} woke 0", f"{name} woke 1", f"{name} woke 2")
    ]


def test_a_turn_that_fails_ends() -> None:
    turns, done = Turns(), list[str]()

    def fail() -> None:
        raise ValueError("as a handler of signals may")

    with pytest.raises(ValueError, match="as a handler"):
        turns.take(fail)
    turns.take(lambda: done.append("next"))
    let_run()
    assert done == ["next"]


def test_a_turn_of_which_no_end_is_heard_keeps_nobody() -> None:
    turns, done = Turns(), list[str]()
    turns._until = float("inf")
    turns.take(lambda: done.append("kept"))
    turns._until = 0.0  # as it is after a while
    turns.take(lambda: done.append("next"))
    let_run()
    assert done == ["next", "kept"]


@pytest.mark.parametrize("many", [MANY, MANY - 1])
def test_a_connection_is_read_when_those_have_run_whom_the_other_served(
    raw_server: RawServers, many: int
) -> None:
    ends = [connect(raw_server, http2=True) for _ in range(2)]
    connections = [connection for connection, _ in ends]
    turns = Turns()
    seen: list[int] = []

    def ask(connection: Connection, other: Connection) -> None:
        exchange = connection.open()
        exchange.send(HEAD, BytesBody(), None, Deadline(Timeout(5.0)))
        seen.append(other.streams)
        exchange.close()

    jobs = []
    for connection, other in (connections, connections[::-1]):
        connection.turns = turns
        jobs += [gevent.spawn(ask, connection, other) for _ in range(many)]
    for connection, peer in ends:
        ids = [peer.expect_request().stream_id for _ in range(many)]
        connection.channel.unwatch()
        peer.send(*[peer.head(stream_id, 204, end=True) for stream_id in ids])
        hear(connection)
    for connection in connections:
        connection.channel.watch(connection._on_news)
    gevent.joinall(jobs, raise_error=True)
    for connection in connections:
        connection.close("the test is over")
    assert seen == [many if many >= MANY else 0] * many + [0] * many


def test_a_connection_that_is_watched_no_more_is_not_read_in_its_turn(raw_server: RawServers) -> None:
    connection, peer = connect(raw_server, http2=True)
    turns = connection.turns = Turns()
    exchange = connection.open()
    connection.begin(exchange, HEAD, end=True)
    stream_id = peer.expect_request().stream_id
    connection.channel.unwatch()
    peer.answer(stream_id, 204)
    hear(connection)
    connection.channel.watch(connection._on_news)
    turns.take(lambda: None)
    turns.take(connection._on_readable)
    connection.channel.unwatch()
    let_run()
    assert exchange.head is None
    connection.close("the test is over")
