"""How well an attacker tells training patients from others, given any score; scores by distance: `memorisation`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.featuresets import Patients, clusters
from radloom.stats.intervals import FEWEST, Interval
from radloom.stats.numbers import Numbers, finite, share


@dataclass(frozen=True)
class Membership:
    """Area under the attacker's ROC curve with its interval, and true-positive rates at low false-positive rates.

    0.5 is chance. tpr_at_1_percent can be told from chance (0.01) only with some hundred non-members and
    tpr_at_0_1_percent with some thousand: the lowest false-positive rate above 0 is one over their number. d is None
    for scores that come from no feature matrix.
    """

    auc: Interval
    tpr_at_1_percent: float
    tpr_at_0_1_percent: float
    n_members: int
    n_non_members: int
    d: int | None = None


def membership_auc(
    members: Numbers,
    non_members: Numbers,
    *,
    patients_members: Patients = None,
    patients_non_members: Patients = None,
    level: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Membership:
    """The success of a membership attack whose score is higher for training images, unit 1; 0.5 is privacy.

    AUC = P(member's score > non-member's) + P(equal)/2. TPR at f = the highest true-positive rate whose false-positive
    rate is f or less. members (n,) scores of training images, non_members (m,) of held-out ones of the same population.
    Percentile interval: patients of both groups drawn with replacement (every score its own when None); NaN with fewer
    than 3 patients in a group.
    Blind to: better attacks; an average near 0.5 hides a few patients who are found with certainty, which the rates at
    low f show. Carlini N et al. IEEE Symp Secur Priv 2022:1897-1914.

    >>> found = membership_auc([0.9, 0.8, 0.3], [0.7, 0.2, 0.1], rng=np.random.default_rng(0))
    >>> round(found.auc.estimate, 9), round(found.tpr_at_1_percent, 9), found.n_members  # 8 of 9 pairs; 2 of 3
    (0.888888889, 0.666666667, 3)
    """
    high, low = finite(members, "the members' scores"), finite(non_members, "the non-members' scores")
    of_high = clusters(patients_members, len(high), "the members")
    of_low = clusters(patients_non_members, len(low), "the non-members")
    if draws < 1:
        raise RadloomError(f"draws={draws}", expected="1 or more")
    bounds = (np.nan, np.nan)
    if min(len(of_high), len(of_low)) >= FEWEST:
        drawn = [_auc(_drawn(high, of_high, rng), _drawn(low, of_low, rng)) for _ in range(draws)]
        bounds = np.quantile(drawn, [(1 - share(level)) / 2, (1 + level) / 2])
    auc = Interval(_auc(high, low), float(bounds[0]), float(bounds[1]), level, len(of_high) + len(of_low))
    return Membership(auc, tpr_at_fpr(high, low, 0.01), tpr_at_fpr(high, low, 0.001), len(high), len(low))


def tpr_at_fpr(members: Numbers, non_members: Numbers, fpr: Number) -> float:
    """The highest true-positive rate at a false-positive rate of `fpr` or less, unit 1.

    members (n,), non_members (m,): scores, higher for members; a threshold is passed by scores of it or more. `fpr` in
    [0, 1]. Blind to: chance when fpr * m is below about 1. Carlini N et al. IEEE Symp Secur Priv 2022:1897-1914.

    >>> tpr_at_fpr([0.9, 0.6, 0.5, 0.1], [0.7, 0.5, 0.2, 0.0], 0.25)  # at 0.6: one of four non-members
    0.5
    """
    high, low = np.sort(finite(members, "the members' scores")), np.sort(finite(non_members, "the non-members' scores"))
    if not 0 <= fpr <= 1:
        raise RadloomError(f"fpr is {fpr}", expected="a share from 0 to 1")
    passed = len(low) - np.searchsorted(low, high)  # non-members at or above each member's score
    allowed = np.flatnonzero(passed <= fpr * len(low) * (1 + 1e-12))
    return float((len(high) - allowed[0]) / len(high)) if len(allowed) else 0.0


def _drawn(values: np.ndarray, patients: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return values[np.concatenate([patients[i] for i in rng.integers(len(patients), size=len(patients))])]


def _auc(members: np.ndarray, others: np.ndarray) -> float:
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, members, side) for side in ("left", "right"))
    return float(np.mean(below + up_to) / (2 * len(others)))
