"""What a worker does for one request or task: some GETs of 1 kB over HTTP/2 at once, by the client of its process."""

from __future__ import annotations

import os
from typing import Final

import gevent

import greenh2

#: How many upstream requests one request or task makes: enough for the worker to be what is slow.
FAN_OUT: Final = 10

client = greenh2.Client(verify=os.environ.get("SCALING_CA", True))
_url = os.environ.get("SCALING_URL", "")


def fetch() -> int:
    """Return how many bytes came."""
    jobs = [gevent.spawn(client.get, _url) for _ in range(FAN_OUT)]
    gevent.joinall(jobs, raise_error=True)
    return sum(len(job.get().content) for job in jobs)
