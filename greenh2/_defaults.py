"""Defaults are what a client adds to each request it builds, or sends."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from greenh2._errors import InvalidURL
from greenh2._middleware.auth import Auth, AuthTypes, auth_in_url, auth_of
from greenh2._middleware.derive import derive
from greenh2._middleware.hooks import EventHooks
from greenh2._models.body import OnceBody, RequestContent, RequestData
from greenh2._models.config import checked_switch
from greenh2._models.cookies import Cookies, CookieTypes
from greenh2._models.headers import Headers, HeaderTypes
from greenh2._models.proxy import shown
from greenh2._models.request import Request, extensions_of
from greenh2._models.timeouts import (
    USE_CLIENT_DEFAULT,
    Deadline,
    Timeout,
    TimeoutTypes,
    UseClientDefault,
    timeout_of,
)
from greenh2._models.url import URL, QueryParams, QueryParamTypes
from greenh2._version import __version__

if TYPE_CHECKING:
    from greenh2._models.multipart import RequestFiles

USER_AGENT: Final = f"python-greenh2/{__version__}"
#: What users of requests set on a Session at any time, and where greenh2 has it.
_FIXED: Final = {
    "cert": "Client(cert=...)",
    "hooks": "client.event_hooks",
    "http1": "Client(http1=...)",
    "http2": "Client(http2=...)",
    "limits": "Client(limits=...)",
    "max_redirects": "Client(max_redirects=...)",
    "mounts": "Client(mounts=...)",
    "proxies": "Client(proxy=...), or mounts= where it depends on the URL",
    "proxy": "Client(proxy=...)",
    "stream": "client.stream(...)",
    "verify": "Client(verify=...)",
}


def refuse_fixed(name: str) -> None:
    """Raise AttributeError for what cannot be set on a client: it would have no effect, and nobody would know."""
    if name in _FIXED:
        raise AttributeError(f"client.{name} cannot be set: say {_FIXED[name]}")


class Defaults:
    """The settings of a client that each request it builds starts from.

    Kept apart from the Client so that the chain of middlewares, which looks at some of them, does not hold
    the Client itself: a Client that is dropped is freed at once, not when the garbage collector comes round.
    """

    __slots__ = (
        "auth",
        "base_url",
        "cookies",
        "event_hooks",
        "follow_redirects",
        "headers",
        "params",
        "timeout",
    )

    auth: Auth | None
    base_url: URL
    cookies: Cookies
    event_hooks: EventHooks
    follow_redirects: bool
    headers: Headers
    params: QueryParams
    timeout: Timeout

    def build_request(
        self,
        method: str,
        url: URL | str,
        *,
        content: RequestContent | None,
        data: RequestData | None,
        files: RequestFiles | None,
        json: object,
        params: QueryParamTypes | None,
        headers: HeaderTypes | None,
        cookies: CookieTypes | None,
        timeout: TimeoutTypes | UseClientDefault,
        extensions: Mapping[str, object] | None,
    ) -> Request:
        """Merge what one call says into what the client says, and build the request."""
        added = extensions_of(extensions)
        if "timeout" not in added:
            added["timeout"] = self.timeout if isinstance(timeout, UseClientDefault) else Timeout(timeout)
        if cookies:
            added["cookies"] = Cookies(cookies)
        target = self.resolve(url)
        self.headers.check()  # once: what is copied from them is known to be good
        return Request(
            method,
            target,
            params=self._with_own_params(target, params),
            headers=self.headers | headers if headers else self.headers,  # a Request makes a copy
            content=content,
            data=data,
            files=files,
            json=json,
            extensions=added,
        )

    def prepare(
        self,
        request: Request,
        auth: AuthTypes | UseClientDefault | None,
        follow_redirects: bool | UseClientDefault,
    ) -> Request:
        """Return the request as it starts down the chain, its time running.

        Middlewares and transport read its extensions: it is a copy, for the caller may send the same otherwise again.
        """
        extensions = {
            "auth": self.auth,
            "follow_redirects": self.follow_redirects,
            "timeout": self.timeout,
            **request.extensions,
        }
        if auth is not USE_CLIENT_DEFAULT:
            extensions["auth"] = auth
        if extensions["auth"] is None:
            extensions["auth"] = auth_in_url(request.url)
        else:
            extensions["auth"] = auth_of(extensions["auth"])
        if follow_redirects is not USE_CLIENT_DEFAULT:
            extensions["follow_redirects"] = follow_redirects
        checked_switch("follow_redirects", extensions["follow_redirects"])
        timeout = extensions["timeout"] = timeout_of(extensions["timeout"])
        extensions["deadline"] = Deadline(timeout)
        body = request.body if request.body.replayable else OnceBody(request.body)
        return derive(request, extensions=extensions, body=body)

    def resolve(self, url: URL | str) -> URL:
        """Return the URL, put behind `base_url` when it is a path."""
        target = URL(url)
        if target.scheme or not self.base_url.host:
            return target
        if target.host:
            raise InvalidURL(
                f"{target.redacted!r} begins with two slashes, so it names a host and no scheme: "
                "write the scheme, or the path with one slash."
            )
        path = self.base_url.raw_path + target.raw_path.lstrip(b"/")
        return self.base_url.copy_with(raw_path=path, fragment=str(target).partition("#")[2] or None)

    def _with_own_params(self, target: URL, params: QueryParamTypes | None) -> QueryParamTypes | None:
        # A Request takes its params in place of the query of its URL.  Those that go with every request are
        # no reason to lose a query that was written into the URL of this one.
        if not self.params:
            return params
        return target.params.merge(self.params).merge(params)


def default_headers(headers: HeaderTypes | None) -> Headers:
    """Return the headers every request has, with those given in place of ours of the same names."""
    merged = _own_headers().copy()
    merged.update(headers)
    return merged


@cache
def _own_headers() -> Headers:
    # Looks for packages: later than at import.
    from greenh2._models.optional_decoders import optional_decoders

    codings = ", ".join(["gzip", "deflate", *optional_decoders()])
    return Headers(
        [
            ("Accept", "*/*"),
            ("Accept-Encoding", codings),
            ("Connection", "keep-alive"),
            ("User-Agent", USER_AGENT),
        ]
    )


def base_url_of(url: URL | str) -> URL:
    """Return a base_url, its path ending in a slash.  Raises InvalidURL unless paths can be put behind it."""
    base = URL(url)
    if base == URL(""):
        return base
    if not base.is_absolute_url:
        raise InvalidURL(f"base_url is an absolute URL, as https://example.org/api/, not {shown(base)!r}")
    if base.query or base.fragment:
        raise InvalidURL(
            f"base_url has neither query nor fragment, not as {base.redacted!r}: say params= instead"
        )
    return base if base.raw_path.endswith(b"/") else base.copy_with(raw_path=base.raw_path + b"/")
