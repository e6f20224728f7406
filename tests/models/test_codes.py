"""Status codes by name."""

from __future__ import annotations

import pytest

from greenh2._models.codes import codes


def test_a_code_is_an_int() -> None:
    assert int(codes.NOT_FOUND) == 404


def test_a_code_prints_as_its_number() -> None:
    assert str(codes.OK) == "200"


def test_a_code_knows_its_phrase() -> None:
    assert codes.IM_A_TEAPOT.phrase == "I'm a teapot"


@pytest.mark.parametrize("code", list(codes))
def test_every_code_has_a_lower_case_name(code: codes) -> None:
    assert getattr(codes, code.name.lower()) is code


def test_the_phrase_of_a_number_is_found() -> None:
    assert codes.get_reason_phrase(503) == "Service Unavailable"


def test_an_unregistered_number_has_no_phrase() -> None:
    assert codes.get_reason_phrase(299) == ""


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("is_informational", 100, 199),
        ("is_success", 200, 299),
        ("is_redirect", 300, 399),
        ("is_client_error", 400, 499),
        ("is_server_error", 500, 599),
        ("is_error", 400, 599),
    ],
)
def test_a_class_of_codes_reaches_from_its_first_to_its_last(name: str, first: int, last: int) -> None:
    tell = getattr(codes, name)
    assert [tell(code) for code in (first - 1, first, last, last + 1)] == [False, True, True, False]
