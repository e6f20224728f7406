"""The users that test_locust.py sends out: a locustfile.

Each does one round of requests that can be counted, and then waits until it is stopped.
"""

import os
import sys
import time
from pathlib import Path

import gevent
from locust import constant, events, task
from locust.exception import LocustError, ResponseError, StopUser

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from locust_user import GreenH2User

import greenh2

ROUND = range(1, 21)


@events.request.add_listener  # type: ignore[untyped-decorator]
def check(
    *,
    request_type: str,
    name: str,
    response_time: float,
    response_length: int,
    response: greenh2.Response | None,
    context: dict[str, object],
    exception: Exception | None,
    start_time: float,
    url: str,
) -> None:
    """Check what every listener is told; Locust logs what goes wrong here."""
    assert request_type in ("GET", "POST")
    assert context == {"tea": "green", "cup": name == "log in"}
    assert 0 < response_time < 40_000
    assert 0 <= time.time() - start_time - response_time / 1000 < 20
    assert url.startswith(("https://localhost:", "http://127.0.0.1:1/"))
    assert "secret" not in url
    assert (response is None) == isinstance(exception, greenh2.RequestError)
    if response is None:
        assert exception is not None
        assert type(exception) is type(exception.__cause__)
    else:
        assert response_length == len(response.content)


class Waiting(GreenH2User):
    """What all of them have in common: they tell the origin which process they are in."""

    abstract = True

    share_connections = "SHARE" in os.environ
    wait_time = constant(1000)

    def context(self) -> dict[str, object]:
        return {"tea": "green", "cup": False}

    def on_start(self) -> None:
        self.client.greenh2.headers["X-Worker"] = str(os.getpid())


class Counting(Waiting):
    """All goes well."""

    @task
    def go(self) -> None:
        self.client.get("/cookie", params={"user": str(id(self))}, name="log in", context={"cup": True})
        for size in ROUND:
            self.client.get(f"/bytes/{size}", name="/bytes/[size]")
        self.client.get("/sleep/0.2")
        self.client.get("/redirect?to=/bytes/7", name="redirect")
        self.client.get("/redirect?to=/", name="redirect, not followed", follow_redirects=False)
        self.client.post("/echo", json={"tea": "green"})
        with self.client.get(
            "/headers", name="who am I?", auth=("tea", "secret"), catch_response=True
        ) as answer:
            sent = {name.lower(): value for name, value in answer.json()["headers"]}
            if sent["cookie"] != f"user={id(self)}":
                answer.failure(f"these are not this user's cookies: {sent['cookie']}")
            elif not sent["authorization"].startswith("Basic "):
                answer.failure("these are not this user's words")


class Failing(Waiting):
    """All goes wrong, but for what a with block calls a success."""

    @task
    def go(self) -> None:
        for size in ROUND:
            self.client.get(f"/status/404?page={size}", name="missing")
            self.client.get(f"http://127.0.0.1:1/{size}", name="refused")
        self.client.get("/status/503")
        self.client.get("/close-body", name="cut off")
        for page in range(3):
            self.client.get(f"/gzip?{page}", name="too much", extensions={"max_response_bytes": 1000})
        with self.client.get("/status/404", name="missing, as it should be", catch_response=True) as answer:
            answer.success()
        with self.client.get("/status/404", name="nothing said", catch_response=True) as answer:
            assert not answer.ok
        with self.client.get("/bytes/5", name="wrong content", catch_response=True) as answer:
            answer.failure(f"{len(answer.content)} bytes, not 6")
        with self.client.get("/bytes/5", name="no tea", catch_response=True):
            raise ResponseError("no tea")
        try:
            with self.client.get("/bytes/5", name="said, then raised", catch_response=True) as answer:
                answer.failure(KeyError("tea"))
                raise ValueError
        except ValueError:
            self.client.get("/status/500", name="the ValueError came through")
        try:
            with self.client.get("/bytes/5", name="only raised", catch_response=True) as answer:
                raise ValueError
        except ValueError:
            self.client.get("/status/500", name="the ValueError came through")
        try:
            self.client.get("/status/500", name="decided too late").success()
        except LocustError:
            self.client.get("/status/500", name="that is said")
        try:
            with self.client.get("/status/500", name="not to be caught"):
                raise AssertionError("a with block that could say nothing")
        except LocustError:
            self.client.get("/status/500", name="that is said")
        for timeout in (0.5, 0.53, 0.56):
            self.client.get("/stall", name="no answer", timeout=timeout)
            self.client.get("/stall", name="too long", timeout=greenh2.Timeout(5.0, total=timeout))


class Hanging(Waiting):
    """They are in the midst of a request when they are stopped."""

    @task
    def go(self) -> None:
        self.client.get("/bytes/1000")
        self.client.get("/stall")


class Leaving(Waiting):
    """The first one leaves, and the others go on."""

    leaver: GreenH2User | None = None

    @task
    def go(self) -> None:
        self.client.get("/bytes/1")
        if Leaving.leaver is None:
            Leaving.leaver = self
            raise StopUser
        while not Leaving.leaver.client.greenh2.is_closed:
            gevent.sleep(0.01)
        self.client.get("/bytes/2")


class Setting(Waiting):
    """The class says how connections are made."""

    verify = os.environ.get("VERIFY", True)
    http2 = False
    default_headers = {"X-Team": "tea"}  # noqa: RUF012 - as a locustfile has it

    @task
    def go(self) -> None:
        self.client.get("/")
