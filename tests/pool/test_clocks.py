"""The two clocks of a wait: what passes while a dial serves it is connect time, everything else is pool time."""

import gevent

import greenh2
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import PREFACE, RawServers


def test_who_waited_for_the_word_of_a_connection_that_is_evicted_waits_for_a_place_from_then_on(
    raw_server: RawServers, origin: OriginFactory, make_client: MakeClient
) -> None:
    silent, other = raw_server(), origin()
    client = make_client(limits=1, timeout=30.0)
    first = gevent.spawn(client.get, silent.url)
    peer = silent.accept()
    peer.read_until(PREFACE)
    peer.expect_request()
    older = gevent.spawn(client.get, f"{other.url}/stall")
    gevent.sleep(0)
    waiting = gevent.spawn(client.get, silent.url, timeout=greenh2.Timeout(30.0, pool=0.3))
    gevent.sleep(0)
    first.kill()  # its connection is idle now, and has not said how many streams it allows
    waiting.join(timeout=10.0)
    assert isinstance(waiting.exception, greenh2.PoolTimeout)
    older.kill()
