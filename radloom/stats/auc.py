"""The area under the ROC curve, its DeLong and bootstrap intervals and the paired test; curves are in `metrics.roc`."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.intervals import FEWEST, Interval
from radloom.stats.numbers import Numbers, finite, plain, same_length, share

_BLOCK = 1_000_000  # weights held at once: they stay in the cache, and memory stays small however many draws


@dataclass(frozen=True)
class AucDifference:
    """Two areas of the same cases, unit 1: a - b with its interval, z and the two-sided p; NaN: not to be had."""

    auc_a: float
    auc_b: float
    difference: float
    low: float
    high: float
    z: float
    p: float
    level: float


def two_classes(scores: Numbers, truth: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """The scores (n,) in float64 and the truth (n,) in bool.

    Raises RadloomError when a score is NaN or infinite, the truth holds anything but 0 and 1 or only one of them, or
    their lengths differ.

    >>> two_classes([1, 2], [0, 1])[1].tolist()
    [False, True]
    """
    numbers, labels = finite(plain(scores), "scores"), finite(plain(truth), "truth")
    same_length(numbers, labels)
    if not np.isin(labels, (0, 1)).all():
        raise RadloomError(
            "truth holds other values than 0 and 1", expected="scores first, then the truth", do="pass truth == class"
        )
    positive = labels == 1
    if positive.all() or not positive.any():
        raise RadloomError(
            f"all {len(positive)} cases are {'positive' if positive[0] else 'negative'}",
            expected="at least one positive and one negative case",
        )
    return numbers, positive


def auc(scores: Numbers, truth: Numbers) -> float:
    """The area under the ROC curve, unit 1, in [0, 1]; 1 is best, 0.5 is chance.

    AUC = P(score of a positive > score of a negative) + P(equal) / 2 over all pairs (Mann-Whitney), by mid-ranks in
    O(n log n). scores (n,), truth (n,) of 0 and 1. A high score means positive: the direction is never turned round, so
    a score that falls with disease gives an area below 0.5. One class only is an error.
    Blind to: calibration, prevalence, and where on the curve one works; several cases of one patient.
    Hanley JA, McNeil BJ. Radiology 1982;143:29-36.

    >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    numbers, positive = two_classes(scores, truth)
    n_positive = np.count_nonzero(positive)
    ranks = mid_ranks(numbers)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranks / (n_positive * (len(numbers) - n_positive)))


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """The ranks 1..n (n,) of the values, each tie with the mean rank of its group.

    >>> mid_ranks(np.array([3.0, 1.0, 3.0]))
    array([2.5, 1. , 2.5])
    """
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return (last - (sizes - 1) / 2)[group]


def delong_covariance(scores: Any, truth: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """The areas (k,) of k scores of the same cases and their covariance matrix (k, k), unit 1.

    scores (k, n). S10 and S01 are the covariances, with n - 1 below, of the placements: V10 of a positive is the share
    of negatives that it exceeds, V01 of a negative the share of positives that exceed it, ties half; the covariance is
    S10 / positives + S01 / negatives. With one case of a class NaN. O(k n log n) by mid-ranks.
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845; Sun X, Xu W. IEEE Signal Process Lett
    2014;21:1389-1393.

    >>> areas, covariance = delong_covariance([[1, 3, 2, 4]], [0, 0, 1, 1])
    >>> areas.tolist(), covariance.tolist()
    ([0.75], [[0.125]])
    """
    v10, v01 = _all_placements(scores, truth)
    areas = v10.mean(axis=1)
    if min(v10.shape[1], v01.shape[1]) < 2:
        return areas, np.full((len(areas), len(areas)), math.nan)
    return areas, np.atleast_2d(np.cov(v10)) / v10.shape[1] + np.atleast_2d(np.cov(v01)) / v01.shape[1]


def delong_ci(
    scores: Numbers, truth: Numbers, *, level: float = 0.95, method: Literal["wald", "logit"] = "wald"
) -> Interval:
    """The area under the ROC curve with DeLong's interval, unit 1, in [0, 1]; one case per patient.

    Wald: AUC -+ z SE, clipped to [0, 1] (as pROC). Logit: the same on log(AUC / (1 - AUC)) with SE / (AUC (1 - AUC)),
    which stays inside and covers better near 1. A variance of 0 (AUC of 0 or 1, constant scores) gives NaN bounds and
    a warning, never an interval of width 0; so does a class with one case, without the warning.
    Blind to: several cases of one patient (use `bootstrap_auc`); too narrow below some 20 cases of either class.
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.

    >>> interval = delong_ci([0.1, 0.4, 0.35, 0.8, 0.3, 0.6], [0, 0, 1, 1, 0, 1])
    >>> round(interval.estimate, 4), round(interval.low, 4), interval.high
    (0.8889, 0.5809, 1.0)
    """
    from scipy.special import expit, logit, ndtri

    share(level)
    if method not in ("wald", "logit"):
        raise RadloomError(f"method={method!r}", expected="wald or logit")
    areas, covariance = delong_covariance([scores], truth)
    area, variance = float(areas[0]), float(covariance[0, 0])
    n = len(np.asarray(truth))
    if variance == 0:
        warnings.warn(
            f"the AUC is {area:g} and DeLong's variance is 0: there is no interval; report `clopper_pearson` of "
            "sensitivity and specificity at one threshold instead",
            stacklevel=2,
        )
    if not variance > 0:
        return Interval(area, math.nan, math.nan, level, n)
    reach = float(ndtri((1 + level) / 2)) * math.sqrt(variance)
    if method == "wald":
        return Interval(area, max(0.0, area - reach), min(1.0, area + reach), level, n)
    middle, reach = logit(area), reach / (area * (1 - area))
    return Interval(area, float(expit(middle - reach)), float(expit(middle + reach)), level, n)


def delong_test(a: Numbers, b: Numbers, truth: Numbers, *, level: float = 0.95) -> AucDifference:
    """Whether two scores of the same cases have different areas under the ROC curve: DeLong's paired z-test.

    z = (AUC_a - AUC_b) / sqrt(var_a + var_b - 2 cov_ab), two-sided p by the normal distribution; the interval of the
    difference is Wald's. a, b, truth (n,). Variance 0: p = 1 when the areas are equal, else p and bounds are NaN, since
    such data cannot tell how far chance goes.
    Blind to: several cases of one patient, more than one reader (use MRMC), and nested models, for which it is too
    conservative. DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.

    >>> delong_test([1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 0, 1]).p
    1.0
    """
    from scipy.special import ndtr, ndtri

    share(level)
    v10, v01 = _all_placements([a, b], truth)
    first, second = map(float, v10.mean(axis=1))
    difference, variance = first - second, math.nan
    if min(v10.shape[1], v01.shape[1]) > 1:
        # of the differences of placements, since var_a + var_b - 2 cov_ab cancels when the scores are alike
        variance = float(sum(np.var(v[0] - v[1], ddof=1) / v.shape[1] for v in (v10, v01)))
    if variance < 1e-24:  # what rounding leaves of 0; one pair in 100 000 cases that is ordered otherwise gives 1e-20
        if abs(difference) < 1e-12:
            return AucDifference(first, second, 0.0, 0.0, 0.0, 0.0, 1.0, level)
        variance = math.nan
    error = math.sqrt(variance)
    z, reach = difference / error, float(ndtri((1 + level) / 2)) * error
    low, high = (
        (math.nan, math.nan) if math.isnan(error) else (max(-1.0, difference - reach), min(1.0, difference + reach))
    )
    return AucDifference(first, second, difference, low, high, z, float(2 * ndtr(-abs(z))), level)


def bootstrap_auc(
    scores: Numbers,
    truth: Numbers,
    *,
    patients: Numbers,
    draw: Literal["patients", "stratified"] = "patients",
    level: float = 0.95,
    draws: int = 2000,
    rng: np.random.Generator,
) -> Interval:
    """The area under the ROC curve with its percentile bootstrap interval over patients, unit 1, in [0, 1].

    scores, truth, patients (n,): patients are drawn with replacement and bring all their cases. "patients" draws from
    all; "stratified" keeps the numbers of patients with and without a positive case as they are. Each draw weights the
    sorted scores by how often the patient came up, so one sort serves all draws. A draw without one class has no area
    and is left out. Fewer than 3 patients, or AUC of 0 or 1 (where every draw agrees): NaN bounds.
    Blind to: patients unlike those sampled. Efron B. Ann Stat 1979;7:1-26.

    >>> rng = np.random.default_rng(0)
    >>> interval = bootstrap_auc([1, 2, 3, 4, 5], [0, 1, 0, 1, 1], patients=[1, 2, 3, 4, 5], rng=rng)
    >>> round(interval.estimate, 4), interval.low < 0.8333 < interval.high
    (0.8333, True)
    """
    numbers, positive = two_classes(scores, truth)
    share(level)
    who = np.asarray(patients)
    if who.shape != numbers.shape:
        raise RadloomError(f"{len(numbers)} scores and patients of shape {who.shape}", expected="one patient per score")
    if draws < 1 or draw not in ("patients", "stratified"):
        raise RadloomError(f"draws={draws}, draw={draw!r}", expected="draws of 1 or more, patients or stratified")
    _, patient = np.unique(who, return_inverse=True)
    n, estimate = int(patient.max()) + 1, auc(numbers, positive)
    if n < FEWEST or estimate in (0, 1):
        return Interval(estimate, math.nan, math.nan, level, n)
    diseased = np.zeros(n, bool)
    np.logical_or.at(diseased, patient, positive)
    strata = [np.arange(n)] if draw == "patients" else [np.flatnonzero(diseased), np.flatnonzero(~diseased)]
    block = max(1, _BLOCK // len(numbers))
    ordered = _Ordered.of(numbers, positive, patient)
    parts = [ordered.areas(_times_drawn(strata, n, min(block, draws - i), rng)) for i in range(0, draws, block)]
    areas = np.concatenate(parts)
    areas = areas[np.isfinite(areas)]
    low, high = np.quantile(areas, [(1 - level) / 2, (1 + level) / 2]) if len(areas) else (math.nan, math.nan)
    return Interval(estimate, float(low), float(high), level, n)


@dataclass(frozen=True)
class _Ordered:
    """Who the positives and the negatives are, each by rising score, and how many negatives lie below each positive."""

    positives: np.ndarray
    negatives: np.ndarray
    below: np.ndarray
    not_above: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, positive: np.ndarray, patient: np.ndarray) -> _Ordered:
        order = np.argsort(scores, kind="stable")
        scores, positive, patient = scores[order], positive[order], patient[order]
        negative = scores[~positive]
        at = [np.searchsorted(negative, scores[positive], side) for side in ("left", "right")]
        return cls(patient[positive], patient[~positive], at[0], at[1])

    def areas(self, times: np.ndarray) -> np.ndarray:
        """The area of each draw, from how often each patient was drawn (draws, patients); NaN without one class."""
        weights = times[:, self.positives]
        cumulated = np.zeros((len(times), len(self.negatives) + 1))
        np.cumsum(times[:, self.negatives], axis=1, out=cumulated[:, 1:])
        won = np.einsum("ij,ij->i", weights, cumulated[:, self.below])
        if not np.array_equal(self.below, self.not_above):
            won = (won + np.einsum("ij,ij->i", weights, cumulated[:, self.not_above])) / 2
        with np.errstate(invalid="ignore"):
            return won / (weights.sum(axis=1) * cumulated[:, -1])


def _times_drawn(strata: list[np.ndarray], n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n patients is drawn (draws, n): multinomial within each stratum."""
    times = np.zeros((draws, n))
    for members in strata:
        size = len(members)
        chosen = (
            rng.integers(size, size=(draws, size), dtype=np.int32) + size * np.arange(draws, dtype=np.int64)[:, None]
        )
        times[:, members] = np.bincount(chosen.ravel(), minlength=draws * size).reshape(draws, size)
    return times


def _all_placements(scores: Any, truth: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """The placements of the positives (k, positives) and of the negatives (k, negatives) in k scores."""
    placed = [_placements(*two_classes(row, truth)) for row in _rows(scores)]
    return np.stack([p[0] for p in placed]), np.stack([p[1] for p in placed])


def _placements(numbers: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of negatives below each positive, and of positives above each negative, ties half."""
    x, y = numbers[positive], numbers[~positive]
    ranks = mid_ranks(numbers)
    return (ranks[positive] - mid_ranks(x)) / len(y), 1 - (ranks[~positive] - mid_ranks(y)) / len(x)


def _rows(scores: Any) -> list[np.ndarray]:
    rows = [plain(row) for row in scores]
    if not rows or any(row.ndim != 1 for row in rows):
        raise RadloomError("scores have no rows", expected="one row of scores for each reading, (k, n)")
    return rows
