"""A Celery app whose tasks share one greenh2.Client: they fetch pages, and deliver webhooks.

    CELERY_BROKER_URL=redis://localhost:6379/0 celery -A celery_app worker -P gevent -c 100

Without CELERY_BROKER_URL messages and results are files in CELERY_FOLDER, by default ./celery-files.  That is good for
trying things out and for nothing else: a worker that is killed takes the messages that it had fetched with it.

The client is made where the module is imported, and making one opens nothing: so each worker has one, and so has each
program that imports this module to send tasks.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
from celery import Celery, Task
from celery.signals import worker_ready, worker_shutdown
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

import greenh2

# Seconds.  Each of the first four is longer than the one before, for reasons that docs/celery.md tells.
TOTAL = 20.0  # one request
TIME_LIMIT = 30  # one run of a task
LEASE = 60  # how long a claim on a delivery holds
VISIBILITY = 3600  # when a message that was not acknowledged is given to another worker
SWEEP = 30  # how often a worker looks for such messages
REMEMBERED = 7 * 24 * 3600  # how long a delivery that is done is known to be

client = greenh2.Client(timeout=greenh2.Timeout(5.0, pool=TOTAL, total=TOTAL))

app = Celery("celery_app")
app.conf.update(
    task_time_limit=TIME_LIMIT,
    worker_prefetch_multiplier=1,  # what a worker has fetched and not begun waits while others may be idle
    broker_connection_retry_on_startup=True,
)

store: Redis | None = None
if url := os.environ.get("CELERY_BROKER_URL"):  # "redis://..."
    store = Redis.from_url(url)
    app.conf.update(result_backend=url, broker_transport_options={"visibility_timeout": VISIBILITY})
else:
    folder = Path(os.environ.get("CELERY_FOLDER", "celery-files")).absolute()
    for name in ("messages", "control", "results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    app.conf.update(
        broker_url="filesystem://localhost/",
        result_backend=f"file://{folder}/results",
        broker_transport_options={
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),  # the same: what is sent here is received here
            "control_folder": str(folder / "control"),
            "polling_interval": 0.2,
        },
    )


@worker_shutdown.connect
def say_goodbye(**_: object) -> None:
    """Close the worker's connections when its last task has ended: the servers are told, and need not find out."""
    client.close()


@worker_ready.connect
def look_for_lost_messages(**_: object) -> None:
    """Put messages of workers that have died back into the queue, every SWEEP seconds.

    The event loop that Celery has in other pools does so.  A gevent worker has none, and hardly ever does (kombu 5.7).
    """

    def look() -> None:
        while True:
            with suppress(RedisError, OperationalError), app.connection_for_write() as connection:
                connection.default_channel.qos.restore_visible(num=None, interval=1)
            gevent.sleep(SWEEP)

    if store is not None:
        gevent.spawn(look)


@app.task
def fetch(url: str) -> str:
    """Return the text of a page."""
    return client.get(url).raise_for_status().text


class TryLater(Exception):
    """The receiver of a webhook could not take it now."""


@app.task(
    bind=True,
    acks_late=True,  # a worker that dies has not acknowledged, and the broker gives the message to another one
    reject_on_worker_lost=True,  # the same for the prefork pool, where a child can die alone
    autoretry_for=(greenh2.TransportError, TryLater, RedisError),
    dont_autoretry_for=(greenh2.LocalProtocolError, greenh2.UnsupportedProtocol),  # no repeat would help
    max_retries=10,
    retry_backoff=True,  # after about 1, 2, 4 ... seconds, at most
    retry_backoff_max=600,
)
def deliver(self: Task, webhook_url: str, delivery_id: str, payload: dict[str, Any]) -> str:
    """POST a payload to a webhook, under one Idempotency-Key however often this runs.

    It will run twice now and then: the task was sent twice, a worker died, a message was taken for lost.  Two things
    stand against two effects, and neither can do what the other does.

    The guard, a claim in Redis and then a marker, makes that cheap: what is done, or being done, is not sent again.
    It cannot be the proof.  A worker may be killed after the receiver has acted and before the marker is set, and a
    process that was stopped for longer than LEASE may find that its claim has gone to another.

    The key makes it right: a receiver that remembers keys does nothing for one that it knows.  It is the receiver who
    has to do so; one that ignores the key will act twice in those cases, and no sender can prevent that.

    With files in place of Redis there is no guard, and the key alone.
    """
    if store is None:
        post(webhook_url, delivery_id, payload)
        return "delivered"
    key, owner = f"delivery:{delivery_id}", uuid4().hex
    if not store.set(key, owner, nx=True, ex=LEASE):
        if store.get(key) == b"done":
            return "was delivered before"
        # Another one is at it.  When its claim is over, it has done so, or has failed.
        raise self.retry(countdown=LEASE)
    try:
        post(webhook_url, delivery_id, payload)
    except BaseException:  # GreenletExit and gevent.Timeout as well
        with suppress(RedisError):  # the claim ends by itself
            store.eval(RELEASE, 1, key, owner)
        raise
    store.set(key, "done", ex=REMEMBERED)
    return "delivered"


#: Give a claim back, unless it has gone to somebody else meanwhile.
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


def post(webhook_url: str, delivery_id: str, payload: dict[str, Any]) -> None:
    """Send one webhook; raises TryLater where that may help, and greenh2.HTTPStatusError where it will not."""
    response = client.post(webhook_url, json=payload, headers={"Idempotency-Key": delivery_id})
    if response.is_server_error or response.status_code == greenh2.codes.TOO_MANY_REQUESTS:
        raise TryLater(f"{webhook_url} answered {response.status_code}")
    response.raise_for_status()
