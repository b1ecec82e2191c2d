"""Agreement of two measurements of the same quantity: Lin's concordance and Bland and Altman's limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.ratings import plain
from radloom.stats.numbers import Numbers, finite, same_length, share

FEWEST = 3  # patients; fewer say nothing about how patients differ


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance with its interval, unit 1: estimate = pearson * accuracy.

    accuracy: Lin's C_b in (0, 1], loss by offset and scale. location_shift u = (mean a - mean b)/sqrt(s_a s_b);
    scale_shift v = s_a/s_b. NaN: not to be had.
    """

    estimate: float
    low: float
    high: float
    level: float
    pearson: float
    accuracy: float
    location_shift: float
    scale_shift: float
    n: int


@dataclass(frozen=True)
class Limits:
    """Bland and Altman's bias and limits of agreement, each with its interval (low, high), in the values' unit.

    sd: of the differences. slope: change of the difference per unit of the mean of both; far from 0 the limits
    do not hold over the whole range.
    """

    bias: float
    bias_interval: tuple[float, float]
    lower: float
    lower_interval: tuple[float, float]
    upper: float
    upper_interval: tuple[float, float]
    sd: float
    slope: float
    level: float
    n: int


def ccc(a: Numbers, b: Numbers, *, level: float = 0.95) -> Concordance:
    """Lin's concordance correlation coefficient of two measurements, unit 1, in [-1, 1]; 1 is identity.

    a, b (n,): one number per patient. CCC = 2 s_ab / (s_a^2 + s_b^2 + (mean a - mean b)^2) with moments over n (as
    Lin and R's epiR; over n - 1 the value would be another). Interval: Fisher's z of CCC with Lin's variance
    1/(n-2) ((1-r^2) c^2 / ((1-c^2) r^2) + 2 c^3 (1-c) u^2 / (r (1-c^2)^2) - c^4 u^4 / (2 r^2 (1-c^2)^2)), c = CCC,
    r Pearson's, u the location shift; below 3 patients and for c = 0 or +-1 the bounds are NaN, or +-1 where c is.
    Both constant and equal: NaN. Several measurements of a patient: use `bootstrap_agreement`.
    Blind to: the range of the patients, which raises it at equal error, so it does not compare between cohorts.
    Lin LI. Biometrics 1989;45:255-268, with the correction in 2000;56:324-325.

    >>> found = ccc([1, 2, 3, 4], [2, 3, 4, 5])
    >>> round(found.estimate, 4), found.pearson, found.scale_shift
    (0.7143, 1.0, 1.0)
    """
    x, y = _pair(a, b)
    share(level)
    n, shift = len(x), float(x.mean() - y.mean())
    dx, dy = x - x.mean(), y - y.mean()
    s_x, s_y, s_xy = (float(np.mean(product)) for product in (dx * dx, dy * dy, dx * dy))
    s_x, s_y = (0.0 if np.ptp(part) == 0 else s for part, s in ((x, s_x), (y, s_y)))
    whole = s_x + s_y + shift**2
    if whole == 0:
        return _undefined(math.nan, level, n)
    if s_x == 0 or s_y == 0:
        return _undefined(0.0, level, n)
    c = 2 * s_xy / whole
    r = max(-1.0, min(1.0, s_xy / math.sqrt(s_x * s_y)))
    u = shift / (s_x * s_y) ** 0.25
    accuracy = 2 * math.sqrt(s_x * s_y) / whole
    low, high = _lin_bounds(c, r, u, n, level)
    return Concordance(c, low, high, level, r, accuracy, u, math.sqrt(s_x / s_y), n)


def bland_altman(
    a: Numbers, b: Numbers, *, patients: Numbers = None, coverage: float = 0.95, level: float = 0.95
) -> Limits:
    """Bland and Altman's bias a - b and limits of agreement, with the intervals of all three, in the values' unit.

    a, b (n,): two measurements of each patient. d = a - b, bias = mean d, limits = bias -+ z sd(d) (n - 1), z the
    normal quantile of the share `coverage` of patients between the limits (1.96 for 0.95). Intervals at `level`, t
    with n - 1 degrees: SE(bias) = sd/sqrt(n), SE(limit) = sd sqrt(1/n + z^2/(2(n - 1))). Fewer than 3 patients: NaN
    intervals. patients (n,): who each pair is from, checked: several pairs of one patient are refused, since they
    make the limits and their intervals too narrow.
    Blind to: which of the two is right; assumes differences that are normal and as wide at every size (see slope).
    Bland JM, Altman DG. Lancet 1986;1:307-310, Stat Methods Med Res 1999;8:135-160.

    >>> found = bland_altman([1, 2, 3, 4], [0, 2, 2, 4])
    >>> found.bias, round(found.lower, 3), round(found.upper, 3)
    (0.5, -0.632, 1.632)
    """
    from scipy.special import ndtri, stdtrit

    x, y = _pair(a, b)
    share(level)
    share(coverage)
    _once_each(patients, len(x))
    d, n = x - y, len(x)
    if n < 2:
        raise RadloomError("there is one pair of measurements", expected="at least two patients, better 50 or more")
    bias, sd, z = float(d.mean()), float(d.std(ddof=1)), float(ndtri((1 + coverage) / 2))
    t = float(stdtrit(n - 1, (1 + level) / 2)) if n >= FEWEST else math.nan
    of_bias, of_limit = t * sd / math.sqrt(n), t * sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    means = (x + y) / 2 - (x + y).mean() / 2
    slope = float(means @ d / (means @ means)) if np.ptp(x + y) > 0 else math.nan

    def around(middle: float, reach: float) -> tuple[float, float]:
        return middle - reach, middle + reach

    lower, upper = bias - z * sd, bias + z * sd
    return Limits(
        bias, around(bias, of_bias), lower, around(lower, of_limit), upper, around(upper, of_limit), sd, slope, level, n
    )


def _pair(a: Numbers, b: Numbers) -> tuple[np.ndarray, np.ndarray]:
    x, y = finite(plain(a), "a"), finite(plain(b), "b")
    same_length(x, y)
    return x, y


def _undefined(estimate: float, level: float, n: int) -> Concordance:
    nan = math.nan
    return Concordance(estimate, nan, nan, level, nan, nan, nan, nan, n)


def _lin_bounds(c: float, r: float, u: float, n: int, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    if abs(c) >= 1 - 1e-15:
        return (c, c) if n >= FEWEST else (math.nan, math.nan)
    if n < FEWEST or r == 0:
        return math.nan, math.nan
    rest = 1 - c**2
    variance = (1 - r**2) * c**2 / (rest * r**2) + 2 * c**3 * (1 - c) * u**2 / (r * rest**2)
    variance = (variance - c**4 * u**4 / (2 * r**2 * rest**2)) / (n - 2)
    reach = float(ndtri((1 + level) / 2)) * math.sqrt(max(variance, 0.0))
    return math.tanh(math.atanh(c) - reach), math.tanh(math.atanh(c) + reach)


def _once_each(patients: Numbers, n: int) -> None:
    if patients is None:
        return
    who = np.asarray(patients)
    if who.shape != (n,):
        raise RadloomError(f"{n} pairs and patients of shape {who.shape}", expected="one patient per pair")
    again = n - len(np.unique(who))
    if again:
        raise RadloomError(
            f"{again} of {n} pairs are further measurements of a patient",
            expected="one pair per patient",
            do="take each patient's mean, which makes the limits those of means, or one pair of each",
        )
