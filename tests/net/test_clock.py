"""Ages that neither a stale nor a stepped clock decides: the stamps are made as such a clock would have made them."""

import time

import gevent
import pytest

from greenh2._net.clock import Clock, Stamp

clock = Clock()
COARSE = 0.005
"""Seconds by which the clocks may differ: that of libuv has steps of a millisecond."""


def passed(begun: float) -> float:
    """Return the most that can have gone by since then."""
    return time.monotonic() - begun + COARSE


def test_a_moment_ages_as_time_goes_by() -> None:
    begun = time.monotonic()
    since = clock.stamp()
    gevent.sleep(0.02)
    age = clock.age(since)
    assert 0.015 <= age <= passed(begun)


def test_the_age_is_right_while_the_loops_clock_stands_still() -> None:
    begun = time.monotonic()
    since = clock.stamp()
    time.sleep(0.02)  # the loop does not run, as under a greenlet that computes
    age = clock.age(since)
    assert 0.015 <= age <= passed(begun)


def test_a_stamp_is_not_made_with_a_stale_clock() -> None:
    gevent.sleep(0)
    time.sleep(0.05)
    begun = time.monotonic()
    since = clock.stamp()
    gevent.sleep(0.002)
    age = clock.age(since)
    assert age <= passed(begun)


def test_a_new_moment_has_no_age() -> None:
    begun = time.monotonic()
    age = clock.age(clock.stamp())
    assert 0.0 <= age <= passed(begun)


def stepped(since: Stamp, seconds: float) -> Stamp:
    """What the stamp would be if the wall clock had been set forward by so many seconds after it."""
    return since._replace(loop=since.loop - seconds)


@pytest.mark.parametrize("seconds", [-3600.0, -0.7, 0.7, 3600.0])
def test_a_step_of_the_wall_clock_ages_nothing_and_makes_nothing_younger(seconds: float) -> None:
    begun = time.monotonic()
    since = stepped(clock.stamp(), seconds)
    gevent.sleep(0.02)
    age = clock.age(since)
    assert 0.015 <= age <= passed(begun)


def test_time_in_suspend_counts_though_the_monotonic_clock_stood_still() -> None:
    now = clock.stamp()
    since = now._replace(loop=now.loop - 100.0, boot=now.boot - 100.0)
    assert 100.0 <= clock.age(since) < 110.0


def test_no_age_is_below_zero() -> None:
    now = clock.stamp()
    assert (
        clock.age(now._replace(loop=now.loop + 10, monotonic=now.monotonic + 10, boot=now.boot + 10)) == 0.0
    )
