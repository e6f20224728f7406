"""Limits: their defaults, and what they refuse."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest

from greenh2._models.config import Limits


def test_the_defaults_are_those_of_the_documentation() -> None:
    limits = Limits()
    assert {name: getattr(limits, name) for name in Limits.__slots__} == {
        "max_connections": 100,
        "max_keepalive_connections": 20,
        "keepalive_expiry": 5.0,
        "max_connections_per_origin": None,
        "max_streams_per_connection": None,
        "max_connection_age": None,
        "ping_interval": None,
        "ping_timeout": 15.0,
        "fairness_delay": 0.1,
        "busy_poll": 0.00025,
    }


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(
        AttributeError, match=r"Limits\.max_connections cannot be set to 1: make another Limits"
    ):
        Limits().max_connections = 1


def test_limits_are_equal_if_all_their_parts_are() -> None:
    assert Limits(max_connections=7) == Limits(max_connections=7) != Limits()
    assert hash(Limits(max_connections=7)) == hash(Limits(max_connections=7))
    assert Limits() != 7


def test_limits_can_be_copied_and_pickled() -> None:
    limits = Limits(max_connections=7, ping_interval=1.5)
    assert copy.copy(limits) == copy.deepcopy(limits) == pickle.loads(pickle.dumps(limits)) == limits


def test_the_repr_of_limits_is_how_to_make_them() -> None:
    limits = Limits(max_connections=7)
    assert eval(repr(limits)) == limits


def test_limits_can_be_replaced_in_part() -> None:
    assert Limits().__replace__(max_connections=1).max_connections == 1


@pytest.mark.parametrize(
    "name",
    [
        "max_connections",
        "max_keepalive_connections",
        "keepalive_expiry",
        "max_connections_per_origin",
        "max_streams_per_connection",
        "max_connection_age",
        "ping_interval",
    ],
)
def test_none_means_no_bound(name: str) -> None:
    unbounded: Any = {name: None}
    assert getattr(Limits(**unbounded), name) is None


@pytest.mark.parametrize(
    "name", ["max_keepalive_connections", "keepalive_expiry", "fairness_delay", "busy_poll"]
)
def test_some_limits_may_be_zero(name: str) -> None:
    assert getattr(Limits(**{name: 0}), name) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_connections", 0),
        ("max_connections", -1),
        ("max_keepalive_connections", -1),
        ("max_connections_per_origin", 0),
        ("max_streams_per_connection", 0),
        ("keepalive_expiry", -0.1),
        ("keepalive_expiry", math.nan),
        ("max_connection_age", 0),
        ("ping_interval", math.inf),
        ("ping_timeout", 0),
        ("fairness_delay", -1),
        ("busy_poll", -1),
        ("busy_poll", 0.011),
    ],
)
def test_a_number_out_of_range_is_refused_by_name_and_value(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is .* not {value}"):
        Limits(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_connections", 1.5),
        ("max_connections", True),
        ("max_streams_per_connection", "5"),
        ("keepalive_expiry", "5"),
        ("max_connection_age", False),
        ("ping_timeout", None),
        ("fairness_delay", None),
        ("busy_poll", None),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"'{name}' is .* not {value!r}"):
        Limits(**{name: value})
