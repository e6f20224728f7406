"""How long the long tests are: short in each run of the suite, and at full length where GREENH2_FULL is set."""

import os
from typing import TypeVar

T = TypeVar("T")
FULL = bool(os.environ.get("GREENH2_FULL"))


def scaled(short: T, full: T) -> T:
    """Return what this run wants of the two."""
    return full if FULL else short
