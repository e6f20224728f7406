"""After a fork the child has pools of its own and leaves the parent's sockets alone; so does the parent its."""

import contextlib
import faulthandler
import os
import sys
import traceback
from collections.abc import Callable, Iterator

import gevent
import gevent.event
import gevent.os
import gevent.socket
import pytest
from gevent.monkey import get_original

import greenh2
from tests.support.clients import BOTH, MakeClient
from tests.support.leaks import open_descriptors
from tests.support.origins import OriginFactory


def in_a_child(job: Callable[[], None]) -> None:
    """Run a job in a forked child, and fail if it fails; one that hangs tells where."""
    report, tell = os.pipe()
    pid = gevent.os.fork()
    if pid == 0:
        os.close(report)
        try:
            faulthandler.dump_traceback_later(15, exit=True)
            job()
            os.write(tell, b"done")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(tell)
    try:
        gevent.socket.wait_read(report, timeout=20)
        assert os.read(report, 4) == b"done"
    finally:
        os.close(report)


def sockets() -> int:
    """Count this process's sockets."""
    return sum(what.startswith("socket:") for what in open_descriptors().values())


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
    server.wait_until(lambda stats: len(stats.open) == 1)


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


@BOTH
def test_connections_being_made_in_the_parent_are_not_touched_by_the_child(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn, handshake_delay=1.0)
    client = make_client()
    dialing = [gevent.spawn(client.get, server.url) for _ in range(3)]
    gevent.sleep(0.1)

    def child() -> None:
        # Copies of the greenlets, over the same sockets: their hub runs here too.
        gevent.joinall(dialing, timeout=5)
        assert {type(job.exception) for job in dialing} == {greenh2.ConnectError}

    in_a_child(child)
    gevent.joinall(dialing, raise_error=True)


@BOTH
def test_a_response_that_the_parent_streams_is_not_read_in_the_child(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client(timeout=None)
    with client.stream("GET", f"{server.url}/drip/10/0.1") as response:
        pieces = response.iter_bytes()
        first = next(pieces)

        def child() -> None:
            with pytest.raises(greenh2.ReadError, match="forked"), gevent.Timeout(5):
                for _ in pieces:
                    pass

        in_a_child(child)
        rest = b"".join(pieces)
    assert len((first + rest).splitlines()) == 10


@BOTH
def test_the_time_of_a_copied_request_that_runs_out_in_the_child_takes_nothing_from_the_parent(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    client.get(server.url)
    flying = gevent.spawn(client.get, f"{server.url}/sleep/0.3", timeout=greenh2.Timeout(5.0, read=1.2))
    gevent.sleep(0.1)
    over, tell = os.pipe()
    pid = gevent.os.fork()
    if pid == 0:
        code = 1
        try:
            flying.join(timeout=5)
            os.write(tell, b"over")
            gevent.sleep(0.5)
            code = 0 if isinstance(flying.exception, greenh2.TransportError) else 2
        finally:
            os._exit(code)
    os.close(tell)
    # The parent stands still, and the answer waits in the kernel, while the time of the child's copy runs out.
    assert os.read(over, 4) == b"over"
    assert flying.get(timeout=5).text == "slept\n"
    with gevent.Timeout(20):
        assert gevent.os.waitpid(pid, 0) == (pid, 0)
    os.close(over)


@BOTH
def test_a_request_that_waits_for_a_place_is_sent_by_the_parent_alone(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server, other = origin(alpn=alpn), origin(alpn=alpn)
    client = make_client(limits=1)
    with client.stream("GET", f"{other.url}/bytes/5000000"):
        waiting = [gevent.spawn(client.post, f"{server.url}/echo", content=b"once") for _ in range(2)]
        gevent.sleep(0.05)
    # The place is free in this very turn, in both processes.

    def child() -> None:
        gevent.joinall(waiting, timeout=5)
        assert [type(job.exception) for job in waiting] == [greenh2.ConnectError] * 2

    in_a_child(child)
    gevent.joinall(waiting, raise_error=True)
    assert len(server.stats().requests) == 2


def test_a_request_that_pauses_before_it_is_repeated_is_repeated_by_the_parent_alone(
    make_client: MakeClient,
) -> None:
    asked: list[greenh2.Request] = []

    def turned_away(request: greenh2.Request) -> greenh2.Response:
        asked.append(request)
        if len(asked) < 4:
            raise greenh2.RemoteProtocolError("refused", unprocessed=True)
        return greenh2.Response(200)

    client = make_client(transport=turned_away)
    job = gevent.spawn(client.post, "http://a.example/", content=b"once")
    with gevent.Timeout(10):
        while len(asked) < 3:
            gevent.sleep(0.001)

    def child() -> None:
        job.join(timeout=5)
        assert isinstance(job.exception, greenh2.ConnectError)
        assert len(asked) == 3

    in_a_child(child)
    assert job.get(timeout=5).status_code == 200


def test_a_dial_that_is_to_be_repeated_is_repeated_by_the_parent_alone() -> None:
    dead = gevent.socket.socket()
    dead.bind(("127.0.0.1", 0))  # and does not listen
    transport = greenh2.HTTPTransport(retries=5)
    request = greenh2.Request("POST", f"http://127.0.0.1:{dead.getsockname()[1]}/")
    job = gevent.spawn(transport.handle_request, request)
    gevent.sleep(0.2)  # the second attempt is over, the third comes after half a second

    def child() -> None:
        dead.listen()
        job.join(timeout=5)
        assert isinstance(job.exception, greenh2.ConnectError)
        assert "forked" in str(job.exception)

    in_a_child(child)
    job.kill()
    transport.close()
    dead.close()


@BOTH
def test_an_upload_that_goes_on_in_the_child_is_told_that_it_is_the_parents(
    origin: OriginFactory, make_client: MakeClient, alpn: tuple[str, ...]
) -> None:
    server = origin(alpn=alpn)
    client = make_client()
    at_work, may_go_on = gevent.event.Event(), gevent.event.Event()

    def body() -> Iterator[bytes]:
        yield b"first"
        at_work.set()
        may_go_on.wait()
        yield b"second"

    uploading = gevent.spawn(client.post, f"{server.url}/echo", content=body())
    assert at_work.wait(5)

    def child() -> None:
        client.get(server.url)  # which drops what is the parent's
        may_go_on.set()
        with pytest.raises(greenh2.ReadError, match="the process was forked"):
            uploading.get(timeout=5)

    in_a_child(child)
    may_go_on.set()
    assert uploading.get(timeout=5).text == "firstsecond"


def test_the_child_closes_its_copies_without_a_word_to_the_server(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)
    before = sockets()

    def child() -> None:
        client.dump()
        assert sockets() < before

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
            assert client.get(server.url, timeout=5.0).text == "hello\n"
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


@pytest.mark.parametrize("whose", ["the parent's", "the child's"])
def test_a_client_resolves_names_after_a_fork_that_gevent_knows_nothing_of(
    origin: OriginFactory, make_client: MakeClient, whose: str
) -> None:
    server = origin()
    client = make_client()
    client.get(server.url)  # localhost: the threads that resolve names have begun
    report, tell = os.pipe()
    pid = get_original("os", "fork")()  # as multiprocessing does without monkey patching
    if pid == 0:
        try:
            mine = client if whose == "the parent's" else make_client()
            os.write(tell, mine.get(server.url, timeout=5.0).content)
        except BaseException as exc:
            os.write(tell, repr(exc).encode())
        finally:
            os._exit(0)
    os.close(tell)
    assert os.read(report, 1000) == b"hello\n"
    os.close(report)
    with contextlib.suppress(ChildProcessError):  # gevent may have waited for it
        os.waitpid(pid, 0)
    assert client.get(server.url).text == "hello\n"
