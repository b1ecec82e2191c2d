"""Scores on a scale of steps (Likert) summed up as what they are, ordered steps: no mean, no standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.ratings import plain
from radloom.stats.effect_size import cliffs_delta
from radloom.stats.intervals import Interval, wilson
from radloom.stats.numbers import Numbers, finite, same_length
from radloom.stats.tests import Paired, Unpaired, mann_whitney, wilcoxon


@dataclass(frozen=True)
class Scores:
    """How n scores from 1 to points lie: quartiles, count of each score from 1 upwards, share of the top scores."""

    n: int
    median: float
    quartiles: tuple[float, float]
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    top_box: Interval


@dataclass(frozen=True)
class ScorePairs:
    """Two scores of the same n patients: how often a is higher, equal, lower; wins counts ties as half, unit 1."""

    n: int
    higher: int
    equal: int
    lower: int
    wins: float
    test: Paired


@dataclass(frozen=True)
class ScoreGroups:
    """Two groups' scores: Cliff's delta of a against b with its interval, unit 1, and the Mann-Whitney test."""

    delta: Interval
    test: Unpaired


def likert_summary(scores: Numbers, *, points: int, top: int = 2, level: float = 0.95) -> Scores:
    """Median, quartiles, distribution and top-box share of scores on a scale of 1, 2, ..., points.

    scores (n,): one whole number per patient. Quartiles by linear interpolation (R's default). top_box: share of
    scores among the `top` highest steps (4 and 5 of 5 by default), with Wilson's interval.
    Blind to: who gave the scores (one reader's 3 is another's 4) and to several scores of one patient, which make the
    interval too narrow. Likert R. Arch Psychol 1932;22:5-55.

    >>> found = likert_summary([5, 4, 4, 3, 2, 5], points=5)
    >>> found.median, found.counts, round(found.top_box.estimate, 3)
    (4.0, (0, 1, 1, 2, 2), 0.667)
    """
    values = _steps(scores, points, "the scores")
    if not 1 <= top < points:
        raise RadloomError(f"top is {top} of {points} steps", expected=f"1 to {points - 1} of the highest steps")
    counts = np.bincount(values.astype(np.intp), minlength=points + 1)[1:]
    low, median, high = np.percentile(values, (25, 50, 75))
    box = wilson(int(counts[-top:].sum()), len(values), level=level)
    shares = tuple((counts / len(values)).tolist())
    return Scores(len(values), float(median), (float(low), float(high)), tuple(counts.tolist()), shares, box)


def likert_pairs(a: Numbers, b: Numbers, *, points: int, level: float = 0.95) -> ScorePairs:
    """How a's scores compare with b's of the same patients, with Wilcoxon's signed-rank test (ties corrected).

    a, b (n,): one whole number from 1 to points per patient. wins = (a higher + equal/2)/n, unit 1; 1/2 is no
    preference. The test drops equal pairs: with many of them look at `equal` first.
    Blind to: the size of a step, which need not be the same along the scale; p > 0.05 is no evidence of equality.
    Wilcoxon F. Biometrics Bull 1945;1:80-83.

    >>> found = likert_pairs([5, 4, 4, 3], [4, 4, 3, 4], points=5)
    >>> found.higher, found.equal, found.lower, found.wins
    (2, 1, 1, 0.625)
    """
    first, second = _steps(a, points, "a"), _steps(b, points, "b")
    same_length(first, second)
    higher, lower, n = int(np.sum(first > second)), int(np.sum(first < second)), len(first)
    equal = n - higher - lower
    return ScorePairs(n, higher, equal, lower, (higher + equal / 2) / n, wilcoxon(first, second, level=level))


def likert_groups(a: Numbers, b: Numbers, *, points: int, level: float = 0.95) -> ScoreGroups:
    """How the scores of two groups of different patients compare: Cliff's delta and the Mann-Whitney test.

    a (n_a,), b (n_b,): one whole number from 1 to points per patient. delta = P(a > b) - P(a < b), in [-1, 1].
    Blind to: the size of a step; several scores of one patient; scores of the same patients (use `likert_pairs`).
    Cliff N. Psychol Bull 1993;114:494-509.

    >>> found = likert_groups([5, 4, 4, 3], [3, 2, 4, 3], points=5)
    >>> found.delta.estimate, found.test.superiority
    (0.625, 0.8125)
    """
    first, second = _steps(a, points, "a"), _steps(b, points, "b")
    return ScoreGroups(cliffs_delta(first, second, level=level), mann_whitney(first, second, level=level))


def _steps(scores: Numbers, points: int, name: str) -> np.ndarray:
    values = finite(plain(scores), name)
    if points < 2:
        raise RadloomError(f"the scale has {points} points", expected="at least 2")
    if not np.isin(values, np.arange(1, points + 1)).all():
        raise RadloomError(f"{name} hold other values than 1 to {points}", expected="whole steps of the scale")
    return values
