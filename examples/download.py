"""A download to disk: as it comes, in constant memory, and resumed where the connection broke off.

    python -m pip install '.[examples]'
    python examples/download.py
    python examples/download.py https://www.example.org/big.iso [FILE]

What has come is asked for no second time: the next request has a Range, and an If-Range with the ETag, so that a file
that was changed meanwhile comes whole (RFC 9110, sections 13.1.5 and 14).  A server without ETags, or without ranges,
makes it begin anew.  The bytes go to FILE.part, which is FILE once it is whole, and is removed when that fails.

Without arguments it starts a server on loopback and in this very process, which has 30 MB and hangs up in the middle;
it needs no network, and exits with 0 only if the right bytes arrived.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import BinaryIO

import gevent
from gevent.pywsgi import WSGIServer

import greenh2

try:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: run  python -m pip install '.[examples]'  and then  python examples/download.py")

#: How many requests in a row may bring nothing before it is given up.
PATIENCE = 5
#: What is told of the progress: bytes that are there, and bytes in all if that is known.
Tell = Callable[[int, "int | None"], None]


class DownloadError(Exception):
    """What the server sent is not what it said it would be."""


class Download:
    """What is known of a file that is on its way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._etag = ""
        #: How many bytes have come, and how many there will be, if that is known.
        self.there = 0
        self.total: int | None = None
        #: How often it went on where it had broken off, and how often it could not.
        self.resumed = 0
        self.begun_anew = 0

    def request_headers(self) -> dict[str, str]:
        """Ask for the file as it is stored, and for what is missing of it."""
        headers = {"Accept-Encoding": "identity"}
        if self.there:
            headers |= {"Range": f"bytes={self.there}-", "If-Range": self._etag}
        return headers

    def begin(self, response: greenh2.Response) -> None:
        """Take the head of an answer: the whole file (200), or the rest of it (206).  Raises DownloadError."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise DownloadError("the server sends the file encoded, though it was asked not to")
        if response.status_code == 206 and self.there:
            told = response.headers.get("content-range", "")
            match = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", told)
            wanted = (self.there, self.total)
            if match is None or (int(match[1]), int(match[3])) != wanted or int(match[2]) + 1 != self.total:
                raise DownloadError(f"bytes {self.there} and up of {self.total} were asked for, not {told!r}")
            self.resumed += 1
        elif response.status_code == 200:
            self.restart()
            length = response.headers.get("content-length")
            self.total = None if length is None else int(length)
            etag = response.headers.get("etag", "")
            self._etag = (
                "" if etag.startswith("W/") else etag
            )  # a weak one does not tell that bytes are the same
        else:
            raise DownloadError(f"{response.status_code} {response.reason_phrase}")

    def restart(self) -> None:
        """Forget what is there."""
        if self.there:
            self.begun_anew += 1
            self.there = 0
        self._file.seek(0)
        self._file.truncate()

    def take(self, piece: bytes) -> None:
        self._file.write(piece)
        self.there += len(piece)

    def broke_off(self) -> None:
        """Keep what is there only if the rest of the very same file can be asked for."""
        if not self._etag or self.total is None:
            self.restart()


def fetch(client: greenh2.Client, url: str, file: BinaryIO, tell: Tell) -> Download:
    """Write what is at `url` to a file.  Switches greenlets.

    Raises DownloadError for an answer that is of no use, and greenh2.TransportError when `PATIENCE` requests in a
    row have brought nothing; in between it pauses for 0.1 s, 0.2 s, 0.4 s and so on.
    """
    download = Download(file)
    in_vain = 0
    while True:
        before = download.there
        try:
            with client.stream("GET", url, headers=download.request_headers()) as response:
                download.begin(response)
                for piece in response.iter_raw():
                    download.take(piece)
                    tell(download.there, download.total)
            break
        except greenh2.TransportError:
            download.broke_off()
            in_vain = 0 if download.there > before else in_vain + 1
            if in_vain == PATIENCE:
                raise
            if in_vain:
                gevent.sleep(0.1 * 2 ** (in_vain - 1))
    if download.total is not None and download.there != download.total:
        raise DownloadError(f"{download.there} bytes came, of {download.total}")
    return download


def save(client: greenh2.Client, url: str, target: Path) -> Download:
    """Download to a file, by way of a .part beside it, with a bar on the terminal if there is one."""
    part = target.with_name(f"{target.name}.part")
    console = Console()
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    shown = 0.0
    # Refreshed from here: rich would start a thread for it.
    with Progress(*columns, console=console, auto_refresh=False, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)

        def tell(there: int, total: int | None) -> None:
            nonlocal shown
            progress.update(bar, completed=there, total=total)
            if there == total or monotonic() > shown + 0.1:
                progress.refresh()
                shown = monotonic()

        try:
            with part.open("wb") as file:
                download = fetch(client, url, file, tell)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    return download


def peak_memory() -> int:
    """Return the most memory that this process has had so far (bytes)."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; getrusage() there counts what the parent had as well
        found = re.search(r"VmHWM:\s+([0-9]+) kB", status.read_text())
        if found is not None:
            return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def report(client: greenh2.Client, url: str, target: Path) -> Download:
    """Download, and print the figures."""
    memory, began = peak_memory(), monotonic()
    download = save(client, url, target)
    took = monotonic() - began
    print(f"{download.there} bytes in {took:.2f} s: {target}")
    print(f"resumed: {download.resumed}, begun anew: {download.begun_anew}")
    print(f"memory at its peak grew by {(peak_memory() - memory) / 1e6:.1f} MB")
    return download


# ---- a server of our own --------------------------------------------------------------------------------------


class BigFile:
    """A WSGI application with one file, which hangs up once when half of it is sent."""

    SIZE = 30_000_000
    BLOCK = 50_000

    def __init__(self) -> None:
        digest = hashlib.sha256()
        for number in range(self.SIZE // self.BLOCK):
            digest.update(self.block(number))
        self.digest = digest.hexdigest()
        self.hangs_up_at: int | None = self.SIZE // 2
        #: The Range of each request, and whether its If-Range was right.
        self.asked: list[tuple[str, bool]] = []

    def block(self, number: int) -> bytes:
        return number.to_bytes(10, "big") * (self.BLOCK // 10)

    def __call__(
        self, environ: dict[str, str], start_response: Callable[[str, list[tuple[str, str]]], object]
    ) -> Iterator[bytes]:
        etag = f'"{self.digest}"'
        wanted = environ.get("HTTP_RANGE", "")
        unchanged = environ.get("HTTP_IF_RANGE") == etag
        self.asked.append((wanted, unchanged))
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and unchanged else 0
        headers = [("ETag", etag), ("Content-Length", str(self.SIZE - first)), ("Connection", "close")]
        if first:
            headers.append(("Content-Range", f"bytes {first}-{self.SIZE - 1}/{self.SIZE}"))
        start_response("206 Partial Content" if first else "200 OK", headers)
        number, skipped = divmod(first, self.BLOCK)
        while number * self.BLOCK < self.SIZE:
            if self.hangs_up_at is not None and number * self.BLOCK >= self.hangs_up_at:
                self.hangs_up_at = None
                return
            yield self.block(number)[skipped:]
            number, skipped = number + 1, 0


def download_our_own() -> None:
    big = BigFile()
    server = WSGIServer(("127.0.0.1", 0), big, log=None)
    server.start()
    url = f"http://127.0.0.1:{server.server_port}/big"
    try:
        with tempfile.TemporaryDirectory() as folder, greenh2.Client(trust_env=False) as client:
            target = Path(folder) / "big"
            download = report(client, url, target)
            with target.open("rb") as file:
                digest = hashlib.sha256()
                while block := file.read(BigFile.BLOCK):
                    digest.update(block)
    finally:
        server.stop()
    if digest.hexdigest() != big.digest:
        sys.exit("\nUnexpected: these are not the bytes that were sent")
    if download.resumed != 1 or download.begun_anew:
        sys.exit("\nUnexpected: the download was not resumed once")
    print(f"\nThe connection broke in the middle, and the {download.there} bytes are right.")


def name_of(url: greenh2.URL) -> str:
    """Return the last part of a URL's path, which can be nothing but the name of a file here."""
    name = url.path.rpartition("/")[2]
    return "download" if name in ("", ".", "..") or "\0" in name else name


def main() -> None:
    parser = argparse.ArgumentParser(description="Download a file; resume when the connection breaks.")
    parser.add_argument("url", nargs="?")
    parser.add_argument("file", nargs="?", type=Path, help="the last part of the URL's path otherwise")
    options = parser.parse_args()
    if options.url is None:
        download_our_own()
        return
    with greenh2.Client(timeout=30.0, follow_redirects=True) as client:
        try:
            report(client, options.url, options.file or Path(name_of(greenh2.URL(options.url))))
        except (greenh2.HTTPError, greenh2.InvalidURL, DownloadError, OSError) as error:
            sys.exit(f"{options.url}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
