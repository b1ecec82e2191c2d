"""Time to an event: Cox regression, Kaplan-Meier, the log-rank test and Harrell's C, through lifelines (an extra)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.numbers import Numbers, finite, same_length, share

# the default stops a step early, at 1e-4 of a standard error
_CONVERGED = {"precision": 1e-12, "r_precision": 1e-15}


@dataclass(frozen=True)
class Hazard:
    """A covariate's hazard ratio with its interval, Wald's p, and p of the test of proportional hazards."""

    name: str
    ratio: float
    low: float
    high: float
    p: float
    p_proportional: float


@dataclass(frozen=True)
class CoxModel:
    """A fitted model: one Hazard per covariate, Harrell's C of its prediction, patients and events."""

    hazards: tuple[Hazard, ...]
    concordance: float
    n_patients: int
    n_events: int
    level: float


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan-Meier: times (k,), survival with its pointwise interval (k,), and the median time (inf: not reached)."""

    times: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    median: float


def cox(times: Numbers, events: Numbers, covariates: Mapping[str, Numbers], *, level: float = 0.95) -> CoxModel:
    """Cox's proportional hazards regression with Efron's ties; hazard ratios per unit of each covariate.

    times (n,) above 0, in one unit; events (n,) 1 event, 0 censored; covariates: name -> (n,), one row per patient.
    h(t | x) = h0(t) exp(beta x); HR = exp(beta), Wald interval and p. Proportionality: score test of the scaled
    Schoenfeld residuals against ranked time. Raises RadloomError without lifelines, without an event, with a constant
    covariate or with fewer events than covariates; also when it does not converge (a covariate that separates).
    Blind to: competing risks, several rows of one patient, hazards that cross. Cox DR. J R Stat Soc B 1972;34:187-220.
    Efron B. J Am Stat Assoc 1977;72:557-565.

    >>> model = cox([5, 6, 6, 2, 4, 7, 1, 3], [1, 0, 1, 1, 1, 0, 1, 1], {"dose": [1, 0, 2, 2, 1, 0, 1, 2]})
    >>> model.hazards[0].ratio > 1, model.n_events
    (True, 6)
    """
    share(level)
    lifelines = _lifelines()
    frame, names = _frame(times, events, covariates)
    fitter = lifelines.CoxPHFitter(alpha=1 - level)
    try:
        fitter.fit(frame, "time", "event", fit_options=_CONVERGED)
    except lifelines.exceptions.ConvergenceError as error:
        what = f"Cox regression does not converge: {str(error).splitlines()[0]}"
        raise RadloomError(what, do="look for a covariate that separates events from censored patients") from error
    tests = lifelines.statistics.proportional_hazard_test(fitter, frame, time_transform="rank").summary["p"]
    summary = fitter.summary
    hazards = tuple(
        Hazard(name, float(row["exp(coef)"]), float(row.filter(like="exp(coef) lower").iloc[0]),
               float(row.filter(like="exp(coef) upper").iloc[0]), float(row["p"]), float(tests.loc[column]))
        for name, (column, row) in zip(names, summary.iterrows(), strict=True)
    )  # fmt: skip
    return CoxModel(hazards, float(fitter.concordance_index_), len(frame), int(frame["event"].sum()), level)


def kaplan_meier(times: Numbers, events: Numbers, *, level: float = 0.95) -> SurvivalCurve:
    """The Kaplan-Meier curve with its log(-log) interval; survival in [0, 1], times in their unit.

    Blind to: censoring that depends on the outcome. Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481.

    >>> kaplan_meier([1, 2, 3, 4], [1, 1, 0, 1]).survival.round(4).tolist()
    [1.0, 0.75, 0.5, 0.5, 0.0]
    """
    share(level)
    lifelines = _lifelines()
    t, e = _times(times, events)
    fitter = lifelines.KaplanMeierFitter(alpha=1 - level).fit(t, e)
    band = fitter.confidence_interval_.to_numpy()
    curve = fitter.survival_function_.iloc[:, 0]
    return SurvivalCurve(curve.index.to_numpy(), curve.to_numpy(), band[:, 0], band[:, 1],
                         float(fitter.median_survival_time_))  # fmt: skip


def log_rank(times_a: Numbers, events_a: Numbers, times_b: Numbers, events_b: Numbers) -> float:
    """The two-sided p of the log-rank test of two groups of different patients.

    Blind to: curves that cross; how large the difference is (see `cox`). Mantel N. Cancer Chemother Rep
    1966;50:163-170.

    >>> log_rank([1, 2, 3], [1, 1, 1], [1, 2, 3], [1, 1, 1])
    1.0
    """
    lifelines = _lifelines()
    a, b = _times(times_a, events_a), _times(times_b, events_b)
    return float(lifelines.statistics.logrank_test(a[0], b[0], a[1], b[1]).p_value)


def c_index(times: Numbers, risk: Numbers, events: Numbers) -> float:
    """Harrell's C, unit 1, in [0, 1]: pairs in which the patient with the higher risk has the event first; ties half.

    Blind to: calibration; depends on how many are censored. Harrell FE et al. Stat Med 1996;15:361-387.

    >>> c_index([1, 2, 3], [0.9, 0.5, 0.1], [1, 1, 1])
    1.0
    """
    lifelines = _lifelines()
    t, e = _times(times, events)
    score = finite(risk, "risk")
    same_length(t, score)
    try:
        return float(lifelines.utils.concordance_index(t, -score, e))
    except ZeroDivisionError:
        return math.nan


def _lifelines() -> ModuleType:
    try:
        import lifelines
        import lifelines.exceptions
        import lifelines.statistics
        import lifelines.utils
    except ImportError as error:
        raise RadloomError("survival analysis needs the package lifelines",
                           do="python -m pip install 'radloom[survival]'") from error  # fmt: skip
    return lifelines


def _times(times: Numbers, events: Numbers) -> tuple[np.ndarray, np.ndarray]:
    t, e = finite(times, "times"), finite(events, "events")
    same_length(t, e)
    if (t <= 0).any() or not np.isin(e, (0, 1)).all():
        raise RadloomError("times of 0 or less, or events other than 0 and 1",
                           expected="times above 0 and 1 for an event, 0 for censored")  # fmt: skip
    return t, e


def _frame(times: Numbers, events: Numbers, covariates: Mapping[str, Numbers]) -> tuple[Any, tuple[str, ...]]:
    import pandas

    t, e = _times(times, events)
    columns = {f"x{i}": finite(values, name) for i, (name, values) in enumerate(covariates.items())}
    for name, values in zip(covariates, columns.values(), strict=True):
        same_length(t, values)
        if np.ptp(values) == 0:
            raise RadloomError(f"covariate {name} is constant", expected="a covariate that varies", do="leave it out")
    if not columns or e.sum() < len(columns):
        raise RadloomError(f"{len(columns)} covariates and {int(e.sum())} events",
                           expected="at least one covariate and as many events as covariates")  # fmt: skip
    return pandas.DataFrame({"time": t, "event": e, **columns}), tuple(covariates)
