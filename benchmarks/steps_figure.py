"""The figure of steps.py: quality against network evaluations, both axes logarithmic, lines named at their ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from steps_judge import Row

from radloom.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#808080"  # stands out from white and from black
TOPS = (10.0, 300.0)  # of the axes: how far walks of two or three steps can miss is not shown
COLOURS = {
    "heun": "#d1495b", "ancestral": "#a0744a", "euler": "#4a90d9", "ddim": "#7f8fa6", "midpoint": "#d97fb0",
    "dpm2m": "#2e9e6b", "unipc3": "#9467bd", "flow-euler": "#8f9a2e", "flow-midpoint": "#1a9bb0",
    "corrector": "#d9822b",
}  # fmt: skip
LEFT = ("heun", "ancestral", "euler", "dpm2m", "unipc3", "flow-midpoint", "corrector")
RIGHT = ("heun", "euler", "ddim", "midpoint", "dpm2m", "unipc3", "flow-euler", "flow-midpoint")


def figure(rows: Sequence[Row], about: Mapping[str, Any], place: Path) -> None:
    """Writes the PNG: Frechet distance at the left, distance from the end point at the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasAgg(drawing)
    left, right = drawing.subplots(1, 2)
    _lines(left, rows, about, LEFT, lambda row: row.frechet, TOPS[0])
    low, high = next(row.frechet_interval for row in rows if (row.name, row.allowed) == ("heun", about["longest"]))
    left.axhspan(low, high, color=INK, alpha=0.15, linewidth=0)
    left.set_title("Frechet distance to held-out patients", color=INK, fontsize=10)
    shorter = [row for row in rows if row.allowed < about["longest"]]
    _lines(right, shorter, about, RIGHT, lambda row: 100 * row.apart, TOPS[1])
    right.set_title("Off the same noise's end point, % of spread", color=INK, fontsize=10)
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(place) as temporary:
        drawing.savefig(temporary, format="png", dpi=110, transparent=True)


def _lines(
    axes: Axes,
    rows: Sequence[Row],
    about: Mapping[str, Any],
    names: Sequence[str],
    value: Callable[[Row], float],
    top: float,
) -> None:
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("network evaluations", color=INK)
    ends = []
    for name in names:
        own = sorted((row for row in rows if row.name == name), key=lambda row: row.evaluations)
        x, y = [row.evaluations for row in own], [value(row) for row in own]
        axes.plot(x, y, color=COLOURS[name], marker="o", markersize=3, linewidth=1.6)
        ends.append((name, x[-1], y[-1]))
    places = _apart(np.log([y for _, _, y in ends]), 0.05 * float(np.ptp(np.log(axes.get_ylim()))))
    last = max(x for _, x, _ in ends)
    for (name, x, y), at in zip(ends, np.exp(places), strict=True):
        thread = {"arrowstyle": "-", "color": COLOURS[name], "linewidth": 0.5, "alpha": 0.6}
        axes.annotate(about["titles"][name].removesuffix(", Karras").replace("(eta 0), ", ""),
                      (x, y), (1.25 * last, at), color=COLOURS[name], fontsize=8, va="center",
                      arrowprops=thread)  # fmt: skip
    axes.set_xlim(0.9, last * 12)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 1000) if tick <= last]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(top=min(axes.get_ylim()[1], top))
    low, high = axes.get_ylim()
    levels = [first * 10.0**power for power in range(-6, 7) for first in (1, 2, 5)]
    shown = [level for level in levels if low <= level <= high]
    axes.set_yticks(shown, [f"{level:g}" for level in shown])
    axes.minorticks_off()
    axes.axvline(20, color=INK, linewidth=0.8, linestyle=":")
    axes.tick_params(colors=INK, labelsize=8)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(INK)


def _apart(wanted: np.ndarray, gap: float) -> np.ndarray:
    """The places moved up just so far that neighbours have a gap."""
    order = np.argsort(wanted)
    found = wanted.copy()
    for lower, upper in pairwise(order):
        found[upper] = max(found[upper], found[lower] + gap)
    return found
