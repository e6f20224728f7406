"""The decisions of a lane, without any I/O."""

from dataclasses import dataclass

import pytest

from greenh2._models.route import Route
from greenh2._pool.lane import Choice, Lane

ROUTE = Route("https", "a.test", 443, "a.test")


@dataclass(eq=False)
class FakeConnection:
    streams: int = 0
    greeting: bool = False
    suspended: bool = False
    usable: bool = True


def lane(*, multiplexed: bool | None = None, limit: int | None = None) -> Lane[FakeConnection, str]:
    return Lane(ROUTE, multiplexed=multiplexed, limit=limit)


def test_an_empty_lane_wants_to_dial() -> None:
    assert lane().decide() is Choice.DIAL


@pytest.mark.parametrize("multiplexed", [True, None])
def test_one_dial_serves_all_who_ask_while_streams_may_be_shared(multiplexed: bool | None) -> None:
    one = lane(multiplexed=multiplexed)
    one.dials = 1
    assert one.decide() is Choice.WAIT
    assert one.shares_dial


def test_without_multiplexing_each_request_dials_for_itself() -> None:
    one = lane(multiplexed=False)
    one.dials = 3
    assert one.decide() is Choice.DIAL
    assert not one.shares_dial


def test_the_connection_that_became_ready_last_is_used_first() -> None:
    one = lane(multiplexed=False)
    older, newer = FakeConnection(), FakeConnection()
    for connection in (older, newer):
        one.add(connection)
        one.update(connection, room=True)
    assert one.decide() is newer
    one.update(newer, room=False)
    assert one.decide() is older


def test_the_limit_of_an_origin_counts_connections_and_dials() -> None:
    one = lane(multiplexed=False, limit=2)
    one.add(FakeConnection())
    one.dials = 1
    assert one.decide() is Choice.WAIT
    one.dials = 0
    assert one.decide() is Choice.DIAL


def test_no_second_connection_is_made_while_the_first_has_not_said_what_it_allows() -> None:
    one = lane(multiplexed=True)
    connection = FakeConnection(streams=1, greeting=True, suspended=True)
    one.add(connection)
    assert one.decide() is Choice.WAIT
    assert one.shares_dial
    connection.greeting = connection.suspended = False
    one.update(connection, room=False)
    assert one.decide() is Choice.DIAL


def test_a_connection_that_is_not_in_the_lane_never_becomes_ready() -> None:
    one = lane()
    one.update(FakeConnection(), room=True)
    assert not one.ready


def test_only_a_lane_with_waiting_requests_that_a_place_would_help_is_hungry() -> None:
    one = lane(multiplexed=True)
    assert not one.hungry
    one.waiters["request"] = None
    assert one.hungry
    one.dials = 1
    assert not one.hungry


def test_removing_twice_tells_that_the_second_found_nothing() -> None:
    one = lane()
    connection = FakeConnection()
    one.add(connection)
    assert one.remove(connection)
    assert not one.remove(connection)
    assert one.deserted


def test_only_its_own_connections_can_help_a_lane_that_has_as_many_as_it_may_have() -> None:
    one = lane(multiplexed=True, limit=2)
    busy, other = FakeConnection(streams=1), FakeConnection(streams=1)
    one.add(busy)
    assert not one.confined
    one.add(other)
    assert one.confined
    other.suspended = True
    one.update(other, room=False)
    assert not one.confined
    other.suspended = False
    one.update(other, room=True)
    assert not one.confined
    other.streams = 0
    one.update(other, room=False)
    assert not one.confined


def test_a_connection_that_was_suspended_is_not_thought_so_for_ever_where_others_speak_http_1_1() -> None:
    one = lane(multiplexed=True)
    shared = FakeConnection(streams=1, greeting=True, suspended=True)
    one.add(shared)
    one.multiplexed = False  # another server behind the same name
    one.add(FakeConnection(streams=1))
    shared.greeting = shared.suspended = False
    one.update(shared, room=False)
    one.multiplexed = True
    assert not one.shares_dial
    assert one.decide() is Choice.DIAL
