"""Krippendorff's alpha: agreement of any number of readers at any level of measurement, with missing ratings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.ratings import rated
from radloom.stats.intervals import Interval, bootstrap_ci

Scale = Literal["nominal", "ordinal", "interval", "ratio"]


def krippendorff_alpha(
    ratings: Any,
    *,
    scale: Scale,
    categories: Sequence[Any] | None = None,
    patients: Any = None,
    level: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Interval:
    """Krippendorff's alpha with its bootstrap interval over patients, unit 1, at most 1; 0 is chance.

    ratings (n, readers): numbers or words, NaN or None where a reader left out a case; cases with fewer than two
    ratings carry no pair and are left out (n_patients counts those that remain). alpha = 1 - D_o/D_e: D_o the mean
    squared difference d^2 of the pairs of ratings within cases, a case of m ratings weighing m, D_e that of all pairs
    of ratings. d^2 is 1 for unequal categories ("nominal"); (ratings ranked between c and k, with half of c's and of
    k's)^2 ("ordinal", the order of `categories`); (c - k)^2 ("interval"); ((c - k)/(c + k))^2 ("ratio", values >= 0).
    patients (n,): who each case is from; None: every case is a patient. Percentile bootstrap of patients with all
    their cases, not of single disagreements; NaN bounds below 3 patients and when a draw has no variation.
    Without variation alpha is NaN: nothing tells agreement from a reader who always says the same.
    Blind to: whether the readers are right; it depends on prevalence as kappa does.
    Krippendorff K. Content Analysis, 3rd ed. Sage 2013. Hayes AF, Krippendorff K. Commun Methods Meas 2007;1:77-89.

    >>> found = krippendorff_alpha([[1, 1], [2, 2], [3, 3], [3, 2]], scale="interval", rng=np.random.default_rng(0))
    >>> round(found.estimate, 4)
    0.8205
    """
    table = rated(ratings, categories)
    values = _values(table.categories, scale)
    paired = table.counts.sum(axis=1) >= 2
    counts = table.counts[paired]
    if len(counts) == 0:
        raise RadloomError("no case has two ratings", expected="at least one case rated twice")
    who = np.arange(len(paired)) if patients is None else np.asarray(patients)
    if who.shape != paired.shape:
        raise RadloomError(f"{len(paired)} cases and patients of shape {who.shape}", expected="one patient per case")
    apart = _DIFFERENCES[scale]

    def of_cases(rows: np.ndarray) -> float:
        return _alpha(counts[rows.astype(np.intp)], values, apart)

    cases = np.arange(len(counts))
    return bootstrap_ci(cases, patients=who[paired], statistic=of_cases, level=level, draws=draws, rng=rng)


def _alpha(counts: np.ndarray, values: np.ndarray, apart: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """Alpha of the counts (cases, q) of cases with two or more ratings; NaN when all ratings are one category."""
    sums, totals = counts.sum(axis=1), counts.sum(axis=0)
    n = totals.sum()
    squared = apart(values, totals)
    by_chance = float(totals @ squared @ totals) / (n - 1)
    if by_chance == 0:
        return math.nan
    within = float(np.sum(np.sum(counts @ squared * counts, axis=1) / (sums - 1)))
    return 1 - within / by_chance


def _nominal(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return 1 - np.eye(len(values))


def _ordinal(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    middle = np.cumsum(totals) - totals / 2  # the mean rank of a category's ratings
    return np.subtract.outer(middle, middle) ** 2


def _interval(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return np.subtract.outer(values, values) ** 2


def _ratio(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    sums = np.add.outer(values, values)
    return (np.subtract.outer(values, values) / np.where(sums == 0, 1, sums)) ** 2


_DIFFERENCES = {"nominal": _nominal, "ordinal": _ordinal, "interval": _interval, "ratio": _ratio}


def _values(categories: tuple[Any, ...], scale: Scale) -> np.ndarray:
    """The categories as numbers; places for nominal and ordinal scales."""
    if scale not in _DIFFERENCES:
        raise RadloomError(f"unknown scale {scale!r}", expected=", ".join(_DIFFERENCES))
    if scale in ("nominal", "ordinal"):
        return np.arange(len(categories), dtype=np.float64)
    if any(isinstance(category, str) for category in categories):
        raise RadloomError(f"ratings of a {scale} scale hold words", expected="numbers", do="use nominal or ordinal")
    values = np.array(categories, dtype=np.float64)
    if scale == "ratio" and values.min() < 0:
        raise RadloomError("ratings of a ratio scale are negative", expected="values of 0 or more", do="use interval")
    return values
