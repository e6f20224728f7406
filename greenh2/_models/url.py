"""A URL says which resource is asked for; it is never changed, only copied with other parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypedDict
from urllib.parse import quote, unquote

from greenh2._errors import InvalidURL
from greenh2._models import uri
from greenh2._models.query import PrimitiveData, QueryParams, QueryParamTypes
from greenh2._models.uri import Uri

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["URL", "Components", "PrimitiveData", "QueryParamTypes", "QueryParams"]

_SUB_DELIMS: Final = "!$&'()*+,;="
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")


class Components(TypedDict, total=False):
    """The parts that may be named when a URL is made or copied; None takes a part away."""

    scheme: str
    username: str | None
    password: str | None
    userinfo: bytes | None
    host: str
    port: int | None
    netloc: bytes
    path: str
    query: bytes | None
    raw_path: bytes
    fragment: str | None
    params: QueryParamTypes | None


_TYPES: Final[dict[str, type]] = {
    "scheme": str,
    "username": str,
    "password": str,
    "userinfo": bytes,
    "host": str,
    "port": int,
    "netloc": bytes,
    "path": str,
    "query": bytes,
    "raw_path": bytes,
    "fragment": str,
    "params": object,
}


class URL:
    """An immutable URL, or the reference to one, by RFC 3986.

    Made from a str or another URL, with any parts replaced by those named:

        https://user:pass@example.org:8443/a%20path?query=1#fragment
        scheme  userinfo  host        port path     query   fragment
                          ( netloc       )( raw_path      )

    Text outside ASCII is taken as it is meant: a host by IDNA, anything else as percent-encoded UTF-8.  Dot
    segments are resolved.  Does not check that a scheme can be requested.  Parsing is cached.

    Raises InvalidURL for control characters, http or https without a host, a port outside 0..65535, a host
    that is no name or address; TypeError for parts of the wrong type or name.  Errors and `repr()` hide the
    password.
    """

    __slots__ = ("_uri",)

    _uri: Uri

    def __init__(self, url: URL | str = "", **components: Unpack[Components]) -> None:
        if isinstance(url, str):
            self._uri = uri.parse(url)
        elif isinstance(url, URL):
            self._uri = url._uri
        else:
            raise TypeError(f"A URL is made from a str or a URL, not from {type(url).__name__}")
        if components:
            self._uri = _replace(self._uri, components)

    @property
    def scheme(self) -> str:
        """The scheme in lower case, such as "https"; "" for a relative URL."""
        return self._uri.scheme

    @property
    def raw_scheme(self) -> bytes:
        """The scheme as bytes."""
        return self._uri.raw_scheme

    @property
    def userinfo(self) -> bytes:
        """User and password as they stand in the URL, percent-encoded: b"jo%40example.org:secret"."""
        return self._uri.userinfo.encode("ascii")

    @property
    def username(self) -> str:
        """The user, percent-decoded."""
        return unquote(self._uri.userinfo.partition(":")[0])

    @property
    def password(self) -> str:
        """The password, percent-decoded."""
        return unquote(self._uri.userinfo.partition(":")[2])

    @property
    def host(self) -> str:
        """The host in lower case, an international name as one reads it, an IPv6 address without brackets."""
        host = self._uri.host
        if "xn--" in host:
            import idna  # few names need it

            try:
                return idna.decode(host)
            except idna.IDNAError:
                pass  # Registered before IDNA 2008, or by nobody: the ASCII form is what there is to show.
        return host

    @property
    def raw_host(self) -> bytes:
        """The host as it is resolved: IDNA-encoded, an IPv6 address without brackets."""
        return self._uri.raw_host

    @property
    def port(self) -> int | None:
        """The port; None when it is absent or the default of the scheme."""
        return self._uri.port

    @property
    def netloc(self) -> bytes:
        """Host, and port unless None, as they stand in the URL."""
        return self._uri.netloc.encode("ascii")

    @property
    def authority(self) -> bytes:
        """Host, and port unless None, as Host and :authority want them: without user and IPv6 zone."""
        return self._uri.authority

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as "https://example.org" (RFC 6454 section 6.2)."""
        return f"{self._uri.scheme}://{self._uri.netloc}"

    @property
    def path(self) -> str:
        """The path, percent-decoded; "/" when it is empty."""
        return unquote(self._uri.path or "/")

    @property
    def query(self) -> bytes:
        """What stands behind the question mark, percent-encoded; b"" also when there is none."""
        return (self._uri.query or "").encode("ascii")

    @property
    def params(self) -> QueryParams:
        """The query taken apart."""
        return QueryParams(self._uri.query)

    @property
    def raw_path(self) -> bytes:
        """Path and query, percent-encoded: what a request asks for (RFC 9112 section 3.2.1, origin-form)."""
        return self._uri.raw_path

    @property
    def fragment(self) -> str:
        """What stands behind the #, percent-decoded.  It is never sent."""
        return unquote(self._uri.fragment or "")

    @property
    def is_absolute_url(self) -> bool:
        """Whether there are both a scheme and a host."""
        return bool(self._uri.scheme and self._uri.host)

    @property
    def is_relative_url(self) -> bool:
        """Whether a scheme or a host is missing."""
        return not self.is_absolute_url

    @property
    def redacted(self) -> str:
        """The URL as text for messages and logs, its password hidden."""
        user, colon, _ = self._uri.userinfo.partition(":")
        if not colon:
            return self._uri.text
        return self._uri.text.replace(f"//{self._uri.userinfo}@", f"//{user}:[secure]@", 1)

    def copy_with(self, **components: Unpack[Components]) -> URL:
        """Return the URL with the named parts replaced.

        `path`, `query`, `fragment` and the like may be percent-encoded already; `username` and `password` are
        taken literally.  `params` replaces the whole query; None or nothing in it removes the question mark.
        """
        return URL(self, **components)

    def copy_set_param(self, key: str, value: PrimitiveData = None) -> URL:
        """Return the URL with this as the only value of a query parameter."""
        return URL(self, params=self.params.set(key, value))

    def copy_add_param(self, key: str, value: PrimitiveData = None) -> URL:
        """Return the URL with one more value of a query parameter."""
        return URL(self, params=self.params.add(key, value))

    def copy_remove_param(self, key: str) -> URL:
        """Return the URL without a query parameter."""
        return URL(self, params=self.params.remove(key))

    def copy_merge_params(self, params: QueryParamTypes) -> URL:
        """Return the URL with these query parameters in place of those of the same names."""
        return URL(self, params=self.params.merge(params))

    def join(self, url: URL | str) -> URL:
        """Return what a reference means when it is met at this URL (RFC 3986 section 5.2)."""
        return _from_uri(uri.join(self._uri, URL(url)._uri))

    def __eq__(self, other: object) -> bool:
        """Compare with a URL, or with a str after parsing it."""
        if isinstance(other, URL):
            return self._uri.text == other._uri.text
        if isinstance(other, str):
            try:
                return self._uri.text == uri.parse(other).text
            except InvalidURL:
                return False
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._uri.text)

    def __str__(self) -> str:
        return self._uri.text

    def __repr__(self) -> str:
        return f"URL({self.redacted!r})"

    def __reduce__(self) -> tuple[type[URL], tuple[str]]:
        return URL, (self._uri.text,)


def _from_uri(parts: Uri) -> URL:
    url = URL.__new__(URL)
    url._uri = parts
    return url


def _replace(u: Uri, components: Components) -> Uri:
    if len(components) == 1 and "params" in components:
        # The common case, a request with params: the other parts have been checked and normalised already.
        return Uri(u.scheme, u.userinfo, u.host, u.port, u.path, _encoded(components["params"]), u.fragment)
    for name, value in components.items():
        if name not in _TYPES:
            raise TypeError(f"A URL has no part named {name!r}: its parts are {', '.join(_TYPES)}")
        if value is not None and not isinstance(value, _TYPES[name]):
            raise TypeError(f"The {name} of a URL is {_TYPES[name].__name__}, not {type(value).__name__}")
        if isinstance(value, (str, bytes)) and name != "params":
            uri.check_text(_ascii(value), f"The {name} of the URL")
    path, query = _target(u, components)
    scheme = components.get("scheme", u.scheme) or ""
    if scheme and not _SCHEME.fullmatch(scheme):
        raise InvalidURL(f"The scheme {scheme!r} is not a letter followed by letters, digits, +, - and dots.")
    host, port = _host_and_port(u, components)
    fragment = components.get("fragment", u.fragment)
    return uri.compose(scheme, _userinfo(u, components), host, port, path, query, fragment)


def _target(u: Uri, components: Components) -> tuple[str, str | None]:
    path, query = u.path, u.query
    if "raw_path" in components:
        path, mark, rest = _ascii(components["raw_path"]).partition("?")
        query = rest if mark else None
    if "path" in components:
        path = components["path"] or ""
    if "?" in path or "#" in path:
        raise InvalidURL(
            "The path of a URL holds no ? and no #: name raw_path or query, or write %3F and %23."
        )
    if "query" in components:
        query = None if components["query"] is None else _ascii(components["query"])
    if "params" in components:
        query = _encoded(components["params"])
    return path, query


def _encoded(params: QueryParamTypes | None) -> str | None:
    # This leaves nothing that a query would have to quote, so that it needs no further look.
    return str(QueryParams(params)) or None


def _userinfo(u: Uri, components: Components) -> str:
    userinfo = _ascii(components["userinfo"]) if "userinfo" in components else u.userinfo
    username, colon, password = userinfo.partition(":")
    if "username" in components:
        username = _quoted(components["username"])
    if "password" in components:
        password = _quoted(components["password"])
        colon = ":" if password else ""
    return username + colon + password


def _quoted(part: str | None) -> str:
    try:
        return quote(part or "", safe=_SUB_DELIMS)
    except UnicodeEncodeError:  # without the text, which may be a password
        raise InvalidURL("The URL holds a lone surrogate, which no encoding can express.") from None


def _host_and_port(u: Uri, components: Components) -> tuple[str, str | int | None]:
    host, port = uri.bracketed(u.host), u.port if u.port is None else str(u.port)
    if "netloc" in components:
        userinfo, host, port = uri.split_authority(_ascii(components["netloc"]))
        if userinfo:
            raise InvalidURL("The netloc of a URL is host and port: name username and password beside it.")
    if "host" in components:
        host = uri.bracketed(components["host"] or "")
    if "port" in components:
        return host, components["port"]
    return host, port


def _ascii(part: str | bytes | None) -> str:
    if not isinstance(part, bytes):
        return part or ""
    try:
        return part.decode("ascii")
    except UnicodeDecodeError as exc:
        raise InvalidURL("The parts of a URL that are given as bytes are ASCII.") from exc
