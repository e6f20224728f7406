"""Child processes that no event loop knows of.

A patched process starts children through gevent, whose child watchers keep the loop busy: ``gevent.wait()``
would not return while a server of the tests runs. So they are started and waited for natively in all modes.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import gevent
from gevent.monkey import get_original

_waitpid = get_original("os", "waitpid")


class Child:
    """One running program; what it prints goes to a log, standard output too unless one is given."""

    def __init__(
        self, command: Sequence[str], log: Path, *, stdin: int | None = None, stdout: int | None = None
    ) -> None:
        self.command = command
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.pid = os.posix_spawn(
            command[0],
            list(command),
            {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
                if stdin is None
                else (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(log), write, 0o644),
                (os.POSIX_SPAWN_DUP2, 2 if stdout is None else stdout, 1),
            ],
        )
        self._ended = False

    def has_ended(self) -> bool:
        if not self._ended:
            try:
                self._ended = _waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:  # a loop that watches children of its own has seen this one
                self._ended = True
        return self._ended

    def stop(self, patience: float = 20.0) -> None:
        """Ask it to end, insist when it does not within so many seconds, and wait for its end."""
        for demand in (signal.SIGTERM, signal.SIGKILL):
            if not self.has_ended():
                os.kill(self.pid, demand)
            deadline = time.monotonic() + patience
            while not self.has_ended() and time.monotonic() < deadline:
                gevent.sleep(0.002)
