"""Patterns of URLs: what they match, and which of several decides."""

import pytest

from greenh2 import URL
from greenh2._models.mounts import Mounts, Pattern


@pytest.mark.parametrize(
    ("pattern", "url", "matches"),
    [
        ("all://", "http://a.example", True),
        ("all://", "https://a.example:1", True),
        ("http://", "http://a.example", True),
        ("http://", "https://a.example", False),
        ("https://", "https://a.example", True),
        ("HTTPS://", "https://a.example", True),
        ("all://*", "https://a.example", True),
        ("all://a.example", "http://a.example", True),
        ("all://a.example/", "http://a.example/path", True),
        ("all://A.example", "http://a.Example", True),
        ("all://a.example", "http://b.a.example", False),
        ("all://a.example", "http://axexample", False),
        ("https://a.example", "http://a.example", False),
        ("all://*.a.example", "http://b.a.example", True),
        ("all://*.a.example", "http://c.b.a.example", True),
        ("all://*.a.example", "http://a.example", False),
        ("all://*.a.example", "http://ba.example", False),
        ("all://*a.example", "http://a.example", True),
        ("all://*a.example", "http://b.a.example", True),
        ("all://*a.example", "http://ba.example", False),
        ("all://a.example:8080", "http://a.example:8080", True),
        ("all://a.example:8080", "http://a.example", False),
        ("all://a.example:443", "https://a.example", True),
        ("https://a.example:443", "https://a.example", True),
        ("all://*:8080", "http://a.example:8080", True),
        ("all://*:8080", "http://a.example", False),
        ("all://*.a.example:8080", "http://b.a.example:8080", True),
        ("all://*.a.example:8080", "http://b.a.example:8081", False),
        ("all://[::1]", "http://[::1]:8080", True),
        ("all://bücher.example", "http://xn--bcher-kva.example", True),
    ],
)
def test_what_a_pattern_matches(pattern: str, url: str, matches: bool) -> None:
    assert Pattern(pattern).matches(URL(url)) is matches


@pytest.mark.parametrize(
    "pattern",
    ["http", "a.example", "", "all://user@a.example", "all://a.example/path", "all://a b", "http://:x"],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="cannot be a key of mounts"):
        Pattern(pattern)


MOUNTS = {
    "all://": 1,
    "http://": 2,
    "http://a.example": 3,
    "all://a.example": 4,
    "all://*.b.example": 5,
    "all://*:99": 6,
    "http://a.example:99": 7,
}


@pytest.mark.parametrize("mounts", [MOUNTS, dict(reversed(MOUNTS.items()))], ids=["in order", "reversed"])
@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://c.example", 1),
        ("http://c.example", 2),
        ("http://a.example", 3),
        ("https://a.example", 4),
        ("http://x.b.example", 5),
        ("http://c.example:99", 6),
        ("https://a.example:99", 6),
        ("http://a.example:99", 7),
    ],
)
def test_the_port_decides_then_the_longest_host_then_the_scheme(
    mounts: dict[str, int], url: str, target: int
) -> None:
    assert Mounts(mounts).find(URL(url)) == (True, target)


def test_where_nothing_matches_nothing_is_mounted() -> None:
    assert Mounts({"https://": 1}).find(URL("http://a.example")) == (False, None)
