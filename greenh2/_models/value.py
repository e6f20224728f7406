"""A Value is what the user sets together and nobody changes, such as Limits: equal if all its parts are.

No dataclasses here and elsewhere: to make them takes a fourth of the time that it takes to import all of greenh2.
"""

from __future__ import annotations

from typing import Any, NoReturn


class Value:
    """The base of classes whose parts are named in ``__slots__``, and set by `_set` when one is made."""

    __slots__ = ()

    def _set(self, **parts: object) -> None:
        for name, part in parts.items():
            object.__setattr__(self, name, part)

    def _parts(self) -> dict[str, Any]:
        names: tuple[str, ...] = self.__slots__
        return {name: getattr(self, name) for name in names}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        kind = type(self).__name__
        raise AttributeError(f"{kind}.{name} cannot be set to {value!r}: make another {kind}")

    def __delattr__(self, name: str) -> NoReturn:
        kind = type(self).__name__
        raise AttributeError(f"{kind}.{name} cannot be deleted: make another {kind}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, Value):
            return NotImplemented
        return self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(tuple(self._parts().values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={part!r}" for name, part in self._parts().items())
        return f"{type(self).__name__}({shown})"

    def __replace__(self, **changes: Any) -> Any:
        """Return another one with some parts changed: what `copy.replace` of Python 3.13 calls."""
        return type(self)(**{**self._parts(), **changes})

    def __setstate__(self, state: tuple[None, dict[str, object]]) -> None:
        self._set(**state[1])
