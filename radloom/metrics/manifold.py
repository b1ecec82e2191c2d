"""Precision and recall of synthetic images from balls around real and synthetic features; curves are in `prd`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.metrics.featuresets import (
    ROWS,
    Arithmetic,
    Features,
    Patients,
    blocks,
    centre_of,
    feature_pair,
    squared_distances,
)
from radloom.metrics.neighbours import squared_radii
from radloom.metrics.screening import Screen
from radloom.stats.intervals import Interval, bootstrap_ci

_NAMES = ("the real set", "the synthetic set")
BallArithmetic = Literal["screened"] | Arithmetic


@dataclass(frozen=True)
class Prdc:
    """Precision, recall, density and coverage, unit 1; density may exceed 1, the others lie in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    n_real: int
    n_synthetic: int
    d: int


@dataclass(frozen=True)
class PrdcIntervals:
    """The four numbers with bootstrap intervals over patients, balls held fixed."""

    precision: Interval
    recall: Interval
    density: Interval
    coverage: Interval
    k: int
    n_real: int
    n_synthetic: int
    d: int


@dataclass(frozen=True)
class ImprovedPrecisionRecall:
    """Improved precision and recall, unit 1, in [0, 1]."""

    precision: float
    recall: float
    k: int
    n_real: int
    n_synthetic: int
    d: int


@dataclass(frozen=True, eq=False)
class _Inside:
    """For each synthetic row the real balls that it is in; for each real row whether it is in a synthetic ball and
    whether a synthetic row is in its own ball."""

    balls: np.ndarray
    recalled: np.ndarray
    covered: np.ndarray


def prdc(
    real: Features, synthetic: Features, k: int = 5, *, arithmetic: BallArithmetic = "screened", block: int = ROWS
) -> Prdc:
    """Precision, recall, density and coverage of Naeem et al., unit 1; 1 is best (density: above 1 is no better).

    With R(x) = distance of x to its k-th nearest other row of its own set, and inside meaning strictly nearer:
    precision = share of synthetic rows inside a real ball; density = mean number of real balls around a synthetic row,
    over k; recall = share of real rows inside a synthetic ball; coverage = share of real balls with a synthetic row in
    it. real (n, d), synthetic (m, d), both of k + 1 rows or more; in blocks, memory O(block^2 + n + m). "screened" has
    the counts of "exact" (differences in float64, ties stay ties) at little more than the time of "float32", whose
    products move density in its 7th digit; it slows down where many rows are duplicates. "float64": products.
    Blind to: copies of training images; one real outlier has a huge ball and lifts precision (read density and coverage
    beside it). Depends on n, m and k: compare at equal ones, with real against real as the ceiling.
    Naeem MF et al. Proc Int Conf Mach Learn 2020;119:7176-7185.

    >>> real, synthetic = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [0.75], [9.0]])
    >>> found = prdc(real, synthetic, 1)  # real balls (-1, 1), (0, 2), (1, 5); synthetic reach 0.25, 0.25, 8.25
    >>> round(3 * found.precision), round(3 * found.density), round(3 * found.recall), round(3 * found.coverage)
    (2, 4, 2, 2)
    """
    x, y = feature_pair(real, synthetic)
    inside = _inside(x, y, k, np.less, arithmetic, block)
    return Prdc(
        precision=float(np.mean(inside.balls > 0)),
        recall=float(np.mean(inside.recalled)),
        density=float(np.mean(inside.balls) / k),
        coverage=float(np.mean(inside.covered)),
        k=k, n_real=len(x), n_synthetic=len(y), d=x.shape[1],
    )  # fmt: skip


def prdc_intervals(
    real: Features,
    synthetic: Features,
    k: int = 5,
    *,
    patients_real: Patients = None,
    patients_synthetic: Patients = None,
    level: float = 0.95,
    draws: int = 2000,
    arithmetic: BallArithmetic = "screened",
    rng: np.random.Generator,
) -> PrdcIntervals:
    """`prdc` with percentile intervals over patients (every image its own when None).

    Precision and density are means over synthetic rows, recall and coverage over real rows; patients of those rows are
    drawn with replacement while the balls stay (rows drawn twice would shrink them to nothing).
    Blind to: what `prdc` is blind to, and how far the balls themselves depend on the sample.

    >>> rng = np.random.default_rng(0)
    >>> found = prdc_intervals(rng.normal(size=(80, 2)), rng.normal(size=(80, 2)), rng=rng)
    >>> found.coverage.low < found.coverage.estimate <= found.coverage.high, found.coverage.n_patients
    (True, 80)
    """
    x, y = feature_pair(real, synthetic)
    inside = _inside(x, y, k, np.less, arithmetic, ROWS)
    of_real = np.arange(len(x)) if patients_real is None else patients_real
    of_synthetic = np.arange(len(y)) if patients_synthetic is None else patients_synthetic

    def interval(values: np.ndarray, patients: Patients) -> Interval:
        return bootstrap_ci(values * 1.0, patients=patients, level=level, draws=draws, rng=rng)

    return PrdcIntervals(
        precision=interval(inside.balls > 0, of_synthetic),
        recall=interval(inside.recalled, of_real),
        density=interval(inside.balls / k, of_synthetic),
        coverage=interval(inside.covered, of_real),
        k=k, n_real=len(x), n_synthetic=len(y), d=x.shape[1],
    )  # fmt: skip


def improved_precision_recall(
    real: Features, synthetic: Features, k: int = 3, *, arithmetic: BallArithmetic = "screened", block: int = ROWS
) -> ImprovedPrecisionRecall:
    """Precision and recall of Kynkäänniemi et al., unit 1; 1 is best. The rule is "at most", not "nearer than".

    precision = share of synthetic rows y with |y - x| <= R(x) for some real x, R(x) the distance of x to its k-th
    nearest other real row; recall = the same with the sets exchanged. real (n, d), synthetic (m, d), both of k + 1
    rows or more; arithmetic as in `prdc`. With duplicates or quantised features it differs much from `prdc`: a set of
    copies has R = 0 and still holds its own copies; "float32" and "float64" would put those at 1e-8 instead of 0.
    Blind to: what `prdc` is blind to. Kynkäänniemi T et al. Adv Neural Inf Process Syst 2019;32:3927-3936.

    >>> real, collapsed = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [1.0], [1.0]])
    >>> found = improved_precision_recall(real, collapsed, 1)
    >>> found.precision, round(3 * found.recall), prdc(real, collapsed, 1).recall
    (1.0, 1, 0.0)
    """
    x, y = feature_pair(real, synthetic)
    inside = _inside(x, y, k, np.less_equal, arithmetic, block)
    return ImprovedPrecisionRecall(
        float(np.mean(inside.balls > 0)), float(np.mean(inside.recalled)), k, len(x), len(y), x.shape[1]
    )


def _inside(
    x: np.ndarray, y: np.ndarray, k: int, nearer: Callable[..., np.ndarray], arithmetic: BallArithmetic, block: int
) -> _Inside:
    centre = centre_of(x)
    if arithmetic == "screened":
        return _screened(Screen(x, y, centre), k, nearer, block)
    radii_x = squared_radii(x, k, _NAMES[0], centre=centre, arithmetic=arithmetic, block=block)
    radii_y = squared_radii(y, k, _NAMES[1], centre=centre, arithmetic=arithmetic, block=block)
    apart = squared_distances(centre, arithmetic)
    found = _nothing(len(x), len(y))
    for i in blocks(len(x), block):
        for j in blocks(len(y), block):
            squared = apart(x[i], y[j])
            in_real = nearer(squared, radii_x[i, None])
            found.balls[j] += np.count_nonzero(in_real, axis=0)
            found.covered[i] |= in_real.any(axis=1)
            found.recalled[i] |= nearer(squared, radii_y[j]).any(axis=1)
    return found


def _screened(screen: Screen, k: int, nearer: Callable[..., np.ndarray], block: int) -> _Inside:
    n, m = len(screen.x), len(screen.y)
    radii = screen.radii(k, _NAMES, block)
    found = _nothing(n, m)
    for i in blocks(n, block):
        for j in blocks(m, block):
            of_real, of_synthetic = screen.inside(i, j, radii, nearer)
            found.balls[j] += np.bincount(of_real[1] - j.start, minlength=j.stop - j.start)
            found.covered[of_real[0]] = True
            found.recalled[of_synthetic[0]] = True
    return found


def _nothing(n: int, m: int) -> _Inside:
    return _Inside(np.zeros(m, np.int64), np.zeros(n, bool), np.zeros(n, bool))
