"""The Celery app of the examples as its tests run it: with shorter times, and a task that looks into the client."""

import os

import celery_app
from celery_app import app, client

celery_app.SWEEP = 1
celery_app.LEASE = int(os.environ["TEST_LEASE"])
if "visibility_timeout" in app.conf.broker_transport_options:
    app.conf.broker_transport_options["visibility_timeout"] = int(os.environ["TEST_VISIBILITY"])


@app.task
def dump() -> str:
    """Return what the client of this worker holds."""
    return client.dump()
