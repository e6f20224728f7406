"""The public page shows what it says, and nothing by accident."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import greenh2
from greenh2 import _errors, _version

PUBLIC = {name for name in vars(greenh2) if not name.startswith("_")}


def test_every_name_that_is_promised_is_there() -> None:
    assert [name for name in greenh2.__all__ if not hasattr(greenh2, name)] == []


def test_every_name_that_is_there_is_promised() -> None:
    # Submodules become attributes of the package when they are imported.
    values = {name for name in PUBLIC if not isinstance(getattr(greenh2, name), ModuleType)}
    assert values - set(greenh2.__all__) == set()


def test_no_name_is_promised_twice() -> None:
    assert len(greenh2.__all__) == len(set(greenh2.__all__))


def test_every_error_is_public() -> None:
    assert set(_errors.__all__) <= set(greenh2.__all__)


@pytest.mark.parametrize(
    "name", sorted(set(greenh2.__all__) - {"__version__", "codes", "USE_CLIENT_DEFAULT"})
)
def test_every_public_name_says_what_it_is(name: str) -> None:
    assert (getattr(greenh2, name).__doc__ or "").strip()


def test_the_version_is_told() -> None:
    assert greenh2.__version__ == _version.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", greenh2.__version__)


def test_the_types_are_shipped() -> None:
    assert (Path(greenh2.__file__).parent / "py.typed").exists()


def test_every_name_is_in_the_reference() -> None:
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
    listed = set(re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE))
    # The errors stand there as a module.
    assert listed == set(greenh2.__all__) - set(_errors.__all__) - {"__version__"}
