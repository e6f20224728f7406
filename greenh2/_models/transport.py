"""What a Client sends its requests through, as far as it is no network: the class to build on, and one for tests."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from greenh2._models.request import Request
from greenh2._models.response import Response

if TYPE_CHECKING:
    from typing_extensions import Self


class BaseTransport:
    """What a Client sends its requests through: subclass it and write `handle_request`."""

    def handle_request(self, request: Request) -> Response:
        """Send one request and return its response, the body yet to be read."""
        raise NotImplementedError(f"{type(self).__name__} does not implement handle_request()")

    def close(self) -> None:
        """Let go of everything held.  May be called more than once."""

    def __enter__(self) -> Self:
        """Begin: a Client does this when its with block begins."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Close: a Client does this when its with block ends."""
        self.close()


class MockTransport(BaseTransport):
    """A transport that answers by calling a function, for tests."""

    def __init__(self, handler: Callable[[Request], Response]) -> None:
        if not callable(handler):
            raise TypeError(f"handler is a function from Request to Response, not {type(handler).__name__}")
        self.handler = handler

    def handle_request(self, request: Request) -> Response:
        """Read the request's body into memory, and return what the function makes of the request."""
        request.read()
        return self.handler(request)
