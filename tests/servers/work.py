"""What the tests of all three servers ask of a client."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import gevent
from gevent.pool import Pool

import greenh2

T = TypeVar("T")


def crowd(greenlets: int, times: int, job: Callable[[], T]) -> list[T]:
    """Do a job so many times over so many greenlets; raise the first error of any."""
    pool = Pool(greenlets)
    done = [pool.spawn(job) for _ in range(times)]
    gevent.joinall(done, raise_error=True)
    return [one.get() for one in done]


def streamed(client: greenh2.Client, url: str) -> bytes:
    with client.stream("GET", url) as response:
        response.raise_for_status()
        return b"".join(response.iter_bytes(10_000))


def pieces(size: int, count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


def connections(responses: list[greenh2.Response]) -> set[int]:
    """Name the connections that responses came over."""
    return {response.connection_info["id"] for response in responses}
