"""Confidence intervals: the bootstrap over patients, and proportions; tests of hypotheses are in `tests`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.numbers import Numbers, finite, same_length, share

FEWEST = 3  # patients; fewer say nothing about how patients differ
_BLOCK = 4_000_000  # numbers drawn at once, so that memory stays small however many draws are asked for

Statistic = Callable[..., float | np.ndarray]
Count = int | np.integer


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, all in the unit of the values; NaN bounds mean: not to be had.

    level: the confidence level, for instance 0.95. n_patients: independent units that it rests on.
    """

    estimate: float
    low: float
    high: float
    level: float
    n_patients: int


def bootstrap_ci(
    values: Numbers,
    *,
    patients: Numbers,
    statistic: Statistic = np.mean,
    level: float = 0.95,
    draws: int = 2000,
    method: Literal["percentile", "bca"] = "percentile",
    rng: np.random.Generator,
) -> Interval:
    """The statistic of the values with its bootstrap interval over patients, in the unit of the values.

    values (n,): one number per case; patients (n,): who each case is from. Patients are drawn with replacement and
    bring all their cases along, since cases of one patient are no independent evidence. Percentile: the quantiles
    (1 -+ level)/2 of the draws. BCa: quantiles shifted by the draws' bias z0 and, from leaving out one patient at a
    time, the acceleration a (Efron B. J Am Stat Assoc 1987;82:171-185).
    `statistic` takes (n,) and gives a float; with an `axis` argument, like numpy's, it is called once for all draws.
    Fewer than 3 patients: the estimate with NaN bounds. So are BCa bounds of an estimate outside all draws.
    Blind to: patients unlike those sampled; below about 20 patients a percentile interval is too narrow.

    >>> dice = [0.8, 0.7, 0.9, 0.6, 0.75, 0.85]
    >>> interval = bootstrap_ci(dice, patients=list("abcdef"), rng=np.random.default_rng(0))
    >>> round(interval.estimate, 3), interval.low < 0.75 < interval.high, interval.n_patients
    (0.767, True, 6)
    """
    numbers, starts, sizes = _clusters(values, patients)
    share(level)
    if draws < 1 or method not in ("percentile", "bca"):
        raise RadloomError(f"draws={draws}, method={method!r}", expected="draws of 1 or more, percentile or bca")
    estimate, n = float(statistic(numbers)), len(sizes)
    if n < FEWEST:
        return Interval(estimate, math.nan, math.nan, level, n)
    block = max(1, _BLOCK // len(numbers))
    parts = (rng.integers(n, size=(min(block, draws - i), n)) for i in range(0, draws, block))
    drawn = np.concatenate([_statistics(numbers, starts, sizes, part, statistic) for part in parts])
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        others = np.array([np.delete(np.arange(n), i) for i in range(n)])
        tails = _bca_tails(tails, estimate, drawn, _statistics(numbers, starts, sizes, others, statistic))
    low, high = np.quantile(drawn, tails) if np.isfinite(tails).all() else (math.nan, math.nan)
    return Interval(estimate, float(low), float(high), level, n)


def paired_bootstrap_ci(
    a: Numbers,
    b: Numbers,
    *,
    patients: Numbers,
    statistic: Statistic = np.mean,
    level: float = 0.95,
    draws: int = 2000,
    method: Literal["percentile", "bca"] = "percentile",
    rng: np.random.Generator,
) -> Interval:
    """The statistic of the differences a - b, case by case, with its bootstrap interval over patients.

    a, b (n,): two numbers of the same cases. Pairing removes what makes one patient harder than another. For the mean
    it is the difference of the means; for other statistics (median) it is that of the differences. As `bootstrap_ci`.

    >>> a, b = [0.8, 0.7, 0.9, 0.6], [0.7, 0.6, 0.8, 0.5]
    >>> interval = paired_bootstrap_ci(a, b, patients=[1, 2, 3, 4], rng=np.random.default_rng(0))
    >>> round(interval.low, 6), round(interval.high, 6)
    (0.1, 0.1)
    """
    first, second = finite(a, "a"), finite(b, "b")
    same_length(first, second)
    return bootstrap_ci(
        first - second, patients=patients, statistic=statistic, level=level, draws=draws, method=method, rng=rng
    )


def wilson(successes: Count, trials: Count, *, level: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval, unit 1, in [0, 1]; one trial per patient.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z the normal quantile. The default for proportions; never
    outside [0, 1], and not of width 0 at 0 or n successes. No trial: NaN throughout.
    Blind to: several trials of one patient, which make it too narrow. Wilson EB. J Am Stat Assoc 1927;22:209-212.

    >>> interval = wilson(0, 10)
    >>> interval.low, round(interval.high, 4)
    (0.0, 0.2775)
    """
    from scipy.special import ndtri

    if _counted(successes, trials, level) == 0:
        return Interval(math.nan, math.nan, math.nan, level, 0)
    p, z = successes / trials, float(ndtri((1 + level) / 2))
    middle = p + z**2 / (2 * trials)
    reach = z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    low = 0.0 if successes == 0 else (middle - reach) / scale  # exact there, where rounding would leave 1e-17
    high = 1.0 if successes == trials else (middle + reach) / scale
    return Interval(p, low, high, level, int(trials))


def clopper_pearson(successes: Count, trials: Count, *, level: float = 0.95) -> Interval:
    """A proportion with the exact interval of Clopper and Pearson, unit 1, in [0, 1]; one trial per patient.

    Quantiles (1 - level)/2 of Beta(x, n - x + 1) and (1 + level)/2 of Beta(x + 1, n - x); 0 and 1 at x = 0 and x = n.
    Covers at least at its level, so it is wider than needed. No trial: NaN throughout.
    Blind to: several trials of one patient. Clopper CJ, Pearson ES. Biometrika 1934;26:404-413.

    >>> interval = clopper_pearson(10, 10)
    >>> round(interval.low, 4), interval.high
    (0.6915, 1.0)
    """
    from scipy.special import betaincinv

    if _counted(successes, trials, level) == 0:
        return Interval(math.nan, math.nan, math.nan, level, 0)
    x, n = successes, trials
    low = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, (1 - level) / 2))
    high = 1.0 if x == n else float(betaincinv(x + 1, n - x, (1 + level) / 2))
    return Interval(x / n, low, high, level, int(n))


def _counted(successes: Count, trials: Count, level: float) -> Count:
    share(level)
    if not 0 <= successes <= trials:
        raise RadloomError(f"{successes} successes of {trials} trials", expected="0 <= successes <= trials")
    return trials


def _clusters(values: Numbers, patients: Numbers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values sorted by patient, and where each patient's begin and how many they are."""
    numbers, who = finite(values, "values"), np.asarray(patients)
    if who.shape != numbers.shape:
        raise RadloomError(f"{len(numbers)} values and patients of shape {who.shape}", expected="one patient per value")
    _, which, sizes = np.unique(who, return_inverse=True, return_counts=True)
    return numbers[np.argsort(which, kind="stable")], np.cumsum(sizes) - sizes, sizes


def _statistics(
    values: np.ndarray, starts: np.ndarray, sizes: np.ndarray, drawn: np.ndarray, statistic: Statistic
) -> np.ndarray:
    """The statistic of each row of drawn patients (draws, patients), with all their values."""
    if statistic is np.mean:
        sums = np.add.reduceat(values, starts)
        return sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    if sizes.min() == sizes.max() and "axis" in inspect.signature(statistic).parameters:
        rows = starts[drawn][..., None] + np.arange(sizes[0])
        return np.asarray(statistic(values[rows.reshape(len(drawn), -1)], axis=1))
    of = np.split(values, starts[1:])
    return np.array([float(statistic(np.concatenate([of[i] for i in row]))) for row in drawn])


def _bca_tails(tails: np.ndarray, estimate: float, drawn: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The quantiles to take instead of `tails`; NaN when the estimate lies outside all draws (Efron 1987, eq. 2.3)."""
    from scipy.special import ndtr, ndtri

    if np.ptp(drawn) == 0:
        return tails
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * len(drawn))
    if below in (0, 1):
        return np.full(2, math.nan)
    from_mean = left_out.mean() - left_out
    spread = np.sum(from_mean**2)
    acceleration = np.sum(from_mean**3) / (6 * spread**1.5) if spread > 0 else 0.0
    z = ndtri(below) + ndtri(tails)
    return ndtr(ndtri(below) + z / (1 - acceleration * z))
