"""Who is told what happens to a request: the logger ``greenh2``, and the request's own ``trace`` callable.

A step is an event name (``"pool.acquired"``) with a few facts.  `Trace.of` answers ``None`` when nobody
listens, so that the hot path pays one comparison for each step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

logger = logging.getLogger("greenh2")

#: What a user hands in as ``extensions={"trace": ...}``: called in the greenlet of the request.
TraceHook = Callable[[str, Mapping[str, object]], object]


class Trace:
    """The listeners of one request; called with an event name and its facts."""

    __slots__ = ("_hook", "_label")

    def __init__(self, label: object, hook: TraceHook | None) -> None:
        self._label = label
        self._hook = hook

    @classmethod
    def of(cls, label: object, hook: TraceHook | None) -> Trace | None:
        """Return the listeners of the request that ``label`` names, or None when there are none."""
        if hook is not None and not callable(hook):
            raise TypeError(f"The extension 'trace' is a function, not {type(hook).__name__}")
        if hook is None and not logger.isEnabledFor(logging.DEBUG):
            return None
        return cls(label, hook)

    def __call__(self, event: str, /, **facts: object) -> None:
        log(event, request=self._label, **facts)
        if self._hook is not None:
            self._hook(event, facts)


def log(event: str, /, **facts: object) -> None:
    """Write one DEBUG line: the event, then its facts as ``name=value``."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s %s", event, " ".join(f"{name}={value}" for name, value in facts.items()))
