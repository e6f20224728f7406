"""URL.join: what a reference means where it is met."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from greenh2._models.url import URL

# RFC 3986 section 5.4.1 and 5.4.2.
EXAMPLES = {
    "g": "http://a/b/c/g",
    "./g": "http://a/b/c/g",
    "g/": "http://a/b/c/g/",
    "/g": "http://a/g",
    "//g": "http://g",
    "?y": "http://a/b/c/d;p?y",
    "g?y": "http://a/b/c/g?y",
    "#s": "http://a/b/c/d;p?q#s",
    "g#s": "http://a/b/c/g#s",
    "g?y#s": "http://a/b/c/g?y#s",
    ";x": "http://a/b/c/;x",
    "g;x": "http://a/b/c/g;x",
    "g;x?y#s": "http://a/b/c/g;x?y#s",
    "": "http://a/b/c/d;p?q",
    ".": "http://a/b/c/",
    "./": "http://a/b/c/",
    "..": "http://a/b/",
    "../": "http://a/b/",
    "../g": "http://a/b/g",
    "../..": "http://a/",
    "../../": "http://a/",
    "../../g": "http://a/g",
    "../../../g": "http://a/g",
    "../../../../g": "http://a/g",
    "/./g": "http://a/g",
    "/../g": "http://a/g",
    "g.": "http://a/b/c/g.",
    ".g": "http://a/b/c/.g",
    "g..": "http://a/b/c/g..",
    "..g": "http://a/b/c/..g",
    "./../g": "http://a/b/g",
    "./g/.": "http://a/b/c/g/",
    "g/./h": "http://a/b/c/g/h",
    "g/../h": "http://a/b/c/h",
    "g;x=1/./y": "http://a/b/c/g;x=1/y",
    "g;x=1/../y": "http://a/b/c/y",
    "g?y/./x": "http://a/b/c/g?y/./x",
    "g?y/../x": "http://a/b/c/g?y/../x",
    "g#s/./x": "http://a/b/c/g#s/./x",
    "g#s/../x": "http://a/b/c/g#s/../x",
}


@pytest.mark.parametrize(("reference", "target"), EXAMPLES.items())
def test_references_resolve_as_in_rfc_3986(reference: str, target: str) -> None:
    assert str(URL("http://a/b/c/d;p?q").join(reference)) == target


@pytest.mark.parametrize(
    ("base", "reference", "target"),
    [
        ("http://h", "a", "http://h/a"),
        ("http://h", "?a", "http://h?a"),
        ("http://u:p@h/a", "/b", "http://u:p@h/b"),
        ("http://u:p@h/a", "//i/b", "http://i/b"),
        ("http://h/a", "https://v:w@i/", "https://v:w@i/"),
        ("http://h/a", "ftp:/x", "ftp:/x"),
        ("http://[::1]:8080/a", "b", "http://[::1]:8080/b"),
        ("http://[fe80::1%25e]/a", "b", "http://[fe80::1%25e]/b"),
        ("a/b", "c", "a/c"),
        ("a", "c", "c"),
        ("", "c", "c"),
        ("/a/b", "../../c", "/c"),
    ],
)
def test_references_resolve_against_other_bases(base: str, reference: str, target: str) -> None:
    assert str(URL(base).join(reference)) == target


def test_a_url_can_be_joined_as_well_as_a_str() -> None:
    assert URL("http://h/a").join(URL("b")) == URL("http://h/b")


@settings(deadline=None)
@given(st.text("ab./", max_size=8), st.text("ab./", max_size=8))
def test_joining_agrees_with_the_standard_library(path: str, reference: str) -> None:
    assume("//" not in reference and "//" not in f"/{path}")  # urljoin() would make one slash of them
    base = URL(f"http://h/{path}")
    assert base.join(reference) == URL(urljoin(str(base), reference))
