"""Results as tables: for a terminal (with rich, if that is installed), and in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from benchmarks.results import Results
from benchmarks.works import AXES, FIGURES, Work

RESULTS = ("<!-- results -->", "<!-- end of results -->")
GROWTH = ("<!-- growth -->", "<!-- end of growth -->")
"""Between these marks a document takes the tables of works that stand alone, and those of the series."""


class Table(NamedTuple):
    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


def _alone(results: Results) -> list[Table]:
    return [_of_work(results, work) for work in results.alone]


def _series(results: Results) -> list[Table]:
    return [_of_series(results, axis, works) for axis, works in results.series.items()]


def _of_work(results: Results, work: Work) -> Table:
    figures = results.figures(work)
    rows = []
    notes = []
    for peer in results.versions:
        entry = results.entry(work, peer)
        if entry.note:
            notes.append(f"{peer}: {entry.note}")
        if entry.rounds:
            told = [_number(entry.median(figure)) for figure in figures]
            rows.append([peer, entry.protocol, *told, _ratio(results.ratio(work, peer))])
    head = ["", "protocol", *(FIGURES[figure] for figure in figures)]
    return Table(work.title, [*head, f"{FIGURES[work.figure].split(',')[0]} / greenh2's"], rows, notes)


def _of_series(results: Results, axis: str, works: list[Work]) -> Table:
    rows = []
    notes = []
    for peer in results.versions:
        entries = [results.entry(work, peer) for work in works]
        notes += [
            f"{peer} at {work.at:,}: {e.note}" for work, e in zip(works, entries, strict=True) if e.note
        ]
        if any(entry.rounds for entry in entries):
            rows.append([peer, *(_number(entry.median("cpu_us")) for entry in entries)])
    title = f"CPU per request, us, by number of {AXES[axis]}"
    return Table(title, ["", *(f"{work.at:,}" for work in works)], rows, notes)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"x{value:.2f}"


def show(results: Results) -> None:
    """Print the tables."""
    for table in [*_alone(results), *_series(results)]:
        print()
        try:
            _show_rich(table)
        except ImportError:
            _show_plain(table)
        for note in table.notes:
            print(f"  {note}")


def _show_rich(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if number == 0 or column == "protocol" else "right")
    for row in table.rows:
        shown.add_row(*row)
    console = Console()
    Console(width=max(console.width, 140)).print(shown)


def _show_plain(table: Table) -> None:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    print(table.title)
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def write_into(document: Path, results: Results) -> None:
    """Put what was measured, in Markdown, between the marks of a document, in place of what stood there.

    Raises ValueError if it has no such marks.
    """
    text = document.read_text()
    for marks, found in ((RESULTS, _alone(results)), (GROWTH, _series(results))):
        if found:
            text = _replaced(text, marks, _markdown(results, found))
    document.write_text(text)


def _replaced(text: str, marks: tuple[str, str], new: str) -> str:
    start, end = marks
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the document has no {start!r} followed by {end!r}")
    return f"{before}{start}\n\n{new}\n{end}{after}"


def _markdown(results: Results, found: list[Table]) -> str:
    machine = results.machine
    versions = "; ".join(
        f"{peer} ({', '.join(f'{name} {told}' for name, told in named.items())})"
        for peer, named in results.versions.items()
    )
    rounds = f"{results.rounds} round{'s' * (results.rounds > 1)}"
    pinned = "server and client on different ones" if machine["pinned"] else "not pinned"
    parts = [
        f"**{results.date}**, {rounds}; {machine['cores']} cores, {pinned}; {machine['system']}; {results.server}.",
        f"Versions: {versions}.",
    ]
    parts += [f"{peer} was left out: {why}." for peer, why in results.absent.items()]
    for table in found:
        aligned = ["---"] + ["---:"] * (len(table.columns) - 1)
        rows = [table.columns, aligned, *table.rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        parts.append("\n".join([f"### {table.title}", "", *lines]))
        if table.notes:
            parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts) + "\n"
