"""What the tests of the adapters make."""

import itertools
from collections.abc import Callable

import requests

import greenh2

MakeSession = Callable[..., requests.Session]


class Scripted:
    """Answers with what it is told, one after the other, and keeps what was asked."""

    def __init__(self, *script: Exception | tuple[int, dict[str, str]]) -> None:
        self._script = itertools.chain(script, itertools.repeat((200, {})))
        self.asked: list[bytes] = []

    def __call__(self, request: greenh2.Request) -> greenh2.Response:
        self.asked.append(b"".join(request.body))
        step = next(self._script)
        if isinstance(step, Exception):
            raise step
        status, headers = step
        return greenh2.Response(status, headers=headers, content=b"body")
