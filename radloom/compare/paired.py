"""Fidelity of synthetic images that have a real image of the same case; the trivial rival is another patient's image.

One row per case and metric in the results table, and means over patients with their intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from radloom.compare.measures import OTHER, SYNTHETIC, Findings, Measure, Refused
from radloom.compare.pairs import Pair
from radloom.compare.planes import Scale
from radloom.errors import RadloomError
from radloom.metrics import METRICS, fidelity
from radloom.metrics.structural import SCALE_WEIGHTS, WINDOW
from radloom.random import numpy_stream
from radloom.results import Results, Row
from radloom.stats.intervals import bootstrap_ci
from radloom.types import Image

Judge = Callable[[np.ndarray, np.ndarray], float]
_NOTE = "mean over patients' cases; 95 % interval: bootstrap over patients"


def judges(shape: tuple[int, ...], scale: Scale) -> dict[str, Judge]:
    """Every fidelity metric by name for images of this shape (2 or 3 axes), at the data range of the scale."""
    width = scale.data_range
    scales = scales_for(shape)
    weights = SCALE_WEIGHTS[:scales]
    found: dict[str, Judge] = {
        "mse": fidelity.mse,
        "rmse": fidelity.rmse,
        "mae": fidelity.mae,
        "nmse": fidelity.nmse,
        "nrmse": fidelity.nrmse,
        "psnr": lambda p, t: fidelity.psnr(p, t, data_range=width),
        "ssim": lambda p, t: fidelity.ssim(p, t, data_range=width),
        "gmsd": lambda p, t: fidelity.gmsd(p - scale.low, t - scale.low, data_range=width),
    }
    if scales > 1:  # with one scale it is SSIM
        found["ms_ssim"] = lambda p, t: fidelity.ms_ssim(p, t, data_range=width, weights=weights)
    if len(shape) == 3:
        found["ssim_slices"] = lambda p, t: fidelity.ssim_slices(p, t, data_range=width)
    return found


def scales_for(shape: tuple[int, ...]) -> int:
    """How many scales of MS-SSIM fit: five from 176 voxels along the shortest axis on, at least one."""
    return max(1, min(len(SCALE_WEIGHTS), int(math.log2(max(min(shape), WINDOW) / WINDOW)) + 1))


def add_fidelity(target: str, pairs: Sequence[Pair], scale: Scale, seed: int, run: str, found: Findings) -> Results:
    """Adds the means of all pairs to what was found; returns one row per case, arm and metric.

    Raises RadloomError when a pair lies on different grids.
    """
    rows: list[Row] = []
    refused: dict[str, str] = {}
    shapes: set[tuple[int, ...]] = set()
    previous: tuple[str, np.ndarray] | None = None
    for pair in pairs:
        real, synthetic = (flat(image) for image in pair.images())
        shapes.add(real.shape)
        if scales_for(real.shape) == 1:
            refused.setdefault("ms_ssim", f"two scales need 22 voxels along each axis, and {pair.real.case} has fewer")
        arms = {SYNTHETIC: synthetic}
        if previous is not None and previous[0] != pair.real.patient and previous[1].shape == real.shape:
            arms[OTHER] = previous[1]
        if previous is None or previous[0] != pair.real.patient:
            previous = pair.real.patient, real
        name = pair.real.case if pair.synthetic.draw == 0 else f"{pair.real.case}.draw{pair.synthetic.draw}"
        for metric, judge in judges(real.shape, scale).items():
            for arm, image in arms.items():
                try:
                    value = judge(image, real)
                except RadloomError as error:
                    refused.setdefault(metric, f"{name}: {error}")
                    continue
                rows.append(Row("compare", run, seed, name, pair.real.patient, "", arm, "", target, "whole image",
                                metric, value, METRICS[metric].unit))  # fmt: skip
    found.refused.extend(Refused(target, metric, reason) for metric, reason in refused.items())
    results = Results.of(rows)
    for metric in METRICS:
        for arm in (SYNTHETIC, OTHER):
            found.measures.extend(_mean(target, results, metric, arm, shapes, seed))
    return results


def flat(image: Image) -> np.ndarray:
    """The voxels with two axes for a slice, three for a volume."""
    return image.voxels if 1 not in image.shape else np.squeeze(image.voxels, axis=2 - image.shape[::-1].index(1))


def _mean(
    target: str, results: Results, metric: str, arm: str, shapes: set[tuple[int, ...]], seed: int
) -> Iterator[Measure]:
    table: Any = results.table
    chosen = table[(table["metric"] == metric) & (table["arm"] == arm)]
    values = chosen["value"].to_numpy(float)
    known = np.isfinite(values)
    if not known.any():
        return
    note = _NOTE if known.all() else f"{_NOTE}; {int((~known).sum())} identical images (infinite) left out"
    if metric == "ms_ssim":
        note += f"; {', '.join(sorted({str(scales_for(shape)) for shape in shapes}))} of 5 scales"
    interval = bootstrap_ci(values[known], patients=chosen["patient"].to_numpy()[known].astype(str),
                            rng=numpy_stream(seed, "compare", target, "paired", metric, arm))  # fmt: skip
    about = METRICS[metric]
    yield Measure(target, metric, arm, interval.estimate, interval.low, interval.high, int(known.sum()),
                  int(known.sum()), 0, "", "", about.unit, about.better, note)  # fmt: skip
