"""The ROC curve and areas under it, whole and in part; intervals and tests of the area are in `stats.auc`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.stats.auc import auc, two_classes
from radloom.stats.numbers import Numbers

__all__ = ["RocCurve", "auc", "partial_auc", "roc_curve"]


@dataclass(frozen=True)
class RocCurve:
    """Operating points (k,) from (0, 0) to (1, 1), unit 1; a case is called positive at score >= threshold."""

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray


def roc_curve(scores: Numbers, truth: Numbers) -> RocCurve:
    """The share of negatives (fpr) and of positives (tpr) at or above each distinct score, unit 1.

    scores (n,), truth (n,) of 0 and 1. One point for each distinct score, from high to low, after the point (0, 0) with
    threshold infinity; equal scores move together, so ties give a slope. The direction is never turned round.
    Raises RadloomError on NaN, one class only or different lengths.
    Blind to: calibration and prevalence. Metz CE. Semin Nucl Med 1978;8:283-298.

    >>> curve = roc_curve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> curve.fpr.tolist(), curve.tpr.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    numbers, positive = two_classes(scores, truth)
    order = np.argsort(-numbers, kind="stable")
    numbers, positive = numbers[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(numbers)), len(numbers) - 1)
    hits = np.cumsum(positive)[last]
    false = last + 1 - hits
    return RocCurve(
        np.append(0.0, false / false[-1]),
        np.append(0.0, hits / hits[-1]),
        np.append(math.inf, numbers[last]),
    )


def partial_auc(
    scores: Numbers,
    truth: Numbers,
    *,
    low: Number,
    high: Number,
    over: Literal["specificity", "sensitivity"] = "specificity",
    scale: Literal["none", "mcclish"] = "none",
) -> float:
    """The area under part of the ROC curve, unit 1: where specificity (or sensitivity) lies between low and high.

    The trapezoids between the bounds, cut by straight lines; over the sensitivity it is the area to the right of the
    curve, as pROC has it. "none": the area itself, at most high - low. "mcclish": (1 + (A - min) / (max - min)) / 2,
    with the areas of chance (min) and of perfection (max) in the same range, so that 0.5 is chance and 1 perfect; an
    area below chance gives less than 0.5.
    Blind to: everything outside the range, which must be chosen before looking. McClish DK. Med Decis Making
    1989;9:190-195.

    >>> partial_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], low=0.5, high=1)
    0.25
    """
    if not 0 <= low < high <= 1:
        raise RadloomError(f"low={low}, high={high}", expected="0 <= low < high <= 1")
    if over not in ("specificity", "sensitivity") or scale not in ("none", "mcclish"):
        raise RadloomError(f"over={over!r}, scale={scale!r}", expected="specificity or sensitivity, none or mcclish")
    curve = roc_curve(scores, truth)
    # either way the area lies above x, where x is what the other axis loses
    x, y = (curve.fpr, curve.tpr) if over == "specificity" else ((1 - curve.tpr)[::-1], (1 - curve.fpr)[::-1])
    area = _between(x, y, 1 - high, 1 - low)
    if scale == "none":
        return area
    chance, perfect = (high - low) * (2 - high - low) / 2, high - low
    return (1 + (area - chance) / (perfect - chance)) / 2


def _between(x: np.ndarray, y: np.ndarray, start: Number, stop: Number) -> float:
    """The area under the polygon between two abscissae; x never falls, and may stand still."""
    x0, x1, y0, y1 = x[:-1], x[1:], y[:-1], y[1:]
    wide = x1 > x0
    x0, x1, y0, y1 = x0[wide], x1[wide], y0[wide], y1[wide]
    a, b = np.clip(x0, start, stop), np.clip(x1, start, stop)
    slope = (y1 - y0) / (x1 - x0)
    return float(np.sum((b - a) * (y0 + slope * ((a + b) / 2 - x0))))
