"""The work behind a task, which is counted in Redis when it is done."""

from __future__ import annotations

import os

import redis
from celery import Celery

from benchmarks.scaling import work

BROKER = os.environ.get("SCALING_BROKER", "redis://127.0.0.1:6379/0")
app = Celery("scaling", broker=BROKER)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
done = redis.Redis.from_url(BROKER)


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def fetch() -> None:
    work.fetch()
    done.incr("done")
