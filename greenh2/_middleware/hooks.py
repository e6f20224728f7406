"""CallHooks shows each request as it goes out, and each response as it comes in, to functions of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from greenh2._middleware.derive import derive
from greenh2._middleware.handler import Handler, closed_on_error
from greenh2._models.request import Request
from greenh2._models.response import Response

# A hook takes a Request or a Response, by the list it is in; what it returns is ignored.
EventHook: TypeAlias = Callable[..., object]
EventHooks: TypeAlias = dict[str, list[EventHook]]


def event_hooks_of(hooks: Mapping[str, Iterable[EventHook]] | None) -> EventHooks:
    """Return lists of hooks for both events.  Raises ValueError or TypeError for what is never called."""
    checked: EventHooks = {"request": [], "response": []}
    if hooks is not None and not isinstance(hooks, Mapping):
        raise TypeError(
            f'event_hooks is {{"request": [...], "response": [...]}}, lists of functions, not {type(hooks).__name__}'
        )
    for event, functions in (hooks or {}).items():
        if event not in ("request", "response"):
            raise ValueError(f"event_hooks are for 'request' or 'response', not for {event!r}")
        if not isinstance(functions, Iterable):
            raise TypeError(f"event_hooks[{event!r}] is a list of functions, not {type(functions).__name__}")
        checked[event] = list(functions)
        for function in checked[event]:
            if not callable(function):
                raise TypeError(f"An event hook is a function, not {type(function).__name__}")
    return checked


class CallHooks:
    """Call the request hooks with what is about to be sent, and the response hooks with what came back.

    That is once for every message on the wire: redirects, retries and the steps of an Auth included.  Hooks
    run in the caller's greenlet.  A request hook may change the request's headers, for this message alone: a
    repeat or a redirect begins with those of the request, and meets the hooks again.  A response has not been
    read yet; a hook may read it.  An error in a hook ends the call, and closes the response.
    """

    def __init__(self, following: Handler, *, hooks: Callable[[], EventHooks]) -> None:
        self._next = following
        self._hooks = hooks

    def __call__(self, request: Request) -> Response:
        hooks = self._hooks()
        if called := hooks.get("request"):
            request = derive(request)
            for hook in tuple(called):  # others may change the list while a hook waits, and so may a hook
                hook(request)
        response = self._next(request)
        if called := hooks.get("response"):
            with closed_on_error(response):
                for hook in tuple(called):
                    hook(response)
        return response
