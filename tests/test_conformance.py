"""docs/conformance.md is complete, and names tests that exist."""

import re

import pytest

from tests.support.named_tests import ROOT, missing, named_tests

PAGE = ROOT / "docs" / "conformance.md"
_ROW = re.compile(r"^\| *(\d+) *\| *(.*?) *\| *(.*?) *\|$", re.MULTILINE)
_REASON = re.compile(r"Otherwise: \w+ \w+ \w+")

ROWS = {int(number): (what, shown) for number, what, shown in _ROW.findall(PAGE.read_text())}
LAST = 190


def test_no_number_is_missing_or_doubled_and_they_rise() -> None:
    assert [int(number) for number, _, _ in _ROW.findall(PAGE.read_text())] == list(range(1, LAST + 1))


def test_every_row_of_a_table_was_understood() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| *\d", line)]
    assert len(rows) == len(ROWS)


@pytest.mark.parametrize("number", ROWS)
def test_a_row_says_what_it_means_and_is_shown_by_tests_that_exist_or_has_a_reason(number: int) -> None:
    what, shown = ROWS[number]
    assert len(what.split()) > 1
    named = named_tests(shown)
    assert named or _REASON.search(shown)
    assert shown.count("::") == len(named), "a test is named in a way that this file does not read"
    assert missing(shown) == []
