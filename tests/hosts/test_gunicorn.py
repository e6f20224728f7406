"""The WSGI application of the examples under real Gunicorn: one client for each worker, whatever was forked when."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import gevent
import pytest

import greenh2
from tests.support.certificates import Certificates
from tests.support.origins import Origin, OriginFactory
from tests.support.processes import Child

EXAMPLES = Path(__file__).parents[2] / "examples"


class Gunicorn:
    """One running master with its workers."""

    def __init__(self, log: Path, *options: str) -> None:
        self._log = log
        command = [sys.executable, "-m", "gunicorn", "--chdir", str(EXAMPLES), "-b", "127.0.0.1:0"]
        command += ["-c", str(EXAMPLES / "gunicorn_conf.py"), *options, "gunicorn_app:application"]
        self.process = Child(command, log)
        self.url = f"http://127.0.0.1:{self.find(r'Listening at: http://127.0.0.1:([0-9]+)')[0]}"
        self.workers(2)

    def find(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until the log holds so many of these, and return them all."""
        with gevent.Timeout(20, RuntimeError(f"{pattern!r} is not in the log:\n{self._log}")):
            while len(found := re.findall(pattern, self._log.read_text())) < count:
                assert not self.process.has_ended(), self._log.read_text()
                gevent.sleep(0.01)
        return found

    def workers(self, count: int) -> list[int]:
        """Return the process ids of the workers, newest last, once so many were ever started."""
        return [int(pid) for pid in self.find(r"Booting worker with pid: ([0-9]+)", count)]

    def tell(self, what: signal.Signals) -> None:
        os.kill(self.process.pid, what)


@pytest.fixture
def upstreams(
    origin: OriginFactory, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> list[Origin]:
    servers = [origin(), origin(alpn=("http/1.1",))]
    monkeypatch.setenv("UPSTREAMS", " ".join(server.url for server in servers))
    monkeypatch.setenv("UPSTREAMS_CA", certificates.ca_file)
    return servers


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Gunicorn]]:
    running: list[Gunicorn] = []

    def begin(*options: str) -> Gunicorn:
        running.append(Gunicorn(tmp_path / "gunicorn.log", *options))
        return running[-1]

    yield begin
    for one in running:
        one.process.stop(20)


def content(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size] * 2


class Load:
    """Greenlets that ask until they are told to stop, and check each answer."""

    def __init__(self, url: str) -> None:
        self.client = greenh2.Client(timeout=20.0)
        self.url = url
        self.answered = 0
        self.refused = 0
        self.seen: set[int] = set()
        self.wrong: list[str] = []
        self.leaving = False
        self._stopped = False
        self._greenlets = [gevent.spawn(self._ask, number) for number in range(16)]

    def _ask(self, number: int) -> None:
        while not self._stopped:
            number = (number * 7 + 3) % 5000
            # Kept connections stay with their worker: new ones now and then let every worker have its share.
            headers = {"Connection": "close"} if number % 10 == 0 else {}
            try:
                response = self.client.get(f"{self.url}/{number}", headers=headers)
            except (greenh2.ConnectError, greenh2.ServerDisconnected) as error:
                self.refused += 1
                if not self.leaving:
                    self.wrong.append(repr(error))
                return
            if response.status_code != 200 or response.content != content(number):
                self.wrong.append(f"/{number}: {response.status_code}, {response.content[:200]!r}")
                return
            self.seen.add(int(response.headers["x-worker"]))
            self.answered += 1

    def until(self, condition: Callable[[], bool]) -> None:
        with gevent.Timeout(20):
            while not condition():
                assert not self.wrong
                gevent.sleep(0.01)

    def stop(self) -> None:
        self._stopped = True
        gevent.joinall(self._greenlets, raise_error=True)
        self.client.close()
        assert self.wrong == []


def sockets_to(ports: set[int], pid: int) -> set[str]:
    """Return the inodes of a process's connections to these ports."""
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    wanted = {line[9] for line in lines if int(line[2].rpartition(":")[2], 16) in ports}
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:  # closed meanwhile
            continue
    return held & wanted


@pytest.mark.parametrize(
    ("options", "warm_up"),
    [((), False), (("--preload",), False), (("--preload",), True)],
    ids=["loaded by each worker", "preloaded", "preloaded and used in the master"],
)
def test_no_request_is_lost_and_no_socket_shared(
    start: Callable[..., Gunicorn],
    upstreams: list[Origin],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    warm_up: bool,
) -> None:
    if warm_up:
        monkeypatch.setenv("WARM_UP", "1")
    gunicorn = start(*options)
    load = Load(gunicorn.url)
    first = gunicorn.workers(2)
    load.until(lambda: set(first) <= load.seen and load.answered > 200)

    ports = {server.port for server in upstreams}
    held = [sockets_to(ports, pid) for pid in (gunicorn.process.pid, *first)]
    assert bool(held[0]) == warm_up
    assert held[1]
    assert held[2]
    assert not any(one & other for one, other in combinations(held, 2))

    gunicorn.tell(signal.SIGHUP)
    second = gunicorn.workers(4)[2:]
    gunicorn.find(r"Worker exiting \(pid: [0-9]+\)", 2)
    before = load.answered
    load.until(lambda: set(second) <= load.seen and load.answered > before + 200)

    load.leaving = True
    gunicorn.tell(signal.SIGTERM)
    with gevent.Timeout(20):
        while not gunicorn.process.has_ended():
            gevent.sleep(0.01)
    load.stop()
    for server in upstreams:
        server.wait_until(lambda stats: not stats.open)
