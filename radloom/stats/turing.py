"""Can readers tell synthetic images from real ones: accuracy against chance, sensitivity d', and equivalence to chance.

"p > 0.05" is not "indistinguishable": a small test of a bad generator has it too. Only the equivalence test with a
margin fixed beforehand can show that readers hardly do better than chance.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.equivalence import Equivalence, Number, two_one_sided
from radloom.stats.intervals import Interval, wilson
from radloom.stats.numbers import Numbers, finite, share


@dataclass(frozen=True)
class ReaderTuring:
    """One reader: right answers with Wilson's interval, the exact p against chance, d' and criterion.

    d_prime: 0 is no discrimination; criterion above 0 leans towards "real".
    """

    reader: Hashable
    accuracy: Interval
    p: float
    d_prime: float
    criterion: float


@dataclass(frozen=True)
class Turing:
    """All readers: mean accuracy with an interval over readers and cases, and whether it equals chance within a margin.

    chance: what always giving the commoner answer reaches.
    """

    readers: tuple[ReaderTuring, ...]
    accuracy: Interval
    chance: float
    equivalence: Equivalence

    @property
    def verdict(self) -> str:
        """What may be said, in one sentence; a p above 0.05 alone never says "indistinguishable"."""
        got = f"accuracy {self.accuracy.estimate:.3f} ({self.accuracy.low:.3f} to {self.accuracy.high:.3f})"
        if self.accuracy.low > self.chance:
            return f"{got}: readers tell synthetic from real better than chance ({self.chance:.3f})"
        return f"{got} against chance {self.chance:.3f}: {self.equivalence.verdict}"


@dataclass(frozen=True)
class TwoAfc:
    """Two-alternative forced choice: proportion correct, d' = sqrt(2) z(proportion), p and equivalence to 1/2."""

    correct: Interval
    p: float
    d_prime: float
    d_prime_low: float
    d_prime_high: float
    equivalence: Equivalence


def turing_test(
    table: Any, *, margin: Number = 0.1, level: float = 0.95, draws: int = 2000, rng: np.random.Generator
) -> Turing:
    """The visual Turing test of a table with the columns reader, case, synthetic, says_synthetic (0 or 1).

    Each reader: accuracy with Wilson's interval, exact binomial p against chance (the share of the commoner class),
    d' = z(hits) - z(false alarms) and criterion -(z(hits) + z(false alarms)) / 2 with 1/2 added to each count and 1 to
    each total (log-linear, Hautus 1995), "hit" being a synthetic image called synthetic. All readers: mean accuracy,
    percentile bootstrap that draws readers and cases with replacement; its standard error serves the equivalence test
    |accuracy - chance| < margin. With one reader only cases are drawn. The bootstrap counts the chance of single
    answers up to three times (Owen 2007), so intervals are too wide where readers and cases hardly differ; simulated
    studies of 3 to 10 readers whose accuracies spread by 0.1 were covered in 92 to 96 %.
    Raises RadloomError when a reader sees a case twice, a case is both, or one class is absent.
    Blind to: what gave the image away, and readers unlike these. Hautus MJ. Behav Res Methods 1995;27:46-51. Owen AB.
    Ann Appl Stat 2007;1:386-411.

    >>> table = {"reader": [1] * 4, "case": [1, 2, 3, 4], "synthetic": [0, 0, 1, 1], "says_synthetic": [0, 1, 0, 1]}
    >>> result = turing_test(table, rng=np.random.default_rng(0))
    >>> result.accuracy.estimate, result.readers[0].d_prime, result.equivalence.equivalent
    (0.5, 0.0, False)
    """
    share(level)
    readers, cases, right, synthetic, said = _answers(table)
    names, reader = np.unique(readers, return_inverse=True)
    _, case = np.unique(cases, return_inverse=True)
    of_case = np.zeros(case.max() + 1)
    of_case[case] = synthetic
    chance = float(max(of_case.mean(), 1 - of_case.mean()))
    each = tuple(_one(name, right[reader == i], synthetic[reader == i], said[reader == i], level)
                 for i, name in enumerate(names.tolist()))  # fmt: skip
    answered, correct = np.zeros((2, len(names), len(of_case)))
    answered[reader, case], correct[reader, case] = 1, right
    drawn = _mean_accuracies(answered, correct, draws, rng)
    drawn = drawn[np.isfinite(drawn)]
    estimate = float(np.mean([one.accuracy.estimate for one in each]))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    accuracy = Interval(estimate, float(low), float(high), level, len(of_case))
    error = float(drawn.std(ddof=1))
    same = two_one_sided(estimate - chance, error, math.inf, margin=margin, alpha=(1 - level), n=len(of_case))
    return Turing(each, accuracy, chance, same)


def two_afc(correct: Numbers, *, margin: Number = 0.1, level: float = 0.95) -> TwoAfc:
    """Which of two images is synthetic: d' = sqrt(2) z(proportion correct), one reader; correct (n,) of 0 and 1.

    Exact binomial p against 1/2; Wilson's interval, carried over to d'; equivalence |proportion - 1/2| < margin by two
    one-sided normal tests with the standard error at the observed proportion (continuity correction 1/2n). With 0 or n
    right d' is infinite. Blind to: which side is preferred (randomise it). Green DM, Swets JA. Signal detection theory
    and psychophysics. Wiley 1966.

    >>> result = two_afc([1, 1, 1, 0] * 5)
    >>> result.correct.estimate, round(result.d_prime, 4), round(result.p, 4)
    (0.75, 0.9539, 0.0414)
    """
    from scipy.special import ndtri
    from scipy.stats import binomtest

    share(level)
    answers = finite(correct, "correct")
    if not np.isin(answers, (0, 1)).all():
        raise RadloomError("correct holds other values than 0 and 1", expected="1 where the synthetic one was named")
    n, x = len(answers), int(answers.sum())
    interval = wilson(x, n, level=level)
    d, d_low, d_high = (math.sqrt(2) * float(ndtri(p)) for p in (interval.estimate, interval.low, interval.high))
    off = abs(x / n - 0.5) + 1 / (2 * n)  # continuity: half an answer further from chance
    error = math.sqrt(max(x / n * (1 - x / n), 1 / (4 * n)) / n)
    same = two_one_sided(math.copysign(off, x / n - 0.5), error, math.inf, margin=margin, alpha=1 - level, n=n)
    return TwoAfc(interval, float(binomtest(x, n, 0.5).pvalue), d, d_low, d_high, same)


def _one(name: Hashable, right: np.ndarray, synthetic: np.ndarray, said: np.ndarray, level: float) -> ReaderTuring:
    from scipy.special import ndtri
    from scipy.stats import binomtest

    n, k = len(right), int(right.sum())
    prevalence = synthetic.mean()
    if prevalence in (0, 1):
        raise RadloomError(f"reader {name} saw images of one kind only", expected="real and synthetic ones")
    hits = (np.sum(said[synthetic == 1]) + 0.5) / (np.sum(synthetic == 1) + 1)
    alarms = (np.sum(said[synthetic == 0]) + 0.5) / (np.sum(synthetic == 0) + 1)
    z_hit, z_alarm = float(ndtri(hits)), float(ndtri(alarms))
    p = float(binomtest(k, n, float(max(prevalence, 1 - prevalence))).pvalue)
    return ReaderTuring(name, wilson(k, n, level=level), p, z_hit - z_alarm, -(z_hit + z_alarm) / 2)


def _mean_accuracies(answered: np.ndarray, correct: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The mean accuracies (draws,) of readers drawn anew on cases drawn anew; NaN where a reader has no case."""
    readers, cases = answered.shape
    times = rng.multinomial(cases, np.full(cases, 1 / cases), size=draws)
    with np.errstate(invalid="ignore"):
        accuracies = (times @ correct.T) / (times @ answered.T)
    return np.take_along_axis(accuracies, rng.integers(readers, size=(draws, readers)), axis=1).mean(axis=1)


def _answers(table: Any) -> tuple[np.ndarray, ...]:
    names = ("reader", "case", "synthetic", "says_synthetic")
    missing = [name for name in names if name not in table]
    if missing:
        raise RadloomError(f"the answers lack {', '.join(missing)}", expected=f"columns {', '.join(names)}")
    readers, cases = (np.asarray(table[name]) for name in names[:2])
    synthetic, said = (finite(np.asarray(table[name]), name) for name in names[2:])
    if not np.isin([synthetic, said], (0, 1)).all():
        raise RadloomError("synthetic or says_synthetic holds other values than 0 and 1", expected="0 or 1")
    if len(set(zip(readers.tolist(), cases.tolist(), strict=True))) < len(readers):
        raise RadloomError("a reader has two answers on one case", expected="one answer each")
    if len(set(zip(cases.tolist(), synthetic.tolist(), strict=True))) > len(set(cases.tolist())):
        raise RadloomError("a case is real in one row and synthetic in another", expected="the truth, once per case")
    return readers, cases, (synthetic == said).astype(float), synthetic, said
