"""The users that test_locust.py sends out: a locustfile.

Each does one round of requests that can be counted, and then waits until it is stopped.
"""

import os
import sys
from pathlib import Path

from locust import constant, task

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from locust_user import GreenH2User

import greenh2

ROUND = range(1, 21)


class Waiting(GreenH2User):
    """What all of them have in common: they tell the origin which process they are in."""

    abstract = True

    share_connections = "SHARE" in os.environ
    wait_time = constant(1000)

    def on_start(self) -> None:
        self.client.greenh2.headers["X-Worker"] = str(os.getpid())


class Counting(Waiting):
    """All goes well."""

    @task
    def go(self) -> None:
        self.client.get("/cookie", params={"user": str(id(self))}, name="log in")
        for size in ROUND:
            self.client.get(f"/bytes/{size}", name="/bytes/[size]")
        self.client.get("/sleep/0.2")
        self.client.get("/redirect?to=/bytes/7", name="redirect")
        self.client.post("/echo", json={"tea": "green"})
        with self.client.get("/headers", name="who am I?", catch_response=True) as answer:
            cookies = [value for name, value in answer.json()["headers"] if name.lower() == "cookie"]
            if cookies != [f"user={id(self)}"]:
                answer.failure(f"these are not this user's cookies: {cookies}")


class Failing(Waiting):
    """All goes wrong, but for what a with block calls a success."""

    @task
    def go(self) -> None:
        for size in ROUND:
            self.client.get(f"/status/404?page={size}", name="missing")
            self.client.get(f"http://127.0.0.1:1/{size}", name="refused")
        self.client.get("/status/503")
        self.client.get("/close-body", name="cut off")
        self.client.get("/gzip", name="too much", extensions={"max_response_bytes": 1000})
        with self.client.get("/status/404", name="missing, as it should be", catch_response=True) as answer:
            answer.success()
        with self.client.get("/status/404", name="nothing said", catch_response=True) as answer:
            assert not answer.ok
        with self.client.get("/bytes/5", name="wrong content", catch_response=True) as answer:
            answer.failure(f"{len(answer.content)} bytes, not 6")
        for timeout in (0.1, 0.13, 0.16):
            self.client.get("/stall", name="no answer", timeout=timeout)
            self.client.get("/stall", name="too long", timeout=greenh2.Timeout(5.0, total=timeout))


class Hanging(Waiting):
    """They are in the midst of a request when they are stopped."""

    @task
    def go(self) -> None:
        self.client.get("/bytes/1000")
        self.client.get("/stall")
