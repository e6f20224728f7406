"""Examples that are run while servers in the process of the tests answer them."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent.subprocess
from gevent.pywsgi import WSGIServer

ROOT = Path(__file__).parents[2]
PATCHED = """
from gevent import monkey; monkey.patch_all()
import runpy; runpy.run_path({0!r}, run_name="__main__")
"""
WITHOUT_RICH = """
import sys; sys.modules["rich"] = None
import runpy; runpy.run_path({0!r}, run_name="__main__")
"""


@dataclass(frozen=True)
class Done:
    """What became of a program."""

    returncode: int
    stdout: str
    stderr: str


def run(*command: str, folder: Path | None = None, **environment: str) -> Done:
    """Run Python among the examples, or in a folder; greenlets go on meanwhile, patched or not."""
    done = gevent.subprocess.run(
        [sys.executable, *command],
        cwd=folder or ROOT / "examples",
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=gevent.subprocess.PIPE,
        stderr=gevent.subprocess.PIPE,
        timeout=40,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def serving(application: Callable[..., Any]) -> Iterator[str]:
    """Serve a WSGI application on loopback, and tell its URL."""
    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stop()
