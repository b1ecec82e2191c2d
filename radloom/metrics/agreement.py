"""How well readers, repeats or methods agree: on numbers, on categories, on scores; not whether one is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.concordance import Concordance, Limits, bland_altman, ccc
from radloom.metrics.icc import FORMS, Intraclass, icc
from radloom.metrics.kappa import Agreement, cohen_kappa, fleiss_kappa, gwet_ac1
from radloom.metrics.krippendorff import krippendorff_alpha
from radloom.metrics.likert import ScorePairs, Scores, likert_pairs, likert_summary
from radloom.metrics.ratings import plain
from radloom.stats.intervals import Interval, bootstrap_ci
from radloom.stats.numbers import Numbers

__all__ = [
    "FORMS",
    "Agreement",
    "Concordance",
    "Intraclass",
    "Limits",
    "ScorePairs",
    "Scores",
    "bland_altman",
    "bootstrap_agreement",
    "ccc",
    "cohen_kappa",
    "fleiss_kappa",
    "gwet_ac1",
    "icc",
    "krippendorff_alpha",
    "likert_pairs",
    "likert_summary",
]


def bootstrap_agreement(
    ratings: Any,
    measure: Callable[[np.ndarray], float],
    *,
    patients: Numbers,
    level: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Interval:
    """Any agreement of a table of ratings with its percentile bootstrap interval over patients, in measure's unit.

    ratings (n, readers): a row per case; patients (n,): who each case is from. Patients are drawn with all their
    cases, so several lesions or visits of one patient do not narrow the interval as they would by formula. `measure`
    takes the drawn rows and gives one float. NaN bounds below 3 patients, and when a draw's measure is NaN (one
    category only). Blind to: another draw of readers, who stay as they are. Davison AC, Hinkley DV. Bootstrap Methods
    and Their Application. Cambridge 1997, section 3.8.

    >>> table = np.array([[1.0, 2], [2, 2], [4, 5], [6, 6], [7, 9], [9, 8]])
    >>> measure = lambda rows: ccc(rows[:, 0], rows[:, 1]).estimate
    >>> found = bootstrap_agreement(table, measure, patients=list("aabbcd"), rng=np.random.default_rng(0))
    >>> round(found.estimate, 3), found.n_patients
    (0.924, 4)
    """
    table = ratings.to_numpy() if hasattr(ratings, "to_numpy") else np.asarray(plain(ratings))
    if table.ndim != 2 or len(table) == 0:
        raise RadloomError(f"the ratings have shape {table.shape}", expected="a row per case, a column per reader")

    def of_cases(rows: np.ndarray) -> float:
        return measure(table[rows.astype(np.intp)])

    return bootstrap_ci(np.arange(len(table)), patients=patients, statistic=of_cases, level=level, draws=draws, rng=rng)
