"""A crawler: greenlets of a Pool read pages over one Client, and the pages say what to read next.

    python -m pip install '.[examples]'
    python examples/crawler.py
    python examples/crawler.py --pages 100 --depth 3 https://www.example.org/

Without arguments it starts four HTTPS servers on loopback and in this very process (see origins.py) whose pages link to
each other, and crawls them with fewer connections than there are servers; it needs no network, takes a second or two,
and exits with 0 only if every page was seen, and asked for once.

With URLs it stays on their origins, and exits with 0 only if every page it asked for could be read.  It does not ask
for robots.txt: use it on sites of your own.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from html.parser import HTMLParser
from time import monotonic
from typing import Any

from gevent.pool import Pool
from gevent.queue import Queue

import greenh2

try:
    from origins import Certificates, Origin
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: run  python -m pip install '.[examples]'  and then  python examples/crawler.py")

#: What a page may have at most (bytes), so that no server can fill the memory.
MOST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a crawl ends."""

    pages: int = 500
    depth: int = 20
    greenlets: int = 20


@dataclass(frozen=True, slots=True)
class Page:
    """One page that was asked for, and what came of it."""

    url: greenh2.URL
    depth: int
    links: tuple[greenh2.URL, ...] = ()
    connection: int | None = None
    problem: str = ""


class Links(HTMLParser):
    """Gathers where the links of a page lead, as they are written."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def links_of(response: greenh2.Response) -> Iterator[greenh2.URL]:
    """Tell where a page leads: by its links, or as a whole, which is a redirect."""
    if response.next_request is not None:
        yield response.next_request.url
    elif response.headers.get("content-type", "").startswith("text/html"):
        for link in Links(response.text).found:
            try:
                yield response.url.join(link)
            except greenh2.InvalidURL:
                continue  # a page may say anything


def read(client: greenh2.Client, url: greenh2.URL, depth: int) -> Page:
    try:
        response = client.get(url)
    except greenh2.HTTPError as error:
        return Page(url, depth, problem=f"{type(error).__name__}: {error}")
    connection = response.connection_info["id"]
    if response.is_error:
        problem = f"{response.status_code} {response.reason_phrase}"
        return Page(url, depth, connection=connection, problem=problem)
    return Page(url, depth, tuple(links_of(response)), connection)


class Crawl:
    """Pages in the order in which they come, each once, from the given origins only."""

    def __init__(
        self, client: greenh2.Client, starts: Iterable[greenh2.URL], origins: Iterable[str], *, bounds: Bounds
    ) -> None:
        #: Every URL that was, or will be, asked for; and those links that lead to other origins.
        self.known: set[greenh2.URL] = set()
        self.elsewhere: set[greenh2.URL] = set()
        self._client = client
        self._origins = frozenset(origins)
        self._bounds = bounds
        self._todo: Queue[Any] = Queue()  # pairs of URL and depth, and StopIteration at the end
        self._note(starts, 0)

    def run(self) -> Iterator[Page]:
        """Read until nothing is left that is known and not read.  Switches greenlets."""
        pool = Pool(self._bounds.greenlets)
        seen = 0
        try:
            # imap_unordered() takes the next URL from the queue when a greenlet is free; the end of the queue is
            # the end of the crawl, and it is put there when as many pages were seen as are known.
            for page in pool.imap_unordered(lambda job: read(self._client, *job), self._todo):
                seen += 1
                self._note(page.links, page.depth + 1)
                if seen == len(self.known):
                    self._todo.put(StopIteration)
                yield page
        finally:
            self._todo.put(StopIteration)
            pool.kill()

    def _note(self, urls: Iterable[greenh2.URL], depth: int) -> None:
        for url in urls:
            whole = url.copy_with(fragment=None)
            if url.origin not in self._origins:
                self.elsewhere.add(whole)
            elif (
                whole not in self.known
                and depth <= self._bounds.depth
                and len(self.known) < self._bounds.pages
            ):
                self.known.add(whole)
                self._todo.put((whole, depth))


def watch(crawl: Crawl) -> list[Page]:
    """Run it with a bar on the terminal, if there is one; tell what could not be read, and the figures."""
    began = monotonic()
    pages = []
    console = Console()
    columns = (TextColumn("pages"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Refreshed from here: rich would start a thread for it.
    with Progress(*columns, console=console, auto_refresh=False, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(crawl.known))
        for page in crawl.run():
            pages.append(page)
            progress.update(bar, total=len(crawl.known), advance=1, refresh=True)
    for page in pages:
        if page.problem:
            print(f"{page.url.redacted}: {page.problem}")
    took = monotonic() - began
    print(f"{len(pages)} pages in {took:.2f} s, {len(crawl.elsewhere)} links lead elsewhere")
    connections: defaultdict[str, set[int]] = defaultdict(set)
    for page in pages:
        if page.connection is not None:
            connections[page.url.origin].add(page.connection)
    for origin, count in sorted(Counter(page.url.origin for page in pages).items()):
        print(f"  {origin}: {count} pages, connections: {len(connections[origin])}")
    return pages


# ---- the servers of our own -----------------------------------------------------------------------------------


def link_up(origins: list[Origin], pages: int) -> list[greenh2.URL]:
    """Give each origin so many pages, each with links to others, there and on the next origin; return all URLs."""
    for place, origin in enumerate(origins):
        neighbour = origins[(place + 1) % len(origins)]
        for number in range(pages):
            targets = [f"/{child}#top" for child in (2 * number + 1, 2 * number + 2) if child < pages]
            targets += ["../0", f"{neighbour.url}/{number}", "https://elsewhere.example/", "mailto:me@here"]
            links = "".join(f'<li><a href="{target}">{target}</a></li>' for target in targets)
            origin.pages[f"/{number}"] = f"<!doctype html><title>{number}</title><ul>{links}</ul>"
    return [greenh2.URL(f"{origin.url}{path}") for origin in origins for path in origin.pages]


def crawl_our_own(pages: int = 60) -> None:
    certificates = Certificates()
    limits = greenh2.Limits(max_connections=3)
    with ExitStack() as stack:
        origins = [stack.enter_context(Origin(name, certificates)) for name in "ABCD"]
        expected = link_up(origins, pages)
        client = stack.enter_context(
            greenh2.Client(
                verify=certificates.for_client(), limits=limits, max_response_bytes=MOST_BYTES, timeout=20.0
            )
        )
        print(
            f"{len(origins)} origins with {len(expected)} pages; at most {limits.max_connections} connections"
        )
        crawl = Crawl(client, expected[:1], [origin.url for origin in origins], bounds=Bounds())
        seen = [page.url for page in watch(crawl) if not page.problem]
        asked = [sum(visit.requests for visit in origin.visits) for origin in origins]
        for origin, requests in zip(origins, asked, strict=True):
            print(f"{origin.name} saw {requests} requests on connections: {len(origin.visits)}")
    if sorted(map(str, seen)) != sorted(map(str, expected)):
        sys.exit(f"\nUnexpected: {len(seen)} pages were seen, of {len(expected)}")
    if asked != [pages] * len(origins):
        sys.exit("\nUnexpected: there are pages that were asked for more than once")
    print("\nEvery page was seen, and asked for once.")


def crawl_others(urls: list[greenh2.URL], bounds: Bounds) -> None:
    with greenh2.Client(max_response_bytes=MOST_BYTES, timeout=greenh2.Timeout(20.0, total=60.0)) as client:
        pages = watch(Crawl(client, urls, [url.origin for url in urls], bounds=bounds))
    if any(page.problem for page in pages):
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Read pages that link to each other.")
    parser.add_argument(
        "url", nargs="*", type=greenh2.URL, help="where to begin, and which origins to stay on"
    )
    parser.add_argument("--pages", type=int, default=200, help="how many pages to ask for at most")
    parser.add_argument("--depth", type=int, default=5, help="how many links to follow from the beginning")
    parser.add_argument("--greenlets", type=int, default=20, help="how many pages to read at once")
    options = parser.parse_args()
    if options.url:
        crawl_others(options.url, Bounds(options.pages, options.depth, options.greenlets))
    else:
        crawl_our_own()


if __name__ == "__main__":
    main()
