"""A Handler turns a Request into a Response: the one shape of all middlewares and of the transport below.

A middleware may be interrupted wherever the next handler waits, also by gevent.Timeout and GreenletExit,
which are no Exceptions.  While it holds a response that its caller has not got yet, it therefore stands in
`closed_on_error(response)`: nobody else could give the connection back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, TypeAlias

from greenh2._errors import RequestError, StreamError
from greenh2._models.request import Request
from greenh2._models.response import Response

Handler: TypeAlias = Callable[[Request], Response]

# One default flow-control window of HTTP/2: so much has arrived already, or is on its way.
MOST_DRAINED: Final = 65_536


class closed_on_error:  # noqa: N801  # reads as the words of a with statement, as contextlib.suppress does
    """Close the response when the block is left by any error at all, and let that very error pass.

    It is closed before that, but for GeneratorExit: the collector may have found that nobody goes on with a generator
    that has the block, and in its midst nothing is closed.  Then it is closed soon, by the loop.
    """

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # An error of close() would take the place of the one under way, which may be somebody's Timeout.
            with suppress(Exception):
                if kind is GeneratorExit:
                    self._response._leave()
                else:
                    self._response.close()


def drain(response: Response) -> None:
    """Read a response that nobody asked for, so that its connection can go on: 64 KiB at most.  Closes it.

    What was read becomes its content, unless a hook or a flow had begun to read.  An error on the way ends the reading,
    and nothing else.
    """
    if response.is_closed:
        return
    pieces: list[bytes] = []
    room = MOST_DRAINED
    with suppress(RequestError, StreamError):
        for piece in response.iter_bytes():
            room -= len(piece)
            if room < 0:
                break
            pieces.append(piece)
        else:
            response._content = b"".join(pieces)
    response.close()
