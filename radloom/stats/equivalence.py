"""Whether two arms are alike enough, or one is not worse by much: tests against a margin fixed beforehand.

Tests of difference are in `tests`; a p above 0.05 of theirs says nothing of the kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.numbers import Numbers, finite, same_length, share

Number = int | float


@dataclass(frozen=True)
class Equivalence:
    """The verdict on -margin < difference < margin, in the values' unit.

    p: the larger of the two one-sided p. low, high: the interval of level 1 - 2 alpha, which lies within the margin
    exactly when p < alpha. verdict: one sentence.
    """

    n: int
    difference: float
    low: float
    high: float
    margin_low: float
    margin_high: float
    p_low: float
    p_high: float
    p: float
    alpha: float
    equivalent: bool

    @property
    def verdict(self) -> str:
        """What may be said, in one sentence."""
        margin = f"{self.margin_low:g} to {self.margin_high:g}"
        if self.equivalent:
            return f"equivalent within {margin} (p = {self.p:.3g})"
        return f"not shown to be equivalent within {margin} (p = {self.p:.3g}); that is no proof of a difference either"


@dataclass(frozen=True)
class NonInferiority:
    """The verdict on "a is not worse than b by the margin or more", in the values' unit; difference is a - b.

    bound: the one-sided confidence limit of the difference at level 1 - alpha, on the side of "worse"; it lies within
    the margin exactly when p < alpha. limit: where the margin is, -margin when higher is better.
    """

    n: int
    difference: float
    bound: float
    limit: float
    p: float
    alpha: float
    non_inferior: bool

    @property
    def verdict(self) -> str:
        """What may be said, in one sentence."""
        told = f"non-inferior within a margin of {abs(self.limit):g}"
        if self.non_inferior:
            return f"{told} (p = {self.p:.3g})"
        return f"not shown to be {told} (p = {self.p:.3g}); that is no proof of inferiority either"


def tost(
    a: Numbers,
    b: Numbers,
    *,
    margin: Number | tuple[Number, Number],
    design: Literal["paired", "independent"] = "paired",
    alpha: float = 0.05,
) -> Equivalence:
    """Two one-sided t-tests that the mean of a differs from that of b by less than a margin, in the values' unit.

    a, b: one number per patient; paired (n,) both, or independent (n_a,), (n_b,) with Welch's degrees of freedom.
    margin: the largest difference that would not matter clinically, or (low, high); to be fixed before looking.
    t_low = (d - low) / se, t_high = (d - high) / se; p is the larger of P(T > t_low) and P(T < t_high). Without any
    spread the answer is certain: p is 0 or 1. Raises RadloomError below two values or with margins that do not hold 0.
    Blind to: skewed differences in small samples, several numbers of one patient.
    Schuirmann DJ. J Pharmacokinet Biopharm 1987;15:657-680.

    >>> result = tost([1.0, 2.0, 3.0, 4.0, 5.0], [1.1, 1.9, 3.1, 3.9, 5.0], margin=0.3)
    >>> result.equivalent, round(result.p, 4)
    (True, 0.0013)
    """
    difference, error, df, n = _contrast(a, b, design)
    return two_one_sided(difference, error, df, margin=margin, alpha=alpha, n=n)


def non_inferiority(
    a: Numbers,
    b: Numbers,
    *,
    margin: Number,
    better: Literal["higher", "lower"] = "higher",
    design: Literal["paired", "independent"] = "paired",
    alpha: float = 0.025,
) -> NonInferiority:
    """One one-sided t-test that the mean of a is not worse than that of b by `margin` or more, in the values' unit.

    a, b and design as for `tost`; better: whether high or low values are good. With higher better, t = (d + margin) /
    se and p = P(T > t); with lower better, t = (d - margin) / se and p = P(T < t). alpha 0.025 makes the bound that of
    a two-sided 95 % interval, as guidelines ask. Raises RadloomError below two values and for a margin of 0 or less.
    Blind to: whether b is any good; a margin chosen after looking; what `tost` is blind to.
    Piaggio G et al. JAMA 2012;308:2594-2604.

    >>> result = non_inferiority([0.80, 0.84, 0.79, 0.88], [0.82, 0.83, 0.81, 0.88], margin=0.05)
    >>> result.non_inferior, round(result.difference, 4)
    (True, -0.0075)
    """
    from scipy.stats import t as t_distribution

    if not (math.isfinite(margin) and margin > 0) or better not in ("higher", "lower"):
        raise RadloomError(f"margin is {margin}, better={better!r}",
                           expected="a finite margin above 0, and higher or lower")  # fmt: skip
    share(alpha)
    difference, error, df, n = _contrast(a, b, design)
    sign = 1 if better == "higher" else -1
    room, df = sign * difference + margin, min(df, 1e12)  # how far the difference is from the margin, worse side
    p = float(t_distribution.sf(room / error, df)) if error > 0 else float(room <= 0)
    bound = difference - sign * float(t_distribution.ppf(1 - alpha, df)) * error
    return NonInferiority(n, difference, bound, float(-sign * margin), p, alpha, p < alpha)


def two_one_sided(
    difference: float, error: float, df: float, *, margin: Number | tuple[Number, Number], alpha: float = 0.05, n: int
) -> Equivalence:
    """The two one-sided tests of an estimate with its standard error and degrees of freedom (inf: normal).

    For a difference that another analysis gave, such as `mrmc_or`: se = estimate / t.

    >>> two_one_sided(0.01, 0.02, float("inf"), margin=0.05, n=100).equivalent
    True
    """
    from scipy.stats import t as t_distribution

    low, high = map(float, (-margin, margin) if isinstance(margin, int | float) else margin)
    if not (math.isfinite(low) and math.isfinite(high) and low < 0 < high):
        raise RadloomError(
            f"margin is {margin}", expected="a finite number above 0, or a lower one below 0 and an upper"
        )
    share(1 - 2 * alpha)
    df = min(df, 1e12)
    if error > 0:
        p_low = float(t_distribution.sf((difference - low) / error, df))
        p_high = float(t_distribution.cdf((difference - high) / error, df))
    else:
        p_low, p_high = float(difference <= low), float(difference >= high)
    reach = float(t_distribution.ppf(1 - alpha, df)) * error
    p = max(p_low, p_high)
    return Equivalence(n, difference, difference - reach, difference + reach, low, high, p_low, p_high, p, alpha,
                       p < alpha)  # fmt: skip


def _contrast(a: Numbers, b: Numbers, design: str) -> tuple[float, float, float, int]:
    """The difference of the means, its standard error, its degrees of freedom and the smaller number of patients."""
    first, second = finite(a, "a"), finite(b, "b")
    n = min(len(first), len(second))
    if n < 2:
        raise RadloomError("fewer than two values in an arm", expected="at least two patients")
    if design == "paired":
        same_length(first, second)
        differences = first - second
        return float(differences.mean()), _error(differences), float(n - 1), n
    if design != "independent":
        raise RadloomError(f"design={design!r}", expected="paired or independent")
    parts = [_error(x) ** 2 for x in (first, second)]
    below = sum(part**2 / (len(x) - 1) for part, x in zip(parts, (first, second), strict=True))
    df = sum(parts) ** 2 / below if below > 0 else math.inf
    return float(first.mean() - second.mean()), math.sqrt(sum(parts)), df, n


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))
