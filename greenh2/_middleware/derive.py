"""To derive a request is to make another that differs in what is named: what is on its way never changes."""

from __future__ import annotations

from greenh2._models.body import Body
from greenh2._models.headers import Headers
from greenh2._models.request import Request
from greenh2._models.url import URL


def derive(
    request: Request,
    *,
    method: str | None = None,
    url: URL | None = None,
    headers: Headers | None = None,
    body: Body | None = None,
    extensions: dict[str, object] | None = None,
) -> Request:
    """Return a request with these parts in place of the old ones, taken over as they are, nothing added or checked.

    What is not named is shared with the old request, except for `headers` and `extensions`, which are copied.
    """
    derived = Request.__new__(Request)
    derived.method = request.method if method is None else method
    derived.url = request.url if url is None else url
    derived.headers = request.headers.copy() if headers is None else headers
    derived.body = request.body if body is None else body
    derived.extensions = request.extensions.copy() if extensions is None else extensions
    return derived
