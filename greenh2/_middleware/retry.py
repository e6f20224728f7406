"""Retry sends a request again when that cannot make anything happen twice.

Three facts of a TransportError speak for another attempt, and neither its class nor any response does:

- `unprocessed`: the peer provably did not act upon it (RFC 9113 section 8.7), so that any method may be sent
  again: up to six attempts in all, the second at once, the later ones after 0.05, 0.1, 0.2 and 0.4 s.  If the
  peer is merely leaving the connection (`moved`), up to twenty, all at once: on the next connection the request
  comes before those that were made later.
- `reused_silent`: a kept connection ended before it brought a byte.  Most likely the peer had closed it
  already, but it may have acted: an idempotent request (RFC 9110 section 9.2.2) is sent again, once.
- `http11_required`: it is sent again over HTTP/1.1, once (RFC 9113 section 7).

A body that cannot be read a second time is never sent a second time, and a timeout has used up its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from greenh2._errors import TimeoutException, TransportError
from greenh2._middleware.derive import derive
from greenh2._middleware.handler import Handler
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.timeouts import Deadline

MAX_ATTEMPTS: Final = 6
MAX_MOVES: Final = 20
FIRST_PAUSE: Final = 0.05
JITTER: Final = 0.1
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

Reason: TypeAlias = Literal["unprocessed", "silent", "downgrade"]


class Again(NamedTuple):
    """Send it once more, after so many seconds."""

    reason: Reason
    pause: float = 0.0


class GiveUp(NamedTuple):
    """Let the error pass.  `why` tells what stood in the way, None when nothing spoke for another attempt."""

    why: str | None = None


def decide(error: TransportError, request: Request, spent: Sequence[Reason]) -> Again | GiveUp:
    """Tell whether a request that failed so may be sent again; `spent` are the reasons of earlier repeats."""
    wanted = error.unprocessed or error.reused_silent or error.http11_required
    if not wanted or isinstance(error, TimeoutException):
        return GiveUp()
    if not request.body.replayable:
        return GiveUp("its body can be read only once; give it as bytes, a file or a list")
    if error.http11_required:
        return GiveUp("it was over HTTP/1.1 already") if "downgrade" in spent else Again("downgrade")
    if error.unprocessed:
        repeats = spent.count("unprocessed")
        if len(spent) + 1 >= (MAX_MOVES if error.moved else MAX_ATTEMPTS):
            return GiveUp(f"{len(spent) + 1} attempts were made")
        at_once = error.moved or not repeats
        return Again("unprocessed", 0.0 if at_once else FIRST_PAUSE * 2.0 ** (repeats - 1))
    if request.method not in IDEMPOTENT:
        return GiveUp(f"the server may have acted upon it, and {request.method} is not idempotent")
    return GiveUp("a second connection ended the same way") if "silent" in spent else Again("silent")


class Retry:
    """Send a request again when its error says that this is safe.

    `sleep` waits for some seconds, and may switch greenlets; `jitter` returns the factor for each pause.  No
    pause is begun that would outlast the total of the request's Deadline.  An error that spoke for another
    attempt tells in its message why there was none; errors of other kinds pass as they are.
    """

    def __init__(
        self,
        following: Handler,
        *,
        sleep: Callable[[float], object],
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self._next = following
        self._sleep = sleep
        self._jitter = _jitter if jitter is None else jitter

    def __call__(self, request: Request) -> Response:
        spent: list[Reason] = []
        while True:
            try:
                return self._next(request)
            except TransportError as error:
                decision = self._in_time(decide(error, request, spent), request)
                if isinstance(decision, GiveUp):
                    _tell(error, decision.why)
                    raise
            # Here the error and the frames it holds are gone already, and a kill shows no stale context.
            spent.append(decision.reason)
            if decision.pause:
                self._sleep(decision.pause)
            if decision.reason == "downgrade":
                request = derive(request, extensions={**request.extensions, "http1_only": True})

    def _in_time(self, decision: Again | GiveUp, request: Request) -> Again | GiveUp:
        if isinstance(decision, GiveUp):
            return decision
        pause = decision.pause * self._jitter() if decision.pause else 0.0
        deadline = request.extensions.get("deadline")
        remaining = deadline.remaining() if isinstance(deadline, Deadline) else None
        if remaining is not None and remaining <= pause:
            return GiveUp("the total timeout leaves no time for it")
        return Again(decision.reason, pause)


def _jitter() -> float:
    from random import uniform  # few requests are sent again

    return uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads the load, guards no secret


def _tell(error: TransportError, why: str | None) -> None:
    if why is not None:
        message = str(error).rstrip(".")
        error.args = (f"{message}. It was not sent again: {why}." if message else f"Not sent again: {why}.",)
