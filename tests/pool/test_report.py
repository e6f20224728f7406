"""What a pool tells of itself is put together in bounded time, however many ask and however much there is to tell."""

from collections.abc import Iterator

import greenh2
from greenh2._connection.connection import Connection
from greenh2._connection.dial import Dialer
from greenh2._models.route import Route
from greenh2._models.timeouts import Deadline
from greenh2._net.trust import TlsSettings
from greenh2._pool import report
from greenh2._pool.pool import Pool
from greenh2._pool.waiter import Holder, Waiter


class Watched(Pool):
    """A pool that counts how often it is gone through."""

    looks = 0

    @property
    def connections(self) -> Iterator[Connection]:
        self.looks += 1
        return super().connections


def test_a_thousand_requests_that_run_out_of_time_together_go_through_the_pool_a_few_times() -> None:
    pool = Watched(greenh2.Limits(), Dialer(TlsSettings()))
    request = greenh2.Request("GET", "https://api.example.org/")
    waiter = Waiter(pool.lane(Route.of(request.url)), Holder(request), Deadline(greenh2.Timeout(5.0)))
    texts = [report.explain(pool, waiter) for _ in range(1000)]
    assert all("GET https://api.example.org/ waited" in text and "Hint: " in text for text in texts)
    assert 0 < pool.looks < 100
