"""Auth proves who is asking: it may change the request, look at the answer, and ask again."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Generator
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from greenh2._middleware.derive import derive
from greenh2._middleware.handler import Handler, closed_on_error, drain
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.url import URL

AuthFlow: TypeAlias = Generator[Request, Response, None]


class Auth:
    """A scheme of authentication: subclass it, and write `auth_flow` as a generator.

    Set `requires_request_body` to have the request's body read into memory before the flow begins, and
    `requires_response_body` to have each response read before the flow gets it.
    """

    requires_request_body = False
    requires_response_body = False

    def auth_flow(self, request: Request) -> AuthFlow:
        """Yield the request to send, as often as needed; each yield returns the response to it.

            response = yield request
            if response.status_code == 401:
                request.headers["X-Token"] = self.token(response)
                yield request

        The response to the last yield is what the caller gets; earlier ones are found in its `history`, each
        with the request as it was at its yield.  The request is the flow's own copy, so that what is set here
        never travels on to another origin.  A request whose body can be read only once cannot be sent twice:
        that raises StreamConsumed.
        """
        yield request

    def sync_auth_flow(self, request: Request) -> AuthFlow:
        """Run `auth_flow` with the bodies read as it requires.

        Override this one instead for a scheme that does I/O of its own.  It runs in the caller's greenlet,
        and may be left by GeneratorExit at any yield.
        """
        if self.requires_request_body:
            request.read()
        flow = self.auth_flow(request)
        try:
            try:
                request = next(flow)
            except StopIteration:
                return
            while True:
                response = yield request
                if self.requires_response_body:
                    response.read()
                try:
                    request = flow.send(response)
                except StopIteration:
                    return
        finally:
            flow.close()


class BasicAuth(Auth):
    """Send user name and password with every request (RFC 7617), as UTF-8.  Safe only over https."""

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._username = _bytes(username, "username")
        credentials = self._username + b":" + _bytes(password, "password")
        self._header = "Basic " + b2a_base64(credentials, newline=False).decode("ascii")

    def auth_flow(self, request: Request) -> AuthFlow:
        """Yield the request with its Authorization header, once."""
        request.headers["Authorization"] = self._header
        yield request

    def __eq__(self, other: object) -> bool:
        return self._header == other._header if isinstance(other, BasicAuth) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._header)

    def __repr__(self) -> str:
        return f"BasicAuth({self._username.decode('utf-8', 'replace')!r}, '[secure]')"


class FunctionAuth(Auth):
    """Let a function take the request and return the one to send."""

    def __init__(self, function: Callable[[Request], Request]) -> None:
        self._function = function

    def auth_flow(self, request: Request) -> AuthFlow:
        """Yield what the function returns, once.  Raises TypeError when that is no Request."""
        signed = self._function(request)
        if not isinstance(signed, Request):
            raise TypeError(
                f"The auth function {self._function!r} returned {type(signed).__name__}, not the Request to send"
            )
        yield signed

    def __repr__(self) -> str:
        return f"FunctionAuth({self._function!r})"


AuthTypes: TypeAlias = tuple[str | bytes, str | bytes] | Callable[[Request], Request] | Auth


def auth_of(auth: AuthTypes | None) -> Auth | None:
    """Return the Auth that an `auth=` argument stands for.  Raises TypeError, which never shows the value."""
    match auth:
        case None | Auth():
            return auth
        case (username, password):
            return BasicAuth(username, password)
        case _ if callable(auth):
            return FunctionAuth(auth)
        case _:
            raise TypeError(
                f"auth is a pair (user name, password), an Auth or a function, not {type(auth).__name__}"
            )


def auth_in_url(url: URL) -> BasicAuth | None:
    """Return the user name and password written into a URL, if there are any."""
    if not url.userinfo:
        return None
    # Bytes, which need not be UTF-8.
    username, _, password = url.userinfo.partition(b":")
    return BasicAuth(unquote_to_bytes(username), unquote_to_bytes(password)) if username or password else None


class Authenticate:
    """Run the Auth found in the request's extension "auth", on a copy of the request, and send copies of that."""

    def __init__(self, following: Handler) -> None:
        self._next = following

    def __call__(self, request: Request) -> Response:
        auth = request.extensions.get("auth")
        if not isinstance(auth, Auth):
            return self._next(request)
        if auth.requires_request_body:
            # In the original too, which a redirect or a retry may have to send once more.
            request.read()
        return self._run(auth.sync_auth_flow(derive(request, headers=request.headers.copy())), auth)

    def _run(self, flow: AuthFlow, auth: Auth) -> Response:
        history: list[Response] = []
        try:
            following: object = next(flow, None)
            while True:
                request = _checked(following, auth)
                # What is on its way is a copy: what the flow does next must not show in what was sent.
                response = self._next(derive(request))
                with closed_on_error(response):
                    response.history = history = [*history, *response.history]
                    try:
                        following = flow.send(response)
                    except StopIteration:
                        return response
                    drain(response)
                history = [*history, response]
        finally:
            flow.close()


def _checked(following: object, auth: Auth) -> Request:
    if isinstance(following, Request):
        return following
    what = (
        "no request at all" if following is None else f"{type(following).__name__}, not the Request to send"
    )
    raise TypeError(f"The auth_flow of {type(auth).__name__} yielded {what}")


def _bytes(text: str | bytes, what: str) -> bytes:
    match text:
        case str():
            return text.encode("utf-8")
        case bytes():
            return text
        case _:
            raise TypeError(f"The {what} of BasicAuth is str or bytes, not {type(text).__name__}")
