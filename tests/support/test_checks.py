"""The checks around every test see what they are there for."""

import gc
import os
import socket
from collections.abc import Callable

import gevent
import gevent.socket
import pytest
from gevent.event import Event

from tests.support import leaks
from tests.support.leaks import Census
from tests.support.loopback import LeftLoopbackError, is_loopback
from tests.support.watchdog import Watchdog

LookUp = Callable[[str | bytes, int], object]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback_is_allowed(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "::2", "example.org", "::ffff:10.0.0.1", "0.0.0.0"])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("kind", [socket.socket, gevent.socket.socket])
def test_a_connect_off_loopback_is_refused(kind: type[socket.socket]) -> None:
    with kind() as sock, pytest.raises(LeftLoopbackError):
        sock.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("look_up", [socket.getaddrinfo, gevent.socket.getaddrinfo])
@pytest.mark.parametrize("name", ["example.org", b"example.org"])
def test_a_foreign_name_is_not_looked_up(
    look_up: Callable[[str | bytes, int], object], name: str | bytes
) -> None:
    with pytest.raises(socket.gaierror, match="stay on loopback"):
        look_up(name, 80)


@pytest.mark.parametrize("name", ["a.localhost", b"f.localhost", "localhost."])
def test_names_below_localhost_are_localhost(name: str | bytes) -> None:
    assert ("127.0.0.1", 80) in [entry[4] for entry in gevent.socket.getaddrinfo(name, 80)]


def test_a_greenlet_that_stays_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE", 0.05)
    census = Census()
    stop = Event()
    idler = gevent.spawn(stop.wait)
    assert ["greenlet" in leak for leak in census.leaks()] == [True]
    stop.set()
    idler.join()
    assert census.leaks() == []


def test_a_descriptor_that_stays_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    if not leaks.open_descriptors():
        pytest.skip("this system has no /proc")
    monkeypatch.setattr(leaks, "PATIENCE", 0.05)
    census = Census()
    reads, writes = os.pipe()
    assert ["descriptor" in leak for leak in census.leaks()] == [True, True]
    os.close(reads)
    os.close(writes)
    assert census.leaks() == []


def test_a_descriptor_that_moves_is_no_leak() -> None:
    reads, writes = os.pipe()
    census = Census()
    moved = os.dup(reads)
    os.close(reads)
    assert census.leaks() == []
    os.close(moved)
    os.close(writes)


def test_a_greenlet_that_ends_soon_is_no_leak() -> None:
    census = Census()
    gevent.spawn(gevent.sleep, 0.05)
    assert census.leaks() == []


def test_garbage_is_no_leak() -> None:
    gc.disable()
    try:
        census = Census()
        loop: list[object] = [gevent.socket.socket()]
        loop.append(loop)
        loop[0].close()  # type: ignore[attr-defined]  # a socket
        del loop
        assert census.leaks() == []
    finally:
        gc.enable()


def test_the_watchdog_barks_when_nobody_calls_it_off(capsys: pytest.CaptureFixture[str]) -> None:
    barks: list[str] = []
    dog = Watchdog(0.01, lambda: barks.append("woof"))
    with gevent.Timeout(5):
        while not barks:
            gevent.sleep(0.005)
    dog.call_off()
    assert "Greenlet" in capsys.readouterr().err or barks == ["woof"]


def test_a_watchdog_does_not_keep_the_loop_busy() -> None:
    dog = Watchdog(60, lambda: None)
    try:
        assert gevent.wait(timeout=5)
    finally:
        dog.call_off()
