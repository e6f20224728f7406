"""A receiver of webhooks as it should be: it acts once for each Idempotency-Key, and remembers all that came."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer


class Receiver:
    """A WSGI server on loopback.

    `requests`: the key and the payload of each request, in order.
    `effects`: how often it acted, by key: never more than once if it is right.
    `refusals`: statuses that it answers first, one for each request, and without acting.
    `answers`: an Event; while it is clear nobody is answered, though the effect is there.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.effects: Counter[str] = Counter()
        self.refusals: list[int] = []
        self.answers = Event()
        self.answers.set()
        self._server = WSGIServer(("127.0.0.1", 0), self._serve, log=None, error_log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def wait_until(self, condition: Callable[["Receiver"], bool], timeout: float = 30.0) -> None:
        with gevent.Timeout(timeout, RuntimeError(f"not within {timeout} s; this came: {self.requests}")):
            while not condition(self):
                gevent.sleep(0.01)

    def stop(self) -> None:
        self.answers.set()
        self._server.stop(timeout=1)

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        key = environ.get("HTTP_IDEMPOTENCY_KEY", "")
        self.requests.append((key, json.loads(environ["wsgi.input"].read())))
        if self.refusals:
            start_response(f"{self.refusals.pop(0)} Not Now", [("Content-Length", "0")])
            return []
        if not key or key not in self.effects:
            self.effects[key] += 1
        self.answers.wait()
        start_response("200 OK", [("Content-Length", "0")])
        return []
