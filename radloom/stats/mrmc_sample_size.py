"""How many readers and cases a fully crossed reader study needs; the analysis itself is in `mrmc`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.mrmc import Components
from radloom.stats.numbers import share

_BLOCK = 500  # numbers of cases tried at once


@dataclass(frozen=True)
class StudySize:
    """A design and its power to find the difference; df2 as in the analysis, noncentrality of its F."""

    n_readers: int
    n_cases: int
    power: float
    df2: float
    noncentrality: float


def mrmc_power(
    pilot: Components, pilot_cases: int, *, difference: float, n_readers: int, n_cases: int, alpha: float = 0.05
) -> StudySize:
    """The power of a two-modality Obuchowski-Rockette study, random readers and cases, for a true difference.

    From a pilot's components: the readers' variance of the difference, sigma_TR^2 = MS_TR - Var + Cov1 + max(Cov2 -
    Cov3, 0), at least 0, stays; variances and covariances over cases shrink with pilot_cases / n_cases. With the new
    error = sigma_TR^2 + s (Var - Cov1 - max(Cov2 - Cov3, 0)), e = error + J s max(Cov2 - Cov3, 0): noncentrality
    J difference^2 / (2 e), df2 = (e / error)^2 (J - 1), power = P(F(1, df2, noncentrality) > F crit).
    difference: in the figure's unit. The mix of diseased and normal cases is the pilot's.
    More cases do not always help: where readers differ, they leave fewer degrees of freedom.
    Blind to: how uncertain a small pilot's components are: plan for more than it says.
    Hillis SL, Obuchowski NA, Berbaum KS. Acad Radiol 2011;18:129-142.

    >>> pilot = Components(0.0008, 0.0004, 0.0004, 0.0003, 0.005, 0.003, 0.0006)
    >>> few, many = (mrmc_power(pilot, 100, difference=0.05, n_readers=5, n_cases=n).power for n in (50, 200))
    >>> few < many
    True
    """
    return _planned(pilot, pilot_cases, difference, n_readers, np.array([n_cases]), alpha)[0]


def mrmc_sample_size(
    pilot: Components,
    pilot_cases: int,
    *,
    difference: float,
    n_readers: int,
    power: float = 0.8,
    alpha: float = 0.05,
    most_cases: int = 100_000,
) -> StudySize:
    """The smallest number of cases at which `mrmc_power` reaches `power` with this many readers.

    Raises RadloomError when no number up to `most_cases` does, because the readers differ too much: add readers.

    >>> pilot = Components(0.0008, 0.0004, 0.0004, 0.0003, 0.005, 0.003, 0.0006)
    >>> size = mrmc_sample_size(pilot, 100, difference=0.05, n_readers=6)
    >>> less = mrmc_power(pilot, 100, difference=0.05, n_readers=6, n_cases=size.n_cases - 1)
    >>> size.power >= 0.8 > less.power
    True
    """
    share(power)
    best = StudySize(n_readers, 4, 0.0, math.nan, 0.0)
    # one by one, since power may fall again when more cases leave fewer degrees of freedom
    for first in range(4, most_cases + 1, _BLOCK):
        cases = np.arange(first, min(first + _BLOCK, most_cases + 1))
        sizes = _planned(pilot, pilot_cases, difference, n_readers, cases, alpha)
        for size in sizes:
            if size.power >= power:
                return size
        best = max(best, *sizes, key=lambda size: size.power)
    raise RadloomError(f"{n_readers} readers reach a power of {best.power:.2f} at most, with {best.n_cases} cases",
                       expected=f"{power:g}", do="plan for more readers, or for a larger difference")  # fmt: skip


def _planned(
    pilot: Components, pilot_cases: int, difference: float, n_readers: int, cases: np.ndarray, alpha: float
) -> list[StudySize]:
    """The power with each number of cases (k,)."""
    from scipy.stats import f, ncf

    share(1 - alpha)
    if n_readers < 2 or cases.min() < 4 or pilot_cases < 4 or not math.isfinite(difference) or difference == 0:
        raise RadloomError(
            f"{n_readers} readers, {cases.min()} cases, pilot of {pilot_cases}, difference {difference:g}",
            expected="at least 2 readers, 4 cases each and a difference other than 0",
        )
    shrink = pilot_cases / cases
    shared = max(pilot.cov2 - pilot.cov3, 0.0)
    own = max(pilot.var - pilot.cov1 - shared, 0.0)
    readers = max(pilot.ms_tr - own, 0.0)
    error = readers + shrink * own
    total = error + n_readers * shrink * shared
    if not total.min() > 0:
        raise RadloomError("the pilot's components are all 0", expected="figures that vary")
    with np.errstate(divide="ignore"):
        df2 = np.minimum((n_readers - 1) * (total / error) ** 2, 1e12)
    noncentrality = n_readers * difference**2 / (2 * total)
    power = ncf.sf(f.ppf(1 - alpha, 1, df2), 1, df2, noncentrality)
    columns = (part.tolist() for part in (cases, power, df2, noncentrality))
    return [StudySize(n_readers, *row) for row in zip(*columns, strict=True)]
