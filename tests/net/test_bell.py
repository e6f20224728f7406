"""One ring, one wait: whichever comes first."""

import time

import gevent
import pytest

from greenh2._net.bell import Bell, Leash


def test_a_ring_before_the_wait_is_remembered_and_does_not_switch() -> None:
    bell = Bell()
    bell.ring()
    others = gevent.spawn(lambda: "ran")
    assert bell.wait(None)
    assert not others.ready()
    others.join()


def test_several_rings_before_the_wait_count_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(5.0)
    assert not bell.wait(0)


@pytest.mark.parametrize("seconds", [None, 5.0, 1e-5 + 5, 1e300])
def test_a_ring_wakes_the_waiting_greenlet_in_the_next_turn(seconds: float | None) -> None:
    bell = Bell()
    waiting = gevent.spawn(bell.wait, seconds)
    gevent.sleep(0)
    assert bell.awaited
    bell.ring()
    assert not bell.awaited
    assert not waiting.ready()
    assert waiting.get(timeout=5.0) is True


def test_a_ring_may_come_from_a_callback_of_the_hub() -> None:
    bell = Bell()
    gevent.get_hub().loop.run_callback(bell.ring)
    assert bell.wait(5.0)


@pytest.mark.parametrize("seconds", [1e-9, 0.03])
def test_the_wait_ends_when_its_time_is_over(seconds: float) -> None:
    bell = Bell()
    started = time.monotonic()
    assert not bell.wait(seconds)
    assert seconds - 0.002 <= time.monotonic() - started < seconds + 3.0
    assert not bell.awaited


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_no_time_at_all_is_no_wait(seconds: float) -> None:
    others = gevent.spawn(lambda: "ran")
    assert not Bell().wait(seconds)
    assert not others.ready()
    others.join()


def test_a_ring_after_the_time_is_over_is_there_for_the_next_wait() -> None:
    bell = Bell()
    assert not bell.wait(0.001)
    bell.ring()
    assert bell.wait(0)


def test_a_ring_in_the_same_turn_as_the_timer_counts() -> None:
    bell = Bell()
    timer = gevent.get_hub().loop.timer(0.01)
    timer.start(bell.ring, update=True)
    waiting = gevent.spawn(bell.wait, 0.01)
    gevent.sleep(0)
    time.sleep(0.02)  # both are due when the loop runs again
    assert waiting.get(timeout=5.0) is True
    timer.close()


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_a_kill_ends_the_wait_and_a_later_ring_hits_nobody(seconds: float | None) -> None:
    bell = Bell()
    waiting = gevent.spawn(bell.wait, seconds)
    gevent.sleep(0)
    waiting.kill()
    assert not bell.awaited
    bell.ring()
    assert bell.wait(0)


def test_a_kill_between_the_ring_and_the_waking_disturbs_no_later_wait() -> None:
    bell = Bell()
    waiting = gevent.spawn(bell.wait, None)
    gevent.sleep(0)
    gevent.get_hub().loop.run_callback(waiting.kill, gevent.GreenletExit, False)
    gevent.get_hub().loop.run_callback(bell.ring)
    waiting.join()
    assert not bell.wait(0.01) or not bell.wait(0.01)


def test_a_timeout_from_outside_passes_through_the_wait() -> None:
    bell = Bell()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        bell.wait(5.0)
    assert not bell.awaited


def test_a_wait_that_is_over_leaves_nothing_that_keeps_the_loop_alive() -> None:
    bell = Bell()
    gevent.spawn(bell.wait, 60.0).kill()
    bell.ring()
    bell.wait(60.0)
    assert gevent.wait(timeout=5.0)


# -- leashes -----------------------------------------------------------------------------------------------------


class CalledOffError(Exception):
    """What the tests call a job off with."""


def test_a_leash_waits_as_its_bell_does() -> None:
    leash = Leash()
    assert not leash.wait(0.001)
    leash.bell.ring()
    assert leash.wait(5.0)


def test_a_job_that_is_called_off_ends_in_its_present_wait() -> None:
    leash = Leash()
    gevent.get_hub().loop.run_callback(leash.call_off, CalledOffError())
    with pytest.raises(CalledOffError):
        leash.wait(None)


def test_a_job_that_was_called_off_ends_in_its_next_wait() -> None:
    leash = Leash()
    leash.call_off(CalledOffError())
    other = gevent.spawn(lambda: "ran")
    for _ in range(2):
        with pytest.raises(CalledOffError):
            leash.wait(5.0)
    assert not other.ready()
    other.join()
