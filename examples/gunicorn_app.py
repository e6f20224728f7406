"""A WSGI application that asks two upstreams for each page, with one greenh2.Client for all of a worker's requests.

    UPSTREAMS="https://one.example https://two.example" gunicorn -c gunicorn_conf.py gunicorn_app:application

The client is made where the module is imported, which may be in the master (`--preload`): making one opens nothing. It
may even have been used there. After the fork each worker has connections of its own.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import gevent

import greenh2

UPSTREAMS = os.environ.get("UPSTREAMS", "").split()
client = greenh2.Client(
    verify=os.environ.get("UPSTREAMS_CA", True),
    timeout=greenh2.Timeout(5.0, total=20.0),
    limits=greenh2.Limits(max_connections=20),
)

if os.environ.get("WARM_UP"):  # the master asks too, before it forks
    for upstream in UPSTREAMS:
        client.get(f"{upstream}/bytes/10").raise_for_status()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer /N with N bytes from each upstream, asked for at the same time, and the number of this process."""
    size = int(environ["PATH_INFO"].strip("/") or 0)
    asking = [gevent.spawn(client.get, f"{upstream}/bytes/{size}") for upstream in UPSTREAMS]
    try:
        gevent.joinall(asking, raise_error=True)
        bodies = [job.get().raise_for_status().content for job in asking]
    except greenh2.HTTPError as error:
        start_response("502 Bad Gateway", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{type(error).__name__}: {error}\n".encode()]
    finally:
        gevent.killall(asking)
    headers = [("Content-Type", "application/octet-stream"), ("X-Worker", str(os.getpid()))]
    start_response("200 OK", [*headers, ("Content-Length", str(sum(map(len, bodies))))])
    return bodies
