"""Several readers, several cases, also where not everybody read everything: U-statistics of the area under the ROC.

The variance over readers and cases comes from eight moments of single comparisons, with no analysis of variance and no
resampling, so that readings may be missing (split-plot studies, a reader of one modality only). Fully crossed studies
and other figures of merit have the tests in `mrmc`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.intervals import Interval
from radloom.stats.mrmc import Difference
from radloom.stats.numbers import share
from radloom.stats.reader_study import psi, readings

# Sums over all pairs that may share a factor become sums over pairs that do and pairs that do not.
_APART = reduce(np.kron, [np.array([[1, 0], [-1, 1]])] * 3)


@dataclass(frozen=True, eq=False)
class EightMoments:
    """The covariance of two modalities' mean areas (of one with itself: its variance) and what it is made of.

    moments: mean products of two comparisons that share (1) reader, diseased and normal case, (2) reader and diseased
    case, (3) reader and normal case, (4) the reader, (5) both cases, (6) the diseased case, (7) the normal case, (8)
    nothing: Gallas's M1 to M8, 0 where the design has no such pair. coefficients: of each; covariance: their product.
    components: what the variance over normal cases, diseased cases and readers alone adds to one comparison, biased
    like a maximum-likelihood estimate; `df` rests on them.
    """

    covariance: float
    moments: tuple[float, ...]
    coefficients: tuple[float, ...]
    components: tuple[float, float, float]


@dataclass(frozen=True)
class UStatistics:
    """Each modality's area, each pair's difference, and the moments behind their variances; areas in [0, 1].

    modalities: in sorted order; the Interval's n_patients is the number of its cases. df: of a modality's interval.
    variances: by pair of names, (a, a) for a's own. differences: not corrected for their number (see `holm`).
    """

    level: float
    n_readers: int
    n_cases: int
    modalities: dict[Hashable, Interval]
    df: dict[Hashable, float]
    differences: tuple[Difference, ...]
    variances: dict[tuple[Hashable, Hashable], EightMoments]


def mrmc_u(table: Any, *, level: float = 0.95) -> UStatistics:
    """The areas under the ROC curves and their differences, for readers and cases like these; readings may be missing.

    table: the columns reader, modality, case, diseased, rating of `roc_study`. A comparison psi of one reader is 1
    where the diseased case is rated above the normal one, 1/2 where both are alike, else 0; an area A is the mean of
    all comparisons that were made, so that a reader of more cases counts more. The covariance of two areas is
    sum_k c_k M_k - M_8, with M_k the mean product of two comparisons that share what `EightMoments` says of k and
    nothing else, and c_k the share of such pairs among all; var(A - B) = var(A) + var(B) - 2 cov(A, B). It is unbiased,
    never clipped, and may therefore be negative: then the interval and p are NaN. With S_f the biased component of f =
    readers, diseased, normal cases and n_f their (effective, rounded) number, df = var^2 / sum_f (S_f^2 / (n_f - 1)^3),
    at least the smallest n_f - 1 and 1; of a difference with the smaller n_f of both. t = (A - B) / sqrt(var).
    iMRMC takes the same df but rounds it down, and the normal law from 50 on, so its p differs a little.
    Raises RadloomError on what `roc_study` refuses except missing readings, and where a modality has fewer than two
    readers or cases of a class. Blind to: several cases of one patient, why readings are missing.
    Gallas BD. Acad Radiol 2006;13:353-362. Gallas BD, Brown DG. Neural Netw 2008;21:387-397. Gallas BD, Bandos A,
    Samuelson FW, Wagner RF. Commun Stat Theory Methods 2009;38:2586-2603. Obuchowski NA, Gallas BD, Hillis SL. Acad
    Radiol 2012;19:1508-1517.

    >>> rng = np.random.default_rng(0)
    >>> rows = [(r, m, c, c % 2, (1 + m) * (c % 2) + rng.normal()) for r in range(4) for m in (0, 1)
    ...         for c in range(40) if c // 20 == r // 2]
    >>> names = ("reader", "modality", "case", "diseased", "rating")
    >>> found = mrmc_u(dict(zip(names, map(list, zip(*rows)))))
    >>> found.n_readers, found.n_cases, found.differences[0].estimate < 0
    (4, 40, True)
    """
    share(level)
    modalities, readers, diseased, ratings = readings(table)
    if len(readers) < 2 or diseased.sum() < 2 or (~diseased).sum() < 2:
        raise RadloomError(f"{len(readers)} readers, {diseased.sum()} diseased and {(~diseased).sum()} normal cases",
                           expected="at least two of each")  # fmt: skip
    made = np.isfinite(ratings)
    design = made[..., diseased][..., :, None] & made[..., ~diseased][..., None, :]
    success = np.array([[psi(r[~diseased], r[diseased]) for r in of] for of in ratings]) * design
    for name, of in zip(modalities, design, strict=True):
        _check_modality(name, of)
    areas = success.sum((1, 2, 3)) / design.sum((1, 2, 3))
    variances, sizes = {}, []
    for a, b in combinations_with_replacement(range(len(modalities)), 2):
        moments, numbers = _moments(success[a], success[b], design[a], design[b])
        variances[modalities[a], modalities[b]] = moments
        if a == b:
            sizes.append(numbers)
    intervals, degrees, differences = {}, {}, []
    for a, name in enumerate(modalities):
        own = variances[name, name]
        degrees[name] = _df(own.covariance, np.array(own.components), sizes[a])
        low, high, *_ = _concluded(float(areas[a]), own.covariance, degrees[name], level)
        intervals[name] = Interval(float(areas[a]), low, high, level, int(made[a].any(axis=0).sum()))
    for a, b in combinations(range(len(modalities)), 2):
        first, second = modalities[a], modalities[b]
        parts = (variances[first, first], variances[second, second], variances[first, second])
        variance, *components = (
            x + y - 2 * z for x, y, z in zip(*((p.covariance, *p.components) for p in parts), strict=True)
        )
        df = _df(variance, np.array(components), np.minimum(sizes[a], sizes[b]))
        estimate = float(areas[a] - areas[b])
        differences.append(Difference(first, second, estimate, *_concluded(estimate, variance, df, level)))
    return UStatistics(level, len(readers), len(diseased), intervals, degrees, tuple(differences), variances)


def _moments(a: np.ndarray, b: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> tuple[EightMoments, np.ndarray]:
    """The moments of two modalities (readers, diseased, normal), and the effective numbers of their three factors."""
    products, pairs = _sums(a, b), _sums(in_a.astype(np.float64), in_b.astype(np.float64))
    apart = np.round(_APART @ pairs.ravel())  # counts: whole numbers
    moments = np.divide(_APART @ products.ravel(), apart, out=np.zeros(8), where=apart > 0)
    coefficients = apart / pairs[1, 1, 1]
    coefficients[7] -= 1
    every = pairs[1, 1, 1]  # then pairs that share the normal case, the diseased case, the reader
    shared = [(products[at], pairs[at]) for at in ((1, 1, 0), (1, 0, 1), (0, 1, 1))]
    normal, diseased, reader = (float(x / n - products[1, 1, 1] / every) if n else 0.0 for x, n in shared)
    numbers = np.array([every / n if n else math.nan for _, n in shared])
    covariance = float(coefficients @ moments)
    parts = tuple(moments.tolist()), tuple(coefficients.tolist()), (normal, diseased, reader)
    return EightMoments(covariance, *parts), numbers


def _sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(2, 2, 2): sums of products over pairs of comparisons that share the reader, the diseased and the normal case.

    Index 0 on an axis: they share that one; 1: whether they do or not.
    """
    found = np.empty((2, 2, 2))
    for at in np.ndindex(2, 2, 2):
        over = tuple(axis for axis, free in enumerate(at) if free)
        found[at] = np.sum(a.sum(axis=over) * b.sum(axis=over))
    return found


def _df(variance: float, components: np.ndarray, numbers: np.ndarray) -> float:
    """Satterthwaite's degrees of freedom; NaN where the variance is negative."""
    if variance < 0:
        return math.nan
    own = np.maximum(np.round(numbers - 1), 1)
    spread = float(np.sum(components**2 / own**3))
    return max(variance**2 / spread, float(own.min())) if spread > 0 else math.inf


def _concluded(estimate: float, variance: float, df: float, level: float) -> tuple[float, float, float, float, float]:
    """Low, high, t of the estimate against 0, df and two-sided p; NaN where the variance is not above 0."""
    from scipy.stats import t as t_distribution

    if not variance > 0:
        return math.nan, math.nan, math.nan, df, math.nan
    error, law = math.sqrt(variance), t_distribution(min(df, 1e12))
    reach, t = float(law.ppf((1 + level) / 2)) * error, estimate / error
    return estimate - reach, estimate + reach, t, df, float(2 * law.sf(abs(t)))


def _check_modality(name: Hashable, design: np.ndarray) -> None:
    """Refuses a modality without two readers, two diseased and two normal cases that were compared."""
    reader, diseased, normal = (int(design.any(axis=others).sum()) for others in ((1, 2), (0, 2), (0, 1)))
    if min(reader, diseased, normal) < 2:
        raise RadloomError(
            f"in modality {name} {reader} readers compared {diseased} diseased with {normal} normal cases",
            expected="at least two of each", do="leave that modality out",
        )  # fmt: skip
