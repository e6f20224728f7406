"""The user of the example in the real program: what Locust counts is what the origin saw."""

import csv
import json
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.support.certificates import Certificates
from tests.support.daemons import free_ports
from tests.support.origins import Origin, OriginFactory, Stats
from tests.support.processes import Child

ROOT = Path(__file__).parents[2]
#: How many requests test_locust.py's users make in their round, by the names of the statistics.
ROUND = 20
ALL_WELL = {
    "GET log in": 1,
    "GET /bytes/[size]": ROUND,
    "GET /sleep/0.2": 1,
    "GET redirect": 1,
    "GET redirect, not followed": 1,
    "POST /echo": 1,
    "GET who am I?": 1,
}
ALL_WRONG = {
    "GET missing": ROUND,
    "GET refused": ROUND,
    "GET /status/503": 1,
    "GET cut off": 1,
    "GET too much": 3,
    "GET missing, as it should be": 1,
    "GET nothing said": 1,
    "GET wrong content": 1,
    "GET no tea": 1,
    "GET said, then raised": 1,
    "GET the ValueError came through": 2,
    "GET decided too late": 1,
    "GET not to be caught": 1,
    "GET that is said": 2,
    "GET no answer": 3,
    "GET too long": 3,
}


class Locust:
    """One run of the program, with its workers if there are any."""

    def __init__(self, folder: Path, file: Path, *options: str) -> None:
        self.log = folder / "locust.log"
        self._results = folder / "results"
        port = str(*free_ports(1))
        command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary"]
        command += ["--csv", str(self._results), "--json-file", str(self._results)]
        command += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
        self.process = Child([*command, *options], self.log)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        with gevent.Timeout(40, RuntimeError(f"{what}, it was waited for in vain; the log is {self.log}")):
            while not condition():
                assert not self.process.has_ended(), self.log.read_text()
                gevent.sleep(0.05)

    def wait_for_count(self, requests: int) -> None:
        """Wait until the statistics that are kept while it runs have so many requests."""
        self.wait_until(lambda: self._counted() >= requests, f"{requests} requests are counted")

    def stop(self) -> str:
        """Stop it as an operator would, and return its log once it has ended."""
        os.kill(self.process.pid, signal.SIGTERM)
        return self.end()

    def end(self) -> str:
        with gevent.Timeout(40, RuntimeError(f"it does not end; the log is {self.log}")):
            while not self.process.has_ended():
                gevent.sleep(0.01)
        return self.log.read_text()

    def statistics(self) -> dict[str, dict[str, Any]]:
        entries = json.loads(self._results.with_suffix(".json").read_text())
        return {f"{entry['method']} {entry['name']}": entry for entry in entries}

    def failures(self) -> Counter[tuple[str, str]]:
        """What failed, by name and error."""
        rows = self._rows("failures")
        return Counter({(row["Name"], row["Error"]): int(row["Occurrences"]) for row in rows})

    def percentiles(self, name: str) -> list[float]:
        row = next(row for row in self._rows("stats") if row["Name"] == name)
        return [float(row[column]) for column in ("50%", "95%", "100%")]

    def _counted(self) -> int:
        return sum(int(row["Request Count"]) for row in self._rows("stats") if row["Name"] == "Aggregated")

    def _rows(self, which: str) -> list[dict[str, str]]:
        path = self._results.with_name(f"results_{which}.csv")
        if not path.exists():
            return []
        # The file is written while it is read: a row that is not whole is not counted.
        rows = list(csv.DictReader(path.read_text().splitlines()))
        return [row for row in rows if None not in row.values()]


@pytest.fixture
def start(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Locust]]:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    running: list[Locust] = []

    def begin(file: str, origin: Origin, *options: str) -> Locust:
        running.append(Locust(tmp_path, ROOT / file, "--host", origin.url, *options))
        return running[-1]

    yield begin
    for one in running:
        one.process.stop(20)


def everything_is_closed(origin: Origin) -> Stats:
    return origin.wait_until(lambda stats: not stats.open, timeout=10.0)


def numbers(statistics: dict[str, dict[str, Any]], what: str) -> dict[str, int]:
    return {name: entry[what] for name, entry in statistics.items() if entry[what]}


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_what_is_counted_is_what_the_origin_saw(
    start: Callable[..., Locust],
    origin: OriginFactory,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    workers: int,
    shared: bool,
) -> None:
    users = 6
    if shared:
        monkeypatch.setenv("SHARE", "1")
    server = origin(alpn=(protocol,))
    processes = ("--processes", str(workers)) if workers else ()
    locust = start("tests/hosts/locust_tasks.py", server, "-u", "6", "-r", "6", *processes, "Counting")
    locust.wait_for_count(users * sum(ALL_WELL.values()))
    log = locust.stop()

    assert ("Shutting down (exit code 0)" in log, "Traceback" in log) == (True, False), log
    statistics = locust.statistics()
    assert numbers(statistics, "num_requests") == {name: users * count for name, count in ALL_WELL.items()}
    assert numbers(statistics, "num_failures") == {}
    assert locust.failures() == Counter()
    assert statistics["GET /bytes/[size]"]["total_content_length"] == users * sum(range(1, ROUND + 1))
    assert statistics["GET redirect"]["total_content_length"] == users * 7
    assert min(locust.percentiles("/sleep/0.2")) >= 200

    seen = everything_is_closed(server)
    # Each redirect is two requests for the origin, and one for a user.
    assert len(seen.requests) == users * (sum(ALL_WELL.values()) + 1)
    assert {request.outcome for request in seen.requests} == {"answered"}

    pids: defaultdict[int, set[str]] = defaultdict(set)
    for request in seen.requests:
        pids[request.connection].update(v for n, v in request.headers if n.lower() == "x-worker")
    assert {len(of_one_connection) for of_one_connection in pids.values()} == {1}
    assert len(set.union(*pids.values())) == max(workers, 1)
    if shared and protocol == "h2":
        assert len(seen.connections) == max(workers, 1)
    elif shared:
        assert len(seen.connections) <= users
    else:
        assert len(seen.connections) == users
    assert {connection.closed_by for connection in seen.connections} == {"peer"}
    if protocol == "h2":  # they said goodbye
        assert {connection.goaway for connection in seen.connections} == {0}


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
def test_failures_are_counted_by_name_and_reason(
    start: Callable[..., Locust], origin: OriginFactory, workers: int
) -> None:
    users = 4
    server = origin()
    processes = ("--processes", str(workers)) if workers else ()
    locust = start("tests/hosts/locust_tasks.py", server, "-u", "4", "-r", "4", *processes, "Failing")
    locust.wait_for_count(users * sum(ALL_WRONG.values()))
    log = locust.stop()

    # Failures make the exit code, as Locust has it.
    assert ("Shutting down (exit code 1)" in log, "Traceback" in log) == (True, False), log
    statistics = locust.statistics()
    assert numbers(statistics, "num_requests") == {name: users * count for name, count in ALL_WRONG.items()}
    wrong = {name: count for name, count in ALL_WRONG.items() if name != "GET missing, as it should be"}
    assert numbers(statistics, "num_failures") == {name: users * count for name, count in wrong.items()}

    failures = locust.failures()
    assert failures["missing", "HTTPStatusError('404 Not Found')"] == users * ROUND
    assert failures["nothing said", "HTTPStatusError('404 Not Found')"] == users
    assert failures["/status/503", "HTTPStatusError('503 Service Unavailable')"] == users
    refused = "ConnectError('could not connect to http://127.0.0.1:1: 127.0.0.1: Connection refused')"
    assert failures["refused", refused] == users * ROUND
    assert failures["wrong content", "CatchResponseError('5 bytes, not 6')"] == users
    assert failures["no answer", f"ReadTimeout('{server.url} did not answer for ... s')"] == users * 3
    assert failures["no tea", "ResponseError('no tea')"] == users
    assert failures["said, then raised", "KeyError('tea')"] == users
    kinds = {(name, error.partition("(")[0]) for name, error in failures}
    assert {("cut off", "ServerDisconnected"), ("too much", "ResponseTooLarge")} <= kinds
    assert ("too long", "TotalTimeout") in kinds
    assert len(failures) == len(wrong)  # one line for each, however the seconds may differ
    everything_is_closed(server)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_user_who_leaves_closes_nothing_of_others(
    start: Callable[..., Locust], origin: OriginFactory, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    users = 4
    if shared:
        monkeypatch.setenv("SHARE", "1")
    server = origin()
    locust = start("tests/hosts/locust_tasks.py", server, "-u", "4", "-r", "4", "Leaving")
    locust.wait_for_count(2 * users - 1)
    server.wait_until(lambda stats: len(stats.open) == (1 if shared else users - 1), timeout=10.0)
    log = locust.stop()
    assert ("Shutting down (exit code 0)" in log, "Traceback" in log) == (True, False), log
    counted = numbers(locust.statistics(), "num_requests")
    assert counted == {"GET /bytes/1": users, "GET /bytes/2": users - 1}
    seen = everything_is_closed(server)
    assert len(seen.connections) == (1 if shared else users)


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
def test_connections_are_made_as_the_class_says(
    start: Callable[..., Locust],
    origin: OriginFactory,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    if trusted:
        monkeypatch.setenv("VERIFY", certificates.ca_file)
    server = origin(alpn=("h2", "http/1.1"))
    locust = start("tests/hosts/locust_tasks.py", server, "-u", "2", "-r", "2", "Setting")
    locust.wait_for_count(2)
    locust.stop()
    assert numbers(locust.statistics(), "num_requests") == {"GET /": 2}
    seen = everything_is_closed(server)
    if trusted:
        assert locust.failures() == Counter()
        assert {connection.protocol for connection in seen.connections} == {"http/1.1"}
        assert all(("X-Team", "tea") in request.headers for request in seen.requests)
    else:
        [(name, error)] = locust.failures()
        assert (name, locust.failures()[name, error]) == ("/", 2)
        assert error.startswith("ConnectError(") and "certificate" in error
    assert len(seen.requests) == (2 if trusted else 0)


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_users_killed_in_the_midst_of_a_request_leave_nothing(
    start: Callable[..., Locust],
    origin: OriginFactory,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    shared: bool,
) -> None:
    users = 20
    if shared:
        monkeypatch.setenv("SHARE", "1")
    server = origin(alpn=(protocol,))
    locust = start("tests/hosts/locust_tasks.py", server, "-u", "20", "-r", "20", "Hanging")
    locust.wait_until(lambda: server.stats().paths.count("/stall") == users, "all are in their request")
    log = locust.stop()

    assert ("Shutting down (exit code 0)" in log, "Traceback" in log) == (True, False), log
    assert numbers(locust.statistics(), "num_requests") == {"GET /bytes/1000": users}
    assert locust.failures() == Counter()
    seen = everything_is_closed(server)
    assert {connection.closed_by for connection in seen.connections} == {"peer"}
    if protocol == "h2":
        assert seen.resets == [8] * users  # CANCEL
        assert {connection.goaway for connection in seen.connections} == {0}


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
def test_the_example_runs_as_it_says(
    start: Callable[..., Locust], origin: OriginFactory, workers: int
) -> None:
    server = origin()
    processes = ("--processes", str(workers)) if workers else ()
    locust = start("examples/locust_user.py", server, "-u", "20", "-r", "20", "-t", "4s", *processes)
    log = locust.end()

    assert ("Shutting down (exit code 0)" in log, "Traceback" in log) == (True, False), log
    counted = numbers(locust.statistics(), "num_requests")
    assert set(counted) == {"GET /", "GET /?page=[number]"}
    assert numbers(locust.statistics(), "num_failures") == {}
    seen = everything_is_closed(server)
    assert len(seen.connections) == 20
    outcomes = Counter(request.outcome for request in seen.requests)
    assert outcomes["answered"] >= sum(counted.values()) > 20
    assert outcomes["answered"] + outcomes["reset"] == len(seen.requests)
