"""What the studies of single numbers share: means with intervals over patients, gains over the baselines, a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radloom.random import numpy_stream
from radloom.stats.intervals import Interval, bootstrap_ci
from radloom.stats.multiplicity import holm
from radloom.stats.tests import wilcoxon

LEAST_PATIENTS = 6  # with fewer, no signed-rank test can fall below 0.05


@dataclass(frozen=True)
class Gain:
    """The model's mean lead over a baseline, positive where the model is better, and its p by Holm over baselines."""

    lead: float
    p: float | None  # None with too few patients


def averages(table: pd.DataFrame, name: str) -> dict[str, Interval]:
    """By arm, the mean over the cases (index: patient, case) in which every arm has a number, with its interval."""
    known = table.dropna()
    patients = known.index.get_level_values("patient").to_numpy()
    return {str(arm): average(np.asarray(known[arm], dtype=float), patients, name, str(arm)) for arm in known.columns}


def average(values: np.ndarray, patients: np.ndarray, *names: str) -> Interval:
    """The mean with its 95 % bootstrap interval over patients; NaN of no value."""
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, 0.95, 0)
    return bootstrap_ci(values, patients=patients, rng=numpy_stream(0, "study", *names))


def gains(table: pd.DataFrame, *, sign: int) -> dict[str, Gain]:
    """The model's gain over every baseline of a table with a column for each arm; sign 1: higher is better, else -1.

    Patients, not cases, are compared: by the signed-rank test, adjusted after Holm over the baselines. A case in which
    an arm has no number is left out.
    """
    patients = pd.DataFrame(table.dropna().groupby(level="patient").mean())
    means = {str(arm): np.asarray(patients[arm], dtype=float) for arm in patients.columns}
    others = [arm for arm in means if arm not in ("real", "model")]
    if not len(patients):
        return {arm: Gain(math.nan, None) for arm in others}
    leads = {arm: float(sign * (means["model"] - means[arm]).mean()) for arm in others}
    if len(patients) < LEAST_PATIENTS:
        return {arm: Gain(lead, None) for arm, lead in leads.items()}
    raw = [wilcoxon(means["model"], means[arm]).p for arm in others]
    return {arm: Gain(leads[arm], float(p)) for arm, p in zip(others, holm(raw), strict=True)}


def verdict(sentence: str, found: Mapping[str, Gain], measure: str) -> tuple[str, bool | None]:
    """The sentence with what it means, and whether the model beats every baseline by an adjusted p below 0.05."""
    if any(gain.p is None for gain in found.values()):
        return f"{sentence}. These patients are too few for a verdict.", None
    rest = [arm for arm, gain in found.items() if not (gain.p is not None and gain.p < 0.05 and gain.lead > 0)]
    if not rest:
        return f"{sentence}. By {measure} the generator beats every baseline.", True
    return f"{sentence}. By {measure} the generator is not shown to beat: {', '.join(rest)}.", False


def gained(found: Mapping[str, Gain], arm: str, digits: int) -> list[str]:
    """Two cells of a table: the model's lead over an arm and its p; empty for the model itself and the real images."""
    if arm not in found:
        return ["", ""]
    gain = found[arm]
    return [f"{gain.lead:+.{digits}f}" if math.isfinite(gain.lead) else "-", "" if gain.p is None else f"{gain.p:.3g}"]


def with_interval(found: Interval, digits: int = 3) -> str:
    """An estimate with its interval, the estimate alone where there is none, "-" for no number."""
    if not math.isfinite(found.low):
        return number(found.estimate, digits)
    return f"{found.estimate:.{digits}f} (95 % {found.low:.{digits}f} to {found.high:.{digits}f})"


def number(value: float, digits: int = 3) -> str:
    """A number, "-" for none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
