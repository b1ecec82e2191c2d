"""Hand-written SVG that stretches with the page: interval strips and learning curves; no statistics here.

Text stays in HTML, so that it keeps its size on a telephone; shapes are placed in percent or drawn with strokes
that do not scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from radloom.report import names

_POINTS = 300


@dataclass(frozen=True)
class Scale:
    """A linear axis with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    digits: int

    def percent(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 100."""
        return 100 * (value - self.low) / (self.high - self.low)


def scale(values: Iterable[float]) -> Scale:
    """The axis of round numbers that holds the finite values, with three to seven ticks."""
    known = [v for v in values if math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(step * i for i in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks, max(0, -math.floor(math.log10(step) + 1e-9)))


def _round_step(raw: float) -> float:
    """The smallest of 1, 2, 5, 10 times a power of ten that is not below `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw * 0.999)


def strip(axis: Scale, estimate: float, low: float, high: float, *, style: str, reference: float | None) -> Markup:
    """An interval and its estimate on the axis, with a dashed line at `reference`; `style` is a CSS class."""
    parts = [f'<line class="grid" x1="{axis.percent(t):.2f}%" x2="{axis.percent(t):.2f}%" y1="0" y2="100%"/>'
             for t in axis.ticks]  # fmt: skip
    if reference is not None:
        x = axis.percent(reference)
        parts.append(f'<line class="reference" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>')
    if math.isfinite(low) and math.isfinite(high):
        parts.append(f'<line class="interval" x1="{axis.percent(low):.2f}%" x2="{axis.percent(high):.2f}%" '
                     f'y1="50%" y2="50%"/>')  # fmt: skip
    if math.isfinite(estimate):
        parts.append(f'<circle cx="{axis.percent(estimate):.2f}%" cy="50%" r="4.5"/>')
    return Markup(f'<svg class="strip {style}" aria-hidden="true">{"".join(parts)}</svg>')


def ticks(axis: Scale) -> Markup:
    """The axis' numbers as HTML, placed under a strip."""
    shown = axis.ticks if len(axis.ticks) <= 5 else axis.ticks[::2]
    labels = "".join(f'<span style="left:{axis.percent(t):.2f}%">{names.fixed(t, axis.digits)}</span>' for t in shown)
    return Markup(f'<div class="ticks" aria-hidden="true">{labels}</div>')


@dataclass(frozen=True)
class Line:
    """One curve: name, last value, points as an SVG path in a 1000 x 1000 box, raw and smoothed."""

    name: str
    last: str
    raw: str
    smooth: str


@dataclass(frozen=True)
class Panel:
    """Curves that share axes. top and bottom are the ends of the value axis."""

    title: str
    top: str
    bottom: str
    last_step: int
    logarithmic: bool
    lines: tuple[Line, ...]


def panels(losses: pd.DataFrame) -> list[Panel]:
    """The learning curves: validation metrics first with their targets together, then one panel per training loss."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for name in dict.fromkeys(losses["name"]):
        groups.setdefault((not name.startswith("val."), _group(name)), []).append(name)
    order = sorted(groups, key=lambda group: group[0])
    end = max((int(step) for step in losses["step"]), default=0)
    return [panel for group in order if (panel := _panel(losses, group[1], groups[group], end)) is not None]


def _group(name: str) -> str:
    """Validation curves of one metric share a panel: "val.psnr.image.flair" -> "val.psnr"."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "val" else name


def _panel(losses: pd.DataFrame, title: str, members: Sequence[str], end: int) -> Panel | None:
    curves = {name: losses.loc[losses["name"] == name, ["step", "value"]].to_numpy(float) for name in members}
    curves = {name: c[np.isfinite(c[:, 1])] for name, c in curves.items()}
    curves = {name: c for name, c in curves.items() if len(c)}
    if not curves:
        return None
    values = np.concatenate([c[:, 1] for c in curves.values()])
    logarithmic = not title.startswith("val.") and values.min() > 0 and values.max() / values.min() > 30
    low, high = float(values.min()), float(values.max())
    shape = _Box(low, high if high > low else low + 1, max(end, 1), bool(logarithmic))
    lines = tuple(_line(_member(name, title), c, shape) for name, c in curves.items())
    return Panel(_title(title), f"{high:.3g}", f"{low:.3g}", end, bool(logarithmic), lines)


def _title(group: str) -> str:
    head, _, rest = group.partition(".")
    return f"validation {names.metric(rest).title}" if head == "val" else f"{head}: {rest}" if rest else head


def _member(name: str, group: str) -> str:
    rest = name.removeprefix(group).strip(".")
    return names.entry(rest) if rest else ""


@dataclass(frozen=True)
class _Box:
    """From step and value to the 1000 x 1000 box."""

    low: float
    high: float
    end: int
    logarithmic: bool

    def path(self, curve: np.ndarray) -> str:
        low, high, y = self.low, self.high, curve[:, 1]
        if self.logarithmic:
            low, high, y = math.log(low), math.log(high), np.log(np.clip(y, low, high))
        points = np.column_stack([1000 * curve[:, 0] / self.end, 1000 * (high - y) / (high - low)])
        return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points)


def _line(name: str, curve: np.ndarray, box: _Box) -> Line:
    """The curve thinned to at most _POINTS by means of neighbours, and its running mean over a twentieth of it."""
    thinned = np.array([chunk.mean(axis=0) for chunk in np.array_split(curve, min(len(curve), _POINTS))])
    if len(thinned) < 40:
        return Line(name, f"{curve[-1, 1]:.3g}", "", box.path(thinned))
    half = len(thinned) // 40 + 1
    smooth = [[s, thinned[max(0, i - half) : i + half + 1, 1].mean()] for i, s in enumerate(thinned[:, 0])]
    return Line(name, f"{curve[-1, 1]:.3g}", box.path(thinned), box.path(np.array(smooth)))
