"""The error that tells of a response whose status is no success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenh2._errors import HTTPStatusError, InvalidURL
from greenh2._models.url import URL

if TYPE_CHECKING:
    from greenh2._models.request import Request
    from greenh2._models.response import Response

_KINDS: Final = {1: "an interim response", 3: "a redirect", 4: "a client error", 5: "a server error"}


def status_error(request: Request, response: Response) -> HTTPStatusError:
    """Make the error: it names the status, the URL without its password, and where a redirect leads."""
    status = f"{response.status_code} {response.reason_phrase}".rstrip()
    kind = _KINDS.get(response.status_code // 100, "an unknown status")
    message = f"The server answered {status} ({kind}) to {request.method} {request.url.redacted}"
    if response.has_redirect_location:
        message += f", which redirects to {_shown(response.headers['location'])}"
    return HTTPStatusError(message, request=request, response=response)


def _shown(location: str) -> str:
    try:
        return URL(location).redacted
    except InvalidURL:
        return "an invalid URL"
