"""Bodies that swell when they are decoded, and those who run meanwhile."""

import gzip

import gevent
import pytest
from gevent.event import Event

import greenh2
from greenh2._connection import body
from greenh2._connection.body import ExchangeBody
from tests.connection.conftest import Converse, Talk, send_gzip
from tests.connection.test_upload import BOTH

#: Not a bomb by its ratio: some noise, then zeros.
MUCH = gzip.compress(bytes(range(256)) * 600, 0) + gzip.compress(bytes(20_000_000))
#: Members without content, of which nothing comes.
NOTHING = gzip.compress(b"") * 10_000


def arrived(it: Talk, protocol: str, packed: bytes) -> greenh2.Response:
    """Return a response of which all has arrived, and nothing was read."""
    job = it.stream()
    send_gzip(it, protocol, packed)
    response = job.get()
    assert isinstance(response.stream, ExchangeBody)
    with gevent.Timeout(5.0):
        while not response.stream._exchange.over:
            gevent.sleep(0.001)
    return response


@BOTH
@pytest.mark.parametrize("packed", [MUCH, NOTHING], ids=["much", "nothing"])
def test_others_run_while_a_body_is_decoded(
    talk: Converse, monkeypatch: pytest.MonkeyPatch, protocol: str, packed: bytes
) -> None:
    monkeypatch.setattr(body, "LONGEST_TURN", 0.0)
    response = arrived(talk(protocol, timeout=5.0), protocol, packed)
    turns: list[int] = []

    def take_turns() -> None:
        while True:
            gevent.sleep(0.001)
            turns.append(len(turns))

    other = gevent.spawn(take_turns)
    try:
        content = response.read()
    finally:
        other.kill()
    assert content == gzip.decompress(packed)
    assert len(turns) > 5


def test_decoding_what_has_arrived_switches_in_no_hub(talk: Converse) -> None:
    response = arrived(talk(timeout=5.0), "h2", MUCH)
    done = Event()
    sizes: list[int] = []

    def read() -> None:
        sizes.append(len(response.read()))
        done.set()

    gevent.get_hub().loop.run_callback(read)
    assert done.wait(5.0)
    assert sizes == [len(gzip.decompress(MUCH))]
