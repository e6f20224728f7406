"""Mounts are patterns of URLs, each with what requests to such URLs are sent through."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

from greenh2._errors import InvalidURL
from greenh2._models.route import DEFAULT_PORTS
from greenh2._models.url import URL

Target = TypeVar("Target")


class Pattern:
    """Which URLs are meant, in the manner of httpx.

    "all://", "http://", "https://": every URL, or every one with this scheme.  "all://example.org": this host.
    "all://*.example.org": the names below it.  "all://*example.org": both.  "all://*:8080", "https://example.org:8443":
    a port as well.

    Raises ValueError for anything else, TypeError for what is no str.
    """

    __slots__ = ("_host", "_port", "rank", "scheme", "text")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"The keys of mounts are patterns of URLs, such as 'https://', not {text!r}")
        scheme, mark, rest = text.partition("://")
        if not mark:
            raise ValueError(
                f"{text!r} cannot be a key of mounts: write {text + '://'!r}, or 'all://' and a host"
            )
        try:
            url = URL(f"any://{rest.removesuffix('/')}") if rest else URL()
        except InvalidURL as exc:
            raise ValueError(f"{text!r} cannot be a key of mounts: {exc}") from exc
        if url.userinfo or url.path != "/" or url.query or url.fragment:
            raise ValueError(
                f"{text!r} cannot be a key of mounts: it is a scheme, and may have a host and a port"
            )
        self.text = text
        #: The scheme, "" for every one.
        self.scheme = "" if scheme == "all" else scheme.lower()
        host = url.raw_host.decode("ascii")
        self._host = _expression(host)
        self._port = url.port
        #: Of the patterns that match a URL the one of lowest rank holds: with a port, then the longer host, then
        #: the longer scheme.
        self.rank = (self._port is None, -len(host), -len(self.scheme))

    def matches(self, url: URL) -> bool:
        """Tell whether a URL is meant."""
        if self.scheme and self.scheme != url.scheme:
            return False
        if self._port is not None and self._port != (url.port or DEFAULT_PORTS.get(url.scheme)):
            return False
        return self._host is None or self._host.fullmatch(url.raw_host.decode("ascii")) is not None


def _expression(host: str) -> re.Pattern[str] | None:
    if host in ("", "*"):
        return None
    if host.startswith("*."):
        return re.compile(r".+" + re.escape(host[1:]))
    if host.startswith("*"):
        return re.compile(r"(.+\.)?" + re.escape(host[1:]))
    return re.compile(re.escape(host))


class Mounts(Generic[Target]):
    """Finds what is mounted for a URL: the most telling pattern decides, whatever their order was."""

    def __init__(self, mounts: Mapping[str, Target]) -> None:
        found = [(Pattern(text), target) for text, target in mounts.items()]
        self._table = sorted(found, key=lambda entry: entry[0].rank)

    def find(self, url: URL) -> tuple[bool, Target | None]:
        """Return whether any pattern matches, and what is mounted there."""
        for pattern, target in self._table:
            if pattern.matches(url):
                return True, target
        return False, None

    @property
    def schemes(self) -> frozenset[str]:
        """The schemes that patterns name and have anything mounted for."""
        return frozenset(pattern.scheme for pattern, target in self._table if target is not None) - {""}

    @property
    def targets(self) -> list[Target]:
        """All that is mounted."""
        return [target for _, target in self._table]
