"""Cookies are what servers asked us to send back to them, held in the standard library's CookieJar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar, Union, cast, overload

from greenh2._errors import CookieConflict
from greenh2._models.pairs import pairs_of

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from http.cookiejar import Cookie, CookieJar
    from urllib.request import Request as UrllibRequest

    from greenh2._models.request import Request
    from greenh2._models.response import Response

CookieTypes = Union["Cookies", "CookieJar", Mapping[str, str], Sequence[tuple[str, str]]]
Default = TypeVar("Default")

#: What of the cookies that servers set is kept: bytes of one, and how many (RFC 6265 section 6.1 asks for 4096, 50 and
#: 3000 at least; 180 is what browsers keep).
MAX_SIZE = 4096
MAX_OF_DOMAIN = 180
MAX_COOKIES = 3000
# An attribute that cookies are given here, for their way back.
_LATIN_1 = "ISO-8859-1"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Cookies(MutableMapping[str, str]):
    """A mutable mapping of names to values, over a CookieJar which knows domains, paths and expiry.

    Made from a mapping, a list of pairs, a copy of other Cookies, or around a CookieJar (`jar`).  A cookie
    that is set without a domain goes to every host.  Which cookies are taken and sent is up to the jar's
    policy: that of Netscape and RFC 2965, which takes none for ``co.uk`` or for part of an IP address, but has
    no list of public suffixes.  Pickling keeps the cookies, and not the policy.

    The jar is made when the first cookie comes, or it is asked for.  The first one of a process imports http.cookiejar,
    which takes some 25 ms, in which no other greenlet runs; ``import http.cookiejar`` does it at a better time.

    What a server sets is read as UTF-8, or else ISO-8859-1, and goes back as the bytes that came; what is set here is
    sent as UTF-8.
    """

    __slots__ = ("_jars",)

    def __init__(self, cookies: CookieTypes | None = None) -> None:
        #: The one that `jar` returns, once it has been made.
        self._jars: dict[str, CookieJar] = {}
        if cookies is None:
            return
        if isinstance(cookies, _library().CookieJar):
            self.jar = cookies
        else:
            self.update(cookies)

    @property
    def jar(self) -> CookieJar:
        """The CookieJar that holds the cookies."""
        made = self._jars.get("jar")
        # Native threads that make one at once all get the first.
        return self._jars.setdefault("jar", _new_jar()) if made is None else made

    @jar.setter
    def jar(self, jar: CookieJar) -> None:
        self._jars["jar"] = jar

    def extract_cookies(self, response: Response) -> None:
        """Take the cookies which a response sets, within bounds.  Raises RuntimeError when it has no request.

        A cookie of more than 4096 bytes is left out, and so is one with control characters, which could not be
        sent.  Beyond 180 of a domain or a response, and 3000 in all, others go: from Python 3.11 on the oldest.
        """
        if "set-cookie" in response.headers:
            self.jar.extract_cookies(
                cast("HTTPResponse", _JarResponse(response)),
                cast("UrllibRequest", _JarRequest(response.request, self.jar)),
            )
            self._remove(self._surplus)

    def _surplus(self) -> list[Cookie]:
        domains: dict[str, list[Cookie]] = {}
        large: list[Cookie] = []
        for cookie in self.jar:
            fits = len(cookie.name) + len(cookie.value or "") <= MAX_SIZE
            (domains.setdefault(cookie.domain, []) if fits else large).append(cookie)
        surplus = [cookie for cookies in domains.values() for cookie in cookies[:-MAX_OF_DOMAIN]]
        kept = [cookie for cookies in domains.values() for cookie in cookies[-MAX_OF_DOMAIN:]]
        return large + surplus + kept[:-MAX_COOKIES]

    def set_cookie_header(self, request: Request) -> None:
        """Set the Cookie header of a request to those cookies which match it, unless it has one already."""
        if self:
            self.jar.add_cookie_header(cast("UrllibRequest", _JarRequest(request, self.jar)))

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Set a cookie, until the end of the session.

        Raises TypeError for an argument that is not str, ValueError for text that cannot be encoded.
        """
        _check_text(name, value)
        for part, text in (("domain", domain), ("path", path)):
            if not isinstance(text, str):
                raise TypeError(
                    f"The {part} of the cookie {name!r} is str, not {text!r}: leave it out for any"
                )
        self.jar.set_cookie(
            _library().Cookie(
                version=0,
                name=name,
                value=value,
                port=None,
                port_specified=False,
                domain=domain,
                domain_specified=bool(domain),
                domain_initial_dot=domain.startswith("."),
                path=path,
                path_specified=bool(path),
                secure=False,
                expires=None,
                discard=True,
                comment=None,
                comment_url=None,
                rest={"HttpOnly": ""},
                rfc2109=False,
            )
        )

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(
        self, name: str, /, default: Default, domain: str | None = None, path: str | None = None
    ) -> str | Default: ...
    @overload
    def get(
        self, name: str, /, default: None = None, domain: str | None = None, path: str | None = None
    ) -> str | None: ...
    def get(
        self, name: str, /, default: object = None, domain: str | None = None, path: str | None = None
    ) -> object:
        """Return the value of a cookie, which is "" when it was set without any, or the default.

        Raises CookieConflict when several have this name: name the domain or the path as well.
        """
        found = self._matching(name, domain, path)
        if len(found) > 1:
            raise CookieConflict(
                f"{len(found)} cookies are named {name!r}: name their domain or path as well."
            )
        return (found[0].value or "") if found else default

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Remove every cookie of this name, or those of them at this domain and path."""
        self._remove(lambda: self._matching(name, domain, path))

    def clear(self, domain: str | None = None, path: str | None = None) -> None:
        """Remove all cookies, or those at this domain and path."""
        self._remove(lambda: self._at(domain, path))

    # MutableMapping.update() also takes keywords, and no jar.
    def update(self, cookies: CookieTypes | None = None) -> None:  # type: ignore[override]
        """Set each cookie given here."""
        match cookies:
            case None:
                pass
            case Cookies():
                self._take(cookies._all())
            case Mapping():
                self._set_all(cookies.items())
            case _ if isinstance(cookies, _library().CookieJar):
                self._take(_in_jar(cookies))
            case _:
                self._set_all(cast("Sequence[tuple[str, str]]", cookies))

    def _take(self, cookies: list[Cookie]) -> None:
        for cookie in cookies:
            self.jar.set_cookie(cookie)

    def _set_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        for name, value in pairs_of(pairs, "cookies"):
            self.set(name, value)

    def __getitem__(self, name: str) -> str:
        """Return the value of a cookie.  Raises KeyError, or CookieConflict when several have this name."""
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        """Remove every cookie of this name.  Raises KeyError when there is none."""
        if not self._matching(name, None, None):
            raise KeyError(name)
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return any(cookie.name == name for cookie in self._all())

    def __iter__(self) -> Iterator[str]:
        return iter([cookie.name for cookie in self._all()])

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        if not self._jars:  # as in most clients, of which it is asked for every request
            return False
        with _lock(self.jar):
            return next(iter(self.jar), None) is not None

    def __repr__(self) -> str:
        shown = ", ".join([f"{c.name} for {c.domain or '*'}{c.path}" for c in self._all()])
        return f"<Cookies[{shown}]>"

    def __getstate__(self) -> list[Cookie]:
        return self._all()

    def __setstate__(self, cookies: list[Cookie]) -> None:
        self._jars = {}
        self._take(cookies)

    def _all(self) -> list[Cookie]:
        return _in_jar(self.jar) if self._jars else []

    def _matching(self, name: str, domain: str | None, path: str | None) -> list[Cookie]:
        return [cookie for cookie in self._at(domain, path) if cookie.name == name]

    def _at(self, domain: str | None, path: str | None) -> list[Cookie]:
        return [
            cookie
            for cookie in self._all()
            if domain in (None, cookie.domain) and path in (None, cookie.path)
        ]

    def _remove(self, those: Callable[[], list[Cookie]]) -> None:
        if not self._jars:
            return
        with _lock(self.jar):
            for cookie in those():
                self.jar.clear(cookie.domain, cookie.path, cookie.name)


class _JarRequest:
    """What a CookieJar asks of a urllib.request.Request."""

    unverifiable = False

    def __init__(self, request: Request, jar: CookieJar) -> None:
        self._request = request
        self._jar = jar
        self.type = request.url.scheme
        self.host = request.url.authority.decode("ascii")
        self.origin_req_host = request.url.raw_host.decode("ascii")

    def get_full_url(self) -> str:
        # Where a user and a password stand before the host, a jar takes them for part of it.
        url = self._request.url
        return str(url.copy_with(userinfo=None) if url.userinfo else url)

    def has_header(self, name: str) -> bool:
        return name in self._request.headers

    def get_header(self, name: str, default: str) -> str:
        return self._request.headers.get(name, default)

    def add_unredirected_header(self, name: str, value: str) -> None:
        if value.isascii():
            self._request.headers[name] = value
            return
        latin = {_pair(one) for one in self._jar if one.has_nonstandard_attr(_LATIN_1)}
        raw = b"; ".join([_encoded(pair, pair in latin) for pair in value.split("; ")])
        self._request.headers.pop(name, None)
        self._request.headers.append(name.encode("ascii"), raw)


class _JarResponse:
    """What a CookieJar asks of an http.client.HTTPResponse: its headers, by name."""

    def __init__(self, response: Response) -> None:
        self._headers = response.headers

    def info(self) -> _JarResponse:
        return self

    def get_all(self, name: str, default: list[str]) -> list[str]:
        lower = name.lower().encode("ascii")
        lines = [_read(raw) for field, raw in self._headers.raw if field.lower() == lower]
        # RFC 6265bis section 5.6: such a line is ignored entirely.
        lines = [line for line in lines if _CONTROL.search(line) is None]
        return lines[-MAX_OF_DOMAIN:] or default  # of more, a jar would be busy for a tenth of a second


def _lock(jar: CookieJar) -> AbstractContextManager[object]:
    # The jar holds it when it sends cookies or sets some, and forgets it when it removes them, or is iterated.
    lock: AbstractContextManager[object] = jar._cookies_lock  # type: ignore[attr-defined]  # none of typeshed's
    return lock


def _in_jar(jar: CookieJar) -> list[Cookie]:
    with _lock(jar):
        return list(jar)


def _read(line: bytes) -> str:
    # Each by itself: what other headers are encoded in says nothing of this one.
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return f"{line.decode('iso-8859-1')}; {_LATIN_1}"


def _pair(cookie: Cookie) -> str:
    return cookie.name if cookie.value is None else f"{cookie.name}={cookie.value}"


def _encoded(pair: str, latin: bool) -> bytes:
    if latin:
        with suppress(UnicodeEncodeError):  # a server may have named the attribute itself
            return pair.encode("iso-8859-1")
    return pair.encode("utf-8")


def _new_jar() -> CookieJar:
    from greenh2._models.cookie_policy import CookiePolicy

    return _library().CookieJar(CookiePolicy())  # type: ignore[no-any-return]


def _check_text(name: object, value: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"The name of a cookie is str, not {type(name).__name__}: {name!r}")
    if not isinstance(value, str):
        raise TypeError(f"The value of the cookie {name!r} is str, not {type(value).__name__}")
    try:
        (name + value).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"The cookie {name!r} holds a lone surrogate, which no encoding can express"
        ) from None


def _library() -> ModuleType:
    """Return http.cookiejar, which brings urllib.request along: not to be imported before there are cookies."""
    import http.cookiejar

    return http.cookiejar
