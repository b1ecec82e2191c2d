"""Intraclass correlations of several readers or repeats, all six forms of Shrout and Fleiss, with F-based intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.ratings import plain
from radloom.stats.numbers import Numbers, share

Form = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]
FORMS: tuple[Form, ...] = ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k")


@dataclass(frozen=True)
class Intraclass:
    """An intraclass correlation with its interval, unit 1, and the F test (f, degrees, p) of it being 0."""

    form: str
    estimate: float
    low: float
    high: float
    level: float
    f: float
    degrees: tuple[int, int]
    p: float
    n: int
    readers: int


@dataclass(frozen=True)
class _Squares:
    """Mean squares of a table (n, k): cases, readers, error of the two-way and within-case of the one-way layout."""

    n: int
    k: int
    cases: float
    readers: float
    error: float
    within: float


def icc(ratings: Numbers, *, form: Form, level: float = 0.95) -> Intraclass:
    """Intraclass correlation of measurements of n cases by k readers, unit 1, at most 1; can be negative.

    ratings (n, k): a number from each reader for each case, n >= 2, k >= 2. form, with MS the mean squares of cases
    (R), readers (C), error (E) and within cases (W):
    "1,1" other readers for each case: (R - W)/(R + (k-1) W);
    "2,1" the same readers, a sample of readers, their offsets count: (R - E)/(R + (k-1) E + k (C - E)/n);
    "3,1" these readers only, offsets do not count (consistency): (R - E)/(R + (k-1) E);
    "1,k", "2,k", "3,k" the mean of the k readings: (R - W)/R, (R - E)/(R + (C - E)/n), (R - E)/R.
    Interval from F quantiles, for form 2 with Satterthwaite's degrees, that of the mean by Spearman and Brown from
    that of one reading: for "2,k" as Shrout and Fleiss and psych's ICC; that of irr 0.84.1's icc is another.
    Without error and without spread of the cases: NaN; without error: 1 with bounds 1 (forms 1 and 3).
    Blind to: the range of the cases: a wider range raises it at equal error, so state the range; bias within form 3.
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428. McGraw KO, Wong SP. Psychol Methods 1996;1:30-46.

    >>> found = icc([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], form="2,1")
    >>> round(found.estimate, 2)
    0.29
    """
    if form not in FORMS:
        raise RadloomError(f"unknown form {form!r}", expected=" or ".join(FORMS))
    share(level)
    squares = _squares(ratings)
    n, k = squares.n, squares.k
    noise = squares.within if form[0] == "1" else squares.error
    degrees = (n - 1, n * (k - 1) if form[0] == "1" else (n - 1) * (k - 1))
    from scipy.special import fdtrc

    f = squares.cases / noise if noise > 0 else (math.inf if squares.cases > 0 else math.nan)
    p = float(fdtrc(*degrees, f)) if math.isfinite(f) else (0.0 if f > 0 else math.nan)
    if form[0] == "2":
        estimate, low, high = _agreement(squares, level)
    else:
        estimate, low, high = _one_noise(squares.cases, noise, k, degrees, level)
    if form[2] == "k":
        estimate, low, high = (_of_mean(value, k) for value in (estimate, low, high))
    return Intraclass(form, estimate, low, high, level, f, degrees, p, n, k)


def _squares(ratings: Numbers) -> _Squares:
    values = np.asarray(plain(ratings), dtype=np.float64)
    if values.ndim != 2 or min(values.shape, default=0) < 2 or not np.isfinite(values).all():
        wrong = np.count_nonzero(~np.isfinite(values))
        raise RadloomError(
            f"the ratings have shape {values.shape} and {wrong} NaN or infinite values",
            expected="a row of finite numbers per case, a column per reader, at least two of each",
            do="leave out cases with a missing rating, counted",
        )
    n, k = values.shape
    values = values - values.mean()  # squares of centred values keep their digits under a large offset
    if np.ptp(values) == 0:
        return _Squares(n, k, 0.0, 0.0, 0.0, 0.0)
    of_cases, of_readers = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    rest = float(np.sum((values - of_cases - of_readers) ** 2))
    size = float(np.sum(values**2))
    rest = rest if rest > 1e-24 * size else 0.0  # an additive table leaves rounding only
    within = float(np.sum((values - of_cases) ** 2))
    return _Squares(
        n,
        k,
        cases=k * float(np.sum(of_cases**2)) / (n - 1),
        readers=n * float(np.sum(of_readers**2)) / (k - 1),
        error=rest / ((n - 1) * (k - 1)),
        within=(within if within > 1e-24 * size else 0.0) / (n * (k - 1)),
    )


def _one_noise(signal: float, noise: float, k: int, degrees: tuple[int, int], level: float) -> tuple[float, ...]:
    """Form 1 or 3 with its bounds; Shrout and Fleiss 1979, p. 424 and 426."""
    if signal == 0 and noise == 0:
        return math.nan, math.nan, math.nan
    of_cases, of_noise = degrees
    upper, lower = _f_quantile(of_cases, of_noise, level), _f_quantile(of_noise, of_cases, level)

    def ratio(stretch: float) -> float:
        return (signal * stretch - noise) / (signal * stretch + (k - 1) * noise)

    return ratio(1.0), ratio(1 / upper), ratio(lower)


def _agreement(squares: _Squares, level: float) -> tuple[float, ...]:
    """Form 2 with its bounds; McGraw and Wong 1996, table 7."""
    n, k, cases, readers, error = squares.n, squares.k, squares.cases, squares.readers, squares.error
    offsets = k * readers + (k * n - k - n) * error
    if n * cases + offsets == 0:
        return math.nan, math.nan, math.nan
    r = n * (cases - error) / (n * cases + offsets)
    if r >= 1:
        return 1.0, 1.0, 1.0
    a = k * r / (n * (1 - r)) * readers
    b = (1 + k * r * (n - 1) / (n * (1 - r))) * error
    degrees = (a + b) ** 2 / (a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1))) if a or b else math.nan
    if not math.isfinite(degrees):
        return r, math.nan, math.nan
    upper, lower = _f_quantile(n - 1, degrees, level), _f_quantile(degrees, n - 1, level)
    low = n * (cases - upper * error) / (upper * offsets + n * cases)
    high = n * (lower * cases - error) / (offsets + n * lower * cases)
    return r, low, high


def _f_quantile(numerator: float | int, denominator: float | int, level: float) -> float:
    from scipy.special import fdtri

    return float(fdtri(numerator, denominator, (1 + level) / 2))


def _of_mean(single: float, k: int) -> float:
    """The correlation of the mean of k readings (Spearman and Brown); -inf where the single one is at its least."""
    below = 1 + (k - 1) * single
    return -math.inf if below <= 0 else k * single / below
