"""Results as pictures: a panel of bars for each work, and a panel of curves for each series."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import HOME, Results
from benchmarks.works import AXES, FIGURES, Work

mpl.use("Agg")
_OURS, _THEIRS = "#2e8b57", "#b8c4ce"


def draw(results: Results, path: Path) -> list[Path]:
    """Draw what there is; the series go to a file of their own, ``<name>-growth``.  Return the paths."""
    drawn = []
    works = [
        work for work in results.alone if any(results.entry(work, peer).rounds for peer in results.versions)
    ]
    if works:
        figure, panels = _sheet(len(works), height=2.6)
        for work, panel in zip(works, panels, strict=False):
            _bars(results, work, panel)
        drawn.append(_save(figure, path))
    series = results.series
    if series:
        figure, panels = _sheet(len(series), height=3.2)
        for (axis, points), panel in zip(series.items(), panels, strict=False):
            _curves(results, axis, points, panel)
        drawn.append(_save(figure, path.with_name(f"{path.stem}-growth{path.suffix}")))
    return drawn


def _sheet(panels: int, *, height: float) -> tuple[Figure, list[Axes]]:
    rows = (panels + 1) // 2
    figure = Figure(figsize=(12, height * rows + 0.4), layout="constrained")
    axes = [figure.add_subplot(rows, min(panels, 2), number + 1) for number in range(panels)]
    return figure, axes


def _bars(results: Results, work: Work, panel: Axes) -> None:
    found = {peer: results.entry(work, peer).median(work.figure) for peer in results.versions}
    taken = {peer: value for peer, value in found.items() if value is not None}
    names, values = list(taken), list(taken.values())
    labels = [_label(results, work, peer) for peer in names]
    bars = panel.barh(labels, values, color=[_OURS if peer == HOME else _THEIRS for peer in names])
    ratios = [results.ratio(work, peer) for peer in names]
    told = [
        f" {value:.3g}" + (f"  (x{ratio:.2g})" if ratio is not None and peer != HOME else "")
        for peer, value, ratio in zip(names, values, ratios, strict=True)
    ]
    panel.bar_label(bars, told, fontsize=8)
    panel.invert_yaxis()
    panel.margins(x=0.25)
    panel.set_title(f"{work.title}\n{FIGURES[work.figure]} (less is better)", fontsize=9, loc="left")
    panel.tick_params(labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _label(results: Results, work: Work, peer: str) -> str:
    protocol = results.entry(work, peer).protocol
    return f"{peer}, {protocol}" if protocol else peer


def _curves(results: Results, axis: str, points: list[Work], panel: Axes) -> None:
    for peer in results.versions:
        found = [(work.at, results.entry(work, peer).median("cpu_us")) for work in points]
        taken = [(at, value) for at, value in found if value is not None]
        if taken:
            ours = {"color": _OURS, "linewidth": 2.5} if peer == HOME else {"linewidth": 1.0}
            panel.plot(*zip(*taken, strict=True), marker="o", markersize=3, label=peer, **ours)
    panel.set_xscale("symlog" if points[0].at == 0 else "log")
    if axis == "bytes":
        panel.set_yscale("log")
    else:
        panel.set_ylim(bottom=0)
    panel.set_title(f"CPU per request, us, by number of {AXES[axis]}", fontsize=8, loc="left", wrap=True)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7)


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
