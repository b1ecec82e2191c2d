"""The difference between two proportions with its interval; one proportion is in `intervals`, tests are in `tests`."""

from __future__ import annotations

import math

from radloom.stats.intervals import Count, Interval, wilson


def newcombe(
    successes_a: Count, trials_a: Count, successes_b: Count, trials_b: Count, *, level: float = 0.95
) -> Interval:
    """The difference p_a - p_b of two independent proportions with Newcombe's interval, unit 1, in [-1, 1].

    The hybrid of two score intervals: low d - sqrt((p_a - l_a)^2 + (u_b - p_b)^2), high d + sqrt((u_a - p_a)^2 +
    (p_b - l_b)^2), with l and u the bounds of `wilson`. n_patients is both groups together. A group without a trial:
    NaN throughout.
    Blind to: pairing, so two readings of the same patients need McNemar's test or the paired bootstrap; several trials
    of one patient. Newcombe RG. Stat Med 1998;17:873-890 (method 10).

    >>> interval = newcombe(56, 70, 48, 80)
    >>> round(interval.estimate, 4), round(interval.low, 4), round(interval.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    a, b = wilson(successes_a, trials_a, level=level), wilson(successes_b, trials_b, level=level)
    difference = a.estimate - b.estimate
    low = difference - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = difference + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(difference, low, high, level, a.n_patients + b.n_patients)
