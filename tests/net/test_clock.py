"""Ages that neither a stale nor a stepped clock decides: the stamps are made as such a clock would have made them."""

import time

import gevent
import pytest

from greenh2._net.clock import Clock, Stamp

clock = Clock()


def test_a_moment_ages_as_time_goes_by() -> None:
    since = clock.stamp()
    gevent.sleep(0.02)
    assert 0.015 <= clock.age(since) < 0.5


def test_the_age_is_right_while_the_loops_clock_stands_still() -> None:
    since = clock.stamp()
    time.sleep(0.02)  # the loop does not run, as under a greenlet that computes
    assert 0.015 <= clock.age(since) < 0.5


def test_a_stamp_is_not_made_with_a_stale_clock() -> None:
    gevent.sleep(0)
    time.sleep(0.05)
    since = clock.stamp()
    gevent.sleep(0.002)
    assert clock.age(since) < 0.04


def test_a_new_moment_has_no_age() -> None:
    assert 0.0 <= clock.age(clock.stamp()) < 0.02


def stepped(since: Stamp, seconds: float) -> Stamp:
    """What the stamp would be if the wall clock had been set forward by so many seconds after it."""
    return since._replace(loop=since.loop - seconds)


@pytest.mark.parametrize("seconds", [-3600.0, -0.7, 0.7, 3600.0])
def test_a_step_of_the_wall_clock_ages_nothing_and_makes_nothing_younger(seconds: float) -> None:
    since = stepped(clock.stamp(), seconds)
    gevent.sleep(0.02)
    assert 0.015 <= clock.age(since) < 0.5


def test_time_in_suspend_counts_though_the_monotonic_clock_stood_still() -> None:
    now = clock.stamp()
    since = now._replace(loop=now.loop - 100.0, boot=now.boot - 100.0)
    assert 100.0 <= clock.age(since) < 101.0


def test_no_age_is_below_zero() -> None:
    now = clock.stamp()
    assert (
        clock.age(now._replace(loop=now.loop + 10, monotonic=now.monotonic + 10, boot=now.boot + 10)) == 0.0
    )
