"""Random halves of patients, the jackknife over patients and the normal interval; no metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.featuresets import clusters

Z = 1.959963984540054
SPLITS = 10
GROUPS = 10  # of the jackknife
SMALLEST = 8  # images of a half

Statistic = Callable[[np.ndarray, np.ndarray], float]


def halves(patients: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The rows of two random halves without a patient in common.

    Raises RadloomError when a half has fewer than 8 rows.

    >>> a, b = halves(np.repeat(np.arange(20), 2), np.random.default_rng(0))
    >>> len(a), len(b), len(set(a // 2) & set(b // 2))
    (20, 20, 0)
    """
    groups = clusters(patients, len(patients), "the real set")
    order = [groups[i] for i in rng.permutation(len(groups))]
    ends = np.cumsum([len(rows) for rows in order])
    cut = int(np.searchsorted(ends, len(patients) / 2)) + 1
    if cut >= len(order) or min(ends[cut - 1], len(patients) - ends[cut - 1]) < SMALLEST:
        raise RadloomError(
            f"{len(patients)} real images of {len(groups)} patients", expected=f"two halves of {SMALLEST} or more"
        )
    first, second = np.concatenate(order[:cut]), np.concatenate(order[cut:])
    return rng.permutation(first), rng.permutation(second)


def jackknife(
    statistic: Statistic, x: np.ndarray, y: np.ndarray, patients_x: np.ndarray, patients_y: np.ndarray,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """The standard error of a statistic of two sets from leaving out a tenth of the patients of one set at a time.

    se^2 = sum over both sets of (g - 1)/g sum_i (t_i - mean t)^2, g groups of patients, 10 or as many as there are.
    NaN with fewer than 3 patients in a set.
    """
    variance = 0.0
    for left, who in ((0, patients_x), (1, patients_y)):
        groups = clusters(who, len(who), "a set")
        g = min(GROUPS, len(groups))
        if g < 3:
            return float("nan")
        order = rng.permutation(len(groups))
        values = []
        for part in range(g):
            out = np.concatenate([groups[i] for i in order[part::g]])
            kept = np.setdiff1d(np.arange(len(who)), out)
            values.append(statistic(x[kept], y) if left == 0 else statistic(x, y[kept]))
        variance += (g - 1) / g * float(np.sum((np.array(values) - np.mean(values)) ** 2))
    return float(np.sqrt(variance))


def normal(estimate: float, se: float) -> tuple[float, float]:
    """The 95 % normal interval."""
    return estimate - Z * se, estimate + Z * se
