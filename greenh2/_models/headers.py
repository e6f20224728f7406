"""Headers are the fields of a message: names without case, in order, and each as often as it was sent."""

from __future__ import annotations

from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    Sequence,
    ValuesView,
)
from typing import Final, TypeVar, Union, overload

from greenh2._errors import LocalProtocolError
from greenh2._models.pairs import pairs_of

HeaderTypes = Union[
    "Headers",
    Mapping[str, str],
    Mapping[bytes, bytes],
    Sequence[tuple[str, str]],
    Sequence[tuple[bytes, bytes]],
]
Default = TypeVar("Default")

SECRET_NAMES: Final = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
# RFC 9110 section 5.6.2.
TOKEN_CHARS: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# RFC 9110 section 5.5: a value may hold no control character but the tab.
_FORBIDDEN_IN_VALUE: Final = bytes(code for code in (*range(32), 127) if code != 9)


def check_field(name: bytes, value: bytes) -> bytes:
    """Return the value as it may be sent: without the white space around it.

    Raises LocalProtocolError when the name is no token (RFC 9110 section 5.1), or the value holds a control
    character other than the tab (section 5.5): a line break there would begin a header or a request of its
    own.  The error names the header and never shows its value.
    """
    if not name or name.translate(None, TOKEN_CHARS):
        shown = name.decode("utf-8", "backslashreplace")[:80]
        raise LocalProtocolError(
            f"{shown!r} cannot be the name of a header: only letters, digits and !#$%&'*+-.^_`|~ are allowed."
        )
    value = value.strip(b" \t")
    if len(value.translate(None, _FORBIDDEN_IN_VALUE)) != len(value):
        kind = "a line break" if b"\n" in value or b"\r" in value else "a control character"
        raise LocalProtocolError(f"The value of the header {name.decode('ascii')!r} holds {kind}: remove it.")
    return value


class Headers(MutableMapping[str, str]):
    """A mutable multi-dict of header fields.

    Made from a mapping, a list of pairs, or other Headers; str is sent as UTF-8 unless `encoding` says
    otherwise.  Looking up a name which occurs several times joins the values with ", " (RFC 9110 section
    5.3); `get_list()` and `multi_items()` keep them apart.  Does not check names and values: a Request does
    that when it is built.  Raises TypeError for what is neither str nor bytes, ValueError for what cannot be encoded.

    Values are decoded when they are looked up, as ASCII or else UTF-8 or else ISO-8859-1, whichever fits all.
    """

    __slots__ = ("_checked", "_encoding", "_index", "_raw")

    _raw: list[tuple[bytes, bytes]]
    _encoding: str | None
    # Whether check() has passed since the last change.
    _checked: bool
    # Lower-case name -> its value, or its values when there are several.  None: to be built when needed.
    # Such a list is never changed once the index is built, so that copies may share it.
    _index: dict[bytes, bytes | list[bytes]] | None

    def __init__(self, headers: HeaderTypes | None = None, encoding: str | None = None) -> None:
        self._encoding = encoding if encoding is None else _checked_encoding(encoding)
        self._index = None
        self._checked = False
        if headers is None:
            self._raw = []
        elif isinstance(headers, Headers):
            self._raw = headers._raw.copy()
            self._checked = headers._checked
            self._index = headers._lookup().copy()
        else:
            pairs: Iterable[tuple[str | bytes, str | bytes]]
            pairs = headers.items() if isinstance(headers, Mapping) else pairs_of(headers, "headers")
            codec = encoding or "utf-8"
            self._raw = [
                (_encode_name(name, codec), _encode_value(name, value, codec)) for name, value in pairs
            ]

    @classmethod
    def from_raw(cls, raw: list[tuple[bytes, bytes]]) -> Headers:
        """Wrap fields that were received: the list is taken over as it is, neither copied nor checked."""
        self = cls.__new__(cls)
        self._raw = raw
        self._encoding = None
        self._index = None
        self._checked = False
        return self

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """A new list of the fields, as bytes, with the case of their names as it was given."""
        return self._raw.copy()

    @property
    def raw_names(self) -> KeysView[bytes]:
        """The names as bytes, each once, in lower case: for whoever asks for several, and often."""
        return (self._index or self._lookup()).keys()

    @property
    def encoding(self) -> str:
        """How values are decoded: as was set, or the first of ascii, utf-8, iso-8859-1 that fits all."""
        if self._encoding is not None:
            return self._encoding
        everything = b"".join([part for field in self._raw for part in field])
        if everything.isascii():
            return "ascii"
        try:
            for part in (part for field in self._raw for part in field):
                part.decode("utf-8")
        except UnicodeDecodeError:
            return "iso-8859-1"
        return "utf-8"

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        self._encoding = _checked_encoding(encoding)

    def __getitem__(self, key: str) -> str:
        """Return the value of a header; several values are joined with ", ".  Raises KeyError."""
        found = (self._index or self._lookup()).get(_key(key))
        if found is None:
            raise KeyError(key)
        return self._merged(found)

    def __setitem__(self, key: str, value: str) -> None:
        """Set a header, in place of the first field of that name; further ones are dropped."""
        codec = self._encoding or "utf-8"
        name, content = _encode_name(key, codec), _encode_value(key, value, codec)
        index = self._lookup()
        lower = name.lower()
        self._checked = False  # before: another thread may make a copy
        if lower not in index:
            self._raw.append((name, content))
        else:
            position = next(place for place, field in enumerate(self._raw) if field[0].lower() == lower)
            kept = [field for field in self._raw if field[0].lower() != lower]
            kept.insert(position, (name, content))
            self._raw = kept
        index[lower] = content

    def __delitem__(self, key: str) -> None:
        """Remove every field of that name.  Raises KeyError when there is none."""
        index = self._lookup()
        lower = _key(key)
        if lower not in index:
            raise KeyError(key)
        del index[lower]
        self._raw = [field for field in self._raw if field[0].lower() != lower]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _key(key) in (self._index or self._lookup())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        """The number of fields, as in httpx: a name that occurs twice counts twice."""
        return len(self._raw)

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: Default) -> str | Default: ...
    def get(self, key: str, /, default: object = None) -> object:
        """Return the value of a header, or the default; several values are joined with ", "."""
        found = (self._index or self._lookup()).get(_key(key))
        if found is None:
            return default
        return self._merged(found)

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """Return every value of a header, in order.

        `split_commas` takes each apart at its commas as well, which is right for lists such as Accept, and
        wrong where a comma may be part of a value, as in Set-Cookie or Date.
        """
        found = self._lookup().get(_key(key), [])
        values = [self._text(value) for value in (found if isinstance(found, list) else [found])]
        if not split_commas:
            return values
        return [item.strip() for value in values for item in value.split(",")]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return every field as a pair (lower-case name, value), in order."""
        return [(self._text(name).lower(), self._text(value)) for name, value in self._raw]

    def keys(self) -> KeysView[str]:
        """The names, each once, in lower case."""
        return dict.fromkeys([self._text(name) for name in self._lookup()], "").keys()

    def values(self) -> ValuesView[str]:
        """The values by name, several of one name joined with ", "."""
        return self._joined().values()

    def items(self) -> ItemsView[str, str]:
        """The pairs (lower-case name, value), several values of one name joined with ", "."""
        return self._joined().items()

    # MutableMapping.update() also takes any iterable and keywords; the names of headers are no keywords.
    def update(self, headers: HeaderTypes | None = None) -> None:  # type: ignore[override]
        """Set each header given here, with all of its values, in place of those of the same name."""
        if not headers:
            return
        new = headers if isinstance(headers, Headers) else Headers(headers, self._encoding)
        index, added = self._lookup(), new._lookup()
        replaced = index.keys() & added.keys()
        kept = [field for field in self._raw if field[0].lower() not in replaced] if replaced else self._raw
        index = {name: values for name, values in index.items() if name not in replaced}
        self._checked = self._checked and new._checked
        # At once: another thread that makes a copy now must not miss what is about to be replaced.
        self._raw = [*kept, *new._raw]
        self._index = index | added

    def prepend(self, name: bytes, value: bytes) -> None:
        """Put a field before all others, also when there is one of that name; `check_field()` it."""
        value = check_field(name, value)
        self._raw.insert(0, (name, value))
        if self._index is not None:
            lower = name.lower()
            self._index = None if lower in self._index else {lower: value, **self._index}

    def append(self, name: bytes, value: bytes) -> None:
        """Put a field behind all others, also when there is one of that name; `check_field()` it."""
        value = check_field(name, value)
        self._raw.append((name, value))
        if self._index is not None:
            if name.lower() in self._index:
                self._index = None
            else:
                self._index[name.lower()] = value

    def check(self) -> bool:
        """Make sure that every field may be sent, by `check_field()`; False, and at no cost, if none changed since."""
        if self._checked:
            return False
        fields = [(name, check_field(name, value)) for name, value in self._raw]
        if fields != self._raw:
            self._raw = fields
            self._index = None
        self._checked = True
        return True

    def copy(self) -> Headers:
        """Return Headers of their own, with the same fields and encoding."""
        return Headers(self, self._encoding)

    def __or__(self, other: HeaderTypes) -> Headers:
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: HeaderTypes) -> Headers:
        return Headers(other) | self

    def __eq__(self, other: object) -> bool:
        """Compare fields, without regard to their order or the case of their names."""
        if not isinstance(other, Headers):
            if not isinstance(other, (Mapping, list, tuple)):
                return NotImplemented
            try:
                other = Headers(other)
            except (TypeError, ValueError):
                return False
        return self._sorted() == other._sorted()

    def __repr__(self) -> str:
        fields = [
            (self._text(name).lower(), "[secure]" if name.lower() in SECRET_NAMES else self._text(value))
            for name, value in self._raw
        ]
        inside = dict(fields) if len(self._lookup()) == len(fields) else fields
        encoding = self.encoding
        return (
            f"Headers({inside!r})" if encoding == "ascii" else f"Headers({inside!r}, encoding={encoding!r})"
        )

    def _lookup(self) -> dict[bytes, bytes | list[bytes]]:
        index = self._index
        if index is None:
            index = {}
            for name, value in self._raw:
                lower = name.lower()
                if lower not in index:
                    index[lower] = value
                elif isinstance(known := index[lower], list):
                    known.append(value)
                else:
                    index[lower] = [known, value]
            self._index = index  # not before it is whole: other threads may be looking
        return index

    def _text(self, value: bytes) -> str:
        if self._encoding is None and value.isascii():
            return value.decode("ascii")
        return value.decode(self.encoding)

    def _merged(self, found: bytes | list[bytes]) -> str:
        if isinstance(found, list):
            return ", ".join([self._text(value) for value in found])
        return self._text(found)

    def _joined(self) -> dict[str, str]:
        return {self._text(name): self._merged(found) for name, found in self._lookup().items()}

    def _sorted(self) -> list[tuple[bytes, bytes]]:
        return sorted([(name.lower(), value) for name, value in self._raw])


def _key(name: str) -> bytes:
    try:
        return name.lower().encode()
    except UnicodeEncodeError:
        return b"\n"  # which no header is named
    except AttributeError:
        raise TypeError(f"Headers are looked up by a str, not by {name!r}") from None


def _checked_encoding(encoding: object) -> str | None:
    if encoding is None:
        return None
    if not isinstance(encoding, str):
        raise TypeError(f"The encoding of headers is a str or None, not {encoding!r}")
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        raise ValueError(f"The encoding of headers is {encoding!r}, which Python does not know") from None
    return encoding


def _encode_name(name: str | bytes, encoding: str) -> bytes:
    if isinstance(name, str):
        try:
            return name.encode(encoding)
        except UnicodeEncodeError:
            raise _unfit("name", name, encoding) from None
    if isinstance(name, bytes):
        return name
    raise TypeError(f"The name of a header is str or bytes, not {type(name).__name__}: {name!r}")


def _encode_value(name: str | bytes, value: str | bytes, encoding: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode(encoding)
        except UnicodeEncodeError:
            raise _unfit("value", name, encoding) from None
    if isinstance(value, bytes):
        return value
    raise TypeError(f"The value of the header {name!r} is str or bytes, not {type(value).__name__}")


def _unfit(what: str, name: str | bytes, encoding: str) -> ValueError:
    # Without the value, which may be a secret.
    return ValueError(f"The {what} of the header {name!r} cannot be written in {encoding}: give it as bytes")
