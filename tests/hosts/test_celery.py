"""The Celery app of the examples in real gevent workers: one client for each, and webhooks that survive a kill."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import greenh2
from tests.examples.test_quickstart import run
from tests.hosts.webhooks import Receiver
from tests.hosts.workers import Broker, Worker
from tests.support.certificates import Certificates
from tests.support.daemons import Daemons
from tests.support.origins import OriginFactory

Start = Callable[[str], Worker]


@pytest.fixture(autouse=True)
def surroundings(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every worker finds in its environment."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    monkeypatch.setenv("TEST_LEASE", "2")
    monkeypatch.setenv("TEST_VISIBILITY", "600")
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    monkeypatch.delenv("CELERY_RESULT_BACKEND", raising=False)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    monkeypatch.setenv("CELERY_FOLDER", str(tmp_path / "celery"))
    broker = Broker(None, tmp_path / "celery")
    yield broker
    broker.close()


@pytest.fixture
def redis(daemons: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    url = daemons.redis().url
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    broker = Broker(url, tmp_path / "unused")
    yield broker
    broker.close()


@pytest.fixture(params=["files", "redis"])
def broker(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a worker by a name of your own."""
    running: list[Worker] = []

    def begin(name: str) -> Worker:
        running.append(Worker("tests.hosts.celery_worker", tmp_path / f"{name}.log"))
        running[-1].wait_until_ready()
        return running[-1]

    yield begin
    for one in running:
        one.kill()  # a warm shutdown takes seconds, and has a test of its own


def dump(broker: Broker) -> str:
    """Ask the only worker what its client holds."""
    (text,) = broker.results([broker.send("tests.hosts.celery_worker.dump")])
    return str(text)


def streams_taken(text: str) -> int:
    """Return how many places a dump shows as taken, those of whom wait included."""
    taken = [int(number) for number in re.findall(r", ([0-9]+) of [0-9]+ streams,", text)]
    waiting = re.search(r"Requests waiting: ([0-9]+)", text)
    dials = re.search(r"([0-9]+) being made", text)
    assert waiting is not None, text
    assert dials is not None, text
    return sum(taken) + int(waiting[1]) + int(dials[1])


def test_a_hundred_tasks_at_once_share_one_client_and_few_connections(
    broker: Broker, start: Start, origin: OriginFactory
) -> None:
    server = origin()
    tasks = [broker.send("celery_app.fetch", f"{server.url}/sleep/1.5?{number}") for number in range(100)]
    start("worker")
    assert broker.results(tasks) == ["slept\n"] * 100
    seen = server.stats()
    assert sorted(seen.paths) == sorted(f"/sleep/1.5?{number}" for number in range(100))
    assert len(seen.connections) <= 2
    assert max(record.most_open_streams for record in seen.connections) >= 20
    assert streams_taken(dump(broker)) == 0


def test_tasks_that_are_timed_out_or_revoked_leave_no_place_taken(
    broker: Broker, start: Start, origin: OriginFactory
) -> None:
    shared, lone = servers = [origin(), origin(alpn=("http/1.1",))]
    start("worker")
    late = [broker.send("celery_app.fetch", f"{one.url}/stall", time_limit=2) for one in servers * 10]
    revoked = [broker.send("celery_app.fetch", f"{one.url}/stall-body") for one in servers * 5]
    for one in servers:
        one.wait_until(lambda stats: stats.paths.count("/stall-body") == 5, 20)
    for task in revoked:
        broker.revoke(task)
    assert {(state, type(error).__name__) for state, error in map(broker.outcome, late)} == {
        ("FAILURE", "TimeLimitExceeded")
    }
    assert {broker.outcome(task)[0] for task in revoked} == {"REVOKED"}

    text = dump(broker)
    assert streams_taken(text) == 0, text
    shared.wait_until(lambda stats: len(stats.resets) == len(stats.requests), 20)
    closed = lone.wait_until(lambda stats: not stats.open, 20).connections
    pages = [broker.send("celery_app.fetch", one.url) for one in servers]
    assert broker.results(pages) == ["hello\n"] * 2
    assert [len(one.stats().connections) for one in servers] == [1, len(closed) + 1]


def test_a_warm_shutdown_lets_tasks_finish_and_says_goodbye(
    broker: Broker, start: Start, origin: OriginFactory
) -> None:
    server = origin()
    worker = start("worker")
    tasks = [broker.send("celery_app.fetch", f"{server.url}/sleep/2") for _ in range(10)]
    server.wait_until(lambda stats: len(stats.requests) == 10, 20)
    worker.tell(signal.SIGTERM)
    worker.wait_for_end()
    assert broker.results(tasks) == ["slept\n"] * 10
    (connection,) = server.wait_until(lambda stats: not stats.open, 20).connections
    assert (connection.goaway, connection.closed_by, connection.resets) == (0, "peer", [])


def test_an_error_of_greenh2_reaches_whoever_waits_for_the_result(
    files: Broker, start: Start, origin: OriginFactory
) -> None:
    server = origin()
    server.deafen()
    start("worker")
    state, error = files.outcome(files.send("celery_app.fetch", server.url))
    assert (state, type(error)) == ("FAILURE", greenh2.ConnectError)
    assert server.url in str(error)


def test_a_webhook_is_delivered_again_under_the_same_key_until_it_is_taken(
    broker: Broker, start: Start, receiver: Receiver
) -> None:
    receiver.refusals += [503, 429]
    start("worker")
    task = broker.send("celery_app.deliver", receiver.url, "order-7", {"paid": True})
    assert broker.results([task]) == ["delivered"]
    assert receiver.requests == [("order-7", {"paid": True})] * 3
    assert receiver.effects == {"order-7": 1}


def test_a_webhook_that_is_refused_for_good_is_not_delivered_again(
    files: Broker, start: Start, receiver: Receiver
) -> None:
    receiver.refusals += [422]
    start("worker")
    state, error = files.outcome(files.send("celery_app.deliver", receiver.url, "order-7", {}))
    assert state == "FAILURE"
    assert "422" in str(error)
    assert len(receiver.requests) == 1


def test_a_worker_is_killed_after_the_effect_and_another_one_is_told_that_it_is_there(
    redis: Broker, start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_VISIBILITY", "6")
    receiver.answers.clear()
    first = start("first")
    task = redis.send("celery_app.deliver", receiver.url, "order-7", {"paid": True})
    receiver.wait_until(lambda it: it.effects["order-7"] == 1)
    first.kill()
    receiver.answers.set()
    assert redis.state(task) == "PENDING"

    start("second")
    assert redis.results([task]) == ["delivered"]
    assert receiver.requests == [("order-7", {"paid": True})] * 2
    assert receiver.effects == {"order-7": 1}


def test_a_delivery_that_is_sent_several_times_makes_one_request(
    redis: Broker, start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_LEASE", "8")
    receiver.answers.clear()
    start("worker")

    def send() -> str:
        return redis.send("celery_app.deliver", receiver.url, "order-7", {"paid": True})

    first = send()
    receiver.wait_until(lambda it: len(it.requests) == 1)
    meanwhile = [send(), send()]
    with gevent.Timeout(30):
        while {redis.state(task) for task in meanwhile} != {"RETRY"}:
            gevent.sleep(0.02)
    receiver.answers.set()
    assert redis.results([first]) == ["delivered"]
    assert redis.results([*meanwhile, send()]) == ["was delivered before"] * 3
    assert receiver.requests == [("order-7", {"paid": True})]


def test_a_delivery_that_is_revoked_gives_its_claim_back(
    redis: Broker, start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_LEASE", "600")
    receiver.answers.clear()
    start("worker")
    first = redis.send("celery_app.deliver", receiver.url, "order-7", {})
    receiver.wait_until(lambda it: len(it.requests) == 1)
    redis.revoke(first)
    assert redis.outcome(first)[0] == "REVOKED"
    receiver.answers.set()
    assert redis.results([redis.send("celery_app.deliver", receiver.url, "order-7", {})]) == ["delivered"]
    assert receiver.effects == {"order-7": 1}


def test_a_claim_that_has_gone_to_another_is_not_given_back(
    redis: Broker, start: Start, receiver: Receiver
) -> None:
    receiver.answers.clear()
    start("worker")
    task = redis.send("celery_app.deliver", receiver.url, "order-7", {})
    receiver.wait_until(lambda it: len(it.requests) == 1)
    redis.store.set("delivery:order-7", "another")
    redis.revoke(task)
    assert redis.outcome(task)[0] == "REVOKED"
    assert dump(redis).endswith("Requests waiting: 0.")
    assert redis.store.get("delivery:order-7") == b"another"


def test_the_demo_does_what_it_says() -> None:
    done = run("celery_demo.py", timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 tasks fetched 100 pages" in done.stdout
    assert "A saw 1 connection and up to" in done.stdout
    assert "The webhook was delivered: 3 requests, 2 of them answered by 503" in done.stdout
    assert "The receiver saw the keys ['order-7'] and acted 1 time\n" in done.stdout
    assert "It did what it says." in done.stdout
