"""QueryParams are the names and values behind the question mark of a URL."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from typing import TypeVar, Union, overload
from urllib.parse import parse_qsl, urlencode

from greenh2._models.pairs import pairs_of

PrimitiveData = str | int | float | bool | None
QueryParamTypes = Union[
    "QueryParams",
    Mapping[str, PrimitiveData | Sequence[PrimitiveData]],
    Sequence[tuple[str, PrimitiveData]],
    str,
    bytes,
]
Default = TypeVar("Default")


class QueryParams(Mapping[str, str]):
    """An immutable multi-dict of query parameters.

    Made from a query string, a mapping (a list or tuple as value stands for several), a list of pairs, other
    QueryParams, or keywords.  Values become str: True and False "true" and "false", None "".  Looking a
    name up gives the first of its values.  `str()` encodes for a form or URL, a space as "+"
    (application/x-www-form-urlencoded).  The order is kept, also between different names.

    Bytes of a query string that are no UTF-8, such as ``%FF``, are read as U+FFFD, and encoded again as they came.

    Raises TypeError for what is none of these, and ValueError for what cannot be encoded.
    """

    __slots__ = ("_first", "_pairs")

    def __init__(self, params: QueryParamTypes | None = None, /, **keywords: PrimitiveData) -> None:
        if params is not None and keywords:
            raise TypeError("QueryParams are made from one argument or from keywords, not from both")
        self._take(_pairs(keywords if params is None else params))

    def _take(self, pairs: tuple[tuple[str, str], ...]) -> None:
        # Bytes that are no UTF-8 are escaped in these as PEP 383 has it, and nowhere else.
        self._pairs = pairs
        self._first: dict[str, str] = {}
        for name, value in pairs:
            self._first.setdefault(_shown(name), _shown(value))

    def __getitem__(self, key: str) -> str:
        return self._first[key]

    def __contains__(self, key: object) -> bool:
        return key in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: Default) -> str | Default: ...
    def get(self, key: str, /, default: object = None) -> object:
        """Return the first value of a name, or the default."""
        return self._first.get(key, default)

    def get_list(self, key: str) -> list[str]:
        """Return every value of a name, in order."""
        return [_shown(value) for name, value in self._pairs if _shown(name) == key]

    def keys(self) -> KeysView[str]:
        """The names, each once."""
        return self._first.copy().keys()

    def values(self) -> ValuesView[str]:
        """The first value of each name."""
        return self._first.copy().values()

    def items(self) -> ItemsView[str, str]:
        """The pairs of each name and its first value."""
        return self._first.copy().items()

    def multi_items(self) -> list[tuple[str, str]]:
        """Return every pair of name and value, in order."""
        return [(_shown(name), _shown(value)) for name, value in self._pairs]

    def set(self, key: str, value: PrimitiveData = None) -> QueryParams:
        """Return params with this as the only value of its name, where the first one stood."""
        pair = _pair(key, value)
        places = [place for place, old in enumerate(self._pairs) if _shown(old[0]) == pair[0]]
        if not places:
            return _made_of((*self._pairs, pair))
        kept = [old for old in self._pairs[places[0] :] if _shown(old[0]) != pair[0]]
        return _made_of((*self._pairs[: places[0]], pair, *kept))

    def add(self, key: str, value: PrimitiveData = None) -> QueryParams:
        """Return params with one more value of a name, at the end."""
        return _made_of((*self._pairs, _pair(key, value)))

    def remove(self, key: str) -> QueryParams:
        """Return params without any value of a name."""
        return _made_of(tuple([pair for pair in self._pairs if _shown(pair[0]) != key]))

    def merge(self, params: QueryParamTypes | None = None) -> QueryParams:
        """Return params in which each name given here has the values given here; new names come last."""
        other = QueryParams(params)
        return _made_of((*(pair for pair in self._pairs if _shown(pair[0]) not in other), *other._pairs))

    def __eq__(self, other: object) -> bool:
        """Compare all pairs, without regard to their order."""
        if not isinstance(other, QueryParams):
            return NotImplemented
        return sorted(self._pairs) == sorted(other._pairs)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._pairs)))

    def __str__(self) -> str:
        return urlencode(self._pairs, errors="surrogateescape")

    def __repr__(self) -> str:
        return f"QueryParams({str(self)!r})"


def _made_of(pairs: tuple[tuple[str, str], ...]) -> QueryParams:
    params = QueryParams.__new__(QueryParams)
    params._take(pairs)
    return params


def _pairs(params: QueryParamTypes) -> tuple[tuple[str, str], ...]:
    match params:
        case QueryParams():
            return params._pairs
        case str() | bytes():
            return tuple(parse_qsl(_query(params), keep_blank_values=True, errors="surrogateescape"))
        case Mapping():
            return tuple([_pair(name, one) for name, value in params.items() for one in _several(value)])
        case _:
            return tuple([_pair(name, value) for name, value in pairs_of(params, "params")])


def _query(query: str | bytes) -> str:
    try:
        if isinstance(query, bytes):
            return query.decode("ascii")
        if not query.isascii():
            query.encode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError) as exc:
        raise ValueError(
            f"A query is text, or percent-encoded ASCII: its character {exc.start} is neither"
        ) from None
    return query


def _pair(name: str, value: PrimitiveData) -> tuple[str, str]:
    pair = name_of(name), text_of(value)
    for text in pair:
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise ValueError(
                    f"The parameter {name!r} holds a lone surrogate, which no encoding can express: make it text"
                ) from None
    return pair


def _shown(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _several(value: PrimitiveData | Sequence[PrimitiveData]) -> Sequence[PrimitiveData]:
    return value if isinstance(value, (list, tuple)) else [value]  # type: ignore[list-item]  # a str is one


def name_of(name: PrimitiveData) -> str:
    """Return a name as text.  Raises TypeError for one that would be sent as Python's source, such as bytes."""
    if isinstance(name, str):
        return name
    try:
        text_of(name)
    except TypeError:
        raise TypeError(f"The name of a value is text, not {type(name).__name__}: make it text") from None
    return str(name)


def text_of(value: PrimitiveData) -> str:
    """Return a value as it is written: True and False as "true" and "false", None as "".

    Raises TypeError for a mapping, for what holds several values, and for bytes; it does not show them.
    """
    match value:
        case str():
            return value
        case None:
            return ""
        case True:
            return "true"
        case False:
            return "false"
        case int() | float():
            return str(value)
        case (
            bytes()
            | bytearray()
            | memoryview()
            | Mapping()
            | list()
            | tuple()
            | AbstractSet()
            | ValuesView()
            | Iterator()
        ):
            # Their str() would be sent, as of Python's source; it is for the caller to say what is meant.
            raise TypeError(
                f"A value is text, a number, a bool or None, not {type(value).__name__}: make it text"
            )
        case _:
            return str(value)
