"""Exact null distributions of rank statistics, by counting, and the bounds that they give; the tests are in `tests`."""

from __future__ import annotations

import math

import numpy as np


def signed_rank_counts(n: int) -> np.ndarray:
    """How many of the 2^n sign patterns give W+ = 0, 1, ..., n(n+1)/2."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] = counts[rank:] + counts[:-rank]  # a copy on the right: each rank is used once
    return counts


def rank_sum_counts(m: int, n: int) -> np.ndarray:
    """How many of the ways to choose m of m + n ranks give U = 0, 1, ..., m n."""
    # row c: choices of c ranks so far, by the number of unchosen ranks below them
    counts = np.zeros((m + 1, m * n + 1))
    counts[0, 0] = 1
    for rank in range(m + n):
        for chosen in range(min(rank + 1, m), 0, -1):
            below = rank - (chosen - 1)
            if below <= n:
                counts[chosen, below:] += counts[chosen - 1, : m * n + 1 - below]
    return counts[m]


def tail(counts: np.ndarray, statistic: float) -> float:
    """Two-sided p: twice the smaller tail that holds the statistic, at most 1."""
    at = round(statistic)
    smaller = min(counts[: at + 1].sum(), counts[at:].sum())
    return min(1.0, float(2 * smaller / counts.sum()))


def ties_of(ranks: np.ndarray) -> float:
    """Sum of t^3 - t over the groups of t equal ranks; 0 without ties."""
    _, t = np.unique(ranks, return_counts=True)
    return float(np.sum(t.astype(np.float64) ** 3 - t))


def walsh_bounds(averages: np.ndarray, critical: int) -> tuple[float, float]:
    """The critical-th smallest and largest of the sorted averages; NaN when there is no interval (critical 0)."""
    if critical < 1:
        return math.nan, math.nan
    return float(averages[critical - 1]), float(averages[-critical])
