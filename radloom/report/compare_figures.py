"""Pictures and curves of a comparison: nearest neighbours, precision and recall, spectra, histograms; no statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.compare.comparison import Target
from radloom.compare.likeness import Neighbour
from radloom.compare.planes import Plane
from radloom.report import names, pictures
from radloom.report.figures import scale

_SHOWN = 6  # neighbours at either end
_MARK = "SYNTHETIC"
_LEVELS = 32  # of the 128 that were counted, four together: whole numbers would leave combs


@dataclass(frozen=True)
class Tile:
    """A synthetic picture beside its nearest real one, as data URIs, with what stands below them."""

    synthetic: str
    real: str
    ratio: tuple[float, float]
    case: str
    nearest: str
    correlation: str
    mirrored: bool
    is_copy: bool


@dataclass(frozen=True)
class Curve:
    """One line of a chart: its name, its CSS class and its path in a 1000 x 1000 box."""

    name: str
    style: str
    path: str


@dataclass(frozen=True)
class Chart:
    """Curves on common axes; ticks are (percent, text). grid: the paths of the grid lines."""

    title: str
    caption: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    curves: list[Curve]

    @property
    def grid(self) -> str:
        """The lines at the ticks."""
        rows = "".join(f"M0 {1000 - 10 * at:.0f}H1000" for at, _ in self.y_ticks)
        return rows + "".join(f"M{10 * at:.0f} 0V1000" for at, _ in self.x_ticks)


def tiles(target: Target) -> tuple[list[Tile], list[Tile]]:
    """The synthetic images most and least like their nearest real ones, the extremes first."""
    if target.nearest is None:
        return [], []
    found = target.nearest.neighbours
    shown = min(_SHOWN, len(found) // 2)
    return [_tile(target, one) for one in found[:shown]], [_tile(target, one) for one in found[::-1][:shown]]


def charts(target: Target) -> list[Chart]:
    """Precision and recall where there are enough images, spectra, histograms, likeness to the nearest real image."""
    found = [_precision_recall(target)] if target.curves is not None else []
    found += [_spectra(target), _histograms(target)]
    return [*found, _likeness(target)] if target.nearest is not None else found


def _tile(target: Target, one: Neighbour) -> Tile:
    limits = (target.scale.low, target.scale.high)
    made, made_ratio = _picture(one.synthetic, limits, _MARK)
    real, real_ratio = _picture(one.real, limits, "")
    correlation = names.fixed(one.correlation, 4 if one.correlation > 0.99 else 3)
    return Tile(made, real, (made_ratio, real_ratio), _name(one.synthetic), _name(one.real), correlation,
                bool(one.flips), one.is_copy)  # fmt: skip


def _name(plane: Plane) -> str:
    item = plane.item
    text = item.case + (f", draw {item.draw}" if item.draw else "")
    return text if plane.axis != 2 or plane.index == 0 else f"{text}, slice {plane.index}"


def _picture(plane: Plane, limits: tuple[float, float], mark: str) -> tuple[str, float]:
    image = plane.item.image()
    axes = [axis for axis in range(3) if axis != plane.axis]
    columns, rows = (image.shape[axis] for axis in axes)
    column_mm, row_mm = (image.spacing_mm[axis] for axis in axes)
    band = math.ceil(0.08 * rows)
    seen = pictures.View(plane.axis, plane.index, slice(0, rows), slice(0, columns), row_mm, column_mm, band)
    height, width = seen.size_mm
    return pictures.grey(seen.of(image.voxels), seen, limits, mark=mark), width / height


def _precision_recall(target: Target) -> Chart:
    assert target.curves is not None
    curves = [("synthetic", "c0", target.curves.synthetic), ("real images instead", "c1", target.curves.real)]
    ticks = [(100.0 * t, f"{t:g}") for t in (0, 0.25, 0.5, 0.75, 1)]
    return Chart(
        "Precision and recall", f"after Sajjadi, {curves[0][2].n_synthetic} images each, {target.spaces[0]}",
        "recall", "precision", ticks, ticks,
        [Curve(name, style, _path(one.recall, one.precision, (0.0, 1.0), (0.0, 1.0))) for name, style, one in curves],
    )  # fmt: skip


def _spectra(target: Target) -> Chart:
    means = {"real": target.real.spectra.mean(axis=0), "synthetic": target.synthetic.spectra.mean(axis=0)}
    bins = len(means["real"])
    frequency = (np.arange(bins) + 0.5) / (2 * bins)
    return _chart("Radial power spectrum", "mean of log10 power over images, in window widths²", "cycles per pixel",
                  "log10 power", frequency, means, (0.0, 0.5))  # fmt: skip


def _histograms(target: Target) -> Chart:
    low, high = target.scale.low, target.scale.high
    level = low + (np.arange(_LEVELS) + 0.5) / _LEVELS * (high - low)
    means = {
        name: one.histograms.mean(axis=0)[1:-1].reshape(_LEVELS, -1).sum(axis=1)
        for name, one in (("real", target.real), ("synthetic", target.synthetic))
    }
    caption = f"share of voxels, log10, in {_LEVELS} levels of the window"
    shares = {name: np.log10(np.maximum(values, 1e-6)) for name, values in means.items()}
    return _chart("Intensities", caption, "intensity", "log10 share", level, shares, (low, high))


def _likeness(target: Target) -> Chart:
    assert target.nearest is not None
    near = {"real to another patient's": target.nearest.baseline, "synthetic to real": target.nearest.correlation}
    low = min(float(values.min()) for values in near.values())
    edges = np.linspace(min(low, 0.95), 1, 41)
    shares = {name: np.histogram(values, edges)[0] / len(values) for name, values in near.items()}
    caption = f"correlation with the nearest real image; a copy: above {target.nearest.threshold:.4f}"
    return _chart("Likeness", caption, "correlation", "share of images", (edges[1:] + edges[:-1]) / 2, shares,
                  (float(edges[0]), 1.0))  # fmt: skip


def _chart(
    title: str, caption: str, x_label: str, y_label: str, x: np.ndarray, lines: dict[str, np.ndarray],
    ends: tuple[float, float],
) -> Chart:  # fmt: skip
    """Two lines, the real one in ink and the synthetic one in the accent."""
    y_axis = scale(v for values in lines.values() for v in (values.min(), values.max()))
    x_axis = scale(ends)
    span = max(ends[1] - ends[0], 1e-12)
    x_ticks = [(100 * (t - ends[0]) / span, names.fixed(t, x_axis.digits)) for t in x_axis.ticks
               if ends[0] - 1e-9 <= t <= ends[1] + 1e-9]  # fmt: skip
    y_ticks = [(y_axis.percent(t), names.fixed(t, y_axis.digits)) for t in y_axis.ticks]
    styles = {name: "c0" if name.startswith("synthetic") else "c2" for name in lines}
    curves = [Curve(name, styles[name], _path(x, y, ends, (y_axis.low, y_axis.high))) for name, y in lines.items()]
    return Chart(title, caption, x_label, y_label, _thinned(x_ticks), _thinned(y_ticks), curves)


def _thinned(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    return list(ticks) if len(ticks) <= 6 else list(ticks[::2])


def _path(x: np.ndarray, y: np.ndarray, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> str:
    across = 1000 * (x - x_ends[0]) / (x_ends[1] - x_ends[0])
    down = 1000 * (y_ends[1] - y) / (y_ends[1] - y_ends[0])
    step = max(1, len(x) // 300)
    return "M" + "L".join(f"{a:.0f} {d:.0f}" for a, d in zip(across[::step], down[::step], strict=True))
