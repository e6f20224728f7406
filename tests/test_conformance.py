"""docs/conformance.md is complete, and names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "conformance.md"
_ROW = re.compile(r"^\| *(\d+) *\| *(.*?) *\| *(.*?) *\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_REASON = re.compile(r"Otherwise: \w+ \w+ \w+")

ROWS = {int(number): (what, shown) for number, what, shown in _ROW.findall(PAGE.read_text())}
LAST = 190


@cache
def names_in(path: str) -> set[str]:
    """Return the names of the tests in a file, which is not imported."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_no_number_is_missing_or_doubled_and_they_rise() -> None:
    assert [int(number) for number, _, _ in _ROW.findall(PAGE.read_text())] == list(range(1, LAST + 1))


def test_every_row_of_a_table_was_understood() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| *\d", line)]
    assert len(rows) == len(ROWS)


@pytest.mark.parametrize("number", ROWS)
def test_a_row_says_what_it_means_and_is_shown_by_tests_that_exist_or_has_a_reason(number: int) -> None:
    what, shown = ROWS[number]
    assert len(what.split()) > 1
    named = _TEST.findall(shown)
    assert named or _REASON.search(shown)
    assert shown.count("::") == len(named), "a test is named in a way that this file does not read"
    for path, name in named:
        assert name.startswith("test_")
        assert name in names_in(path), f"{path} has no {name}"
