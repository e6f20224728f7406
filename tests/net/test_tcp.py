"""Addresses are raced, all within one time, and nothing is left of those that lose."""

import _socket
import os
import socket
import time
from collections.abc import Callable, Iterator

import gevent
import gevent.socket
import pytest

from greenh2._errors import CloseError, ConnectError, ConnectTimeout
from greenh2._net import tcp
from greenh2._net.bell import Leash
from greenh2._net.dns import Address, Resolver
from tests.support.loopback import LeftLoopbackError
from tests.support.rawserver import RawServer, RawServers

Ports = Callable[[], int]


@pytest.fixture
def bound() -> Iterator[Callable[[], _socket.socket]]:
    """Makes sockets that are bound to a port of their own, and closed after the test."""
    made: list[_socket.socket] = []

    def bind() -> _socket.socket:
        sock = _socket.socket()
        sock.bind(("127.0.0.1", 0))
        made.append(sock)
        return sock

    yield bind
    for sock in made:
        sock.close()


@pytest.fixture
def full(bound: Callable[[], _socket.socket]) -> Callable[[], _socket.socket]:
    """Makes listening sockets whose queue is full until one connection is accepted: the kernel drops what knocks."""

    def listen() -> _socket.socket:
        listener, guest = bound(), bound()
        listener.listen(0)
        guest.setblocking(False)
        guest.connect_ex(listener.getsockname())
        gevent.socket.wait_read(listener.fileno(), timeout=5.0)
        return listener

    return listen


@pytest.fixture
def dead(full: Callable[[], _socket.socket]) -> Ports:
    """Ports that neither accept nor refuse."""
    return lambda: full().getsockname()[1]


@pytest.fixture
def refusing(bound: Callable[[], _socket.socket]) -> Ports:
    """Ports at which nobody listens, and nobody else will."""
    return lambda: bound().getsockname()[1]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets an attempt have so much time for itself that a test which waits for that fails."""
    monkeypatch.setattr(tcp, "ATTEMPT_DELAY", 60.0)


@pytest.fixture
def live(raw_server: RawServers) -> RawServer:
    return raw_server(tls=False)


def at(*ports: int) -> Resolver:
    return lambda host, port: [(socket.AF_INET, ("127.0.0.1", number)) for number in ports]


def connect(resolver: Resolver, seconds: float | None = 5.0) -> socket.socket:
    return tcp.connect("localhost", 1, "https://peer", seconds, resolver=resolver)


def timed(resolver: Resolver, seconds: float | None = 5.0) -> tuple[float, int]:
    """Return the seconds that it took and the port that won."""
    started = time.monotonic()
    sock = connect(resolver, seconds)
    took = time.monotonic() - started
    port: int = sock.getpeername()[1]
    sock.close()
    return took, port


accept: Callable[[_socket.socket], tuple[int, object]] = _socket.socket._accept  # type: ignore[attr-defined]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# -- the race --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [5.0, None])
def test_the_first_address_that_answers_is_connected_to(live: RawServer, seconds: float | None) -> None:
    _, port = timed(at(live.port), seconds)
    assert port == live.port


def test_a_connected_socket_never_blocks_and_does_not_gather_small_writes(live: RawServer) -> None:
    sock = connect(at(live.port))
    assert sock.gettimeout() == 0.0
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    sock.close()


def test_a_socket_that_is_dropped_closes_without_a_word(live: RawServer) -> None:
    before = descriptors()
    connect(at(live.port))
    assert descriptors() <= before


def test_a_dead_first_address_costs_a_quarter_of_a_second(live: RawServer, dead: Ports) -> None:
    took, port = timed(at(dead(), live.port))
    assert port == live.port
    assert 0.24 <= took < 3.0


def test_a_dead_first_address_costs_no_more_without_a_time_limit(live: RawServer, dead: Ports) -> None:
    took, _ = timed(at(dead(), live.port), None)
    assert 0.24 <= took < 3.0


@pytest.mark.usefixtures("unhurried")
def test_a_refusal_costs_nothing(live: RawServer, refusing: Ports) -> None:
    _, port = timed(at(refusing(), refusing(), live.port))
    assert port == live.port


def test_a_refusal_brings_the_next_attempt_on_while_others_hang(
    live: RawServer, dead: Ports, refusing: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "ATTEMPT_DELAY", 0.7)
    took, _ = timed(at(dead(), refusing(), refusing(), live.port))
    assert 0.69 <= took < 2.0


def test_a_refusal_brings_one_attempt_on_and_not_all(live: RawServer, dead: Ports, refusing: Ports) -> None:
    took, port = timed(at(refusing(), dead(), dead(), live.port))
    assert took >= 0.49
    assert port == live.port


@pytest.mark.usefixtures("unhurried")
def test_an_address_of_an_unknown_family_is_passed_over(live: RawServer) -> None:
    odd: Address = (9999, ("127.0.0.1", 1))
    _, port = timed(lambda host, port: [odd, (socket.AF_INET, ("127.0.0.1", live.port))])
    assert port == live.port


def test_a_slow_attempt_may_still_win_while_a_later_one_hangs(
    full: Callable[[], _socket.socket], dead: Ports
) -> None:
    slow = full()
    port: int = slow.getsockname()[1]
    racing = gevent.spawn(timed, at(port, dead()))
    gevent.sleep(0.3)
    descriptor, _ = accept(slow)  # there is room again: the kernel knocks after a second
    _, won = racing.get()
    assert won == port
    os.close(descriptor)


def test_the_families_take_turns_and_the_systems_first_choice_is_first() -> None:
    six = [(socket.AF_INET6, (f"::{number}", 1, 0, 0)) for number in (1, 2, 3)]
    four = [(socket.AF_INET, ("127.0.0.1", 1))]
    assert tcp._interleaved([*six, *four]) == [six[0], four[0], six[1], six[2]]
    assert tcp._interleaved([*four, *six]) == [four[0], *six]
    assert tcp._interleaved([]) == []


# -- errors ----------------------------------------------------------------------------------------------------


def test_one_error_names_every_address_that_failed(refusing: Ports) -> None:
    def both(host: str, port: int) -> list[Address]:
        number = refusing()
        return [
            (9999, ("odd", 1)),
            (socket.AF_INET6, ("::1", number, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", number)),
        ]

    with pytest.raises(ConnectError) as caught:
        connect(both)
    text = str(caught.value)
    assert text.startswith("could not connect to https://peer: ")
    assert "odd: " in text
    assert "::1: Connection refused" in text or "::1: [Errno" in text
    assert "127.0.0.1: " in text


def test_a_name_without_addresses_is_an_error() -> None:
    with pytest.raises(ConnectError, match="no address"):
        connect(at())


def test_what_the_resolver_raises_is_passed_on() -> None:
    def unknown(host: str, port: int) -> list[Address]:
        raise ConnectError("no such name")

    with pytest.raises(ConnectError, match="no such name"):
        connect(unknown)


def test_an_address_needs_no_resolver(live: RawServer) -> None:
    never = at()
    sock = tcp.connect("127.0.0.1", live.port, "https://peer", 5.0, resolver=never)
    assert sock.getpeername() == ("127.0.0.1", live.port)
    sock.close()


def test_an_unforeseen_error_leaves_no_descriptor() -> None:
    before = descriptors()
    with pytest.raises(LeftLoopbackError):
        connect(lambda host, port: [(socket.AF_INET, ("192.0.2.1", 80))])
    assert descriptors() <= before


def test_an_address_that_the_system_refuses_at_once_is_passed_over(live: RawServer) -> None:
    broadcast = (socket.AF_INET, ("127.255.255.255", 1))
    assert timed(lambda host, port: [broadcast, (socket.AF_INET, ("127.0.0.1", live.port))])[1] == live.port
    with pytest.raises(ConnectError, match=r"127\.255\.255\.255: \[Errno"):
        connect(lambda host, port: [broadcast])


# -- time ------------------------------------------------------------------------------------------------------


def test_all_addresses_share_one_time(dead: Ports) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectTimeout, match=r"no connection to https://peer within 0\.4 s"):
        connect(at(*(dead() for _ in range(8))), 0.4)
    assert 0.39 <= time.monotonic() - started < 2.0  # and not 0.4 s or a turn for each


def test_the_look_up_of_the_name_is_part_of_that_time(dead: Ports) -> None:
    port = dead()

    def slow(host: str, port_: int) -> list[Address]:
        gevent.sleep(0.8)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    started = time.monotonic()
    with pytest.raises(ConnectTimeout, match="no connection"):
        connect(slow, 1.0)
    assert 0.99 <= time.monotonic() - started < 1.7


def test_a_name_that_is_not_resolved_in_time_is_a_connect_timeout() -> None:
    def endless(host: str, port: int) -> list[Address]:
        gevent.sleep(60)
        return []

    with pytest.raises(ConnectTimeout, match=r"was not resolved within 0\.05 s"):
        connect(endless, 0.05)


def test_no_time_at_all_is_a_connect_timeout_at_once(dead: Ports) -> None:
    with pytest.raises(ConnectTimeout):
        connect(at(dead()), 0)


def test_a_time_that_no_timer_holds_is_no_bound(live: RawServer) -> None:
    assert timed(at(live.port), 1e300)[1] == live.port


def stuck_in_the_name(dead: Ports) -> Resolver:
    def endless(host: str, port: int) -> list[Address]:
        gevent.sleep(60)
        return []

    return endless


def stuck_in_the_race(dead: Ports) -> Resolver:
    return at(dead(), dead())


@pytest.mark.parametrize("stuck", [stuck_in_the_name, stuck_in_the_race])
def test_a_timeout_from_outside_passes_through_and_leaves_nothing(
    dead: Ports, stuck: Callable[[Ports], Resolver]
) -> None:
    resolver = stuck(dead)
    before = descriptors()
    outside = gevent.Timeout(0.3)
    with pytest.raises(gevent.Timeout) as caught, outside:
        connect(resolver)
    assert caught.value is outside
    assert descriptors() <= before


@pytest.mark.parametrize("stuck", [stuck_in_the_name, stuck_in_the_race])
def test_a_connect_that_is_called_off_ends_at_once_and_leaves_nothing(
    dead: Ports, stuck: Callable[[Ports], Resolver]
) -> None:
    resolver, leash = stuck(dead), Leash()
    before = descriptors()
    connecting = gevent.spawn(
        tcp.connect, "localhost", 1, "https://peer", 5.0, resolver=resolver, leash=leash
    )
    gevent.sleep(0.3)
    leash.call_off(CloseError("closed"))
    with pytest.raises(CloseError, match="closed"):
        connecting.get()
    assert descriptors() <= before


@pytest.mark.parametrize("stuck", [stuck_in_the_name, stuck_in_the_race])
def test_a_kill_leaves_no_descriptor(dead: Ports, stuck: Callable[[Ports], Resolver]) -> None:
    resolver = stuck(dead)
    before = descriptors()
    connecting = gevent.spawn(connect, resolver, None)
    gevent.sleep(0.3)
    connecting.kill()
    assert descriptors() <= before


def test_a_bell_that_was_rung_before_is_no_answer_of_the_resolver(raw_server: RawServers) -> None:
    server = raw_server(tls=False)
    leash = Leash()
    leash.bell.ring()

    def slow(host: str, port: int) -> list[Address]:
        gevent.sleep(0.01)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    tcp.connect("a.example", server.port, "the peer", 5.0, resolver=slow, leash=leash).close()
