"""The download is whole and right, however often the connection breaks, or it is not there at all."""

import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.examples.running import PATCHED, ROOT, WITHOUT_RICH, run, serving

PROGRAM = str(ROOT / "examples" / "download.py")
OLD = b"green tea " * 10_000
NEW = b"black tea! " * 10_000
HALF = len(OLD) // 2
WRONG_BYTES = """
import download
block = download.BigFile.block
served = []
def wrong(big, number):
    served.append(number)
    return block(big, number)[::-1] if len(served) > 1000 and number == 500 else block(big, number)
download.BigFile.block = wrong
download.download_our_own()
"""


@dataclass
class Act:
    """How one request is answered; `sent` is where the content ends, None at its end."""

    content: bytes = OLD
    etag: str = '"old"'
    sent: int | None = None
    ranges: bool = True
    status: str = ""
    length: bool = True
    torn: bool = False  # nothing says that it has ended
    headers: list[tuple[str, str]] = field(default_factory=list)


class Shelf:
    """A WSGI application with one file: each request is answered by the next act, further ones by the last."""

    def __init__(self, *acts: Act) -> None:
        self._acts = list(acts)
        #: Range and If-Range of each request.
        self.asked: list[tuple[str, str]] = []

    def __call__(self, environ: dict[str, str], start_response: Callable[..., object]) -> Iterator[bytes]:
        act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
        assert environ["HTTP_ACCEPT_ENCODING"] == "identity"
        wanted, condition = environ.get("HTTP_RANGE", ""), environ.get("HTTP_IF_RANGE", "")
        self.asked.append((wanted, condition))
        first = 0
        if act.ranges and condition == act.etag and (match := re.fullmatch(r"bytes=([0-9]+)-", wanted)):
            first = int(match[1])
        size = len(act.content)
        headers = [("ETag", act.etag)] if act.etag else []
        if act.length:
            headers += [("Content-Length", str(size - first)), ("Connection", "close")]
        if first and not any(name == "Content-Range" for name, _ in act.headers):
            headers.append(("Content-Range", f"bytes {first}-{size - 1}/{size}"))
        start_response(act.status or ("206 Partial Content" if first else "200 OK"), [*headers, *act.headers])
        yield act.content[first : act.sent]
        if act.torn:
            raise ConnectionResetError(errno.ECONNRESET, "as the server takes it, without a word")


@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
def test_it_gets_its_own_file_in_two_parts_and_little_memory(patched: bool) -> None:
    done = run(*(("-c", PATCHED.format("download.py")) if patched else ("download.py",)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "30000000 bytes in " in done.stdout
    assert "resumed: 1, begun anew: 0" in done.stdout
    grown = re.search(r"memory at its peak grew by ([0-9.]+) MB", done.stdout)
    assert grown is not None
    assert float(grown[1]) < 12  # the server's included, which is in the same process
    assert "the 30000000 bytes are right" in done.stdout


def test_wrong_bytes_make_the_exit_code() -> None:
    done = run("-c", WRONG_BYTES)
    assert (done.returncode, "not the bytes that were sent" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("acts", "content", "asked", "said"),
    [
        ([Act()], OLD, [("", "")], "resumed: 0, begun anew: 0"),
        ([Act(length=False)], OLD, [("", "")], "resumed: 0, begun anew: 0"),
        (
            [Act(sent=1000), Act(sent=HALF), Act()],
            OLD,
            [("", ""), ("bytes=1000-", '"old"'), (f"bytes={HALF}-", '"old"')],
            "resumed: 2, begun anew: 0",
        ),
        (
            [Act(sent=HALF), Act(NEW, etag='"new"')],
            NEW,
            [("", ""), (f"bytes={HALF}-", '"old"')],
            "resumed: 0, begun anew: 1",
        ),
        (
            [Act(sent=HALF), Act(NEW, etag='"new"', sent=HALF), Act(NEW, etag='"new"')],
            NEW,
            [("", ""), (f"bytes={HALF}-", '"old"'), (f"bytes={HALF}-", '"new"')],
            "resumed: 1, begun anew: 1",
        ),
        (
            [Act(sent=HALF, ranges=False), Act(ranges=False)],
            OLD,
            [("", ""), (f"bytes={HALF}-", '"old"')],
            "resumed: 0, begun anew: 1",
        ),
        ([Act(sent=HALF, etag=""), Act(etag="")], OLD, [("", "")] * 2, "resumed: 0, begun anew: 1"),
        (
            [Act(sent=HALF, etag='W/"old"'), Act(etag='W/"old"')],
            OLD,
            [("", "")] * 2,
            "resumed: 0, begun anew: 1",
        ),
        (
            [Act(sent=HALF), Act(NEW[:100], etag='"new"')],
            NEW[:100],
            [("", ""), (f"bytes={HALF}-", '"old"')],
            "resumed: 0, begun anew: 1",
        ),
        (
            [Act(sent=HALF, length=False, torn=True), Act()],
            OLD,
            [("", "")] * 2,
            "resumed: 0, begun anew: 1",
        ),
        ([Act(b"")], b"", [("", "")], "resumed: 0, begun anew: 0"),
    ],
    ids=[
        "in one go",
        "without a length",
        "broken off twice",
        "changed meanwhile",
        "changed, and broken off again",
        "without ranges",
        "without an ETag",
        "with a weak ETag",
        "shorter meanwhile",
        "without a length, broken off",
        "empty",
    ],
)
def test_the_file_is_whole_whatever_the_server_does(
    tmp_path: Path, acts: list[Act], content: bytes, asked: list[tuple[str, str]], said: str
) -> None:
    shelf = Shelf(*acts)
    with serving(shelf) as url:
        done = run("download.py", url, str(tmp_path / "tea"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert shelf.asked == asked
    assert said in done.stdout
    assert (tmp_path / "tea").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["tea"]


@pytest.mark.parametrize(
    ("acts", "error", "requests"),
    [
        ([Act(status="404 Not Found")], "DownloadError: 404 Not Found", 1),
        ([Act(headers=[("Content-Encoding", "gzip")])], "the server sends the file encoded", 1),
        ([Act(sent=HALF, etag="")], "ServerDisconnected", 5),
        ([Act(sent=HALF), Act(sent=0, length=False, status="503 Busy")], "DownloadError: 503 Busy", 2),
        (
            [Act(sent=HALF), Act(headers=[("Content-Range", f"bytes 0-{len(OLD) - 1}/{len(OLD)}")])],
            f"bytes {HALF} and up of {len(OLD)} were asked for",
            2,
        ),
        (
            [Act(sent=HALF), Act(headers=[("Content-Range", f"bytes {HALF}-{len(OLD) - 1}/{len(OLD) + 1}")])],
            f"bytes {HALF} and up of {len(OLD)} were asked for",
            2,
        ),
        (
            [Act(sent=HALF), Act(headers=[("Content-Range", f"bytes {HALF}-{len(OLD) - 2}/{len(OLD)}")])],
            f"bytes {HALF} and up of {len(OLD)} were asked for",
            2,
        ),
        ([Act(sent=HALF), Act(sent=HALF + 10, length=False)], f"{HALF + 10} bytes came, of {len(OLD)}", 2),
    ],
    ids=[
        "missing",
        "encoded",
        "always broken off",
        "busy",
        "another part",
        "another length",
        "a smaller part",
        "less than it says",
    ],
)
def test_what_cannot_be_had_whole_leaves_no_file(
    tmp_path: Path, acts: list[Act], error: str, requests: int
) -> None:
    shelf = Shelf(*acts)
    with serving(shelf) as url:
        done = run(PROGRAM, f"{url}/tea", folder=tmp_path)
    assert (done.returncode, error in done.stderr) == (1, True), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(shelf.asked) == requests
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/tea.iso?x=/y", "tea.iso"),
        ("/green%20tea", "green tea"),
        ("/", "download"),
        ("/%2e%2e", "download"),
    ],
    ids=str,
)
def test_the_file_is_named_by_the_url(tmp_path: Path, path: str, name: str) -> None:
    with serving(Shelf(Act())) as url:
        done = run(PROGRAM, url + path, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_a_terminal_is_shown_how_far_it_is() -> None:
    done = run("download.py", FORCE_COLOR="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "30.0/30.0 MB" in done.stdout


def test_what_is_not_installed_is_said() -> None:
    done = run("-c", WITHOUT_RICH.format("download.py"))
    assert done.returncode == 1
    assert "run  python -m pip install '.[examples]'  and then  python examples/download.py" in done.stderr
    assert "Traceback" not in done.stderr
