"""The runner starts the server, lets the peers take turns round after round, and tells what it saw."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.results import HOME, Results
from benchmarks.server import NoServer, Server, serving
from benchmarks.works import MEGABYTE, Download, Get, Upload, Work, encode, growth, works

ROOT = Path(__file__).parents[1]
PEERS = [
    HOME,
    "httpx",
    "httpx2",
    "niquests",
    "requests",
    "geventhttpclient",
    "geventhttpclient_session",
    "libcurl",
    "h2",
]
_SILENT = (
    "_PROXY",
    "CURL_CA_BUNDLE",
    "NETRC",
    "REQUESTS_CA_BUNDLE",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    asked = _parser().parse_args(arguments)
    chosen = _choose(asked)
    server_cores, client_cores = _cores()
    gets = [work.task for work in chosen if isinstance(work.task, Get)]
    large = [work.task.megabytes for work in chosen if isinstance(work.task, Download | Upload)]
    try:
        with serving(
            origins=max([1, *(get.origins for get in gets)]),
            sizes=[1_000, *(get.size for get in gets), *(size * MEGABYTE for size in large)],
            fields=[get.fields for get in gets],
            cores=server_cores,
        ) as server:
            results = _measure(asked, chosen, server, client_cores)
    except NoServer as exc:
        print(exc, file=sys.stderr)
        return 2
    return _tell(asked, results)


def _tell(asked: argparse.Namespace, results: Results) -> int:
    tables.show(results)
    if asked.document:
        tables.write_into(asked.document, results)
    if asked.picture:
        try:
            from benchmarks.picture import draw
        except ImportError as exc:
            print(f"no picture: {exc} (pip install greenh2[benchmarks])", file=sys.stderr)
            return 1
        for path in draw(results, asked.picture):
            print(f"drawn: {path}")
    failed = [entry.note for entry in results.entries.values() if entry.note.startswith("failed")]
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [work.name for work in works()]
    add = parser.add_argument
    add("--peer", action="append", choices=PEERS, metavar="NAME", help=f"repeatable: {', '.join(PEERS)}")
    add(
        "--work",
        action="append",
        choices=[*names, "growth", "all"],
        metavar="NAME",
        help=f"repeatable: {', '.join(names)}; growth (series); all. Without it: all but growth",
    )
    add("--rounds", type=_positive, default=3, help="how often each peer has its turn (3)")
    add("--requests", type=_positive, help="requests of a GET work (2,000 to 10,000)")
    add("--patience", type=_positive, default=120, help="seconds after which a turn is given up (120)")
    add("--megabytes", type=_positive, help="size of download and upload (100)")
    add("--connections", type=_positive, help="idle connections (10,000)")
    add(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PATH",
        help="the interpreter of a peer that is installed elsewhere (niquests must be)",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures here")
    add("--picture", type=Path, metavar="FILE", help="draw them here, and series in FILE-growth (matplotlib)")
    add(
        "--document",
        type=Path,
        metavar="FILE",
        help="put the tables into this Markdown file, between its marks",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _choose(asked: argparse.Namespace) -> list[Work]:
    alone = works(requests=asked.requests, megabytes=asked.megabytes, connections=asked.connections)
    series = list(growth(requests=asked.requests))
    if not asked.work:
        return alone
    if "all" in asked.work:
        return [*alone, *series]
    return [work for work in alone if work.name in asked.work] + (series if "growth" in asked.work else [])


def _cores() -> tuple[set[int], set[int]]:
    """Return a core for the server and another one for the client; none where cores cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("one core only: server and client take it from each other", file=sys.stderr)
    return {cores[0]}, {cores[-1]}


class _Crew:
    """Starts a process for a peer, in the interpreter it is installed for."""

    def __init__(self, pythons: Sequence[str], patience: float) -> None:
        self._patience = patience
        self._pythons = dict(entry.split("=", 1) for entry in pythons)
        kept = {name: told for name, told in os.environ.items() if not name.upper().endswith(_SILENT)}
        # No bytecode of the peers would be kept otherwise, and `import` would measure the compiler.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self._environment = {**kept, "PYTHONPATH": str(ROOT)}

    def send(self, peer: str, order: dict[str, Any] | None) -> dict[str, Any]:
        """Return the answer of ``benchmarks.child``; {"failed": "why"} if it has none."""
        command = [self._pythons.get(peer, sys.executable), "-m", "benchmarks.child", peer]
        try:
            told = subprocess.run(
                command,
                input=json.dumps(order) if order is not None else "",
                capture_output=True,
                text=True,
                timeout=self._patience,
                cwd=ROOT,
                env=self._environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not ended within {self._patience:.0f} s"}
        try:
            answer: dict[str, Any] = json.loads(told.stdout)
        except ValueError:
            lines = told.stderr.strip().splitlines() or [f"exit status {told.returncode}"]
            return {"failed": lines[-1]}
        return answer


def _measure(asked: argparse.Namespace, chosen: list[Work], server: Server, cores: set[int]) -> Results:
    crew = _Crew(asked.python, asked.patience)
    wanted = asked.peer or PEERS
    found = {peer: crew.send(peer, None) for peer in PEERS if peer in wanted}
    absent = {
        peer: answer.get("absent") or answer["failed"]
        for peer, answer in found.items()
        if "versions" not in answer
    }
    for peer, why in absent.items():
        print(f"{peer} is left out: {why}", file=sys.stderr)
    results = Results(
        date=date.today().isoformat(),
        machine={
            "cores": os.cpu_count(),
            "pinned": len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else False,
            "system": f"{platform.system()} {platform.machine()}",
        },
        server=server.version,
        rounds=asked.rounds,
        versions={peer: answer["versions"] for peer, answer in found.items() if peer not in absent},
        absent=absent,
        works=chosen,
        entries={},
    )
    for number in range(asked.rounds):
        for work in chosen if number == 0 else [work for work in chosen if not work.once]:
            _turn(results, work, number, crew, server, cores)
        if asked.json:  # after every round: what ends a run early does not take the others along
            asked.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    return results


def _turn(results: Results, work: Work, number: int, crew: _Crew, server: Server, cores: set[int]) -> None:
    """Let each peer do a work once, another one first every round."""
    peers = list(results.versions)
    start = number % len(peers) if peers else 0
    for peer in peers[start:] + peers[:start]:
        entry = results.entry(work, peer)
        if entry.note:
            continue
        size = work.task.megabytes * MEGABYTE if isinstance(work.task, Upload) else 1_000
        order = {
            "task": encode(work.task),
            "cores": sorted(cores),
            "ca_file": server.ca_file,
            "h2": server.h2,
            "h1": server.h1,
            "file": server.file(size),
        }
        answer = crew.send(peer, order)
        if "round" in answer:
            entry.protocol = answer.get("protocol", "")
            entry.rounds.append(answer["round"])
            told = ", ".join(f"{name} {figure:,.2f}" for name, figure in answer["round"].items())
        else:
            told = entry.note = "failed: " + answer["failed"] if "failed" in answer else answer["unable"]
        print(f"round {number + 1}, {work.name}, {peer}: {told}", file=sys.stderr, flush=True)
