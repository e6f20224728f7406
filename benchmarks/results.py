"""What was measured: rounds of figures for each work and peer, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.works import FIGURES, Work, encode

HOME = "greenh2"


@dataclass(slots=True)
class Entry:
    """One peer's rounds at one work; `note` says why there are none."""

    protocol: str = ""
    note: str = ""
    rounds: list[dict[str, float]] = field(default_factory=list)

    def median(self, figure: str) -> float | None:
        """Return the median of a figure over the rounds, or None where it was not taken."""
        found = [one[figure] for one in self.rounds if figure in one]
        return median(found) if found else None

    def ratio(self, home: Entry, figure: str) -> float | None:
        """Return how many times greenh2's figure this one is: the median over the rounds.

        Each round is compared with greenh2's of the same number, which ran in the same minutes.
        """
        pairs = zip(self.rounds, home.rounds, strict=False)
        found = [mine[figure] / its[figure] for mine, its in pairs if its.get(figure) and figure in mine]
        return median(found) if found else None


@dataclass(frozen=True, slots=True)
class Results:
    """Everything of one run."""

    date: str
    machine: dict[str, Any]
    server: str
    rounds: int
    versions: dict[str, dict[str, str]]
    absent: dict[str, str]
    works: list[Work]
    entries: dict[tuple[str, str], Entry]
    """By the names of work and peer."""

    def entry(self, work: Work, peer: str) -> Entry:
        return self.entries.setdefault((work.name, peer), Entry())

    def ratio(self, work: Work, peer: str) -> float | None:
        """Return the ratio to greenh2 of what the work is about."""
        return self.entry(work, peer).ratio(self.entry(work, HOME), work.figure)

    def figures(self, work: Work) -> list[str]:
        """Return the figures that any peer has at a work, in the order of the columns."""
        taken = {name for peer in self.versions for one in self.entry(work, peer).rounds for name in one}
        return [name for name in FIGURES if name in taken]

    @property
    def alone(self) -> list[Work]:
        return [work for work in self.works if not work.axis]

    @property
    def series(self) -> dict[str, list[Work]]:
        """The points of `growth` by what grows."""
        found: dict[str, list[Work]] = {}
        for work in self.works:
            if work.axis:
                found.setdefault(work.axis, []).append(work)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all of it as what JSON can carry."""
        return {
            "date": self.date,
            "machine": self.machine,
            "server": self.server,
            "rounds": self.rounds,
            "versions": self.versions,
            "absent": self.absent,
            "works": {work.name: self._work_as_json(work) for work in self.works},
        }

    def _work_as_json(self, work: Work) -> dict[str, Any]:
        return {
            "title": work.title,
            "task": encode(work.task),
            "figure": work.figure,
            **({"axis": work.axis, "at": work.at} if work.axis else {}),
            "peers": {peer: self._entry_as_json(work, peer) for peer in self.versions},
        }

    def _entry_as_json(self, work: Work, peer: str) -> dict[str, Any]:
        entry = self.entry(work, peer)
        if not entry.rounds:
            return {"note": entry.note}
        names = dict.fromkeys(name for one in entry.rounds for name in one)
        return {
            "protocol": entry.protocol,
            "note": entry.note,
            "rounds": entry.rounds,
            "median": {name: entry.median(name) for name in names},
            "ratio": self.ratio(work, peer),
        }
