"""A Uri is a URL taken apart (RFC 3986): its parts checked, normalised, and percent-encoded to ASCII."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from greenh2._errors import InvalidURL

MAX_LENGTH: Final = 65_536
_CACHED_LENGTH: Final = 2_048

# Ports that a URL need not tell, those of https://url.spec.whatwg.org/#special-scheme.
_SPECIAL_PORTS: Final = {"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_IPV4: Final = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z0-9._~\-]+")
# reg-name, RFC 3986 section 3.2.2.
_REG_NAME: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def _unsafe(characters: str) -> re.Pattern[str]:
    # What is not visible ASCII, the characters given, and a per cent sign which encodes nothing.
    return re.compile(rf"[^!-~]|[{re.escape(characters)}]|%(?![0-9A-Fa-f]{{2}})")


# The percent-encode sets of https://url.spec.whatwg.org/#percent-encoded-bytes.
_UNSAFE_FRAGMENT: Final = _unsafe('"<>`')
_UNSAFE_QUERY: Final = _unsafe('"#<>')
_UNSAFE_PATH: Final = _unsafe('"#<>?`{}')
_UNSAFE_USERINFO: Final = _unsafe('"#<>?`{}/;=@[\\]^|')


class Uri:
    """The parts of one URL, and what is made of them.  Never changed once made.

    `host` is ASCII and lower-case, an IPv6 address without brackets; `port` is None for the scheme's default.
    `query` and `fragment` are None when their mark is absent.  `netloc` is host and port, `authority` the
    same for the wire (without an IPv6 zone, RFC 6874 section 3), `raw_path` path and query, `text` the whole.
    """

    __slots__ = (
        "authority",
        "fragment",
        "host",
        "netloc",
        "path",
        "port",
        "query",
        "raw_host",
        "raw_path",
        "raw_scheme",
        "scheme",
        "text",
        "userinfo",
    )

    # Seven parts is what a URL has; only compose() gives them.
    def __init__(
        self,
        scheme: str,
        userinfo: str,
        host: str,
        port: int | None,
        path: str,
        query: str | None,
        fragment: str | None,
    ) -> None:
        self.scheme = scheme
        self.raw_scheme = scheme.encode("ascii")
        self.userinfo = userinfo
        self.host = host
        self.raw_host = host.encode("ascii")
        self.port = port
        self.path = path
        self.query = query
        self.fragment = fragment
        tail = "" if port is None else f":{port}"
        if ":" in host:
            address, percent, zone = host.partition("%")
            self.authority = f"[{address}]{tail}".encode("ascii")
            netloc = f"[{address}%25{zone}]{tail}" if percent else f"[{address}]{tail}"
        else:
            netloc = host + tail
            self.authority = netloc.encode("ascii")
        self.netloc = netloc
        target = path if query is None else f"{path}?{query}"
        self.raw_path = (target if path else "/" + target).encode("ascii")
        before = f"{scheme}:" if scheme else ""
        if netloc:
            before += f"//{userinfo}@{netloc}" if userinfo else f"//{netloc}"
        self.text = before + target if fragment is None else f"{before}{target}#{fragment}"


def parse(url: str) -> Uri:
    """Take a URL apart.  Raises InvalidURL, with a message that never shows user or password."""
    # Long URLs are rarely asked for twice, and would make the cache a heavy one.
    return _parse_cached(url) if len(url) <= _CACHED_LENGTH else _parse(url)


def _parse(url: str) -> Uri:
    check_text(url, "The URL")
    rest, mark, text = url.partition("#")
    fragment = text if mark else None
    rest, mark, text = rest.partition("?")
    query = text if mark else None
    scheme = ""
    if found := _SCHEME.match(rest):
        scheme = found[1]
        rest = rest[found.end() :]
    userinfo, host, port = "", "", ""
    if rest.startswith("//"):
        authority, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        userinfo, host, port = split_authority(authority)
    return compose(scheme, userinfo, host, port, rest, query, fragment)


_parse_cached = lru_cache(maxsize=1024)(_parse)


def compose(
    scheme: str,
    userinfo: str,
    host: str,
    port: str | int | None,
    path: str,
    query: str | None,
    fragment: str | None,
) -> Uri:
    """Check and normalise the parts and make a Uri of them.  Raises InvalidURL.

    `host` is as in a URL: an IPv6 address has its brackets.
    """
    scheme = scheme.lower()
    host = _normal_host(host) if host else ""
    number = _normal_port(scheme, port, host)
    if not host and (scheme in ("http", "https") or userinfo or number is not None):
        raise InvalidURL(f"The URL has no host: {f'{scheme}://' if scheme else 'a user or port'} needs one.")
    if "\\" in userinfo:
        # Browsers end the host at a backslash, RFC 3986 does not: nobody can mean it.
        raise InvalidURL("The URL has a backslash before its host: write %5C within a user or password.")
    if host:
        if path and not path.startswith("/"):
            raise InvalidURL("The path of a URL with a host is empty or begins with a slash.")
        path = without_dots(path)
    elif path.startswith("//"):
        raise InvalidURL("The path of a URL without a host cannot begin with two slashes.")
    elif not scheme and _SCHEME.match(path):
        raise InvalidURL(
            "The path of a URL without a scheme cannot begin as a scheme does: put ./ before it."
        )
    return Uri(
        scheme,
        _quote(userinfo, _UNSAFE_USERINFO),
        host,
        number,
        _quote(path, _UNSAFE_PATH),
        None if query is None else _quote(query, _UNSAFE_QUERY),
        None if fragment is None else _quote(fragment, _UNSAFE_FRAGMENT),
    )


def join(base: Uri, reference: Uri) -> Uri:
    """Resolve a reference against a base (RFC 3986 section 5.2.2)."""
    r = reference
    if r.scheme:
        return r
    if r.host:
        return _with_path(base.scheme, r, r.path, r.query, r.fragment)
    if not r.path:
        return _with_path(
            base.scheme, base, base.path, base.query if r.query is None else r.query, r.fragment
        )
    if r.path.startswith("/"):
        path = r.path
    elif base.host and not base.path:
        path = "/" + r.path
    else:
        path = base.path.rpartition("/")[0] + "/" + r.path if "/" in base.path else r.path
    return _with_path(base.scheme, base, without_dots(path), r.query, r.fragment)


def _with_path(scheme: str, u: Uri, path: str, query: str | None, fragment: str | None) -> Uri:
    return compose(scheme, u.userinfo, bracketed(u.host), u.port, path, query, fragment)


def split_authority(authority: str) -> tuple[str, str, str]:
    """Return userinfo, host (an IPv6 address in its brackets) and port of an authority, unchecked."""
    userinfo, _, hostport = authority.rpartition("@")
    if hostport.startswith("["):
        host, bracket, port = hostport.partition("]")
        host += bracket
        if port and not port.startswith(":"):
            raise InvalidURL("The URL has something other than a port behind the brackets of its host.")
        return userinfo, host, port[1:]
    host, _, port = hostport.partition(":")
    return userinfo, host, port


def bracketed(host: str) -> str:
    """Return the host as it stands in a URL: an IPv6 address in brackets, the zone behind %25 (RFC 6874)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host and not host.startswith("[") else host


def check_text(text: str, what: str) -> None:
    """Raise InvalidURL for a text that is too long for a URL, or holds a control character."""
    if len(text) > MAX_LENGTH:
        raise InvalidURL(f"{what} is longer than {MAX_LENGTH} characters.")
    if bad := _CONTROL.search(text):
        raise InvalidURL(f"{what} holds the control character {bad[0]!r} at position {bad.start()}.")


def without_dots(path: str) -> str:
    """Resolve the segments "." and ".." (RFC 3986 section 5.2.4)."""
    if "/." not in path and not path.startswith("."):
        return path
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if len(kept) > 1 or (kept and kept[0]):
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _normal_host(host: str) -> str:
    if host.startswith("["):
        return _normal_ipv6(host)
    if not host.isascii():
        import idna  # few names need it

        try:
            # UTS 46 is how browsers fold width and case before IDNA 2008 looks at the name.
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as exc:
            raise InvalidURL(f"The host {host!r} is no international domain name: {exc}.") from exc
    host = host.lower()
    if _IPV4.fullmatch(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as exc:
            raise InvalidURL(f"The host {host!r} is no IPv4 address: {exc}.") from exc
    elif not _REG_NAME.fullmatch(host):
        raise InvalidURL(f"The host {host!r} holds a character that no host name may hold.")
    return host


def _normal_ipv6(host: str) -> str:
    address, percent, zone = host[1:].removesuffix("]").partition("%")
    zone = zone.removeprefix("25")
    if not host.endswith("]") or (percent and not _ZONE.fullmatch(zone)):
        raise InvalidURL(f"The host {host!r} is no IPv6 address in brackets.")
    try:
        ipaddress.IPv6Address(address)
    except ValueError as exc:
        raise InvalidURL(f"The host {host!r} is no IPv6 address: {exc}.") from exc
    return address.lower() + percent + zone


def _normal_port(scheme: str, port: str | int | None, host: str) -> int | None:
    if port is None or port == "":
        return None
    # What stands there is not shown: it may be a password, as in "http://user:pass/word@host".
    digits = str(port)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= 65_535):
        raise InvalidURL(f"The port behind the host {host!r} is no number from 0 to 65535.")
    return None if int(digits) == _SPECIAL_PORTS.get(scheme) else int(digits)


def _quote(text: str, unsafe: re.Pattern[str]) -> str:
    try:
        return unsafe.sub(_percent, text)
    except UnicodeEncodeError as exc:
        raise InvalidURL("The URL holds a lone surrogate, which no encoding can express.") from exc


def _percent(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8")])
