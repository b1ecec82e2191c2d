"""Tests of hypotheses on one number per patient, each with the size of its effect; repeated slices are not patients.

`p` is two-sided everywhere. p > 0.05 is no evidence of equality; equivalence has its own tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.arms import dunn, friedman
from radloom.stats.multiplicity import benjamini_hochberg, holm
from radloom.stats.numbers import Numbers, finite, same_length, share
from radloom.stats.ranks import rank_sum_counts, signed_rank_counts, tail, ties_of, walsh_bounds

__all__ = ["benjamini_hochberg", "dunn", "friedman", "holm", "mann_whitney", "mcnemar", "wilcoxon"]

EXACT_UP_TO = 49  # values per sample, as R does; from 50 on the normal approximation is good to the third digit


@dataclass(frozen=True)
class Paired:
    """A paired comparison of n patients: effect (Hodges-Lehmann of a - b) with its interval, in the values' unit.

    statistic: W+, the ranks of the positive differences. method: "exact" or "normal". zeros: differences of 0.
    """

    n: int
    p: float
    effect: float
    low: float
    high: float
    level: float
    statistic: float
    method: str
    zeros: int


@dataclass(frozen=True)
class Unpaired:
    """A comparison of two groups: effect (Hodges-Lehmann shift of a against b) with its interval, in the values' unit.

    statistic: U of a. superiority: P(a > b) + P(a = b)/2, the AUC. method: "exact" or "normal".
    """

    n_a: int
    n_b: int
    p: float
    effect: float
    low: float
    high: float
    level: float
    statistic: float
    superiority: float
    method: str


@dataclass(frozen=True)
class Discordant:
    """Two yes-or-no readings of the same n patients; difference: share of yes in a minus that in b, unit 1."""

    n: int
    p: float
    only_a: int
    only_b: int
    difference: float
    method: str


def wilcoxon(a: Numbers, b: Numbers, *, level: float = 0.95) -> Paired:
    """Wilcoxon's signed-rank test of a against b, patient by patient, with the Hodges-Lehmann difference.

    a, b (n,): one number per patient. p: differences of 0 are dropped (Wilcoxon's rule, as R), W+ = sum of the ranks
    of |a - b| where a > b; exact below 50 patients when no difference is 0 and none tie, else normal with the variance
    corrected for ties and continuity. effect: median of the averages of all pairs of differences (zeros included, each
    difference also with itself); low and high: the averages at the exact critical rank of the test without ties.
    NaN bounds when no interval of this level exists (below 6 patients at 0.95); p = 1 when all differences are 0.
    Blind to: everything but ranks; assumes differences that are symmetric about their median.
    Wilcoxon F. Biometrics Bull 1945;1:80-83. Hodges JL, Lehmann EL. Ann Math Stat 1963;34:598-611.

    >>> result = wilcoxon([2, 4, 6, 8, 10, 12], [1, 2, 3, 4, 5, 6])
    >>> result.p, result.effect, result.low, result.high
    (0.03125, 3.5, 1.0, 6.0)
    """
    from scipy.stats import rankdata

    first, second = finite(a, "a"), finite(b, "b")
    same_length(first, second)
    share(level)
    differences = first - second
    moved = differences[differences != 0]
    ranks = rankdata(np.abs(moved))
    w = float(ranks[moved > 0].sum())
    n, zeros, ties = len(moved), len(differences) - len(moved), ties_of(ranks)
    exact = n <= EXACT_UP_TO and not zeros and not ties
    if n == 0:
        p = 1.0
    elif exact:
        p = tail(signed_rank_counts(n), w)
    else:
        p = _normal_p(w - n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24 - ties / 48)
    i, j = np.triu_indices(len(differences))
    averages = np.sort((differences[i] + differences[j]) / 2)
    low, high = walsh_bounds(averages, _signed_rank_critical(len(differences), level))
    method = "exact" if exact else "normal"
    return Paired(len(differences), p, float(np.median(averages)), low, high, level, w, method, zeros)


def mann_whitney(a: Numbers, b: Numbers, *, level: float = 0.95) -> Unpaired:
    """Mann and Whitney's (Wilcoxon's rank-sum) test of two groups of patients, with the Hodges-Lehmann shift.

    a (n_a,), b (n_b,): one number per patient, no patient in both. U = pairs with a > b, ties a half; exact when both
    groups have fewer than 50 patients and nothing ties, else normal with the variance corrected for ties and
    continuity. effect: median of all a_i - b_j, with the interval at the exact (else normal) critical rank; NaN bounds
    when no interval of this level exists. Blind to: everything but ranks; as a test of shift it assumes equal shapes.
    Mann HB, Whitney DR. Ann Math Stat 1947;18:50-60. Hodges JL, Lehmann EL. Ann Math Stat 1963;34:598-611.

    >>> result = mann_whitney([4, 5, 6, 7], [0, 1, 2, 3])
    >>> round(result.p, 6), result.effect, result.superiority
    (0.028571, 4.0, 1.0)
    """
    from scipy.stats import rankdata

    first, second = finite(a, "a"), finite(b, "b")
    share(level)
    m, n = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    u = float(ranks[:m].sum()) - m * (m + 1) / 2
    small, ties = max(m, n) <= EXACT_UP_TO, ties_of(ranks)
    exact = small and not ties
    total = m + n
    variance = m * n / 12 * ((total + 1) - ties / (total * (total - 1)))
    p = tail(rank_sum_counts(m, n), u) if exact else _normal_p(u - m * n / 2, variance)
    shifts = np.sort(np.subtract.outer(first, second), axis=None)
    if small:
        critical = _critical(rank_sum_counts(m, n), level)
    else:
        critical = _normal_critical(m * n / 2, m * n * (total + 1) / 12, level)
    low, high = walsh_bounds(shifts, critical)
    method = "exact" if exact else "normal"
    return Unpaired(m, n, p, float(np.median(shifts)), low, high, level, u, u / (m * n), method)


def mcnemar(
    a: Numbers, b: Numbers, *, method: Literal["exact", "mid_p", "chi2", "chi2_corrected"] = "exact"
) -> Discordant:
    """McNemar's test of two yes-or-no readings (right or wrong, found or missed) of the same patients.

    a, b (n,): booleans or 0 and 1. Only patients on whom the two differ count: x = only a, y = only b. "exact": two
    binomial tails of (x, x + y, 1/2); "mid_p": without half of the probability of x itself; "chi2": (x - y)^2/(x + y);
    "chi2_corrected": (|x - y| - 1)^2/(x + y), 1 degree. p = 1 when x = y (chi2_corrected: also |x - y| = 1).
    Blind to: how many patients agree. McNemar Q. Psychometrika 1947;12:153-157. Fagerland MW et al. BMC Med Res
    Methodol 2013;13:91 (mid-p).

    >>> result = mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
    >>> result.p, result.only_a, result.only_b
    (0.0625, 5, 0)
    """
    from scipy.special import bdtr
    from scipy.stats import binom

    first, second = finite(a, "a"), finite(b, "b")
    same_length(first, second)
    if not np.isin([first, second], (0, 1)).all():
        raise RadloomError("the readings hold other values than 0 and 1", expected="yes or no for each patient")
    if method not in ("exact", "mid_p", "chi2", "chi2_corrected"):
        raise RadloomError(f"unknown method {method!r}", expected="exact, mid_p, chi2 or chi2_corrected")
    x, y = int(np.sum(first > second)), int(np.sum(first < second))
    fewer, both = min(x, y), x + y
    if x == y:
        p = 1.0
    elif method == "exact":
        p = 2 * float(bdtr(fewer, both, 0.5))
    elif method == "mid_p":
        p = 2 * float(bdtr(fewer, both, 0.5)) - float(binom.pmf(fewer, both, 0.5))
    else:
        apart = abs(x - y) - (method == "chi2_corrected")
        p = math.erfc(apart / math.sqrt(2 * both))
    return Discordant(len(first), p, x, y, (x - y) / len(first), method)


def _normal_p(off_centre: float, variance: float) -> float:
    """Two-sided p of a rank statistic this far from its mean, with the correction for continuity."""
    if variance <= 0:
        return 1.0
    return math.erfc(max(abs(off_centre) - 0.5, 0) / math.sqrt(2 * variance))


def _signed_rank_critical(n: int, level: float) -> int:
    if n <= EXACT_UP_TO:
        return _critical(signed_rank_counts(n), level)
    return _normal_critical(n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24, level)


def _critical(counts: np.ndarray, level: float) -> int:
    """How many of the extreme averages lie outside the interval, per side, plus one; 0 when there is no interval."""
    return int(np.searchsorted(np.cumsum(counts) / counts.sum(), (1 - level) / 2, side="right"))


def _normal_critical(mean: float, variance: float, level: float) -> int:
    from scipy.special import ndtri

    return max(0, round(mean - float(ndtri((1 + level) / 2)) * math.sqrt(variance)))
