"""The two clocks of a wait: what passes while a dial serves it is connect time, everything else is pool time."""

import gevent
import pytest

import greenh2
from greenh2._models.timeouts import Deadline
from greenh2._net.dns import Address
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


def test_a_dial_that_ends_as_early_before_the_total_as_timers_may_ends_by_the_total() -> None:
    now = 0.0

    def resolve(_host: str, _port: int) -> list[Address]:
        nonlocal now
        now = 9.998
        raise greenh2.ConnectTimeout("the name was not found in time")

    deadline = Deadline(greenh2.Timeout(20.0, total=10.0), clock=lambda: now)
    with greenh2.HTTPTransport() as transport:
        transport._dialer.resolver = resolve
        request = greenh2.Request("GET", "http://a.example/", extensions={"deadline": deadline})
        with pytest.raises(greenh2.TotalTimeout, match="the name was not found in time"):
            transport.handle_request(request)
