"""How far two groups of patients lie apart by ranks alone: Cliff's delta; the test is `mann_whitney` in `tests`."""

from __future__ import annotations

import math

import numpy as np

from radloom.stats.intervals import Interval
from radloom.stats.numbers import Numbers, finite, share


def cliffs_delta(a: Numbers, b: Numbers, *, level: float = 0.95) -> Interval:
    """Cliff's delta of two groups, unit 1, in [-1, 1], with its interval; 0 is no difference, 1: every a above every b.

    delta = P(a > b) - P(a < b) = 2 AUC - 1 over all pairs. a (n_a,), b (n_b,): one number per patient, no patient in
    both. With s^2 Cliff's unbiased variance (not below (1 - delta^2) / (n_a n_b - 1)) and t of n_a + n_b - 2 degrees:
    (delta - delta^3 -+ t s sqrt((1 - delta^2)^2 + t^2 s^2)) / (1 - delta^2 + t^2 s^2), never outside [-1, 1].
    NaN bounds with one patient in a group, and at -1 or 1, where the data cannot tell how far chance goes.
    Blind to: by how much a exceeds b; pairing; several values of one patient.
    Cliff N. Psychol Bull 1993;114:494-509.

    >>> interval = cliffs_delta([4, 5, 5, 3, 4], [3, 4, 2, 3, 4])
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
    (0.6, -0.154, 0.912)
    """
    from scipy.special import stdtrit

    first, second = finite(a, "a"), finite(b, "b")
    share(level)
    m, n = len(first), len(second)
    low, high = math.nan, math.nan
    of_a, of_b = _won(first, second), -_won(second, first)
    delta = int(of_a.sum()) / (m * n)
    if min(m, n) > 1 and abs(delta) < 1:
        ordered = np.sort(second)
        tied = np.searchsorted(ordered, first, "right") - np.searchsorted(ordered, first, "left")
        pairs = m * n - float(tied.sum()) - m * n * delta**2  # sum over all pairs of (sign(a_i - b_j) - delta)^2
        sides = np.sum((of_a - n * delta) ** 2) + np.sum((of_b - m * delta) ** 2)
        variance = max((float(sides) - pairs) / (m * n * (m - 1) * (n - 1)), (1 - delta**2) / (m * n - 1))
        t = float(stdtrit(m + n - 2, (1 + level) / 2))
        reach = t * math.sqrt(variance * ((1 - delta**2) ** 2 + t**2 * variance))
        scale = 1 - delta**2 + t**2 * variance
        low, high = (delta - delta**3 - reach) / scale, (delta - delta**3 + reach) / scale
    return Interval(delta, low, high, level, m + n)


def _won(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each value, how many of the others lie below it minus how many above it."""
    ordered = np.sort(others)
    return np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") - len(others)
