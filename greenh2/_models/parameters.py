"""What Content-Type and Link say, taken apart: a value, and parameters behind semicolons."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# name=value, the value a token or in quotes (RFC 9110 section 5.6.6).
_PARAMETER: Final = re.compile(r'\s*;\s*([^\s;=,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')
_LINK_TARGET: Final = re.compile(r"[\s,;]*<([^>]*)>")
_ESCAPED: Final = re.compile(r"\\(.)")
_APOSTROPHES: Final = re.compile(r"^'(.*)'$")


@lru_cache(maxsize=256)
def charset_of(content_type: str) -> str | None:
    """Return the charset that a Content-Type names, in lower case; None when it names none."""
    start = content_type.find(";")
    while start >= 0:
        parameters, start = _parameters(content_type, start)
        if "charset" in parameters:
            return parameters["charset"].strip("'").lower() or None
        start = content_type.find(";", start + 1)
    return None


def boundary_of(content_type: str) -> str | None:
    """Return the boundary that a multipart Content-Type names (RFC 2046 section 5.1.1), None without one."""
    start = content_type.find(";")
    if start < 0 or not content_type.lower().startswith("multipart/"):
        return None
    return _parameters(content_type, start)[0].get("boundary")


@lru_cache(maxsize=256)
def is_text_encoding(name: str) -> bool:
    """Tell whether Python can decode text by an encoding of this name; "hex" and the like are none."""
    try:
        for sample in (b"a", b"\xff.", bytes(range(0x80, 0x100))):  # not all heed "replace"
            sample.decode(name, "replace")
    except (LookupError, ValueError):
        return False
    return True


def parse_links(link: str) -> dict[str, dict[str, str]]:
    """Take a Link header apart (RFC 8288 section 3): by relation type, or URL where that is missing.

    Each link is its parameters by name, and its target under "url".  What does not parse is left out.
    """
    links: dict[str, dict[str, str]] = {}
    position = 0
    while target := _LINK_TARGET.match(link, position):
        parameters, position = _parameters(link, target.end())
        # Some servers quote by apostrophes, which are letters of a token like others.
        plain = {name: _APOSTROPHES.sub(r"\1", value) for name, value in parameters.items()}
        links[plain.get("rel") or target[1]] = {**plain, "url": target[1]}
        comma = link.find(",", position)
        position = comma if comma >= 0 else len(link)
    return links


def _parameters(text: str, position: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    while parameter := _PARAMETER.match(text, position):
        name, quoted, token = parameter.groups()
        # The first of a name counts (RFC 8288 section 3.3).
        value = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
        found.setdefault(name.lower(), value)
        position = parameter.end()
    return found, position
