"""QueryParams: an immutable multi-dict."""

from __future__ import annotations

import pickle
from collections import UserString
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenh2._models.query import QueryParams

text = st.text(st.characters(codec="utf-8"), max_size=10)


@pytest.mark.parametrize(
    ("params", "pairs"),
    [
        (None, []),
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        (b"a=1", [("a", "1")]),
        ("a=&b", [("a", ""), ("b", "")]),
        ("a=x+y%20z&%C3%BC=1", [("a", "x y z"), ("ü", "1")]),
        ({"a": 1, "b": 2.5, "c": True}, [("a", "1"), ("b", "2.5"), ("c", "true")]),
        ({"a": False, "b": None}, [("a", "false"), ("b", "")]),
        ({"a": ["1", 2], "b": (None,)}, [("a", "1"), ("a", "2"), ("b", "")]),
        ([("a", 1), ("a", True)], [("a", "1"), ("a", "true")]),
        (QueryParams("a=1"), [("a", "1")]),
        ({"a": UserString("x y"), "b": UUID(int=1)}, [("a", "x y"), ("b", str(UUID(int=1)))]),
    ],
)
def test_params_are_made_from_many_things(params: Any, pairs: list[tuple[str, str]]) -> None:
    assert QueryParams(params).multi_items() == pairs


def test_params_are_made_from_keywords() -> None:
    assert QueryParams(a=1, b="x").multi_items() == [("a", "1"), ("b", "x")]


def test_params_are_not_made_from_two_things_at_once() -> None:
    with pytest.raises(TypeError, match="not from both"):
        QueryParams("a=1", b=2)


def test_looking_up_gives_the_first_value() -> None:
    params = QueryParams("a=1&a=2")
    assert (params["a"], params.get("a")) == ("1", "1")


def test_a_missing_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        QueryParams()["a"]


def test_a_missing_name_has_a_default() -> None:
    assert (QueryParams().get("a"), QueryParams().get("a", "b")) == (None, "b")


def test_all_values_of_a_name_can_be_had() -> None:
    assert QueryParams("a=1&b=2&a=3").get_list("a") == ["1", "3"]


def test_a_mapping_s_views_show_each_name_once() -> None:
    params = QueryParams("a=1&b=2&a=3")
    assert (list(params), list(params.keys()), list(params.values()), list(params.items()), len(params)) == (
        ["a", "b"],
        ["a", "b"],
        ["1", "2"],
        [("a", "1"), ("b", "2")],
        2,
    )


def test_membership_and_truth() -> None:
    params = QueryParams("a=1")
    assert ("a" in params, "b" in params, bool(params), bool(QueryParams())) == (True, False, True, False)


def test_setting_puts_the_value_where_the_first_one_stood() -> None:
    assert str(QueryParams("x=0&a=1&b=2&a=3").set("a", 9)) == "x=0&a=9&b=2"


def test_setting_a_new_name_puts_it_last() -> None:
    assert str(QueryParams("a=1").set("b")) == "a=1&b="


def test_adding_keeps_the_other_values() -> None:
    assert str(QueryParams("a=1&b=2").add("a", 3)) == "a=1&b=2&a=3"


def test_removing_takes_every_value() -> None:
    assert str(QueryParams("a=1&b=2&a=3").remove("a")) == "b=2"


def test_merging_replaces_all_values_of_a_name() -> None:
    assert str(QueryParams("a=1&b=2&a=3").merge({"a": ["8", "9"], "c": 7})) == "b=2&a=8&a=9&c=7"


def test_merging_nothing_changes_nothing() -> None:
    assert QueryParams("a=1").merge() == QueryParams("a=1")


def test_params_are_not_changed_by_what_makes_others_of_them() -> None:
    params = QueryParams("a=1")
    params.set("a", 2), params.add("a", 3), params.remove("a"), params.merge("a=4")
    assert str(params) == "a=1"


def test_params_are_equal_whatever_their_order() -> None:
    assert QueryParams("a=1&b=2") == QueryParams("b=2&a=1")


def test_equal_params_have_equal_hashes() -> None:
    assert len({QueryParams("a=1&b=2"), QueryParams("b=2&a=1")}) == 1


def test_params_differ_from_other_things() -> None:
    assert QueryParams("a=1") != {"a": "1"}


def test_a_space_is_encoded_as_plus() -> None:
    assert str(QueryParams({"a b": "c&d"})) == "a+b=c%26d"


def test_the_repr_is_how_to_make_them() -> None:
    assert repr(QueryParams(a=1)) == "QueryParams('a=1')"


def test_params_can_be_pickled() -> None:
    params = QueryParams("a=1&a=2")
    assert pickle.loads(pickle.dumps(params)) == params


NO_UTF8 = "a=%FFx&%FE=1&b=2&a=%C3%BC"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda params: params, "a=%FFx&%FE=1&b=2&a=%C3%BC"),
        (lambda params: params.add("c", 3), "a=%FFx&%FE=1&b=2&a=%C3%BC&c=3"),
        (lambda params: params.set("b", 9), "a=%FFx&%FE=1&b=9&a=%C3%BC"),
        (lambda params: params.remove("b"), "a=%FFx&%FE=1&a=%C3%BC"),
        (lambda params: params.merge({"b": 9}), "a=%FFx&%FE=1&a=%C3%BC&b=9"),
        (lambda params: QueryParams("b=0").merge(params), "a=%FFx&%FE=1&b=2&a=%C3%BC"),
        (lambda params: pickle.loads(pickle.dumps(params)), "a=%FFx&%FE=1&b=2&a=%C3%BC"),
    ],
)
def test_bytes_of_a_query_that_are_no_utf_8_stay_as_they_were(change: Any, expected: str) -> None:
    assert str(change(QueryParams(NO_UTF8))) == expected


def test_bytes_of_a_query_that_are_no_utf_8_are_read_as_the_replacement_character() -> None:
    params = QueryParams(NO_UTF8)
    assert (params["a"], params.get_list("a"), params["\ufffd"]) == ("\ufffdx", ["\ufffdx", "ü"], "1")
    assert params.multi_items() == [("a", "\ufffdx"), ("\ufffd", "1"), ("b", "2"), ("a", "ü")]
    assert str(params.remove("\ufffd").set("a", 1)) == "a=1&b=2"


@pytest.mark.parametrize("params", [{"tea": "\udcff"}, [("tea", "\ud800")]])
def test_a_lone_surrogate_is_refused_with_the_name_of_its_parameter(params: Any) -> None:
    with pytest.raises(ValueError, match="'tea' holds a lone surrogate"):
        QueryParams(params)


@pytest.mark.parametrize(("query", "place"), [(b"a=\xff", 2), ("ab=\udcff", 3)])
def test_a_query_that_cannot_be_encoded_is_refused(query: Any, place: int) -> None:
    with pytest.raises(ValueError, match=f"its character {place} is neither"):
        QueryParams(query)


@settings(deadline=None)
@given(st.lists(st.tuples(text, text)))
def test_encoding_and_parsing_gives_the_same_params(pairs: list[tuple[str, str]]) -> None:
    assert QueryParams(str(QueryParams(pairs))).multi_items() == pairs
