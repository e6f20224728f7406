"""Pairs are what headers, params and cookies are made from: the items of a mapping, or a list of tuples of two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Name = TypeVar("Name")
Value = TypeVar("Value")


def pairs_of(
    given: Mapping[Name, Value] | Iterable[tuple[Name, Value]], what: str
) -> Iterable[tuple[Name, Value]]:
    """Return the pairs of a mapping, or of an iterable of them.

    Raises TypeError for anything else; it says `what` that was for, and shows no value, which may be a secret.
    """
    if isinstance(given, Mapping):
        return given.items()
    _check_list(given, what)
    pairs = list(given)
    for pair in pairs:
        _check_pair(pair, what)
    return pairs


def _check_list(given: object, what: str) -> None:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} are a mapping or a list of pairs, not {type(given).__name__}")


def _check_pair(pair: object, what: str) -> None:
    if isinstance(pair, (tuple, list)):
        if len(pair) == 2:
            return
        odd = f"{type(pair).__name__} of {len(pair)}"
    else:
        odd = type(pair).__name__
    raise TypeError(
        f"{what} are a mapping or a list of pairs, each a tuple of a name and a value, not a {odd}"
    )
