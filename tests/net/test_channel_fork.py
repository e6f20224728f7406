"""A forked child's copy of a channel, and one whose thread has ended, only close their descriptor."""

import os
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.os
import pytest

from greenh2._net.channel import Channel
from tests.net.conftest import Pair, read_some
from tests.net.test_channel import MUCH


def in_a_child(job: Callable[[], None]) -> None:
    pid = gevent.os.fork()
    if pid == 0:  # pragma: no cover (a child is not traced to its end)
        try:
            job()
        finally:
            os._exit(0)
    with gevent.Timeout(10):
        gevent.os.waitpid(pid, 0)


def as_in_a_child(channel: Channel) -> None:
    """Let a channel believe that it is a copy in another process."""
    channel._pid += 1


def test_a_child_that_closes_its_copy_says_nothing_and_the_parent_goes_on(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"the parent's")
    in_a_child(channel.close)
    channel.flush()
    assert peer.read_exactly(12) == b"the parent's"
    peer.send_bytes(b"understood")
    assert read_some(channel) == b"understood"


def test_closing_a_copy_sends_neither_data_nor_goodbye(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"the parent's")
    as_in_a_child(channel)
    channel.close()
    assert channel.closed
    assert peer.expect_end() == b""


def test_a_copy_that_finds_room_writes_nothing(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"x" * MUCH)
    channel.flush()
    as_in_a_child(channel)
    taken = channel.taken
    reading = gevent.spawn(peer.read_exactly, taken // 2)
    reading.get()
    gevent.sleep(0.02)
    assert channel.taken == taken


def test_a_channel_whose_loop_is_gone_still_closes_its_descriptor(plain: Pair) -> None:
    channel, peer = plain
    channel._reader.close()
    channel._hub = SimpleNamespace(loop=None)  # type: ignore[assignment]  # as a thread leaves it that has ended
    channel.close()
    assert peer.expect_end() == b""


@pytest.mark.parametrize("times", [1, 2])
def test_a_copy_may_be_abandoned_more_than_once(plain: Pair, times: int) -> None:
    channel, _ = plain
    for _ in range(times):
        channel.abandon()
    assert channel.closed


class InTheMidstOfSending:
    """A socket that has somebody called while it is being given bytes, as another thread may have been at a fork."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.meanwhile: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: memoryview) -> int:
        self.meanwhile()
        return len(data)


def test_a_copy_whose_thread_was_just_sending_may_be_abandoned() -> None:
    ours, theirs = socket.socketpair()
    sock = InTheMidstOfSending(ours)
    channel = Channel(sock, "the peer")  # type: ignore[arg-type]  # all that is used of one
    sock.meanwhile = channel.abandon
    channel.write(b"the parent's")
    channel.flush()
    assert channel.closed
    assert ours.fileno() == -1
    theirs.close()
