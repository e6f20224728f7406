"""Transports that give prepared answers, and a body that tells what became of it."""

from __future__ import annotations

from collections.abc import Iterator

from greenh2 import Request, Response


class Answers:
    """A transport that gives its answers in order, raising those that are errors; it keeps the requests."""

    def __init__(self, *answers: Response | BaseException) -> None:
        self._answers = iter(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def last(self) -> Request:
        return self.requests[-1]


class Pieces:
    """The body of a response: gives its pieces, raises those that are errors, knows whether it was closed."""

    def __init__(self, *pieces: bytes | BaseException, closing: Exception | None = None) -> None:
        self._pieces = pieces
        self._closing = closing
        self.given = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, BaseException):
                raise piece
            self.given += 1
            yield piece

    def close(self) -> None:
        self.closed = True
        if self._closing is not None:
            raise self._closing


def redirect(location: str, status: int = 302, stream: Pieces | None = None) -> Response:
    return Response(status, headers={"Location": location}, stream=stream or Pieces())
