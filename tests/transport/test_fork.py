"""After a fork the child has pools of its own and leaves the parent's sockets alone; so does the parent its."""

import os
import sys
import traceback
from collections.abc import Callable

import gevent
import gevent.os
import pytest

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.origins import OriginFactory


def in_a_child(job: Callable[[], None]) -> None:
    """Run a job in a forked child, and fail if it fails."""
    pid = gevent.os.fork()
    if pid == 0:
        code = 1
        try:
            job()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    with gevent.Timeout(20):
        _, status = gevent.os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@BOTH
def test_parent_and_child_both_go_on_with_connections_of_their_own(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    client.get(server.url)

    def child() -> None:
        for number in range(20):
            assert len(client.get(f"{server.url}/bytes/{number}").content) == number
        assert len(server_connections(client)) == 1
        client.close()

    in_a_child(child)
    for number in range(20):
        assert len(client.get(f"{server.url}/bytes/{number}").content) == number
    assert len(server.stats().connections) == 2
    assert len(server.stats().open) == 1


def server_connections(client: greenh2.Client) -> list[str]:
    return [line for line in client.dump().splitlines() if line.startswith("  #")]


@BOTH
def test_requests_in_flight_in_the_parent_are_not_touched_by_the_child(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    flying = [gevent.spawn(client.get, f"{server.url}/drip/10/0.05") for _ in range(5)]
    gevent.sleep(0.2)

    def child() -> None:
        gevent.sleep(0.3)
        assert client.get(f"{server.url}/bytes/1000").content[:3] == b"\0\1\2"
        client.close()

    in_a_child(child)
    gevent.joinall(flying, raise_error=True)
    assert len({len(job.get().content) for job in flying}) == 1


def test_the_child_closes_its_copies_without_a_word_to_the_server(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    before = len(os.listdir("/proc/self/fd"))

    def child() -> None:
        client.dump()
        assert len(os.listdir("/proc/self/fd")) < before

    in_a_child(child)
    assert client.get(server.url).text == "hello\n"
    stats = server.stats()
    assert len(stats.connections) == 1
    assert stats.connections[0].goaway is None


def test_a_response_that_the_parent_streams_may_be_closed_in_the_child(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    with client.stream("GET", f"{server.url}/bytes/5000000") as response:

        def child() -> None:
            response.close()

        in_a_child(child)
        assert len(response.read()) == 5_000_000


def test_places_taken_in_the_parent_are_free_in_the_child(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client(limits=1)
    with client.stream("GET", f"{server.url}/bytes/5000000") as response:

        def child() -> None:
            assert client.get(server.url, timeout=2.0).text == "hello\n"
            client.close()

        in_a_child(child)
        assert len(response.read()) == 5_000_000


def test_a_client_closed_in_the_child_is_open_in_the_parent(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    in_a_child(client.close)
    assert client.get(server.url).text == "hello\n"
    assert len(server.stats().connections) == 1


def test_a_client_made_and_not_used_before_the_fork_is_nothing_special(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()

    def child() -> None:
        assert client.get(server.url).text == "hello\n"
        client.close()

    in_a_child(child)
    assert client.get(server.url).text == "hello\n"


@pytest.mark.parametrize("rounds", [5])
def test_forks_under_load_mix_no_bytes(origin: OriginFactory, make_client: MakeClient, rounds: int) -> None:
    server = origin()
    client = make_client()
    stop: list[bool] = []

    def load(number: int) -> None:
        while not stop:
            size = 1000 * (number + 1)
            assert len(client.get(f"{server.url}/bytes/{size}").content) == size

    workers = [gevent.spawn(load, number) for number in range(8)]

    def child() -> None:
        for number in range(10):
            assert len(client.get(f"{server.url}/bytes/{number}").content) == number
        client.close()

    try:
        for _ in range(rounds):
            gevent.sleep(0.03)
            in_a_child(child)
    finally:
        stop.append(True)
        gevent.joinall(workers, raise_error=True)
