"""Verbs are the ways to say a request: each builds a Request, and hands it to `send()`.

They stand apart from Client for their length alone: one signature after another, and no decision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from greenh2._defaults import Defaults
from greenh2._middleware.auth import AuthTypes
from greenh2._middleware.handler import closed_on_error
from greenh2._models.body import RequestContent, RequestData
from greenh2._models.cookies import CookieTypes
from greenh2._models.headers import HeaderTypes
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.timeouts import USE_CLIENT_DEFAULT, TimeoutTypes, UseClientDefault
from greenh2._models.url import URL, QueryParamTypes

if TYPE_CHECKING:
    from greenh2._models.multipart import RequestFiles


class Verbs(ABC):
    """What a caller can say to a client."""

    _defaults: Defaults

    @abstractmethod
    def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a request and return its response."""

    def build_request(
        self,
        method: str,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Request:
        """Build the request that a call with these arguments would send, and do not send it.

        A `url` without a scheme is put behind `base_url`.  `headers` and `params` replace those of the client
        that have the same names, and leave the others; `params` otherwise replaces the query of the URL.
        `cookies` are added when the request is sent, as those of the client are, and so are not in its
        headers yet.

        Of `content` (bytes, str, an iterable of bytes, a binary file), `data` (a form) and `json`, one makes
        the body.  `files`, with or without `data`, makes a multipart form (RFC 7578): a mapping or a list of
        pairs, from names to files, or to tuples (filename, file[, content type[, headers]]).  A file is
        anything that `content` may be, and is read as it is sent.

        Raises TypeError for a body of another type, InvalidURL for a URL that is none, ValueError or
        TypeError for a `timeout` that is none, LocalProtocolError for a method, or the name or value of a
        header, that must not be sent; none of these messages shows a secret.  Never switches greenlets.
        """
        return self._defaults.build_request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )

    def request(
        self,
        method: str,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Build a request, send it, read the response to its end, and return it.

        `params`, `headers`, `cookies` and the body are as in `build_request()`.  `auth`, `follow_redirects`
        and `timeout` (seconds, or a Timeout) stand in for the client's settings in this call; None is a
        value: no authentication, no bound.  `extensions` are passed to the transport: "trace" is a callable
        that is told of every step, "sni_hostname" the name to verify instead of the URL's host.

        The whole body is held in memory: `stream()` reads it piece by piece.  A response with an error status
        is returned like any other, see its `raise_for_status()`.

        Raises what `build_request()` and `send()` raise.  Switches greenlets.
        """
        request = self.build_request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        return self.send(request, auth=auth, follow_redirects=follow_redirects)

    @contextmanager
    def stream(
        self,
        method: str,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Iterator[Response]:
        """Send a request, and give its response to a with block before its body is read.

            with client.stream("GET", url) as response:
                for piece in response.iter_bytes():
                    ...

        Takes the arguments of `request()` and raises the same errors, as may reading the body.
        The response holds its connection, or its place on one, until the body was read or the block is left,
        however it is left.  Switches greenlets.
        """
        request = self.build_request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        response = self.send(request, stream=True, auth=auth, follow_redirects=follow_redirects)
        with closed_on_error(response):
            yield response
        response.close()

    def get(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send a GET request: see `request()`.  It has no body; `request("GET", ...)` can send one."""
        return self.request(
            "GET",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def options(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send an OPTIONS request: see `request()`.  It has no body."""
        return self.request(
            "OPTIONS",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def head(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send a HEAD request: see `request()`.  Neither it nor its response has a body."""
        return self.request(
            "HEAD",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def post(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send a POST request: see `request()`.  Never sent twice unless provably not processed."""
        return self.request(
            "POST",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def put(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send a PUT request: see `request()`."""
        return self.request(
            "PUT",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def patch(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send a PATCH request: see `request()`.  Never sent twice unless provably not processed."""
        return self.request(
            "PATCH",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def delete(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: Mapping[str, object] | None = None,
    ) -> Response:
        """Send a DELETE request: see `request()`.  It has no body; `request("DELETE", ...)` can send one."""
        return self.request(
            "DELETE",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )
