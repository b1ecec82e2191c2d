"""Several arms on the same patients: Friedman's test and Dunn's comparisons of two arms; two arms are in `tests`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.numbers import Numbers
from radloom.stats.ranks import ties_of


@dataclass(frozen=True)
class Ranked:
    """Several arms on the same n patients: Friedman's chi-square, Kendall's W in [0, 1] and each arm's mean rank."""

    n: int
    p: float
    statistic: float
    degrees: int
    kendall_w: float
    mean_ranks: dict[str, float]


@dataclass(frozen=True)
class Contrast:
    """Two arms of a Friedman table: first's mean rank minus second's, z, p, and p times the number of contrasts."""

    first: str
    second: str
    difference: float
    z: float
    p: float
    p_adjusted: float


def friedman(table: Numbers) -> Ranked:
    """Friedman's test of whether any of several arms differs on the same patients.

    table (n, k): a row per patient, a column per arm (k >= 3; a DataFrame's columns name the arms). Ranks within each
    patient, r_j the mean rank of arm j: chi2 = 12 n sum (r_j - (k+1)/2)^2 / (k(k+1)), over the correction for ties;
    p from chi-square with k - 1 degrees, good from about 10 patients; NaN below 3 patients. W = chi2 / (n (k - 1)).
    Without any difference p = 1 and W is NaN. Blind to: which arms differ (see `dunn`) and by how much.
    Friedman M. J Am Stat Assoc 1937;32:675-701. Kendall MG, Smith BB. Ann Math Stat 1939;10:275-287.

    >>> friedman([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 3, 2]]).statistic
    6.5
    """
    from scipy.special import chdtrc

    values, arms = _arms(table)
    if len(arms) < 3:
        raise RadloomError(f"the table has {len(arms)} arms", expected="at least 3", do="use wilcoxon for two")
    (n, k), means, unit = values.shape, *_mean_ranks(values)
    names = dict(zip(arms, means.tolist(), strict=True))
    if unit == 0:
        return Ranked(n, 1.0 if n >= 3 else math.nan, 0.0, k - 1, math.nan, names)
    statistic = float(n * np.sum((means - (k + 1) / 2) ** 2) / unit)
    p = float(chdtrc(k - 1, statistic)) if n >= 3 else math.nan
    return Ranked(n, p, statistic, k - 1, statistic / (n * (k - 1)), names)


def dunn(table: Numbers) -> tuple[Contrast, ...]:
    """Dunn's comparisons of every two arms after Friedman's test, in the order of the columns.

    table (n, k) as for `friedman`, k >= 2. z = (r_i - r_j) / sqrt(k(k+1)/(6n)) with the correction for ties, p from the
    normal distribution; p_adjusted = min(1, p times k(k-1)/2) (Dunn's choice, Bonferroni; `holm` on p is sharper).
    p is NaN below 3 patients. Blind to: the size of a difference in the values' unit (see `wilcoxon`); a comparison of
    two arms depends on the others in the table. Dunn OJ. Technometrics 1964;6:241-252.

    >>> [round(c.z, 3) for c in dunn([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 3, 2]])]
    [-1.768, -2.475, -0.707]
    """
    values, arms = _arms(table)
    (n, k), means, unit = values.shape, *_mean_ranks(values)
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    contrasts = []
    for i, j in pairs:
        difference = float(means[i] - means[j])
        z = difference / math.sqrt(2 * unit / n) if unit > 0 else 0.0
        p = math.erfc(abs(z) / math.sqrt(2)) if n >= 3 else math.nan
        contrasts.append(Contrast(arms[i], arms[j], difference, z, p, min(1.0, p * len(pairs)) if n >= 3 else p))
    return tuple(contrasts)


def _arms(table: Numbers) -> tuple[np.ndarray, Sequence[str]]:
    """The table's values (n, k) and the names of its columns."""
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0 or values.shape[1] < 2 or not np.isfinite(values).all():
        raise RadloomError(
            f"the table has shape {values.shape} and {np.count_nonzero(~np.isfinite(values))} NaN or infinite values",
            expected="a row of finite numbers per patient, a column per arm, at least two arms",
            do="leave out patients with a missing value, counted",
        )
    columns = getattr(table, "columns", range(values.shape[1]))
    return values, [str(name) for name in columns]


def _mean_ranks(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean rank of each arm, and n/2 times the variance of a difference of two without any effect, ties considered."""
    from scipy.stats import rankdata

    n, k = values.shape
    ranks = rankdata(values, axis=1)
    ties = sum(ties_of(row) for row in ranks)
    return ranks.mean(axis=0), k * (k + 1) / 12 * (1 - ties / (n * k * (k**2 - 1)))
