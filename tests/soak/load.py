"""The load: what is asked, who is killed, which server is restarted, and what must hold all the while."""

import ctypes
import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from resource import getpagesize
from statistics import median

import gevent

import greenh2
from tests.support.certificates import Certificates
from tests.support.daemons import FILES, Daemon, Daemons, content
from tests.support.leaks import Census

#: One request in so many is ended from outside.
_ENDED = 50
_PARTS = 10
#: mallopt(3): from which size on a block is a mapping of its own; set, it does not grow by itself.
_M_MMAP_THRESHOLD = -3


@dataclass
class Report:
    """What came of a soak; nothing in ``broken`` is what is promised."""

    requests: int = 0
    restarts: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    #: Resident memory after each tenth, when nothing is under way (bytes).
    memory: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """By what part memory has grown from the three tenths after the first to the last three, by their medians.

        Where the heap has holes is chance: of one state of the process it makes some hundredths more or less.
        """
        return median(self.memory[-3:]) / median(self.memory[1:4]) - 1


def keep_large_blocks_apart() -> None:
    """Have glibc give large blocks back when they are freed, so that it is not chance what the heap keeps of them."""
    if (option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        option(_M_MMAP_THRESHOLD, 128 * 1024)


def resident() -> int:
    """Return the resident memory of this process (bytes), without what the allocator keeps though nobody has it."""
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:  # glibc's
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


class Soak:
    """One soak of so many requests by so many greenlets."""

    def __init__(self, folder: Path, *, requests: int, greenlets: int, restarts: int, seed: int) -> None:
        self.report = Report()
        self._requests, self._greenlets, self._restarts = requests, greenlets, restarts
        self._random = Random(seed)
        self._certificates = Certificates(folder)
        self._daemons = Daemons(self._certificates)
        self._left = 0
        self._work: list[Callable[[greenh2.Client], None]] = []
        self._running: list[Daemon] = []

    def run(self) -> Report:
        """Run it to its end."""
        keep_large_blocks_apart()
        census = Census()
        started = time.monotonic()
        try:
            self._start_servers()
            with greenh2.Client(
                verify=self._certificates.ca_file,
                timeout=greenh2.Timeout(10.0, total=60.0),
                limits=greenh2.Limits(max_connections=20, max_connection_age=20.0),
                follow_redirects=True,
            ) as client:
                restarter = gevent.spawn(self._restart)
                for _ in range(_PARTS):
                    self._left = self._requests // _PARTS
                    asking = [gevent.spawn(self._ask, client) for _ in range(self._greenlets)]
                    gevent.joinall(asking, raise_error=True)
                    del asking
                    self.report.memory.append(resident())
                restarter.get()
                if " 0 streams, 0 waiting" not in repr(client):
                    self.report.broken.append(f"places are held though nobody asks:\n{client.dump()}")
        finally:
            self._daemons.stop()
        self._work.clear()
        self.report.broken += census.leaks()
        self.report.seconds = time.monotonic() - started
        return self.report

    def _start_servers(self) -> None:
        nginx, other = self._daemons.nginx(keepalive_requests=1000), self._daemons.nginx()
        nghttpd, apache = self._daemons.nghttpd(), self._daemons.apache()
        assert other.h1 is not None
        assert apache.h1 is not None
        self._running = [nginx, other, nghttpd, apache]
        for url in nginx.h2, other.h1, nghttpd.h2, apache.h2, apache.h1:
            for name, data in FILES.items():
                self._work.append(self._get(f"{url}/{name}", data))
            self._work.append(self._get(f"{url}/600000.bin", content(600_000)))
            self._work.append(self._stream(f"{url}/600000.bin", content(600_000)))
            self._work.append(self._glance(f"{url}/600000.bin"))
        for url in nginx.h2, other.h1:
            self._work.append(self._get(f"{url}/gzip/page.html", FILES["page.html"]))
            self._work.append(self._get(f"{url}/moved/page.html", FILES["page.html"]))
            self._work.append(self._post(f"{url}/upload"))

    # -- what is asked -----------------------------------------------------------------------------------------

    def _get(self, url: str, data: bytes) -> Callable[[greenh2.Client], None]:
        return lambda client: self._check(url, client.get(url).raise_for_status().content, data)

    def _stream(self, url: str, data: bytes) -> Callable[[greenh2.Client], None]:
        def stream(client: greenh2.Client) -> None:
            with client.stream("GET", url) as response:
                pieces = []
                for piece in response.raise_for_status().iter_bytes(50_000):
                    pieces.append(piece)
                    gevent.sleep(0)
            self._check(url, b"".join(pieces), data)

        return stream

    def _glance(self, url: str) -> Callable[[greenh2.Client], None]:
        def glance(client: greenh2.Client) -> None:
            with client.stream("GET", url) as response:
                next(response.raise_for_status().iter_raw())

        return glance

    def _post(self, url: str) -> Callable[[greenh2.Client], None]:
        return lambda client: self._check(
            url, client.post(url, content=bytes(100_000)).raise_for_status().content, b""
        )

    def _check(self, url: str, got: bytes, wanted: bytes) -> None:
        if got != wanted:
            self.report.broken.append(f"{url}: {len(got)} bytes that are not its own, {len(wanted)} were due")

    # -- who asks, and what happens meanwhile --------------------------------------------------------------------

    def _ask(self, client: greenh2.Client) -> None:
        while self._left > 0:
            self._left -= 1
            outcome = self._outcome(client) if self._random.randrange(_ENDED) else self._ask_and_end(client)
            self.report.outcomes[outcome] += 1
            self.report.requests += 1

    def _outcome(self, client: greenh2.Client) -> str:
        try:
            self._random.choice(self._work)(client)
            return "answered"
        except greenh2.HTTPError as error:
            gevent.sleep(0.01)  # its server is being restarted
            return type(error).__name__

    def _ask_and_end(self, client: greenh2.Client) -> str:
        instant = max(0.001, self._random.random() * 0.05)  # libuv knows no less
        if self._random.randrange(2):
            with gevent.Timeout(instant, False):  # type: ignore[arg-type]  # False: end the block in silence
                return self._outcome(client)
            return "timed out from outside"
        job = gevent.spawn(self._outcome, client)
        job.join(instant)
        job.kill()
        came_of_it: object = job.value
        return "killed" if isinstance(came_of_it, gevent.GreenletExit) else str(came_of_it)

    def _restart(self) -> None:
        for number in range(1, self._restarts + 1):
            due = self._requests * number // (self._restarts + 1)
            while self.report.requests < due:
                gevent.sleep(0.02)
            self._random.choice(self._running).restart()
            self.report.restarts += 1
