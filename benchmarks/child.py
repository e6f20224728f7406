"""The process of one peer doing one work: an order comes as JSON on standard input, a round's figures go out.

``python -m benchmarks.child PEER`` answers with one line of JSON: {"round": {...}}, or {"unable": "why"}, or
{"failed": "why"}, or {"absent": "why"}.  Without an order it tells the versions of what it would measure.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import repeat
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from benchmarks import meter as meters
from benchmarks.meter import Meter
from benchmarks.peer import HTTP1, HTTP2, Gets, GetsMany, Peer, Posts, Site, Streams, Unable
from benchmarks.works import MEGABYTE, Download, Get, Idle, Import, Upload, decode

Round = dict[str, float]
_DIALS = 64
"""How many connections are dialed at once where many are wanted."""

_IMPORT = """
import sys, gevent, time
start = time.process_time()
import {module}
print((time.process_time() - start) * 1000)
"""


def _answer(peer: str, order: dict[str, Any] | None) -> dict[str, Any]:
    try:
        module = importlib.import_module(f"benchmarks.peers.{peer}")
    except ImportError as exc:
        return {"absent": str(exc)}
    if order is None:
        return {"versions": _versions(module), "protocols": module.PROTOCOLS}
    if order["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, order["cores"])
    try:
        return _work(module, order)
    except Unable as exc:
        return {"unable": str(exc)}
    except Exception as exc:
        return {"failed": f"{type(exc).__name__}: {exc}"[:200]}


def _versions(module: ModuleType) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in (module.DISTRIBUTION, "gevent"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # imported from a checkout
            found[name] = str(getattr(sys.modules.get(name), "__version__", "unknown"))
    return found


def _work(module: ModuleType, order: dict[str, Any]) -> dict[str, Any]:
    task = decode(order["task"])
    if isinstance(task, Import):
        return {"round": _imports(module.MODULE, task)}
    http2 = task.http2 and HTTP2 in module.PROTOCOLS
    if not http2 and HTTP1 not in module.PROTOCOLS:
        raise Unable(f"it does not speak {HTTP1}")
    bases = order["h2" if http2 else "h1"]
    site = partial(Site, ca_file=order["ca_file"], http2=http2)
    match task:
        case Get():
            found = _gets(module, site, bases, task)
        case Download() | Upload():
            found = _streams(module.setup(site()), bases[0], task, order["file"])
        case Idle():
            found = _idle(module.setup(site(connections=task.connections, one_stream=True)), bases[0], task)
    return {"round": found, "protocol": HTTP2 if http2 else HTTP1}


def _gets(module: ModuleType, site: partial[Site], bases: list[str], task: Get) -> Round:
    if task.origins > len(bases):
        raise Unable(f"this work has many origins, and it does not speak {HTTP2}")
    path = f"/{task.size}.bin"
    if task.fields:
        path = f"/fields/{task.fields}{path}"
    urls = [base + path for base in bases[: task.origins]]
    connections = task.connections
    if connections is None and not site.keywords["http2"]:
        connections = max(task.greenlets, 100)  # a work over HTTP/2: this client needs one for each greenlet
    fields = {f"x-request-{number}": f"value-of-{number}" for number in range(task.fields)}
    peer: Peer = module.setup(
        site(origins=task.origins, connections=connections, one_stream=task.one_stream, headers=fields)
    )
    meter = Meter()
    warming = max(2 * task.greenlets, 100) if task.requests > 1000 else task.greenlets
    meters.memory()
    match peer:
        case GetsMany():
            peer.get_many(urls, warming, task.greenlets, Meter())
            peer.get_many(urls, task.requests, task.greenlets, meter)
        case Gets():
            _get_many(peer, urls, warming, task, Meter())
            meters.memory()
            _get_many(peer, urls, task.requests, task, meter)
        case _:
            raise Unable("it cannot get")
    peer.close()
    found = {
        "cpu_us": meter.cpu / task.requests * 1e6,
        "requests_per_second": task.requests / meter.wall,
        "peak_mb": meters.peak_memory() / MEGABYTE,
    }
    if meter.latencies:
        found["under_way"] = sum(meter.latencies) / meter.wall
    for percent in (50, 95, 99):
        latency = meter.percentile(percent)
        if latency is not None:
            found[f"p{percent}_ms"] = latency * 1000
    return found


def _get_many(peer: Gets, urls: list[str], requests: int, task: Get, meter: Meter) -> None:
    """Let greenlets take turns until there were so many requests; each goes on to the next origin every time."""
    tickets = repeat(None, requests)

    def use(turn: int) -> None:
        for _ in tickets:
            started = perf_counter()
            length = peer.get(urls[turn % len(urls)])
            meter.note(perf_counter() - started)
            turn += 1
            assert length == task.size, length

    with meter.running():
        gevent.joinall([gevent.spawn(use, number) for number in range(task.greenlets)], raise_error=True)


def _streams(peer: Peer, base: str, task: Download | Upload, file: str) -> Round:
    if not isinstance(peer, Streams):
        raise Unable("it has no streams")
    size = task.megabytes * MEGABYTE
    body = b"x" * size if isinstance(task, Upload) and task.in_memory else None
    if body is not None and not isinstance(peer, Posts):
        raise Unable("it is not driven to send bytes")
    meter = Meter()
    if isinstance(peer, Gets):
        peer.get(f"{base}/1000.bin")
    else:
        peer.download(f"{base}/1000.bin")
    before = meters.memory()
    with meter.running():
        if isinstance(task, Download):
            length = peer.download(f"{base}/{size}.bin")
            assert length == size, length
        elif body is not None and isinstance(peer, Posts):
            peer.post(f"{base}/upload", body)
        else:
            peer.upload(f"{base}/upload", file)
    peak = meters.peak_memory()
    peer.close()
    return {
        "cpu_ms": meter.cpu * 1000,
        "megabytes_per_second": task.megabytes / meter.wall,
        "peak_mb": peak / MEGABYTE,
        "growth_mb": (peak - before) / MEGABYTE,
    }


def _idle(peer: Peer, base: str, task: Idle) -> Round:
    meter = Meter()
    match peer:
        case Posts():
            peer.post(f"{base}/upload", iter([b"warm"]))
            before, sockets = meters.memory(), meters.descriptors()
            with meter.running():
                _post_many(peer, f"{base}/upload", task.connections)
        case GetsMany():
            urls = [f"{base}/1000.bin"]
            peer.get_many(urls, 1, 1, Meter())
            before, sockets = meters.memory(), meters.descriptors()
            peer.get_many(urls, task.connections, task.connections, meter)
        case _:
            raise Unable("it cannot hold a connection")
    opened = meters.descriptors() - sockets
    grown = meters.memory() - before
    peer.close()
    if opened < 0.9 * task.connections - 1:
        raise Unable(f"it keeps {opened} idle connections")
    return {
        "each_kb": grown / opened / 1000,
        "connections": opened,
        "open_ms": meter.cpu / opened * 1000,
        "peak_mb": meters.peak_memory() / MEGABYTE,
    }


def _post_many(peer: Posts, url: str, count: int) -> None:
    """Have so many requests under way at once, which takes as many connections, and then let all of them end."""
    dialing = BoundedSemaphore(_DIALS)
    gates = [Event() for _ in range(count)]

    def body(gate: Event) -> Iterator[bytes]:
        dialing.release()
        yield b"begun"
        gate.wait()
        yield b"done"

    senders = []
    for gate in gates:
        dialing.acquire()
        senders.append(gevent.spawn(peer.post, url, body(gate)))
    for _ in range(_DIALS):
        dialing.acquire()
    while gates:  # not all at once: the server has descriptors to count
        for gate in gates[-_DIALS:]:
            gate.set()
        gevent.joinall(senders[-_DIALS:], raise_error=True)
        del gates[-_DIALS:], senders[-_DIALS:]


def _imports(module: str, task: Import) -> Round:
    code = _IMPORT.format(module=module)
    times = []
    for _ in range(task.times + 1):  # the first may have to compile
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(float(told.stdout))
    return {"import_ms": median(times[1:])}


if __name__ == "__main__":
    text = sys.stdin.read()
    print(json.dumps(_answer(sys.argv[1], json.loads(text) if text else None)))
