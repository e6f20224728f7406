"""Loading is what a dial does with modules that nobody has needed before: the process may have no descriptor for them.

The sockets of others may have taken the last one.  Then the dial has failed, and the next one loads the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from greenh2._errors import ConnectError


@contextmanager
def loading(peer: str) -> Iterator[None]:
    """Raise ConnectError for a file that cannot be opened.  Nothing in the block may wait."""
    try:
        yield
    except OSError as exc:
        raise ConnectError(f"could not connect to {peer}: {exc}") from exc
