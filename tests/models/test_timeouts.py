"""Timeout, Deadline, and the two sentinels."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from greenh2._errors import ConnectTimeout, PoolTimeout, ReadTimeout, TotalTimeout, WriteTimeout
from greenh2._models.timeouts import UNSET, USE_CLIENT_DEFAULT, Deadline, Phase, Timeout


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_argument_has_the_name_it_has_in_httpx() -> None:
    assert Timeout(timeout=5.0, read=1.0) == Timeout(5.0, read=1.0)


def test_one_number_bounds_each_phase_and_not_the_total() -> None:
    assert Timeout(5.0).as_dict() == {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0, "total": None}


def test_a_phase_named_beside_the_number_has_its_own_bound() -> None:
    timeout = Timeout(5.0, read=30.0, total=60)
    assert (timeout.connect, timeout.read, timeout.total) == (5.0, 30.0, 60.0)


def test_none_bounds_nothing() -> None:
    assert set(Timeout(None).as_dict().values()) == {None}


def test_a_phase_named_none_is_unbounded() -> None:
    assert Timeout(5.0, read=None).read is None


def test_a_tuple_is_connect_read_write_pool() -> None:
    assert Timeout((1, 2, 3, None)) == Timeout(connect=1, read=2, write=3, pool=None)


def test_a_tuple_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"connect, read, write, pool"):
        Timeout((1, 2))  # type: ignore[arg-type]


def test_a_timeout_made_from_a_timeout_keeps_its_total() -> None:
    assert Timeout(Timeout(5.0, total=9.0), read=1.0) == Timeout(5.0, read=1.0, total=9.0)


def test_without_a_default_all_four_phases_must_be_named() -> None:
    with pytest.raises(ValueError, match="'pool'"):
        Timeout(connect=1, read=1, write=1)


def test_without_a_default_four_phases_are_enough() -> None:
    assert Timeout(connect=1, read=1, write=1, pool=1) == Timeout(1)


def test_a_total_alone_is_refused_and_told_how() -> None:
    with pytest.raises(ValueError, match=r"Timeout\(None, total=60\.0\)"):
        Timeout(total=5.0)


def test_a_total_without_a_default_stands_beside_four_phases() -> None:
    assert Timeout(connect=1, read=1, write=1, pool=1, total=3).total == 3.0


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, -math.inf, 10**400])
def test_a_number_that_is_no_duration_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="'read'"):
        Timeout(5.0, read=value)


@pytest.mark.parametrize("value", [True, "5", b"5", [5]])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="'total'"):
        Timeout(5.0, total=value)


def test_the_error_for_a_bad_bound_shows_the_value() -> None:
    with pytest.raises(ValueError, match="-3"):
        Timeout(-3)


def test_zero_is_a_bound() -> None:
    assert Timeout(5.0, pool=0).pool == 0.0


def test_a_timeout_cannot_be_changed() -> None:
    timeout = Timeout(5.0)
    with pytest.raises(AttributeError, match=r"Timeout\.read cannot be set to 1\.0: make another Timeout"):
        timeout.read = 1.0
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del timeout.read
    assert timeout == Timeout(5.0)


def test_a_timeout_can_be_replaced_in_part() -> None:
    assert Timeout(5.0).__replace__(read=1.0) == Timeout(5.0, read=1.0)


def test_equal_timeouts_have_equal_hashes() -> None:
    assert hash(Timeout(5)) == hash(Timeout(5.0))


def test_a_timeout_can_be_pickled() -> None:
    timeout = Timeout(5.0, total=1)
    assert pickle.loads(pickle.dumps(timeout)) == timeout


@pytest.mark.parametrize(
    ("timeout", "shown"),
    [
        (Timeout(5), "Timeout(5.0)"),
        (Timeout(None, total=9), "Timeout(None, total=9.0)"),
        (Timeout(5, read=1), "Timeout(connect=5.0, read=1.0, write=5.0, pool=5.0)"),
        (Timeout((1, 2, 3, 4), total=5), "Timeout(connect=1.0, read=2.0, write=3.0, pool=4.0, total=5.0)"),
    ],
)
def test_the_repr_of_a_timeout_is_how_to_make_it(timeout: Timeout, shown: str) -> None:
    assert repr(timeout) == shown


@pytest.mark.parametrize("sentinel", [UNSET, USE_CLIENT_DEFAULT])
def test_a_sentinel_stays_itself_through_pickling(sentinel: object) -> None:
    assert pickle.loads(pickle.dumps(sentinel)) is sentinel


def test_sentinels_show_their_names() -> None:
    assert (repr(UNSET), repr(USE_CLIENT_DEFAULT)) == ("UNSET", "USE_CLIENT_DEFAULT")


def test_without_a_total_nothing_remains_to_be_counted() -> None:
    deadline = Deadline(Timeout(5.0), Clock())
    assert (deadline.expires_at, deadline.remaining(), deadline.exceeded()) == (None, None, False)


def test_what_remains_of_the_total_shrinks_with_time() -> None:
    clock = Clock()
    deadline = Deadline(Timeout(5.0, total=10), clock)
    clock.now += 4
    assert deadline.remaining() == 6.0


def test_what_remains_of_the_total_is_never_negative() -> None:
    clock = Clock()
    deadline = Deadline(Timeout(5.0, total=10), clock)
    clock.now += 40
    assert deadline.remaining() == 0.0


def test_a_deadline_runs_by_the_monotonic_clock_unless_told_otherwise() -> None:
    remaining = Deadline(Timeout(5.0, total=1000)).remaining()
    assert remaining is not None
    assert 990 < remaining <= 1000


@pytest.mark.parametrize(
    ("timeout", "limit"),
    [
        (Timeout(None), None),
        (Timeout(5), 5.0),
        (Timeout(5, total=2), 2.0),
        (Timeout(5, total=20), 5.0),
        (Timeout(None, total=20), 20.0),
    ],
)
def test_a_wait_is_limited_by_its_phase_and_by_the_total(timeout: Timeout, limit: float | None) -> None:
    assert Deadline(timeout, Clock()).limit("read") == limit


def test_each_phase_has_its_own_limit() -> None:
    deadline = Deadline(Timeout((1, 2, 3, 4)))
    phases: list[Phase] = ["connect", "read", "write", "pool"]
    assert [deadline.limit(phase) for phase in phases] == [1, 2, 3, 4]


def test_the_total_is_exceeded_when_its_time_has_come() -> None:
    clock = Clock()
    deadline = Deadline(Timeout(5.0, total=10), clock)
    clock.now += 10
    assert deadline.exceeded()


def test_the_total_is_not_exceeded_before_its_time() -> None:
    clock = Clock()
    deadline = Deadline(Timeout(5.0, total=10), clock)
    clock.now += 9.9
    assert not deadline.exceeded()


@pytest.mark.parametrize(
    ("phase", "kind"),
    [("connect", ConnectTimeout), ("read", ReadTimeout), ("write", WriteTimeout), ("pool", PoolTimeout)],
)
def test_a_wait_that_ran_out_raises_the_error_of_its_phase(phase: Phase, kind: type[Exception]) -> None:
    error = Deadline(Timeout(5.0, total=10), Clock()).error(phase, "too slow")
    assert (type(error), str(error)) == (kind, "too slow")


def test_a_wait_that_ran_out_with_the_total_raises_total_timeout() -> None:
    clock = Clock()
    deadline = Deadline(Timeout(5.0, total=10), clock)
    clock.now += 10
    error = deadline.error("read", "too slow")
    assert (type(error), str(error)) == (TotalTimeout, "too slow (the total timeout of 10 s has passed)")


def test_a_timer_that_fires_a_little_early_still_means_the_total() -> None:
    clock = Clock()
    deadline = Deadline(Timeout(5.0, total=10), clock)
    clock.now += 9.998
    assert type(deadline.error("read", "too slow")) is TotalTimeout


def test_the_repr_of_a_deadline_tells_what_is_left() -> None:
    assert (
        repr(Deadline(Timeout(5.0, total=10), Clock()))
        == "<Deadline 10.000 s left, Timeout(5.0, total=10.0)>"
    )


def test_the_repr_of_a_deadline_without_total_says_so() -> None:
    assert repr(Deadline(Timeout(5.0))) == "<Deadline no total, Timeout(5.0)>"
