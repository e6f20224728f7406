"""A channel reads and writes what is possible now, never blocks, and ends in every way that there is."""

import errno

import gevent
import pytest
from gevent.event import Event

from greenh2._errors import ReadError, ServerDisconnected
from greenh2._net import tcp
from greenh2._net.channel import Channel
from greenh2._net.dns import resolve
from greenh2._net.tcp import PlainSocket
from tests.net.conftest import Dial, Pair, read_some
from tests.support.rawserver import RawServers

MUCH = 12 * 1024 * 1024
"""More than the kernel takes for a peer that does not read."""


# -- reading ---------------------------------------------------------------------------------------------------


def test_nothing_to_read_is_told_without_waiting(pair: Pair) -> None:
    channel, _ = pair
    assert channel.read() is None
    assert channel.read() is None
    assert not channel.ended


def test_what_arrives_is_read(pair: Pair) -> None:
    channel, peer = pair
    peer.send_bytes(b"hello")
    assert read_some(channel) == b"hello"
    assert channel.read() is None


def test_what_came_before_the_end_is_read_before_it(pair: Pair) -> None:
    channel, peer = pair
    peer.send_bytes(b"last words")
    peer.half_close()
    assert read_some(channel) == b"last words"
    assert read_some(channel) == b""
    assert channel.ended


def test_the_end_may_be_read_again_and_again(pair: Pair) -> None:
    channel, peer = pair
    peer.half_close()
    assert [read_some(channel) for _ in range(3)] == [b"", b"", b""]


def test_a_reset_is_the_loss_of_the_connection(pair: Pair) -> None:
    channel, peer = pair
    peer.abort()
    assert channel.wait_readable(5.0)
    with pytest.raises(ServerDisconnected, match="the peer was lost"):
        channel.read()


class Faulty(PlainSocket):
    """A socket whose reading fails, though the connection is not lost."""

    def recv(self, *arguments: object) -> bytes:
        raise OSError(errno.EIO, "a fault")


def test_any_other_fault_is_a_read_error(raw_server: RawServers) -> None:
    server = raw_server(tls=False)
    sock = tcp.connect("127.0.0.1", server.port, "the peer", 5.0, resolver=resolve)
    channel = Channel(Faulty(fileno=sock.detach()), "the peer")
    with pytest.raises(ReadError, match=r"reading from the peer failed: .*a fault") as caught:
        channel.read()
    assert not isinstance(caught.value, ServerDisconnected)
    channel.close()


def test_a_large_answer_comes_in_pieces_that_are_whole(pair: Pair) -> None:
    channel, peer = pair
    sending = gevent.spawn(peer.send_bytes, bytes(range(256)) * 20_000)
    received = b""
    while len(received) < 256 * 20_000:
        received += read_some(channel)
    sending.get()
    assert received == bytes(range(256)) * 20_000


def test_waiting_to_read_ends_when_its_time_is_over(pair: Pair) -> None:
    channel, _ = pair
    assert not channel.wait_readable(0.01)


def test_a_kill_while_waiting_to_read_loses_no_byte(pair: Pair) -> None:
    channel, peer = pair
    waiting = gevent.spawn(channel.wait_readable, None)
    gevent.sleep(0)
    waiting.kill()
    peer.send_bytes(b"still here")
    assert read_some(channel) == b"still here"


def test_a_watcher_is_called_in_the_hub_until_it_is_not_wanted(plain: Pair) -> None:
    channel, peer = plain
    seen: list[bytes | None] = []
    called = Event()

    def look() -> None:
        assert gevent.getcurrent() is gevent.get_hub()
        seen.append(channel.read())
        called.set()

    channel.watch(look)
    channel.watch(look)  # once is enough
    for word in (b"one", b"two"):
        peer.send_bytes(word)
        assert called.wait(5.0)
        called.clear()
    channel.unwatch()
    channel.unwatch()
    peer.send_bytes(b"three")
    assert not called.wait(0.05)
    assert seen == [b"one", b"two"]


def test_a_channel_that_waits_for_nothing_lets_the_loop_end(pair: Pair) -> None:
    assert gevent.wait(timeout=5.0)


# -- writing ---------------------------------------------------------------------------------------------------


def test_what_is_written_leaves_with_the_flush(plain: Pair) -> None:
    channel, peer = plain
    channel.write(b"hello ")
    channel.write(b"world")
    assert channel.unsent == 11
    assert (channel.taken, channel.written) == (0, 11)
    channel.flush()
    assert (channel.taken, channel.unsent) == (11, 0)
    assert peer.read_exactly(11) == b"hello world"


def test_a_slow_reader_gets_every_byte_in_order(pair: Pair) -> None:
    channel, peer = pair
    drained = Event()
    channel.on_drained(drained.set)
    body = bytes(range(256)) * (MUCH // 256)
    channel.write(body)
    channel.flush()
    behind = channel.unsent
    assert behind > 0
    channel.write(b"the end")  # behind the rest, whoever flushes
    channel.flush()
    assert channel.unsent > behind
    assert not drained.is_set()
    reading = gevent.spawn(peer.read_exactly, len(body) + 7)
    assert drained.wait(20.0)
    assert channel.unsent == 0
    assert reading.get() == body + b"the end"


def test_buffers_drain_without_anybody_to_tell(plain: Pair) -> None:
    channel, peer = plain
    channel.write(b"x" * MUCH)
    channel.flush()
    assert len(peer.read_exactly(MUCH)) == MUCH


def test_a_channel_reads_while_it_cannot_write(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"x" * MUCH)
    channel.flush()
    peer.send_bytes(b"enough")
    assert read_some(channel) == b"enough"
    assert channel.unsent


def test_a_failed_write_is_kept_and_later_ones_are_dropped(pair: Pair) -> None:
    channel, peer = pair
    peer.abort()
    assert channel.wait_readable(5.0)
    channel.write(b"into the void")
    channel.flush()
    assert isinstance(channel.write_error, OSError)
    channel.write(b"more")
    channel.flush()
    assert channel.unsent == 0


def test_an_answer_is_read_though_writing_has_failed(pair: Pair) -> None:
    channel, peer = pair
    peer.send_bytes(b"no, thank you")
    peer.close()
    while channel.write_error is None:
        channel.write(b"x" * 1000)
        channel.flush()
        gevent.sleep(0.001)
    assert read_some(channel) == b"no, thank you"


def test_who_waits_for_the_buffer_learns_that_writing_has_failed(pair: Pair) -> None:
    channel, peer = pair
    drained = Event()
    channel.on_drained(drained.set)
    channel.write(b"x" * MUCH)
    channel.flush()
    assert channel.write_error is None
    peer.abort()
    assert drained.wait(5.0)
    assert channel.write_error is not None
    assert channel.unsent == 0


# -- ends ------------------------------------------------------------------------------------------------------


def test_a_closed_channel_does_nothing_and_may_be_closed_again(pair: Pair) -> None:
    channel, peer = pair
    channel.close()
    channel.close()
    channel.abandon()
    channel.write(b"too late")
    channel.flush()
    channel.watch(lambda: None)
    assert channel.closed
    assert channel.unsent == 0
    assert channel.addresses() == (None, None)
    assert peer.expect_end() == b""


def test_closing_sends_what_the_kernel_takes_and_does_not_wait(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"goodbye")
    channel.close()
    assert peer.expect_end() == b"goodbye"


def test_closing_while_the_kernel_is_full_drops_the_rest(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"x" * MUCH)
    channel.flush()
    channel.close()
    assert 0 < len(peer.expect_end()) < MUCH


def test_closing_after_a_failed_write_sends_nothing(secure: Pair) -> None:
    channel, peer = secure
    peer.abort()
    assert channel.wait_readable(5.0)
    channel.write(b"into the void")
    channel.flush()
    channel.close()
    assert channel.closed


def test_an_abandoned_channel_says_nothing(pair: Pair) -> None:
    channel, peer = pair
    channel.write(b"never sent")
    channel.abandon()
    assert peer.expect_end() == b""


def test_a_channel_tells_its_addresses(raw_server: RawServers, dial: Dial) -> None:
    server = raw_server(tls=False)
    local, remote = dial(server).addresses()
    assert remote == ("127.0.0.1", server.port)
    assert isinstance(local, tuple)
    assert local[0] == "127.0.0.1"
