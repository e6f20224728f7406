"""The work behind a WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.scaling.work import fetch


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = b"%d\n" % fetch()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
