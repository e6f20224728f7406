"""Who is next for a place: in order of arrival, whatever changes, and at the same cost however many wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from greenh2._models.route import Route
from greenh2._pool.lane import Lane
from greenh2._pool.line import Line, PoolLane

_moments = count(1)


@dataclass(eq=False)
class Asking:
    """A request in the queue of a lane, as far as the line looks at it."""

    arrival: float = field(default_factory=lambda: float(next(_moments)))


class Looked(Lane[object, Asking]):  # type: ignore[type-var] # which has no connections here
    """A lane that counts how often anybody looks whether it needs a place."""

    looks = 0

    @property
    def hungry(self) -> bool:
        Looked.looks += 1
        return super().hungry


def lane(number: int = 0, *, multiplexed: bool | None = False) -> PoolLane:
    route = Route("https", f"origin-{number}", 443, f"origin-{number}")
    return cast("PoolLane", Looked(route, multiplexed=multiplexed, limit=None))


def ask(one: PoolLane) -> None:
    cast("dict[Asking, None]", one.waiters)[Asking()] = None


def rank_of(one: PoolLane) -> tuple[bool, float]:
    """Say what the order should be, looking at everything."""
    return one.probing, max(one.stumbled, min(waiter.arrival for waiter in one.waiters))


def test_nobody_waits_in_an_empty_line() -> None:
    line = Line()
    assert not line
    assert line.first() is None
    assert list(line) == []


def test_a_lane_that_waits_for_its_own_dial_is_in_line_for_no_place() -> None:
    line, one = Line(), lane(multiplexed=True)
    ask(one)
    line.note(one)
    assert line.first() is one
    one.dials = 1
    line.note(one)
    assert line
    assert line.first() is None


def test_behind_all_others_is_a_lane_that_is_at_its_first_connection() -> None:
    line, probing, later = Line(), lane(1), lane(2)
    for one in (probing, later):
        ask(one)
    probing.dials = 1
    for one in (probing, later):
        line.note(one)
    assert list(line) == [later, probing]


def test_a_dial_that_failed_counts_as_a_new_arrival() -> None:
    line, failed, other = Line(), lane(1), lane(2)
    for one in (failed, other):
        ask(one)
        line.note(one)
    assert list(line) == [failed, other]
    failed.stumbled = float(next(_moments))
    line.note(failed)
    assert list(line) == [other, failed]
    newer = lane(3)
    ask(newer)
    line.note(newer)
    assert list(line) == [other, failed, newer]


CHANGES = st.tuples(
    st.integers(0, 4), st.sampled_from(["ask", "go", "dial", "made", "failed", "shared", "alone"])
)


@given(st.lists(CHANGES, max_size=200))
def test_the_first_is_whom_looking_at_all_of_them_would_find(changes: list[tuple[int, str]]) -> None:
    line, lanes = Line(), [lane(number) for number in range(5)]
    for number, change in changes:
        one = lanes[number]
        match change:
            case "ask":
                ask(one)
            case "go" if one.waiters:
                del one.waiters[next(iter(one.waiters))]
            case "dial":
                one.dials += 1
            case "made" | "failed" if one.dials:
                one.dials -= 1
                one.stumbled = float(next(_moments)) if change == "failed" else 0.0
            case "shared" | "alone":
                one.multiplexed = change == "shared"
        line.note(one)
        hungry = sorted([one for one in lanes if one.hungry], key=rank_of)
        assert line.first() is (hungry[0] if hungry else None)
        assert list(line) == hungry
        assert bool(line) == any(one.waiters for one in lanes)


def test_however_many_wait_a_change_looks_at_one_lane() -> None:
    line, lanes = Line(), [lane(number) for number in range(2000)]
    for one in lanes:
        ask(one)
        line.note(one)
    Looked.looks = 0
    for one in lanes:
        assert line.first() is one
        one.dials += 1  # a place is given to the oldest, who was the only one
        one.waiters.clear()
        line.note(one)
    assert not line
    assert Looked.looks <= 2 * len(lanes)


def test_what_is_out_of_date_does_not_pile_up_while_no_place_becomes_free() -> None:
    line, first, other = Line(), lane(1), lane(2)
    for one in (first, other):
        ask(one)
        line.note(one)
    for _ in range(10_000):  # requests of the other give up, and new ones come
        ask(other)
        del other.waiters[next(iter(other.waiters))]
        line.note(other)
    assert list(line) == [first, other]
    assert len(line._heap) < 200


def test_a_lane_that_needs_a_place_again_and_again_is_in_line_once() -> None:
    line, one, other = Line(), lane(1, multiplexed=True), lane(2)
    for asking in (other, one):
        ask(asking)
        line.note(asking)
    for _ in range(10_000):  # as when its server allows no streams for a moment, or its dials are killed
        for dials in (1, 0):
            one.dials = dials
            line.note(one)
    assert list(line) == [other, one]
    assert len(line._heap) < 200
