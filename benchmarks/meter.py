"""A Meter adds up what the client's process spends while it runs, and keeps the latency of each request."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

_STATUS = Path("/proc/self/status")
_DESCRIPTORS = Path("/proc/self/fd")


class Meter:
    """Seconds of CPU (user and system, all threads of this process) and of the clock; seconds per request."""

    def __init__(self) -> None:
        self.cpu = 0.0
        self.wall = 0.0
        self.latencies = array("d")
        self.note = self.latencies.append
        """Take the latency of one request."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the block."""
        cpu = _cpu()
        wall = perf_counter()
        try:
            yield
        finally:
            self.wall += perf_counter() - wall
            self.cpu += _cpu() - cpu

    def percentile(self, percent: float) -> float | None:
        """Return the latency that so many percent of the requests did not exceed, or None if none was taken."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory() -> float:
    """Return the resident memory of this process in bytes, without garbage and what malloc keeps for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    return _kilobytes("VmRSS") * 1024


def peak_memory() -> float:
    """Return the most resident memory that this process ever had, in bytes.

    Not ru_maxrss where the system tells better: on Linux that counts the parent's memory before exec as well.
    """
    if _STATUS.exists():
        return _kilobytes("VmHWM") * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _kilobytes(name: str) -> float:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    raise LookupError(name)


def descriptors() -> int:
    """Return how many descriptors are open."""
    return len(os.listdir(_DESCRIPTORS))
