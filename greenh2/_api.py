"""The functions for a single request: each makes a Client, sends, reads the whole response, and closes it.

They keep no connection and no cookies.  For more than one request make a Client.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING

from greenh2._client import DEFAULT_TIMEOUT, Client
from greenh2._middleware.auth import AuthTypes
from greenh2._models.body import RequestContent, RequestData
from greenh2._models.cookies import CookieTypes
from greenh2._models.headers import HeaderTypes
from greenh2._models.proxy import ProxyTypes
from greenh2._models.response import Response
from greenh2._models.settings import Later
from greenh2._models.timeouts import TimeoutTypes
from greenh2._models.url import URL, QueryParamTypes

if TYPE_CHECKING:
    import ssl

    from greenh2._models.multipart import RequestFiles
else:
    ssl = Later("ssl")


def request(
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
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send one request and return its response, read to the end.

    `verify`, `trust_env` and `proxy` are as for a Client, all else is as for `Client.request()`: so are the errors.
    Switches greenlets.
    """
    with Client(verify=verify, trust_env=trust_env, proxy=proxy) as client:
        return client.request(
            method,
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
        )


@contextmanager
def stream(
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
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Iterator[Response]:
    """Send one request, and give its response to a with block before its body is read.

    As `Client.stream()`, with a Client that is closed at the end of the block.  Switches greenlets.
    """
    with (
        Client(verify=verify, trust_env=trust_env, proxy=proxy) as client,
        client.stream(
            method,
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
        ) as response,
    ):
        yield response


def get(
    url: URL | str,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send a GET request: see `request()`.  It has no body."""
    return request(
        "GET",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        follow_redirects=follow_redirects,
        timeout=timeout,
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )


def options(
    url: URL | str,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send an OPTIONS request: see `request()`.  It has no body."""
    return request(
        "OPTIONS",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        follow_redirects=follow_redirects,
        timeout=timeout,
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )


def head(
    url: URL | str,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send a HEAD request: see `request()`.  It has no body."""
    return request(
        "HEAD",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        follow_redirects=follow_redirects,
        timeout=timeout,
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )


def post(
    url: URL | str,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: object = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send a POST request: see `request()`."""
    return request(
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
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )


def put(
    url: URL | str,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: object = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send a PUT request: see `request()`."""
    return request(
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
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )


def patch(
    url: URL | str,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: object = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send a PATCH request: see `request()`."""
    return request(
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
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )


def delete(
    url: URL | str,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    verify: bool | str | PathLike[str] | ssl.SSLContext = True,
    trust_env: bool = True,
    proxy: ProxyTypes | None = None,
) -> Response:
    """Send a DELETE request: see `request()`.  It has no body."""
    return request(
        "DELETE",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        follow_redirects=follow_redirects,
        timeout=timeout,
        verify=verify,
        trust_env=trust_env,
        proxy=proxy,
    )
