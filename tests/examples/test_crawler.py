"""The crawler sees every page once, within its bounds, and tells what it could not read."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.examples.running import PATCHED, WITHOUT_RICH, run, serving

ONE_MORE = """
import crawler, greenh2
link_up = crawler.link_up
crawler.link_up = lambda origins, pages: [*link_up(origins, pages), greenh2.URL(f"{origins[0].url}/nowhere")]
crawler.crawl_our_own(5)
"""
TWICE = """
import crawler
read = crawler.read
crawler.read = lambda client, url, depth: (read(client, url, depth), read(client, url, depth))[1]
crawler.crawl_our_own(5)
"""


class Site:
    """A WSGI application: pages by path, each the paths it links to; a redirect is a str, and others are a 404."""

    def __init__(self, pages: dict[str, list[str] | str]) -> None:
        self.pages = pages
        self.asked: Counter[str] = Counter()

    def __call__(self, environ: dict[str, str], start_response: Callable[..., object]) -> Iterator[bytes]:
        path = environ["PATH_INFO"]
        self.asked[path] += 1
        page = self.pages.get(path)
        if page is None:
            start_response("404 Not Found", [("Content-Type", "text/html")])
            yield b'<a href="/never">nothing here</a>'
        elif isinstance(page, str):
            start_response("302 Found", [("Location", page)])
        else:
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            yield "".join(f'<a class="x" href="{link}">tea</a>' for link in page).encode()


@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
def test_it_sees_every_page_of_its_own_servers(patched: bool) -> None:
    done = run(*(("-c", PATCHED.format("crawler.py")) if patched else ("crawler.py",)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "4 origins with 240 pages; at most 3 connections" in done.stdout
    assert re.search(r"^240 pages in [0-9.]+ s, 2 links lead elsewhere$", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^[ABCD] saw 60 requests on connections: \d+$", done.stdout, re.MULTILINE)) == 4
    assert done.stdout.endswith("\nEvery page was seen, and asked for once.\n")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (ONE_MORE, "Unexpected: 20 pages were seen, of 21"),
        (TWICE, "Unexpected: there are pages that were asked for more than once"),
    ],
    ids=["missed", "twice"],
)
def test_a_page_that_is_missed_or_asked_for_twice_makes_the_exit_code(program: str, said: str) -> None:
    done = run("-c", program)
    assert (done.returncode, said in done.stderr) == (1, True), done.stdout + done.stderr


def test_it_stays_on_the_origins_it_was_given() -> None:
    one, other = Site({"/": ["/a", "a#top", "/b/"], "/a": ["/"], "/b/": ["../a", "c"]}), Site({"/": []})
    one.pages["/b/c"] = "/d"  # a redirect is a link
    one.pages["/d"] = []
    with serving(one) as url, serving(other) as elsewhere:
        one.pages["/a"] = [f"{elsewhere}/", "mailto:tea@example.org", "http://[", "/"]
        done = run("crawler.py", f"{url}/")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "5 pages in " in done.stdout
    assert "2 links lead elsewhere" in done.stdout
    assert one.asked == {"/": 1, "/a": 1, "/b/": 1, "/b/c": 1, "/d": 1}
    assert other.asked == {}


@pytest.mark.parametrize(
    ("option", "pages"), [("--pages=5", 5), ("--depth=3", 4), ("--greenlets=1", 20)], ids=str
)
def test_it_ends_where_its_bounds_are(option: str, pages: int) -> None:
    # Each page leads to the next; every bound but the one in question is out of reach.
    site = Site({f"/{number}": [f"/{number + 1}"] if number < 19 else [] for number in range(20)})
    with serving(site) as url:
        done = run("crawler.py", "--depth=100", option, f"{url}/0")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert sum(site.asked.values()) == pages


def test_pages_that_cannot_be_read_are_named_and_make_the_exit_code() -> None:
    site = Site({"/": ["/gone", "/here"], "/here": []})
    with serving(site) as url:
        done = run("crawler.py", f"{url}/", "http://127.0.0.1:1/")
    assert (done.returncode, done.stderr) == (1, ""), done.stdout + done.stderr
    assert f"{url}/gone: 404 Not Found" in done.stdout
    assert "http://127.0.0.1:1/: ConnectError: could not connect" in done.stdout
    assert "4 pages in " in done.stdout
    assert "/never" not in site.asked


def test_a_terminal_is_shown_how_far_it_is() -> None:
    done = run("crawler.py", FORCE_COLOR="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "240/240" in done.stdout


def test_what_is_not_installed_is_said() -> None:
    done = run("-c", WITHOUT_RICH.format("crawler.py"))
    assert done.returncode == 1
    assert "run  python -m pip install '.[examples]'  and then  python examples/crawler.py" in done.stderr
    assert "Traceback" not in done.stderr
