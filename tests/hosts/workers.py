"""Celery for tests: brokers, workers as processes of their own, and a sender of tasks in this one.

The sender never blocks the loop: origins of the test may live in the same process.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import redis
from celery import Celery
from kombu import pools

from tests.support.processes import Child

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 30.0
ENDED = {"SUCCESS", "FAILURE", "REVOKED"}


class Broker:
    """Where tasks are put and results are found: a Redis, or the folder that the example uses without one."""

    def __init__(self, url: str | None, folder: Path) -> None:
        self._queue = folder / "messages"
        self._sent = folder / "sent"
        folders = [self._queue, self._sent, folder / "control", folder / "results"]
        for one in folders:
            one.mkdir(parents=True, exist_ok=True)
        self._app = Celery("sender", set_as_current=False)
        self._app.conf.broker_url = url or "filesystem://"
        self._results = Celery("results", set_as_current=False)
        self._results.conf.result_backend = url or f"file://{folder}/results"
        if url is None:
            # A message might be fetched before it is written.  So it is written elsewhere, and moved when it is.
            self._app.conf.broker_transport_options = {
                "data_folder_in": str(self._queue),
                "data_folder_out": str(self._sent),
                "control_folder": str(folder / "control"),
            }

    def send(self, task: str, *arguments: object, **options: Any) -> str:
        """Send a task by its name, and return its id; `options` are those of Celery's send_task()."""
        with self._connection() as connection:
            sent = self._app.send_task(task, arguments, connection=connection, **options)
        return str(sent.id)

    def revoke(self, task: str) -> None:
        """End a task that runs; told again if it does not help, since a worker hears it only after it is ready."""
        with gevent.Timeout(PATIENCE, RuntimeError(f"{task} was not revoked")):
            while self.state(task) not in ENDED:
                with self._connection() as connection:
                    self._app.control.revoke(task, terminate=True, connection=connection)
                gevent.sleep(0.2)

    @property
    def store(self) -> "redis.Redis":
        """The Redis itself, where there is one."""
        client = self._results.backend.client
        assert isinstance(client, redis.Redis)
        return client

    def state(self, task: str) -> str:
        return str(self._results.backend.get_state(task))

    def outcome(self, task: str) -> tuple[str, Any]:
        """Wait for the end of a task, and return its last state and its result, an exception if it failed."""
        with gevent.Timeout(PATIENCE, RuntimeError(f"{task} has not ended")):
            while (meta := self._results.backend.get_task_meta(task))["status"] not in ENDED:
                gevent.sleep(0.02)
        return meta["status"], meta["result"]

    def results(self, tasks: list[str]) -> list[Any]:
        """Wait for tasks that succeed, and return their results."""
        ended = [self.outcome(task) for task in tasks]
        assert [one for one in ended if one[0] != "SUCCESS"] == []
        return [result for _, result in ended]

    def close(self) -> None:
        if hasattr(self._results.backend, "client"):
            self._results.backend.client.connection_pool.disconnect()
        # Celery's control uses connections of a pool, whatever it is given.
        pools.reset()  # type: ignore[no-untyped-call]  # kombu has types for some functions
        self._results.close()
        self._app.close()
        del self._app, self._results

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with self._app.connection_for_write() as connection:
            yield connection
        for message in self._sent.iterdir():
            message.rename(self._queue / message.name)


class Worker:
    """One running worker with a gevent pool of a hundred."""

    def __init__(self, app: str, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "celery", "-A", app, "--workdir", str(EXAMPLES), "worker"]
        command += ["-P", "gevent", "-c", "100", "--loglevel", "INFO", "-n", f"{log.stem}@localhost"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.process = Child(command, log)

    def wait_until_ready(self) -> None:
        with gevent.Timeout(PATIENCE, RuntimeError(f"the worker is not ready: {self.log}")):
            while " ready." not in self.log.read_text():
                assert not self.process.has_ended(), self.log.read_text()
                gevent.sleep(0.02)

    def tell(self, what: signal.Signals) -> None:
        os.kill(self.process.pid, what)

    def kill(self) -> None:
        if not self.process.has_ended():
            self.tell(signal.SIGKILL)
            self.wait_for_end()

    def wait_for_end(self) -> None:
        with gevent.Timeout(PATIENCE, RuntimeError(f"the worker has not ended: {self.log}")):
            while not self.process.has_ended():
                gevent.sleep(0.01)
