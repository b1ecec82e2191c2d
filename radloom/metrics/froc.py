"""Free-response curves of a detector over many scans, by the rules of LUNA16; readers' figures are in `afroc`.

Marks and findings are tables: a pandas frame, or a dict of columns, with `case, x, y, z, score` for marks and
`case, x, y, z, diameter_mm` for findings, positions in mm. `afroc`, `wafroc`, `lroc`, `hr_auc` and `marks_from_table`
come from `afroc`, and are offered here too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.afroc import (
    Lroc,
    ReaderMarks,
    afroc,
    afroc1,
    afroc_kernel,
    froc_area,
    hr_auc,
    lroc,
    marks_from_table,
    some_cases,
    wafroc,
    wafroc1,
    wafroc_kernel,
)
from radloom.metrics.arrays import Number
from radloom.stats.intervals import FEWEST, Interval
from radloom.stats.numbers import share

__all__ = [
    "RATES",
    "FrocCurve",
    "Lroc",
    "MatchedMarks",
    "ReaderMarks",
    "afroc",
    "afroc1",
    "afroc_kernel",
    "cpm",
    "cpm_ci",
    "froc",
    "froc_area",
    "hr_auc",
    "lroc",
    "marks_from_table",
    "match_marks",
    "sensitivity_at",
    "some_cases",
    "wafroc",
    "wafroc1",
    "wafroc_kernel",
]

RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)  # false positives per scan at which LUNA16 reads the curve
UNSIZED_MM = 10.0  # diameter that LUNA16 gives to excluded findings without a size (-1)
_BLOCK = 2_000_000  # weights held at once in the bootstrap

Table = Any  # a pandas frame or a dict of columns; pandas is not imported for its type


@dataclass(frozen=True)
class MatchedMarks:
    """What a detector did: the best score on each finding (-inf when missed) and the scores of false marks.

    hit_scores, hit_cases (findings,); false_scores, false_cases (false marks,); cases are indices below n_cases.
    """

    hit_scores: np.ndarray
    hit_cases: np.ndarray
    false_scores: np.ndarray
    false_cases: np.ndarray
    n_cases: int


@dataclass(frozen=True)
class FrocCurve:
    """Operating points (k,): false positives per scan, sensitivity per finding, and the score at or above which."""

    false_positives: np.ndarray
    sensitivity: np.ndarray
    thresholds: np.ndarray


def match_marks(marks: Table, findings: Table, *, cases: Sequence[Any], excluded: Table | None = None) -> MatchedMarks:
    """Marks sorted into hits and false positives by the rules of LUNA16; positions in mm.

    A mark hits a finding when d^2 < r^2, strictly, r half the diameter. The best mark on a finding counts, its other
    marks count as nothing; marks on `excluded` findings (a diameter below 0 means 10 mm) are no false positives; a
    missed finding stays in the denominator. `cases` lists every scan read, also those without a mark or a finding.
    A mark that lies in two findings hits both. Raises RadloomError on a missing column, a NaN, a repeated case, or a
    row whose case is not listed.
    Blind to: how near a hit is to the centre. Setio AAA et al. Med Image Anal 2017;42:1-13.

    >>> marks = {"case": ["a", "a"], "x": [0, 50], "y": [0, 0], "z": [1, 0], "score": [0.9, 0.2]}
    >>> findings = {"case": ["a"], "x": [0], "y": [0], "z": [0], "diameter_mm": [6]}
    >>> matched = match_marks(marks, findings, cases=["a", "b"])
    >>> matched.hit_scores.tolist(), matched.false_scores.tolist(), matched.n_cases
    ([0.9], [0.2], 2)
    """
    index = {case: i for i, case in enumerate(cases)}
    if not index or len(index) != len(cases):
        raise RadloomError(f"{len(cases)} cases, {len(index)} of them different", expected="each scan once, not none")
    mark_case, points, scores = _rows(marks, "score", index, "the marks")
    finding_case, centers, diameters = _rows(findings, "diameter_mm", index, "the findings")
    if (diameters <= 0).any():
        raise RadloomError("a finding has a diameter_mm of 0 or less", expected="millimetres above 0")
    best = np.full(len(centers), -math.inf)
    spent = np.zeros(len(points), bool)
    finding, mark = _inside(centers, diameters, finding_case, points, mark_case, len(index))
    np.maximum.at(best, finding, scores[mark])
    spent[mark] = True
    if excluded is not None:
        other_case, others, sizes = _rows(excluded, "diameter_mm", index, "the excluded findings")
        _, mark = _inside(others, np.where(sizes < 0, UNSIZED_MM, sizes), other_case, points, mark_case, len(index))
        spent[mark] = True
    return MatchedMarks(best, finding_case, scores[~spent], mark_case[~spent], len(index))


def froc(matched: MatchedMarks) -> FrocCurve:
    """The free-response curve: sensitivity per finding over false positives per scan, one point per distinct score.

    From the point (0, 0) down to the lowest score; equal scores move together. The curve has no end at a sensitivity of
    1, so no area is taken and readers are not compared by it: see `wafroc`. No finding: RadloomError.
    Blind to: patients with many findings weigh more. Bunch PC et al. Proc SPIE 1977;127:124-135.

    >>> matched = MatchedMarks(np.array([0.9, -np.inf]), np.array([0, 1]), np.array([0.5]), np.array([1]), 2)
    >>> curve = froc(matched)
    >>> curve.false_positives.tolist(), curve.sensitivity.tolist()
    ([0.0, 0.0, 0.5], [0.0, 0.5, 0.5])
    """
    events = _Events.of(matched)
    false, hits = (part[0] for part in events.cumulated(np.ones((1, matched.n_cases))))
    return FrocCurve(np.append(0, false), np.append(0, hits), np.append(math.inf, events.thresholds))


def sensitivity_at(matched: MatchedMarks, rates: Sequence[Number] = RATES) -> np.ndarray:
    """The sensitivity (k,) at the given numbers of false positives per scan, unit 1, in [0, 1].

    Straight lines between the points of `froc`; flat beyond the last one; at a rate where the curve stands upright, its
    top. Blind to: what `froc` is blind to. Setio AAA et al. Med Image Anal 2017;42:1-13.

    >>> matched = MatchedMarks(np.array([0.9, 0.1]), np.array([0, 1]), np.array([0.5]), np.array([1]), 2)
    >>> sensitivity_at(matched, [0.25, 0.5, 8]).tolist()
    [0.5, 1.0, 1.0]
    """
    curve = froc(matched)
    return np.interp(_rates(rates), curve.false_positives, curve.sensitivity)


def cpm(matched: MatchedMarks, rates: Sequence[Number] = RATES) -> float:
    """The competition performance metric of LUNA16, unit 1, in [0, 1]: the mean of `sensitivity_at` 1/8, 1/4 ... 8.

    Blind to: what `froc` is blind to, and the shape between the rates. Niemeijer M et al. IEEE Trans Med Imaging
    2011;30:215-223; Setio AAA et al. Med Image Anal 2017;42:1-13.

    >>> cpm(MatchedMarks(np.array([0.9, 0.1]), np.array([0, 1]), np.array([0.5]), np.array([1]), 2), [0.25, 0.5])
    0.75
    """
    return float(sensitivity_at(matched, rates).mean())


def cpm_ci(
    matched: MatchedMarks,
    rates: Sequence[Number] = RATES,
    *,
    level: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Interval:
    """`cpm` with its percentile bootstrap interval over scans, unit 1, in [0, 1]; one scan per patient.

    Scans are drawn with replacement and bring their findings and marks; the scores are sorted once for all draws. Draws
    without a finding are left out. Fewer than 3 scans: NaN bounds.
    Blind to: several scans of one patient. Setio AAA et al. Med Image Anal 2017;42:1-13.

    >>> matched = MatchedMarks(np.array([0.9, 0.1, 0.4]), np.arange(3), np.array([0.5]), np.array([1]), 3)
    >>> interval = cpm_ci(matched, rng=np.random.default_rng(0))
    >>> interval.low <= interval.estimate <= interval.high
    True
    """
    share(level)
    at, estimate, n = _rates(rates), cpm(matched, rates), matched.n_cases
    if draws < 1:
        raise RadloomError(f"draws is {draws}", expected="1 or more")
    if n < FEWEST:
        return Interval(estimate, math.nan, math.nan, level, n)
    # Beyond the highest rate nothing is read, so the best marks serve; a draw that ends before it takes the whole list.
    events = _Events.of(matched)
    head = events.first(int(1.5 * max(at) * n) + 100)
    values = []
    for start in range(0, draws, _BLOCK // n + 1):
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(_BLOCK // n + 1, draws - start)).astype(np.float64)
        values += [_mean_at(at, head, events, row) for row in times]
    drawn = np.array([value for value in values if math.isfinite(value)])
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(drawn, tails) if len(drawn) else (math.nan, math.nan)
    return Interval(estimate, float(low), float(high), level, n)


@dataclass(frozen=True)
class _Events:
    """Hits and false marks by falling score: the scan of each, which it is, and where the last of each score stands."""

    scan: np.ndarray
    false: np.ndarray
    last: np.ndarray
    thresholds: np.ndarray
    finding_scans: np.ndarray

    @classmethod
    def of(cls, matched: MatchedMarks) -> _Events:
        if not len(matched.hit_scores):
            raise RadloomError("there is no finding", expected="at least one, since sensitivity is a share of them")
        found = np.isfinite(matched.hit_scores)
        scores = np.concatenate([matched.hit_scores[found], matched.false_scores])
        scan = np.concatenate([matched.hit_cases[found], matched.false_cases])
        false = np.arange(len(scores)) >= np.count_nonzero(found)
        order = np.argsort(-scores, kind="stable")
        last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1) if len(scores) else np.zeros(0, int)
        return cls(scan[order], false[order], last, scores[order][last], matched.hit_cases)

    def first(self, n: int) -> _Events:
        """The events up to the last score that ends within the first n."""
        kept = int(np.searchsorted(self.last, n))
        end = self.last[kept - 1] + 1 if kept else 0
        return _Events(self.scan[:end], self.false[:end], self.last[:kept], self.thresholds[:kept], self.finding_scans)

    def cumulated(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """False positives per scan and sensitivity (draws, thresholds), with each scan weighted (draws, scans)."""
        weight = times[:, self.scan]
        false = np.cumsum(weight * self.false, axis=1)[:, self.last]
        hits = np.cumsum(weight * ~self.false, axis=1)[:, self.last]
        findings = times[:, self.finding_scans].sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return false / times.sum(axis=1, keepdims=True), hits / findings


def _mean_at(rates: np.ndarray, head: _Events, events: _Events, times: np.ndarray) -> float:
    """`cpm` of one draw; NaN without a finding."""
    false, hits = (part[0] for part in head.cumulated(times[None]))
    if len(head.last) < len(events.last) and not (len(false) and false[-1] > rates.max()):
        false, hits = (part[0] for part in events.cumulated(times[None]))
    return float(np.interp(rates, np.append(0, false), np.append(0, hits)).mean())


def _inside(
    centers: np.ndarray,
    diameters: np.ndarray,
    center_case: np.ndarray,
    points: np.ndarray,
    point_case: np.ndarray,
    n_cases: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of finding and mark of the same scan with d^2 < r^2."""
    order = np.argsort(point_case, kind="stable")
    edges = np.searchsorted(point_case[order], np.arange(n_cases + 1))
    counts = np.diff(edges)[center_case]
    finding = np.repeat(np.arange(len(centers)), counts)
    offset = np.arange(len(finding)) - np.repeat(np.cumsum(counts) - counts, counts)
    mark = order[edges[:-1][center_case][finding] + offset]
    near = np.sum((centers[finding] - points[mark]) ** 2, axis=1) < (diameters[finding] / 2) ** 2
    return finding[near], mark[near]


def _rows(table: Table, last: str, index: dict[Any, int], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The case indices (n,), positions (n, 3) and the last column (n,) of a table."""
    missing = [column for column in ("case", "x", "y", "z", last) if column not in table]
    if missing:
        raise RadloomError(f"{name} lack {', '.join(missing)}", expected=f"columns case, x, y, z, {last}")
    strangers = {case for case in table["case"] if case not in index}
    if strangers:
        raise RadloomError(
            f"{name} have {len(strangers)} cases that are not listed, for instance {sorted(map(str, strangers))[0]}",
            expected="every case among `cases`",
        )
    numbers = np.array([np.asarray(table[column], np.float64) for column in ("x", "y", "z", last)])
    if not np.isfinite(numbers).all():
        raise RadloomError(f"{name} have a NaN or infinite number", expected="finite positions and values")
    return np.array([index[case] for case in table["case"]], int), numbers[:3].T, numbers[3]


def _rates(rates: Sequence[Number]) -> np.ndarray:
    at = np.asarray(rates, np.float64)
    if at.ndim != 1 or not len(at) or not (np.isfinite(at) & (at > 0)).all():
        raise RadloomError(f"rates are {rates}", expected="false positives per scan, each above 0")
    return at
