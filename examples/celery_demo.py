"""Celery's gevent workers with greenh2, tried out in one go: tasks, a worker, and the servers that they talk to.

    python -m pip install '.[examples,hosts]'
    python examples/celery_demo.py

Starts an HTTPS server that speaks HTTP/2, A, and a receiver of webhooks, both on loopback and in this very process (see
origins.py); sends tasks of celery_app.py, by files in a folder; starts a worker, and lets the servers tell what they
saw.  It needs no network and no broker, takes some seconds, and exits with 0 only if it did what it says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer

try:
    import celery.result
    from origins import THINKING, Certificates, Origin
except ImportError as missing:
    sys.exit(
        f"{missing}: run  python -m pip install '.[examples,hosts]'  and then  python examples/celery_demo.py"
    )

WORKER = [sys.executable, "-m", "celery", "-A", "celery_app", "--quiet", "worker", "-P", "gevent"]
WORKER += [
    "-c",
    "100",
    "--loglevel",
    "WARNING",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
]


class Receiver:
    """A receiver of webhooks: busy at first, and it acts once for each Idempotency-Key."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.paid: Counter[str] = Counter()
        self._server = WSGIServer(("127.0.0.1", 0), self._take, log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def _take(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        key = environ["HTTP_IDEMPOTENCY_KEY"]
        self.keys.append(key)
        if self.keys.count(key) <= 2:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if not self.paid[key]:
            self.paid[key] += 1
        start_response("204 No Content", [])
        return []

    def stop(self) -> None:
        self._server.stop(timeout=1)


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"\nUnexpected: {what}")


def results(tasks: list[celery.result.AsyncResult]) -> list[Any]:
    """Wait for tasks, and let the servers work meanwhile, as `AsyncResult.get()` would not."""
    with gevent.Timeout(60, RuntimeError("the tasks take too long")):
        while not all(task.ready() for task in tasks):
            gevent.sleep(0.05)
    return [task.get() for task in tasks]


def demonstrate(a: Origin, receiver: Receiver) -> None:
    from celery_app import deliver, fetch  # it asks the environment where the messages are

    pages = [fetch.delay(f"{a.url}/slow") for _ in range(100)]
    webhook = deliver.delay(receiver.url, "order-7", {"paid": True})
    worker = subprocess.Popen(WORKER, cwd=Path(__file__).parent)  # noqa: S603  # the list above
    try:
        good = results(pages).count("hello from A\n")
        expect(good == 100, "some pages are not A's")
        most = max(visit.most_open_streams for visit in a.visits)
        print(f"100 tasks fetched {good} pages, {THINKING * 1000:.0f} ms each")
        print(f"A saw {len(a.visits)} connection and up to {most} requests on it at once")
        expect(len(a.visits) == 1, "there should have been one connection")

        (told,) = results([webhook])
        print(f"\nThe webhook was {told}: {len(receiver.keys)} requests, 2 of them answered by 503")
        print(
            f"The receiver saw the keys {sorted(set(receiver.keys))} and acted {receiver.paid.total()} time"
        )
        expect(receiver.keys == ["order-7"] * 3, "there should have been three requests")
        expect(receiver.paid == {"order-7": 1}, "it should have been paid once")
    finally:
        worker.terminate()
        while worker.poll() is None:  # its tasks may want answers
            gevent.sleep(0.05)
    print(f"\nThe worker exited with {worker.returncode}")
    expect(worker.returncode == 0, "the worker should have exited with 0")
    expect(a.visits[0].goodbye is not None, "A should have been told that the connection ends")


def main() -> None:
    certificates = Certificates()
    with tempfile.TemporaryDirectory() as folder, Origin("A", certificates) as a:
        os.environ["CELERY_FOLDER"] = folder
        os.environ["SSL_CERT_FILE"] = str(Path(folder, "trusted.pem"))
        os.environ.pop("CELERY_BROKER_URL", None)
        certificates.write(os.environ["SSL_CERT_FILE"])
        receiver = Receiver()
        demonstrate(a, receiver)
        receiver.stop()
    print("It did what it says.")


if __name__ == "__main__":
    main()
