"""Tests that a page of the documentation names: whether they exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def names_in(path: str) -> set[str]:
    """Return the names of the tests in a file, which is not imported."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def named_tests(text: str) -> list[tuple[str, str]]:
    """Return the tests that a text names, as pairs of a file and a name; the name is empty for a whole file."""
    return _TEST.findall(text)


def missing(text: str) -> list[str]:
    """Return those that do not exist."""
    return [
        f"{path}::{name}"
        for path, name in named_tests(text)
        if not (ROOT / path).is_file()
        or (name and (not name.startswith("test_") or name not in names_in(path)))
    ]
