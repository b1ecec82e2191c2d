"""How well yes-or-no decisions agree with the truth: the confusion table and its ratios; curves are in `roc`.

Every function takes `predicted` first and `truth` second, both (n,) of 0 and 1 (or booleans), one entry per case, numpy
or torch. 1 is positive (diseased). A ratio over nothing, for instance sensitivity without a positive case, is NaN,
never 0. Curves and areas come from `roc`, probabilities are judged in `calibration`; both are offered here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.calibration import brier, calibration_slope, ece
from radloom.metrics.roc import auc, partial_auc, roc_curve
from radloom.stats.intervals import Interval, wilson
from radloom.stats.numbers import plain

__all__ = [
    "Confusion",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "brier",
    "calibration_slope",
    "confusion",
    "ece",
    "f1",
    "mcc",
    "npv",
    "partial_auc",
    "ppv",
    "proportion",
    "roc_curve",
    "sensitivity",
    "specificity",
]

Labels = Any  # an array, a tensor, a list or a pandas column of 0 and 1; no type names them all
Proportion = Literal["accuracy", "sensitivity", "specificity", "ppv", "npv"]


@dataclass(frozen=True)
class Confusion:
    """How many cases were true and false positives and negatives."""

    tp: int
    fp: int
    fn: int
    tn: int


def confusion(predicted: Labels, truth: Labels) -> Confusion:
    """The numbers of true positives, false positives, false negatives and true negatives.

    predicted, truth (n,) of 0 and 1. Raises RadloomError on other values, none, or different lengths.
    Blind to: how sure each decision was; the threshold that made it.

    >>> confusion([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    Confusion(tp=1, fp=1, fn=1, tn=2)
    """
    a, b = _decisions(predicted, "the predicted labels"), _decisions(truth, "the true labels")
    if a.shape != b.shape:
        raise RadloomError(f"{len(a)} predicted and {len(b)} true labels", expected="one of each per case")
    tp, fp = int(np.count_nonzero(a & b)), int(np.count_nonzero(a & ~b))
    fn = int(np.count_nonzero(~a & b))
    return Confusion(tp, fp, fn, len(a) - tp - fp - fn)


def sensitivity(predicted: Labels, truth: Labels) -> float:
    """The share of positive cases called positive (recall), unit 1, in [0, 1]; NaN without a positive case.

    TP / (TP + FN). Blind to: false alarms. Altman DG, Bland JM. BMJ 1994;308:1552.

    >>> sensitivity([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    0.5
    """
    return _ratio(*_COUNTS["sensitivity"](confusion(predicted, truth)))


def specificity(predicted: Labels, truth: Labels) -> float:
    """The share of negative cases called negative, unit 1, in [0, 1]; NaN without a negative case.

    TN / (TN + FP). Blind to: missed disease. Altman DG, Bland JM. BMJ 1994;308:1552.

    >>> specificity([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]) == 2 / 3
    True
    """
    return _ratio(*_COUNTS["specificity"](confusion(predicted, truth)))


def ppv(predicted: Labels, truth: Labels) -> float:
    """The share of positive calls that are right (precision), unit 1, in [0, 1]; NaN without a positive call.

    TP / (TP + FP). Blind to: missed disease; holds only at this prevalence. Altman DG, Bland JM. BMJ 1994;309:102.

    >>> ppv([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    0.5
    """
    return _ratio(*_COUNTS["ppv"](confusion(predicted, truth)))


def npv(predicted: Labels, truth: Labels) -> float:
    """The share of negative calls that are right, unit 1, in [0, 1]; NaN without a negative call.

    TN / (TN + FN). Blind to: false alarms; holds only at this prevalence. Altman DG, Bland JM. BMJ 1994;309:102.

    >>> npv([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]) == 2 / 3
    True
    """
    return _ratio(*_COUNTS["npv"](confusion(predicted, truth)))


def accuracy(predicted: Labels, truth: Labels) -> float:
    """The share of cases called right, unit 1, in [0, 1].

    (TP + TN) / n. Blind to: rare classes, since always saying the common one scores its prevalence.
    Metz CE. Semin Nucl Med 1978;8:283-298.

    >>> accuracy([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    0.6
    """
    return _ratio(*_COUNTS["accuracy"](confusion(predicted, truth)))


def balanced_accuracy(predicted: Labels, truth: Labels) -> float:
    """The mean of sensitivity and specificity, unit 1, in [0, 1]; 0.5 is chance; NaN with one true class only.

    Blind to: prevalence, and which of the two errors costs more. Brodersen KH et al. Proc ICPR 2010:3121-3124.

    >>> round(balanced_accuracy([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]), 4)
    0.5833
    """
    return (sensitivity(predicted, truth) + specificity(predicted, truth)) / 2


def f1(predicted: Labels, truth: Labels) -> float:
    """The harmonic mean of sensitivity and PPV, unit 1, in [0, 1]; NaN when nothing is positive and nothing called so.

    2 TP / (2 TP + FP + FN), the Dice coefficient of cases. Blind to: true negatives; depends on prevalence.
    Dice LR. Ecology 1945;26:297-302.

    >>> f1([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    0.5
    """
    table = confusion(predicted, truth)
    return _ratio(2 * table.tp, 2 * table.tp + table.fp + table.fn)


def mcc(predicted: Labels, truth: Labels) -> float:
    """Matthews' correlation of decision and truth, unit 1, in [-1, 1]; 0 is chance; NaN when either is constant.

    (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)). Blind to: which of the two errors costs more.
    Matthews BW. Biochim Biophys Acta 1975;405:442-451.

    >>> round(mcc([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]), 4)
    0.1667
    """
    t = confusion(predicted, truth)
    margins = (t.tp + t.fp, t.tp + t.fn, t.tn + t.fp, t.tn + t.fn)
    return _ratio(t.tp * t.tn - t.fp * t.fn, math.sqrt(math.prod(margins)))


def proportion(
    predicted: Labels,
    truth: Labels,
    *,
    of: Proportion,
    method: Callable[..., Interval] = wilson,
    level: float = 0.95,
) -> Interval:
    """One of the shares of cases with its confidence interval, unit 1, in [0, 1]; one case per patient.

    of: "accuracy", "sensitivity", "specificity", "ppv" or "npv". method: `wilson` (default) or `clopper_pearson` from
    `radloom.stats.intervals`; for two independent groups see `radloom.stats.proportions.newcombe`, for two decisions on
    the same cases `radloom.stats.tests.mcnemar`. Over nothing: NaN throughout.
    Blind to: several cases of one patient, which make it too narrow. Wilson EB. J Am Stat Assoc 1927;22:209-212.

    >>> interval = proportion([1, 1, 0, 0, 0], [1, 0, 1, 0, 0], of="sensitivity")
    >>> interval.estimate, round(interval.low, 4), round(interval.high, 4), interval.n_patients
    (0.5, 0.0945, 0.9055, 2)
    """
    if of not in _COUNTS:
        raise RadloomError(f"of={of!r}", expected=f"one of {', '.join(_COUNTS)}")
    successes, trials = _COUNTS[of](confusion(predicted, truth))
    return method(successes, trials, level=level)


_COUNTS: dict[str, Callable[[Confusion], tuple[int, int]]] = {
    "accuracy": lambda c: (c.tp + c.tn, c.tp + c.fp + c.fn + c.tn),
    "sensitivity": lambda c: (c.tp, c.tp + c.fn),
    "specificity": lambda c: (c.tn, c.tn + c.fp),
    "ppv": lambda c: (c.tp, c.tp + c.fp),
    "npv": lambda c: (c.tn, c.tn + c.fn),
}


def _ratio(part: Number, whole: Number) -> float:
    return part / whole if whole else math.nan


def _decisions(labels: Labels, name: str) -> np.ndarray:
    values = plain(labels)
    if values.ndim != 1 or values.size == 0:
        raise RadloomError(f"{name} have shape {values.shape}", expected="one label per case, at least one")
    if values.dtype == np.bool_:
        return values
    if not np.isin(values, (0, 1)).all():
        raise RadloomError(
            f"{name} hold other values than 0 and 1", expected="decisions", do="pass scores >= threshold, or == class"
        )
    return values == 1
