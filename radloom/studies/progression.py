"""From tumour volumes over time to progression, its curves and what it says of survival; no images here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.equivalence import Equivalence, two_one_sided
from radloom.stats.survival import cox, kaplan_meier

RISE, LEAST_CM3 = 1.4, 1.0
MARGIN = 0.223  # ln 1.25: of the difference of log hazard ratios


@dataclass(frozen=True)
class Course:
    """One patient: months of the visits, volumes in cm3 at each by arm, and survival in months with its event."""

    patient: str
    months: tuple[float, ...]
    volumes: Mapping[str, tuple[float, ...]]
    survival: float
    dead: bool


@dataclass(frozen=True)
class Progression:
    """months to the event, or to the last visit without one."""

    months: float
    event: bool


def progression(months: Sequence[float], volumes: Sequence[float]) -> Progression:
    """When the volume (cm3) first stands 40 % above its lowest so far, counted from the first visit, in months.

    It must reach 1 cm3, and the next visit, where there is one, must meet the same rule against the same lowest volume.
    Blind to new lesions, to non-enhancing tumour and to the patient's state (RANO: Wen et al., J Clin Oncol
    2010;28:1963-1972). Raises RadloomError below two visits and where months do not rise.

    >>> progression([0.0, 2.0, 4.0, 6.0], [5.0, 2.0, 2.9, 3.4])
    Progression(months=4.0, event=True)
    >>> progression([0.0, 2.0, 4.0, 6.0], [5.0, 2.0, 2.9, 2.1])
    Progression(months=6.0, event=False)
    """
    if len(months) < 2 or len(months) != len(volumes) or np.any(np.diff(months) <= 0):
        raise RadloomError(f"{len(volumes)} volumes at months {list(months)}",
                           expected="a volume at each of two visits or more, in the order of time")  # fmt: skip
    lowest = volumes[0]
    for at in range(1, len(volumes)):
        later = volumes[at + 1] if at + 1 < len(volumes) else volumes[at]
        if all(one >= RISE * lowest and one >= LEAST_CM3 for one in (volumes[at], later)):
            return Progression(months[at] - months[0], event=True)
        lowest = min(lowest, volumes[at])
    return Progression(months[-1] - months[0], event=False)


def restricted_mean(times: Sequence[float], events: Sequence[bool], *, horizon: float) -> float:
    """The mean time without an event up to the horizon: the area under the Kaplan-Meier curve, in the times' unit.

    Royston P, Parmar MKB. BMC Med Res Methodol 2013;13:152. Blind to what comes after the horizon.

    >>> restricted_mean([2.0, 4.0], [True, True], horizon=4.0)
    3.0
    """
    curve = kaplan_meier(times, np.asarray(events, dtype=int))
    inside = curve.times < horizon
    edges = np.append(curve.times[inside], horizon)
    return float(np.sum(np.diff(edges) * curve.survival[inside]))


def log_hazard(courses: Sequence[Course], arm: str, *, landmark: float) -> float:
    """The log hazard ratio of death after the landmark (months) for who had progressed by then against who had not.

    Patients who died or were lost before are left out: a landmark lets no one profit from having lived to progress
    (Anderson et al., J Clin Oncol 1983;1:710-719). Visits after the landmark are not looked at. NaN where Cox's model
    cannot be fitted: all or none progressed, no death, or a perfect separation.
    """
    left = [one for one in courses if one.survival > landmark]
    told = [progressed(one, arm, landmark=landmark) for one in left]
    if len(set(told)) < 2:
        return math.nan
    times, deaths = [one.survival - landmark for one in left], [int(one.dead) for one in left]
    try:
        return math.log(cox(times, deaths, {"progressed": np.asarray(told, dtype=float)}).hazards[0].ratio)
    except RadloomError:
        return math.nan


def progressed(course: Course, arm: str, *, landmark: float) -> bool:
    """Whether the patient had progressed by the landmark, on the visits up to it."""
    seen = [(t, v) for t, v in zip(course.months, course.volumes[arm], strict=True) if t <= landmark + course.months[0]]
    return len(seen) > 1 and progression([t for t, _ in seen], [v for _, v in seen]).event


def same_hazard(
    courses: Sequence[Course], one: str, other: str, *, landmark: float, draws: int, rng: np.random.Generator
) -> Equivalence | None:
    """Whether the log hazard ratios of two arms differ by less than ln 1.25, by two one-sided tests; None without any.

    The standard error is that of `draws` bootstrap samples of the patients, who bring both arms along; None where
    fewer than half of them can be fitted.
    """
    point = log_hazard(courses, one, landmark=landmark) - log_hazard(courses, other, landmark=landmark)
    if not math.isfinite(point):
        return None
    differences = []
    for _ in range(draws):
        drawn = [courses[i] for i in rng.integers(len(courses), size=len(courses))]
        differences.append(
            log_hazard(drawn, one, landmark=landmark) - log_hazard(drawn, other, landmark=landmark)
        )  # fmt: skip
    known = np.asarray(differences)[np.isfinite(differences)]
    if len(known) < max(2, draws / 2):
        return None
    return two_one_sided(point, float(known.std(ddof=1)), math.inf, margin=MARGIN, n=len(courses))
