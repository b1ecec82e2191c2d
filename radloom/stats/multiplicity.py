"""Adjusting p-values for having tested more than once; the tests themselves are in `tests`."""

from __future__ import annotations

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.numbers import Numbers


def holm(p_values: Numbers) -> np.ndarray:
    """The p-values (m,) adjusted by Holm's step-down method, in the order given; holds the family-wise error.

    Sorted, p_(i) becomes max over j <= i of (m - j + 1) p_(j), at most 1. No assumption on dependence. NaN stays NaN
    and does not count into m, since that test was not made. Blind to: tests that were made and not handed in.
    Holm S. Scand J Stat 1979;6:65-70.

    >>> holm([0.01, 0.04, 0.03]).round(12).tolist()
    [0.03, 0.06, 0.06]
    """
    p, made = _checked(p_values)
    order = np.argsort(p[made], kind="stable")
    m = len(order)
    steps = np.maximum.accumulate((m - np.arange(m)) * p[made][order])
    return _restored(p, made, order, steps)


def benjamini_hochberg(p_values: Numbers) -> np.ndarray:
    """The p-values (m,) adjusted by Benjamini and Hochberg, in the order given; holds the false discovery rate.

    Sorted, p_(i) becomes min over j >= i of (m / j) p_(j), at most 1. For independent or positively dependent tests.
    NaN stays NaN and does not count into m. Blind to: tests that were not handed in; single findings may be false.
    Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(12).tolist()
    [0.03, 0.04, 0.04]
    """
    p, made = _checked(p_values)
    order = np.argsort(p[made], kind="stable")
    m = len(order)
    steps = np.minimum.accumulate((p[made][order] * m / np.arange(1, m + 1))[::-1])[::-1]
    return _restored(p, made, order, steps)


def _checked(p_values: Numbers) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(p_values, dtype=np.float64)
    made = ~np.isnan(p)
    if p.ndim != 1 or ((p[made] < 0) | (p[made] > 1)).any():
        raise RadloomError(f"the p-values are {p}", expected="a list of numbers in [0, 1] or NaN")
    return p, made


def _restored(p: np.ndarray, made: np.ndarray, order: np.ndarray, steps: np.ndarray) -> np.ndarray:
    adjusted = p.copy()
    adjusted[np.flatnonzero(made)[order]] = np.minimum(steps, 1)
    return adjusted
