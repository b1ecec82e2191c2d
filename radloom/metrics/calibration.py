"""Whether stated probabilities come true: Brier score, calibration slope and calibration error; no ranking here."""

from __future__ import annotations

import math

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.auc import plain, two_classes
from radloom.stats.numbers import Numbers, finite, same_length

__all__ = ["brier", "calibration_slope", "ece"]


def brier(probabilities: Numbers, truth: Numbers) -> float:
    """The mean squared difference of probability and outcome, unit 1, in [0, 1]; 0 is best.

    sum (p - y)^2 / n. probabilities (n,) in [0, 1], truth (n,) of 0 and 1.
    Blind to: whether discrimination or calibration is at fault; small at a low prevalence whatever the model.
    Brier GW. Mon Weather Rev 1950;78:1-3.

    >>> round(brier([0.9, 0.2], [1, 0]), 3)
    0.025
    """
    p, y = _probabilities(probabilities, truth)
    return float(np.mean((p - y) ** 2))


def ece(probabilities: Numbers, truth: Numbers, *, bins: int = 10) -> float:
    """Expected calibration error of the positive class, unit 1, in [0, 1]; 0 is best.

    sum over bins of (cases in it / n) |mean probability - share of positives|; `bins` of equal width on [0, 1], each
    with its lower bound, the last with both. Depends on `bins`, so state it.
    Blind to: errors that cancel within a bin; discrimination (always stating the prevalence scores 0); biased upwards
    in small samples. Naeini MP, Cooper GF, Hauskrecht M. Proc AAAI 2015:2901-2907.

    >>> round(ece([0.1, 0.1, 0.9, 0.9], [0, 1, 1, 1]), 3)
    0.25
    """
    if bins < 1:
        raise RadloomError(f"bins is {bins}", expected="1 or more")
    p, y = _probabilities(probabilities, truth)
    which = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), p, side="right") - 1, 0, bins - 1)
    return float(np.abs(np.bincount(which, weights=p - y, minlength=bins)).sum() / len(p))


def calibration_slope(probabilities: Numbers, truth: Numbers) -> float:
    """The slope of the outcome's log-odds on the probability's log-odds, unit 1; 1 is best, below 1 is overconfident.

    b of the logistic model logit P(y = 1) = a + b logit(p), by maximum likelihood. Probabilities strictly between 0 and
    1, both classes present. NaN where the maximum does not exist (the classes are separated) or p is constant.
    Blind to: a shift of all log-odds (a), and discrimination. Cox DR. Biometrika 1958;45:562-565.

    >>> p = [0.2] * 5 + [0.8] * 5
    >>> round(calibration_slope(p, [1, 0, 0, 0, 0, 1, 1, 1, 1, 0]), 6)
    1.0
    """
    p, y = _probabilities(probabilities, truth)
    two_classes(p, y)
    if p.min() == 0 or p.max() == 1:
        raise RadloomError(
            "some probabilities are 0 or 1", expected="values strictly between", do="clip them, and state the bounds"
        )
    x = np.log(p / (1 - p))
    negatives, positives = x[y == 0], x[y == 1]
    separated = negatives.max() <= positives.min() or positives.max() <= negatives.min()
    if np.ptp(x) == 0 or separated:
        return math.nan
    centre, spread = x.mean(), x.std()
    return float(_logistic_slope((x - centre) / spread, y) / spread)


def _logistic_slope(x: np.ndarray, y: np.ndarray) -> float:
    """The maximum-likelihood slope, by Newton steps that are halved until the likelihood rises."""
    design = np.column_stack([np.ones_like(x), x])
    beta = np.zeros(2)

    def likelihood(at: np.ndarray) -> float:
        eta = design @ at
        return float(y @ eta - np.logaddexp(0, eta).sum())

    for _ in range(100):
        fitted = 1 / (1 + np.exp(-(design @ beta)))
        weights = fitted * (1 - fitted)
        step = np.linalg.solve(design.T * weights @ design, design.T @ (y - fitted))
        while likelihood(beta + step) < likelihood(beta) and np.abs(step).max() > 1e-12:
            step /= 2
        beta = beta + step
        if np.abs(step).max() < 1e-12:
            break
    return float(beta[1])


def _probabilities(probabilities: Numbers, truth: Numbers) -> tuple[np.ndarray, np.ndarray]:
    p, y = finite(plain(probabilities), "probabilities"), finite(plain(truth), "truth")
    same_length(p, y)
    if p.min() < 0 or p.max() > 1:
        raise RadloomError("some probabilities lie outside [0, 1]", expected="probabilities, not scores or logits")
    if not np.isin(y, (0, 1)).all():
        raise RadloomError("truth holds other values than 0 and 1", expected="probabilities first, then the truth")
    return p, y
