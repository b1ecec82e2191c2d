"""Agreement on categories beyond chance: Cohen's kappa, Fleiss' kappa, Gwet's AC1 and AC2; alpha is beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.ratings import Rated, Weights, rated, weight_matrix
from radloom.stats.numbers import share

FEWEST = 3  # cases; fewer say nothing about how cases differ


@dataclass(frozen=True)
class Agreement:
    """A chance-corrected agreement with its interval, unit 1; NaN means: not to be had.

    se: standard error without assuming that there is only chance. observed and expected: (weighted) share of agreeing
    pairs of ratings, and that by chance. n: the cases that it rests on.
    """

    estimate: float
    low: float
    high: float
    level: float
    se: float
    observed: float
    expected: float
    n: int


def cohen_kappa(
    a: Any,
    b: Any,
    *,
    weights: Weights = "identity",
    categories: Sequence[Any] | None = None,
    level: float = 0.95,
) -> Agreement:
    """Cohen's kappa of two readers, unit 1, at most 1; 0 is what chance gives with these two readers' own frequencies.

    a, b (n,): the two readers' categories, numbers or words, case by case. p_ij = share of cases with i from a and j
    from b: kappa = (p_o - p_e)/(1 - p_e), p_o = sum w_ij p_ij, p_e = sum w_ij p_i. p_.j. w is 1 for equal categories;
    others get 0 ("identity"), 1 - |i-j|/(q-1) ("linear") or 1 - (i-j)^2/(q-1)^2 ("quadratic"). Name `categories`, in
    order, when weights are used on words or when a category never occurs: the weights depend on q.
    Interval: kappa -+ z SE, SE by the delta method (Fleiss JL, Cohen J, Everitt BS. Psychol Bull 1969;72:323-327), cut
    to [-1, 1]; too narrow below about 30 cases and for several cases of one patient (then `bootstrap_agreement`).
    A case that either reader left out is an error. One category only: NaN, agreement beyond chance is undefined.
    Blind to: whether either reader is right. It depends on prevalence: where one category is rare it sinks although
    the readers agree (see `gwet_ac1`). Cohen J. Educ Psychol Meas 1960;20:37-46.

    >>> found = cohen_kappa([1, 1, 0, 0, 1], [1, 1, 0, 0, 0])
    >>> round(found.estimate, 4), found.observed
    (0.6154, 0.8)
    """
    share(level)
    first, second = _one_reader(a, "a"), _one_reader(b, "b")
    if len(first) != len(second):
        raise RadloomError(f"the readers have {len(first)} and {len(second)} cases", expected="the same cases in both")
    table = rated(np.stack([first, second], axis=1), categories)
    if (table.counts.sum(axis=1) < 2).any():
        raise RadloomError("a reader left out a case", expected="two ratings of each case", do="use gwet_ac1")
    place = {category: i for i, category in enumerate(table.categories)}
    n, q = len(first), len(table.categories)
    p = np.zeros((q, q))
    np.add.at(p, ([place[x] for x in first], [place[x] for x in second]), 1 / n)
    w, rows, columns = weight_matrix(weights, q), p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.sum(w * p)), float(rows @ w @ columns)
    if expected >= 1 - 1e-12:
        return _undefined(observed, expected, level, n)
    kappa = (observed - expected) / (1 - expected)
    marginal = np.add.outer(w @ columns, rows @ w)  # mean weight of a row's and of a column's category
    spread = np.sum(p * (w - marginal * (1 - kappa)) ** 2) - (kappa - expected * (1 - kappa)) ** 2
    se = math.sqrt(max(spread, 0.0) / n) / (1 - expected)
    from scipy.special import ndtri

    return _bounded(kappa, se, float(ndtri((1 + level) / 2)), level, observed, expected, n)


def fleiss_kappa(ratings: Any, *, categories: Sequence[Any] | None = None, level: float = 0.95) -> Agreement:
    """Fleiss' kappa of several readers, unit 1, at most 1; 0 is what chance gives with the readers' joint frequencies.

    ratings (n, readers): numbers or words, every case rated as often; the readers may be others from case to case.
    kappa = (P - P_e)/(1 - P_e), P the share of agreeing pairs of ratings of a case, averaged over cases, P_e the sum
    of the squared shares of the categories. For two readers it is Scott's pi, not Cohen's kappa.
    Interval: kappa -+ t SE with n - 1 degrees, SE from the cases' own contributions (Gwet KL. Educ Psychol Meas
    2021;81:781-790), cut to [-1, 1]. The small SE of Fleiss' paper holds only where there is nothing but chance.
    One category only: NaN. Missing ratings are an error (use `krippendorff_alpha`).
    Blind to: the order of the categories; it depends on prevalence as Cohen's kappa does.
    Fleiss JL. Psychol Bull 1971;76:378-382.

    >>> round(fleiss_kappa([[1, 1, 1], [1, 1, 2], [2, 2, 2], [2, 2, 2]]).estimate, 4)
    0.6571
    """
    share(level)
    table = rated(ratings, categories)
    sums = table.counts.sum(axis=1)
    if (sums < table.readers).any():
        raise RadloomError(
            f"{np.count_nonzero(sums < table.readers)} cases lack a rating",
            expected="every case rated by as many readers",
            do="use krippendorff_alpha or gwet_ac1, which take missing ratings",
        )
    shares = table.counts / table.readers
    pi = shares.mean(axis=0)
    return _from_cases(table, np.eye(len(pi)), float(pi @ pi), shares @ pi, level)


def gwet_ac1(
    ratings: Any,
    *,
    weights: Weights = "identity",
    categories: Sequence[Any] | None = None,
    level: float = 0.95,
) -> Agreement:
    """Gwet's AC1 of two or more readers, AC2 with other weights, unit 1, at most 1; steady when a category is rare.

    ratings (n, readers): numbers or words, NaN or None where a reader left out a case. AC = (p_a - p_e)/(1 - p_e);
    p_a = mean over cases with two or more ratings of the (weighted) share of agreeing pairs; pi_k = mean over cases of
    category k's share; p_e = sum(w) / (q (q - 1)) sum pi_k (1 - pi_k), over q categories, w as in `cohen_kappa`. Name
    `categories` when one never occurs: q counts. Interval: AC -+ t SE with n - 1 degrees, SE from the cases' own
    contributions, cut to [-1, 1]. One category only: NaN (with two named categories it is 1).
    Blind to: whether the readers are right; chance is modelled as random rating of hard cases only, so values are
    higher than kappa's and do not compare with it. Gwet KL. Br J Math Stat Psychol 2008;61:29-48.

    >>> ratings = [[0, 0]] * 18 + [[0, 1], [1, 0]]
    >>> round(gwet_ac1(ratings).estimate, 3), round(cohen_kappa(*zip(*ratings)).estimate, 3)
    (0.89, -0.053)
    """
    share(level)
    table = rated(ratings, categories)
    rated_cases = table.counts[table.counts.sum(axis=1) > 0]
    q = len(table.categories)
    w = weight_matrix(weights, q)
    if q == 1:
        return _undefined(1.0, math.nan, level, len(rated_cases))
    shares = rated_cases / rated_cases.sum(axis=1, keepdims=True)
    pi, scale = shares.mean(axis=0), float(w.sum()) / (q * (q - 1))
    kept = Rated(rated_cases, table.categories, table.readers)
    return _from_cases(kept, w, scale * float(pi @ (1 - pi)), scale * (shares @ (1 - pi)), level)


def _from_cases(table: Rated, w: np.ndarray, expected: float, by_chance: np.ndarray, level: float) -> Agreement:
    """Agreement, SE and interval from each case's agreeing pairs and its part of the chance agreement (n,)."""
    from scipy.special import stdtrit

    counts, sums, n = table.counts, table.counts.sum(axis=1), len(table.counts)
    paired = sums >= 2
    if not paired.any():
        raise RadloomError("no case has two ratings", expected="at least one case rated twice")
    agreeing = np.zeros(n)
    agreeing[paired] = (np.sum(counts * (counts @ w), axis=1) - sums)[paired] / (sums * (sums - 1))[paired]
    observed = float(agreeing[paired].mean())
    if expected >= 1 - 1e-12:
        return _undefined(observed, expected, level, n)
    estimate = (observed - expected) / (1 - expected)
    own = np.where(paired, (agreeing - expected) / (1 - expected) * n / np.count_nonzero(paired), 0.0)
    own -= 2 * (1 - estimate) * (by_chance - expected) / (1 - expected)
    if n < FEWEST:
        return Agreement(estimate, math.nan, math.nan, level, math.nan, observed, expected, n)
    se = math.sqrt(np.sum((own - estimate) ** 2) / (n * (n - 1)))
    return _bounded(estimate, se, float(stdtrit(n - 1, (1 + level) / 2)), level, observed, expected, n)


def _bounded(
    estimate: float, se: float, reach: float, level: float, observed: float, expected: float, n: int
) -> Agreement:
    if n < FEWEST:
        return Agreement(estimate, math.nan, math.nan, level, math.nan, observed, expected, n)
    low, high = max(-1.0, estimate - reach * se), min(1.0, estimate + reach * se)
    return Agreement(estimate, low, high, level, se, observed, expected, n)


def _undefined(observed: float, expected: float, level: float, n: int) -> Agreement:
    return Agreement(math.nan, math.nan, math.nan, level, math.nan, observed, expected, n)


def _one_reader(ratings: Any, name: str) -> np.ndarray:
    plainly = ratings.to_numpy(dtype=object, na_value=None) if hasattr(ratings, "to_numpy") else ratings
    values = np.empty(len(plainly), dtype=object)
    values[:] = plainly.tolist() if hasattr(plainly, "tolist") else list(plainly)
    if len(values) == 0 or any(isinstance(value, list | tuple) for value in values):
        raise RadloomError(f"{name} has {len(values)} ratings", expected="one category per case, at least one case")
    return values
