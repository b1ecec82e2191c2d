"""Figures of merit of one reader who marks and rates places: AFROC, weighted AFROC, LROC, highest rating; no test.

Marks off every lesion are non-lesion localisations (NL), marks on a lesion are lesion localisations (LL). What is not
marked has the rating minus infinity: it ranks below every mark, and ties with what else is not marked. Analysis over
several readers is in `radloom.stats`; the free-response curve of a detector is in `froc`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.stats.reader_study import psi

Count = int | np.integer
Weights = Sequence[float] | np.ndarray
Table = Any  # a pandas frame or a dict of columns; pandas is not imported for its type
UNMARKED = -math.inf


@dataclass(frozen=True)
class ReaderMarks:
    """The ratings of one reader in one modality.

    nl: (cases, k) ratings of NL marks, -inf where there is none. diseased: (cases,) whether the case has a lesion.
    ll: (diseased cases, m), in the order in which they stand in `diseased`: each lesion's rating, -inf unmarked, NaN
    where the case has no further lesion. weights: like ll, summing to 1 in each case; what is NaN in ll is not read.
    Anything like an array is taken; numpy arrays are kept.
    """

    nl: Any
    diseased: Any
    ll: Any
    weights: Any

    def __post_init__(self) -> None:
        nl, ll, weights = (np.asarray(part, np.float64) for part in (self.nl, self.ll, self.weights))
        diseased = np.asarray(self.diseased, bool)
        if nl.ndim != 2 or ll.ndim != 2 or weights.shape != ll.shape or diseased.shape != nl.shape[:1]:
            raise RadloomError(
                f"nl {nl.shape}, diseased {diseased.shape}, ll {ll.shape}, weights {weights.shape}",
                expected="(cases, k), (cases,), (diseased cases, m) and the same",
            )
        if len(ll) != np.count_nonzero(diseased) or np.isnan(ll).all(axis=1).any() or not len(ll):
            raise RadloomError(
                f"{len(ll)} rows of lesions for {np.count_nonzero(diseased)} diseased cases",
                expected="at least one diseased case, and a row with at least one lesion for each",
            )
        if np.isnan(nl).any() or np.isposinf(nl).any() or np.isposinf(ll).any():
            raise RadloomError("an NL rating is NaN or a rating infinite", expected="numbers; -inf where unmarked")
        weights = np.where(np.isnan(ll), 0.0, weights)
        if not (weights >= 0).all() or not np.allclose(weights.sum(axis=1), 1, atol=1e-6):
            raise RadloomError("lesion weights do not sum to 1 in each case", expected="weights >= 0 that sum to 1")
        for name, part in (("nl", nl), ("diseased", diseased), ("ll", ll), ("weights", weights)):
            object.__setattr__(self, name, part)


@dataclass(frozen=True)
class Lroc:
    """The LROC curve up to one false-positive fraction: probability of correct localisation there, and the area."""

    pcl: float
    area: float


def marks_from_table(
    table: Table, *, normal: Sequence[Hashable], lesions: Mapping[Hashable, Count | Weights]
) -> ReaderMarks:
    """The marks of one reader in one modality from a table with the columns case, kind, lesion, rating.

    kind is NL (a mark off every lesion; IL of LROC studies is the same) or LL (on lesion 0, 1, ...). Only marks are
    listed, so `normal` names every case without disease and `lesions` every diseased one, with its number of lesions
    (equal weights) or their weights. Two marks on one lesion: the higher rating counts.
    Raises RadloomError on missing columns, unknown cases, kinds or lesions, a case that is both, and NaN ratings.

    >>> table = {"case": [0, 1], "kind": ["NL", "LL"], "lesion": [None, 0], "rating": [2.0, 4.0]}
    >>> wafroc(marks_from_table(table, normal=[0], lesions={1: 2}))
    0.5
    """
    missing = [column for column in ("case", "kind", "lesion", "rating") if column not in table]
    if missing:
        raise RadloomError(f"the marks lack {', '.join(missing)}", expected="columns case, kind, lesion, rating")
    cases = [*normal, *lesions]
    at = {case: i for i, case in enumerate(cases)}
    if len(at) != len(cases):
        raise RadloomError("a case is listed twice", expected="each case once, normal or with lesions")
    weights = [
        np.full(w, 1 / max(w, 1)) if isinstance(w, int | np.integer) else np.asarray(w) for w in lesions.values()
    ]
    ll = np.full((len(weights), max(map(len, weights), default=0)), math.nan)
    for row, of in zip(ll, weights, strict=True):
        row[: len(of)] = UNMARKED
    shares = np.zeros(ll.shape)
    for row, of in zip(shares, weights, strict=True):
        row[: len(of)] = of
    nl: list[list[float]] = [[] for _ in cases]
    columns = (list(table[name]) for name in ("case", "kind", "lesion", "rating"))
    for case, kind, lesion, rating in zip(*columns, strict=True):
        if case not in at or not np.isfinite(rating) or kind not in ("NL", "IL", "LL"):
            raise RadloomError(
                f"mark {kind} of case {case} with rating {rating}",
                expected="kind NL, IL or LL, a listed case and a finite rating",
            )
        if kind != "LL":
            nl[at[case]].append(float(rating))
            continue
        row, column = at[case] - len(normal), _lesion(lesion)
        if row < 0 or not 0 <= column < len(weights[row]):
            raise RadloomError(f"a mark on lesion {lesion} of case {case}", expected="a lesion that the case has")
        ll[row, column] = max(ll[row, column], rating)
    widest = max(1, *map(len, nl))
    padded = np.array([marks + [UNMARKED] * (widest - len(marks)) for marks in nl])
    return ReaderMarks(padded, np.arange(len(cases)) >= len(normal), ll, shares)


def afroc(reader: ReaderMarks) -> float:
    """The area under the AFROC curve, unit 1, in [0, 1]: lesions against the highest mark of each normal case.

    mean over normal cases i and lesions l of psi(X_i, Y_l), psi = 1 when Y > X, 1/2 when equal, else 0; X_i is the
    highest NL rating of the case. It equals the trapezoids of lesion localisation fraction over false-positive
    fraction with the straight line to (1, 1). No normal case: RadloomError (see `afroc1`).
    Blind to: false marks on diseased cases; cases with many lesions weigh more. Chakraborty DP, Winter LH. Radiology
    1990;174:873-881.

    >>> reader = ReaderMarks([[0.5], [-np.inf]], [False, True], [[0.9, -np.inf]], [[0.5, 0.5]])
    >>> afroc(reader)
    0.5
    """
    lesions = ~np.isnan(reader.ll)
    return _weighted_auc(_normal_ratings(reader), reader.ll[lesions], np.ones(np.count_nonzero(lesions)))


def wafroc(reader: ReaderMarks) -> float:
    """The area under the weighted AFROC curve, unit 1, in [0, 1]: `afroc` with every diseased case of equal weight.

    mean over normal cases i and diseased cases k of sum over lesions W_kl psi(X_i, Y_kl), the weights of a case summing
    to 1. The figure of merit to prefer when there are normal cases. No normal case: RadloomError.
    Blind to: false marks on diseased cases. Chakraborty DP, Berbaum KS. Med Phys 2004;31:2313-2330;
    Chakraborty DP, Zhai X. Med Phys 2016;43:2548-2557.

    >>> reader = ReaderMarks([[0.5], [-np.inf]], [False, True], [[0.9, -np.inf]], [[0.8, 0.2]])
    >>> wafroc(reader)
    0.8
    """
    lesions = ~np.isnan(reader.ll)
    return _weighted_auc(_normal_ratings(reader), reader.ll[lesions], reader.weights[lesions])


def afroc1(reader: ReaderMarks) -> float:
    """The area under the AFROC1 curve, unit 1, in [0, 1]: `afroc` with the highest NL rating of every case.

    X_i runs over diseased cases too, which then are both hit and false alarm: only for studies without normal cases.
    Blind to: cases with few lesions, as `afroc`. Chakraborty DP. Med Phys 1989;16:561-568.

    >>> afroc1(ReaderMarks([[0.5]], [True], [[0.9, -np.inf]], [[0.5, 0.5]]))
    0.5
    """
    lesions = ~np.isnan(reader.ll)
    return _weighted_auc(reader.nl.max(axis=1), reader.ll[lesions], np.ones(np.count_nonzero(lesions)))


def wafroc1(reader: ReaderMarks) -> float:
    """The area under the weighted AFROC1 curve, unit 1, in [0, 1]: `wafroc` with the highest NL rating of every case.

    Only for studies without normal cases, as `afroc1`. Blind to: which case a false mark stands on.
    Chakraborty DP. Observer performance methods for diagnostic imaging. CRC Press 2017.

    >>> wafroc1(ReaderMarks([[0.5]], [True], [[0.9, -np.inf]], [[0.8, 0.2]]))
    0.8
    """
    lesions = ~np.isnan(reader.ll)
    return _weighted_auc(reader.nl.max(axis=1), reader.ll[lesions], reader.weights[lesions])


def hr_auc(reader: ReaderMarks) -> float:
    """The area under the ROC curve of each case's highest rating, unit 1, in [0, 1]; 0.5 is chance.

    A diseased case has the highest of its NL and LL ratings, a normal case of its NL ratings, -inf when unmarked.
    Blind to: where the marks are, so a false mark on a diseased case counts as its detection. Bunch PC et al. Proc
    SPIE 1977;127:124-135.

    >>> hr_auc(ReaderMarks([[0.5], [0.7]], [False, True], [[-np.inf]], [[1]]))
    1.0
    """
    highest = np.maximum(reader.nl[reader.diseased].max(axis=1), np.nanmax(reader.ll, axis=1))
    return _weighted_auc(_normal_ratings(reader), highest, np.ones(len(highest)))


def froc_area(reader: ReaderMarks) -> float:
    """The area under the free-response curve up to the reader's last mark, unit 1 per case; only to describe it.

    sum over NL marks and lesions of psi / (cases * lesions). Never compare readers by it: it grows with false marks and
    is 0 for a perfect reader. Blind to: that.
    Chakraborty DP. Observer performance methods for diagnostic imaging. CRC Press 2017.

    >>> froc_area(ReaderMarks([[0.5], [-np.inf]], [False, True], [[0.9, -np.inf]], [[0.5, 0.5]]))
    0.25
    """
    marks, lesions = reader.nl[np.isfinite(reader.nl)], reader.ll[~np.isnan(reader.ll)]
    if not len(marks):
        return 0.0
    return _weighted_auc(marks, lesions, np.ones(len(lesions))) * len(marks) / len(reader.nl)


def lroc(reader: ReaderMarks, *, fpf: Number = 0.2) -> Lroc:
    """The LROC curve at one false-positive fraction: correct localisation there, and the area from 0 to it, unit 1.

    One mark per case: x is the share of normal cases rated >= t, y the share of diseased cases whose lesion is rated
    >= t; a case localised wrongly is rated -inf in ll. Straight lines between the points, flat beyond the last; where
    the curve stands upright at `fpf`, the lowest point. A perfect reader's area is `fpf`.
    Blind to: more than one lesion in a case (RadloomError). Swensson RG. Med Phys 1996;23:1709-1725.

    >>> reader = ReaderMarks([[1], [2], [3], [-np.inf]], [False, False, False, True], [[2.5]], [[1]])
    >>> lroc(reader, fpf=1.0)
    Lroc(pcl=1.0, area=0.6666666666666667)
    """
    if not 0 < fpf <= 1:
        raise RadloomError(f"fpf is {fpf}", expected="a fraction in (0, 1]")
    if (~np.isnan(reader.ll)).sum(axis=1).max() > 1:
        raise RadloomError("a case has several lesions", expected="one, as LROC studies have", do="use wafroc")
    normal, located = _normal_ratings(reader), np.nanmax(reader.ll, axis=1)
    thresholds = np.unique(np.concatenate([normal, located]))[::-1]
    thresholds = thresholds[np.isfinite(thresholds)]
    x = np.append(0, [np.mean(normal >= t) for t in thresholds])
    y = np.append(0, [np.mean(located >= t) for t in thresholds])
    at = int(np.searchsorted(x, fpf))  # the first point at or beyond
    if at == len(x):
        x, y = np.append(x, fpf), np.append(y, y[-1])
    step = x[at] - x[at - 1]
    pcl = y[at - 1] + (fpf - x[at - 1]) / step * (y[at] - y[at - 1])
    area = np.trapezoid(np.append(y[:at], pcl), np.append(x[:at], fpf))
    return Lroc(float(pcl), float(area))


def wafroc_kernel(reader: ReaderMarks) -> np.ndarray:
    """What `wafroc` is the mean of: (diseased, normal) of sum over lesions W_kl psi(X_i, Y_kl), each in [0, 1].

    For `radloom.stats.pair_study`, with the kernel of every reader in every modality; blind to whether the cases stand
    in the same order for all of them. No normal case: RadloomError.

    >>> wafroc_kernel(ReaderMarks([[0.5], [-np.inf]], [False, True], [[0.9, -np.inf]], [[0.8, 0.2]])).tolist()
    [[0.8]]
    """
    return _kernel(reader, reader.weights)


def afroc_kernel(reader: ReaderMarks) -> tuple[np.ndarray, np.ndarray]:
    """What `afroc` is the weighted mean of: (diseased, normal) of mean over lesions psi(X_i, Y_kl), and (diseased,).

    The second, each case's number of lesions, is the `weights` of `radloom.stats.pair_study`.

    >>> afroc_kernel(ReaderMarks([[0.5], [-np.inf]], [False, True], [[0.9, -np.inf]], [[0.8, 0.2]]))
    (array([[0.5]]), array([2]))
    """
    lesions = ~np.isnan(reader.ll)
    count = lesions.sum(axis=1)
    return _kernel(reader, lesions / count[:, None]), count


def some_cases(reader: ReaderMarks, cases: Sequence[int] | np.ndarray) -> ReaderMarks:
    """The marks on the cases with these indices, repeated where an index is: for `radloom.stats.figure_study`.

    >>> reader = ReaderMarks([[0.5], [0.7], [0.1]], [False, True, True], [[0.9], [0.2]], [[1], [1]])
    >>> some_cases(reader, [0, 2]).ll.tolist()
    [[0.2]]
    """
    chosen = np.asarray(cases, np.intp)
    diseased = reader.diseased[chosen]
    rows = (np.cumsum(reader.diseased) - 1)[chosen][diseased]
    return ReaderMarks(reader.nl[chosen], diseased, reader.ll[rows], reader.weights[rows])


def _kernel(reader: ReaderMarks, weights: np.ndarray) -> np.ndarray:
    """(diseased, normal): each diseased case's weighted sum of psi over its lesions; what is no lesion weighs 0."""
    normal, (cases, lesions) = _normal_ratings(reader), reader.ll.shape
    pairs = psi(normal, reader.ll.ravel()).reshape(cases, lesions, len(normal))
    return np.einsum("kl,kln->kn", weights, pairs)


def _normal_ratings(reader: ReaderMarks) -> np.ndarray:
    """The highest NL rating of each normal case."""
    ratings = reader.nl[~reader.diseased].max(axis=1, initial=UNMARKED)
    if not len(ratings):
        raise RadloomError("there is no normal case", expected="at least one", do="use afroc1 or wafroc1, and say so")
    return ratings


def _weighted_auc(below: np.ndarray, above: np.ndarray, weights: np.ndarray) -> float:
    """The weighted share of pairs with above > below, ties half; by one sort, minus infinity ties with itself."""
    ordered = np.sort(below)
    won = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    return float(np.sum(weights * won) / (2 * len(below) * weights.sum()))


def _lesion(number: Any) -> int:
    """The lesion's number, -1 when there is none."""
    try:
        return int(number)
    except (TypeError, ValueError):
        return -1
