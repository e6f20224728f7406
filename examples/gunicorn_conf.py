"""Gunicorn's settings for gunicorn_app: gevent workers, which say goodbye to the upstreams when they leave."""

from typing import Any

worker_class = "gevent"
workers = 2
graceful_timeout = 20


def worker_exit(server: Any, worker: Any) -> None:
    """Close the worker's connections: the upstreams are told, and need not find out."""
    from gunicorn_app import client

    client.close()
