"""Requests killed at random instants, in whatever they are doing: nothing that they held may stay behind.

At full length 10,000 for each protocol; a few hundred otherwise.
"""

from collections import Counter
from random import Random
from types import FrameType
from typing import Any

import gevent
import pytest

import greenh2
from greenh2._connection.connection import Connection
from greenh2._net.dns import Address, resolve
from greenh2._protocol.http2 import Http2Protocol
from greenh2._protocol.machine import CONNECTION_WINDOW
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import Origin, OriginFactory
from tests.support.scale import scaled

KILLS = scaled(400, 10_000)
WORKERS = 40
PLACES = 8
#: By the function in which a request stands: what it is doing there.
PHASES = {
    "_resolve": "DNS",
    "race": "connect",
    "handshake": "TLS",
    "_wait": "pool",
    "_dial": "dial",
    "send": "head",
    "read": "body",
}


def unhurried(host: str, port: int) -> list[Address]:
    """Resolve a name as slowly as a nameserver would: on this machine alone it is over before anybody strikes."""
    gevent.sleep(0.005)
    return resolve(host, port)


def phase_of(greenlet: "gevent.Greenlet[..., Any]") -> str:
    """Return what a request is doing, "elsewhere" when it has not begun or is between two waits."""
    frame: FrameType | None = greenlet.gr_frame
    while frame is not None:
        if "greenh2" in frame.f_code.co_filename and frame.f_code.co_name in PHASES:
            return PHASES[frame.f_code.co_name]
        frame = frame.f_back
    return "elsewhere"


class Storm:
    """Greenlets that make requests of every kind and end most of them early."""

    def __init__(self, client: greenh2.Client, servers: list[Origin], seed: int) -> None:
        self.client = client
        self.servers = servers
        self.random = Random(seed)
        self.struck: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.left = KILLS

    def request(self) -> None:
        url, random = self.random.choice(self.servers).url, self.random
        match random.randrange(6):
            case 0:
                self.expect(self.client.get(f"{url}/bytes/5000").content, 5000)
            case 1:
                self.expect(self.client.get(f"{url}/bytes/300000").content, 300_000)
            case 2:
                self.client.get(f"{url}/sleep/0.01")
            case 3:  # more than the window
                self.expect(self.client.post(f"{url}/echo", content=bytes(400_000)).content, 400_000)
            case 4:
                self.client.get(f"{url}/drip/5/0.002")
            case 5:
                with self.client.stream("GET", f"{url}/bytes/400000") as response:
                    next(response.iter_raw())

    def expect(self, content: bytes, size: int) -> None:
        if len(content) != size:
            self.wrong.append(f"{len(content)} bytes of {size}")

    def job(self, seconds: float | None) -> None:
        with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # False: end the block in silence
            self.request()

    def work(self) -> None:
        while self.left > 0:
            self.left -= 1
            how = self.random.randrange(6)
            instant = max(
                0.001, self.random.choice([0.003, 0.03, 0.1]) * self.random.random()
            )  # libuv knows no less
            job = gevent.spawn(self.job, instant if how == 5 else None)
            if how == 0:
                job.kill(block=False)  # before it first runs
            elif how < 4:
                job.join(instant)
                self.struck[phase_of(job)] += not job.dead
                job.kill(block=how == 1)
                if how == 2:
                    job.kill(block=False)  # once more, while it leaves
            job.join()
            if job.exception is not None:
                self.wrong.append(repr(job.exception))

    def connections(self) -> list[Connection]:
        (pool,) = self.client._transport._pools.values()  # type: ignore[union-attr]
        return list(pool.connections)


@BOTH
@pytest.mark.timeout(600)
def test_whatever_a_request_is_doing_when_it_is_killed_it_leaves_nothing(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    servers = [origin(alpn=alpn, max_concurrent_streams=20) for _ in range(3)]
    client = make_client(limits=greenh2.Limits(max_connections=PLACES, keepalive_expiry=0.3), timeout=20.0)
    client._transport._dialer.resolver = unhurried  # type: ignore[union-attr]
    storm = Storm(client, servers, seed=1)
    gevent.joinall([gevent.spawn(storm.work) for _ in range(WORKERS)], raise_error=True)
    assert storm.wrong == []
    # With few kills it is up to chance whether a short phase is struck.
    assert storm.struck.keys() >= scaled({"pool"}, {"pool", "DNS", "TLS", "head", "body"})
    assert sum(storm.struck.values()) > KILLS / 4

    assert all(client.get(f"{server.url}/bytes/10").content for server in servers)
    (pool,) = client._transport._pools.values()  # type: ignore[union-attr]
    alive = storm.connections()
    assert pool._permits.counter == PLACES - len(alive)
    assert "0 streams, 0 waiting" in repr(client)
    for connection in alive:
        protocol = connection.protocol
        if isinstance(protocol, Http2Protocol):
            assert not protocol._streams
            assert protocol._machine._receivable > CONNECTION_WINDOW // 2
    client.close()
    for server in servers:
        server.wait_until(lambda stats: not stats.open)
