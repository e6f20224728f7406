"""Measure with one worker and with two, in turn: ``python -m benchmarks.scaling``.

Needs nginx and redis-server, and greenh2[benchmarks,hosts].  Upstream, broker and load run on the same machine, so that
two workers on two cores cannot be twice as fast as one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import gevent
import redis

import greenh2
from benchmarks.scaling.work import FAN_OUT
from benchmarks.server import NoServer, serving

_READY_WITHIN = 30.0
_GREENLETS = 64


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    """Run a program until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_READY_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(found: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _READY_WITHIN
    while not found():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not begin within {_READY_WITHIN:g} s")
        gevent.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def gunicorn(workers: int, requests: int, folder: Path) -> float:
    """Return how many requests a second so many workers answer."""
    log = folder / f"gunicorn-{workers}-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", str(workers), "-b", "127.0.0.1:0"]
    with _running([*command, "benchmarks.scaling.gunicorn_app:application"], log):
        _wait_for(lambda: log.read_text().count("Booting worker") >= workers, "Gunicorn")
        port = re.findall(r"Listening at: http://127.0.0.1:([0-9]+)", log.read_text())[0]
        with greenh2.Client(
            limits=greenh2.Limits(max_connections=_GREENLETS, max_keepalive_connections=_GREENLETS),
            timeout=60.0,
        ) as client:
            url = f"http://127.0.0.1:{port}/"
            _load(client, url, _GREENLETS)
            started = time.perf_counter()
            _load(client, url, requests)
            return requests / (time.perf_counter() - started)


def _load(client: greenh2.Client, url: str, requests: int) -> None:
    """Ask from many greenlets; now and then over a new connection, for a kept one stays with its worker."""
    tickets = iter(range(requests))

    def ask() -> None:
        for number in tickets:
            headers = {"Connection": "close"} if number % 10 == 0 else {}
            client.get(url, headers=headers).raise_for_status()

    gevent.joinall([gevent.spawn(ask) for _ in range(_GREENLETS)], raise_error=True)


def celery(workers: int, tasks: int, folder: Path) -> float:
    """Return how many tasks a second so many workers do, which find all of them in the queue when they begin."""
    from benchmarks.scaling.celery_app import done, fetch  # reads the broker's address from the environment

    log = folder / f"celery-{workers}-{time.monotonic_ns()}.log"
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "benchmarks.scaling.celery_app",
        "worker",
        "-P",
        "gevent",
    ]
    command += ["-c", "100", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
    done.set("done", 0)
    for _ in range(tasks):
        fetch.delay()
    with ExitStack() as stack:
        for number in range(workers):
            stack.enter_context(_running([*command, "-n", f"worker{number}@localhost"], log))
        _wait_for(lambda: log.read_text().count(" ready.") >= workers, "Celery")
        began, started = _done(done), time.perf_counter()
        while _done(done) < tasks:
            assert time.perf_counter() < started + 120, "the tasks are not done"
            time.sleep(0.01)
        return (tasks - began) / (time.perf_counter() - started)


def _done(counter: redis.Redis) -> int:
    return int(str(counter.get("done"), "ascii"))  # type: ignore[arg-type]  # bytes, for it was asked at once


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument(
        "--requests", type=int, default=2000, help="requests to Gunicorn in each round (2,000)"
    )
    parser.add_argument("--tasks", type=int, default=1000, help="tasks for Celery in each round (1,000)")
    options = parser.parse_args()
    redis = shutil.which("redis-server")
    if redis is None:
        raise SystemExit("redis-server is not installed (Debian and Ubuntu: apt-get install redis-server)")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greenh2-scaling-")))
        try:
            server = stack.enter_context(
                serving(origins=1, sizes=[1000], fields=[], cores=os.sched_getaffinity(0))
            )
        except NoServer as missing:
            raise SystemExit(str(missing)) from None
        port = _free_port()
        stack.enter_context(
            _running([redis, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], folder / "redis.log")
        )
        _wait_for(lambda: _listens(port), "Redis")
        os.environ["SCALING_CA"] = server.ca_file
        os.environ["SCALING_URL"] = f"{server.h2[0]}/1000.bin"
        os.environ["SCALING_BROKER"] = f"redis://127.0.0.1:{port}/0"
        found: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for workers in (1, 2):
                found.setdefault(f"gunicorn-{workers}", []).append(
                    gunicorn(workers, options.requests, folder)
                )
                found.setdefault(f"celery-{workers}", []).append(celery(workers, options.tasks, folder))
    for name in ("gunicorn", "celery"):
        ratios = [two / one for one, two in zip(found[f"{name}-1"], found[f"{name}-2"], strict=True)]
        rates = {workers: round(median(found[f"{name}-{workers}"])) for workers in (1, 2)}
        print(
            json.dumps(
                {"host": name, "fan_out": FAN_OUT, "per_second": rates, "ratio": round(median(ratios), 2)}
            )
        )


if __name__ == "__main__":
    main()
