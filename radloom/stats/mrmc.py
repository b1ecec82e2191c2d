"""Several readers, several cases: whether modalities differ, by Obuchowski-Rockette and Dorfman-Berbaum-Metz.

`study` comes from `reader_study`; any figure of merit will do. Three questions may be asked: do modalities differ for
readers and cases like these ("random readers random cases"), for these readers and cases like these ("fixed readers"),
for these cases and readers like these ("fixed cases")? p > 0.05 is no evidence of equality: see `equivalence`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.intervals import Interval
from radloom.stats.numbers import share
from radloom.stats.reader_study import ReaderStudy

Inference = Literal["random readers random cases", "fixed readers", "fixed cases"]
INFERENCES: tuple[Inference, ...] = ("random readers random cases", "fixed readers", "fixed cases")


@dataclass(frozen=True)
class Components:
    """Covariances over cases of two figures, and mean squares of the figures, all in squared units of the figure.

    var: of one figure; cov1: same reader, two modalities; cov2: two readers, same modality; cov3: both different.
    ms_t, ms_r, ms_tr: of modalities, of readers, of their interaction.
    """

    var: float
    cov1: float
    cov2: float
    cov3: float
    ms_t: float
    ms_r: float
    ms_tr: float


@dataclass(frozen=True)
class Difference:
    """The figure in modality a minus that in b, averaged over readers, with its interval and two-sided p."""

    a: Hashable
    b: Hashable
    estimate: float
    low: float
    high: float
    t: float
    df: float
    p: float


@dataclass(frozen=True)
class MultiReader:
    """The test that all modalities are equal, an interval per modality, and each pair's difference.

    f, df1, df2 (inf: chi-squared), p: the overall test. modalities: in the study's order; the Interval's n_patients is
    the number of cases. differences: not corrected for their number (see `holm`).
    """

    inference: Inference
    f: float
    df1: float
    df2: float
    p: float
    level: float
    n_readers: int
    n_cases: int
    modalities: dict[Hashable, Interval]
    differences: tuple[Difference, ...]
    components: Components


def components(study: ReaderStudy) -> Components:
    """The covariances and mean squares of a study with at least two readers and two modalities.

    >>> from radloom.stats.reader_study import pair_study
    >>> kernels = np.array([[[[1, 1], [0, 1]], [[1, 1], [1, 1]]], [[[1, 0], [0, 1]], [[0, 1], [1, 1]]]], float)
    >>> found = components(pair_study(kernels, "AB", "xy"))
    >>> found.ms_t, found.ms_r, found.ms_tr
    (0.0625, 0.0625, 0.0)
    """
    figures = study.figures
    i, j = figures.shape
    if i < 2 or j < 2:
        raise RadloomError(f"{i} modalities and {j} readers", expected="at least two of each",
                           do="use `one_modality` for a single modality")  # fmt: skip
    c = study.covariance.reshape(i, j, i, j)
    same_i, same_j = np.eye(i, dtype=bool)[:, None, :, None], np.eye(j, dtype=bool)[None, :, None, :]
    var, cov1, cov2, cov3 = (
        float(c[np.broadcast_to(where, c.shape)].mean())
        for where in (same_i & same_j, ~same_i & same_j, same_i & ~same_j, ~same_i & ~same_j)
    )
    of_modality, of_reader, grand = figures.mean(1), figures.mean(0), figures.mean()
    rest = figures - of_modality[:, None] - of_reader + grand
    return Components(
        var, cov1, cov2, cov3,
        ms_t=float(j * np.sum((of_modality - grand) ** 2) / (i - 1)),
        ms_r=float(i * np.sum((of_reader - grand) ** 2) / (j - 1)),
        ms_tr=float(np.sum(rest**2) / ((i - 1) * (j - 1))),
    )  # fmt: skip


def mrmc_or(
    study: ReaderStudy, *, inference: Inference = "random readers random cases", level: float = 0.95
) -> MultiReader:
    """The Obuchowski-Rockette analysis with Hillis's degrees of freedom; figures in the study's unit.

    With I modalities and J readers:
    random readers random cases: F = MS_T / (MS_TR + max(J (Cov2 - Cov3), 0)), df2 = denominator^2 / (MS_TR^2 /
    ((I - 1)(J - 1))); fixed readers: F = MS_T / (Var - Cov1 + (J - 1) max(Cov2 - Cov3, 0)), df2 infinite; fixed cases:
    F = MS_T / MS_TR, df2 = (I - 1)(J - 1); df1 = I - 1 always. A pair differs with standard error sqrt(2 denominator /
    J). A modality's interval rests on its own readers' mean square and covariance.
    Raises RadloomError with fewer than two readers or modalities. NaN p when nothing varies.
    Blind to: several cases of one patient, readers who know the cases, an order of reading that favours one modality.
    Obuchowski NA, Rockette HE. Commun Stat Simul Comput 1995;24:285-308. Hillis SL. Stat Med 2007;26:596-619.

    >>> from radloom.stats.reader_study import pair_study
    >>> kernels = np.random.default_rng(0).integers(0, 2, (2, 3, 10, 10)).astype(float)
    >>> kernels[1] = np.maximum(kernels[1], kernels[0])
    >>> result = mrmc_or(pair_study(kernels, "AB", "xyz"))
    >>> result.differences[0].estimate < 0, 0 <= result.p < 0.05
    (True, True)
    """
    share(level)
    if inference not in INFERENCES:
        raise RadloomError(f"unknown inference {inference!r}", expected=", ".join(INFERENCES))
    found = components(study)
    i, j = study.figures.shape
    if inference == "fixed readers":
        denominator = found.var - found.cov1 + (j - 1) * max(found.cov2 - found.cov3, 0.0)
        df2 = math.inf
    else:
        denominator, df2 = found.ms_tr, float((i - 1) * (j - 1))
        if inference == "random readers random cases":
            denominator += max(j * (found.cov2 - found.cov3), 0.0)
            df2 *= (denominator / found.ms_tr) ** 2 if found.ms_tr > 0 else math.inf
    return _conclude(study, inference, found, denominator, df2, level)


def mrmc_dbm(
    study: ReaderStudy, *, inference: Inference = "random readers random cases", level: float = 0.95
) -> MultiReader:
    """The Dorfman-Berbaum-Metz analysis: an analysis of variance of jackknife pseudovalues; the study's unit.

    Pseudovalues Y_ijk = K theta_ij - (K - 1) theta_ij(k) for K cases. random readers random cases: F = MS(T) / (MS(TR)
    + max(MS(TC) - MS(TRC), 0)), df2 = denominator^2 / (MS(TR)^2 / ((I - 1)(J - 1))); fixed readers: F = MS(T) / MS(TC),
    df2 = (I - 1)(K - 1), as Dorfman et al. have it; fixed cases: F = MS(T) / MS(TR). For the first and last, F and p
    are those of `mrmc_or` with the jackknife; with fixed readers an F distribution stands for chi-squared.
    Raises RadloomError unless the covariance is the jackknife's. Blind to: what `mrmc_or` is blind to.
    Dorfman DD, Berbaum KS, Metz CE. Invest Radiol 1992;27:723-731. Hillis SL, Berbaum KS, Metz CE. Acad Radiol
    2008;15:647-661.

    >>> from radloom.stats.reader_study import pair_study
    >>> kernels = np.random.default_rng(0).integers(0, 2, (2, 3, 10, 10)).astype(float)
    >>> study = pair_study(kernels, "AB", "xyz")
    >>> abs(mrmc_dbm(study).p - mrmc_or(study).p) < 1e-9
    True
    """
    share(level)
    if inference not in INFERENCES:
        raise RadloomError(f"unknown inference {inference!r}", expected=", ".join(INFERENCES))
    if study.without is None:
        raise RadloomError(f"the study has {study.method} covariances", expected="jackknife, which pseudovalues need")
    found = components(study)
    i, j = study.figures.shape
    k = study.n_cases
    pseudo = k * study.figures[..., None] - (k - 1) * study.without
    ms_tr = k * found.ms_tr
    tc = pseudo.mean(1) - pseudo.mean((1, 2))[:, None] - pseudo.mean((0, 1)) + pseudo.mean()
    ms_tc = j * np.sum(tc**2) / ((i - 1) * (k - 1))
    reader_case = pseudo - pseudo.mean(1, keepdims=True) - pseudo.mean(2, keepdims=True)
    reader_case += pseudo.mean((1, 2), keepdims=True)
    trc = reader_case - reader_case.mean(0)
    ms_trc = np.sum(trc**2) / ((i - 1) * (j - 1) * (k - 1))
    if inference == "fixed readers":
        denominator, df2 = ms_tc, float((i - 1) * (k - 1))
    else:
        denominator, df2 = ms_tr, float((i - 1) * (j - 1))
        if inference == "random readers random cases":
            denominator += max(ms_tc - ms_trc, 0.0)
            df2 *= (denominator / ms_tr) ** 2 if ms_tr > 0 else math.inf
    return _conclude(study, inference, found, float(denominator) / k, df2, level)


def one_modality(study: ReaderStudy, *, level: float = 0.95) -> dict[Hashable, Interval]:
    """Each modality's figure, averaged over readers, with its interval for readers and cases like these.

    Variance (MS_R + J max(Cov2, 0)) / J with degrees of freedom (MS_R + J max(Cov2, 0))^2 / (MS_R^2 / (J - 1)), all
    within the modality (Hillis 2007). With one reader: the normal interval from the variance over cases alone.

    >>> from radloom.stats.reader_study import pair_study
    >>> kernels = np.random.default_rng(0).integers(0, 2, (1, 3, 10, 10)).astype(float)
    >>> interval = one_modality(pair_study(kernels, ["CT"], "xyz"))["CT"]
    >>> interval.low < interval.estimate < interval.high
    True
    """
    return _intervals(study, "random readers random cases", share(level))


def against_standalone(study: ReaderStudy, standalone: Hashable, *, level: float = 0.95) -> Difference:
    """A program that reads alone against the readers' mean, for readers and cases like these (1T-RRRC).

    study: one modality; `standalone` names the column that is the program. With theta_j the reader's figure minus the
    program's, whose covariance over cases has off-diagonal mean Cov2: t = mean / sqrt((MS_R + J max(Cov2, 0)) / J),
    df = (MS_R + J max(Cov2, 0))^2 / (MS_R^2 / (J - 1)). A positive estimate: the program is better.
    Blind to: what `mrmc_or` is blind to. Hillis SL, Obuchowski NA, Berbaum KS. Acad Radiol 2011;18:129-142.

    >>> from radloom.stats.reader_study import pair_study
    >>> kernels = np.random.default_rng(0).integers(0, 2, (1, 4, 10, 10)).astype(float)
    >>> result = against_standalone(pair_study(kernels, ["CT"], ["a", "b", "c", "CAD"]), "CAD")
    >>> result.a, result.b, 0 < result.p <= 1
    ('CAD', 'readers', True)
    """
    share(level)
    i, j = study.figures.shape
    if i != 1 or standalone not in study.readers or j < 3:
        raise RadloomError(f"{i} modalities, readers {', '.join(map(str, study.readers))}",
                           expected=f"one modality, {standalone} and at least two other readers")  # fmt: skip
    at = study.readers.index(standalone)
    contrast = np.delete(np.eye(j), at, axis=0)
    contrast[:, at] -= 1
    figures, covariance = contrast @ study.figures[0], contrast @ study.covariance @ contrast.T
    interval, df, error = _mean_of_readers(figures, covariance, level, study.n_cases)
    t = -interval.estimate / error if error > 0 else math.nan
    return Difference(
        standalone, "readers", -interval.estimate, -interval.high, -interval.low, t, df, _two_sided(t, df)
    )


def _conclude(
    study: ReaderStudy, inference: Inference, found: Components, denominator: float, df2: float, level: float
) -> MultiReader:
    from scipy.stats import f as f_distribution

    i, j = study.figures.shape
    f = found.ms_t / denominator if denominator > 0 else math.nan
    p = math.nan if math.isnan(f) else float(f_distribution.sf(f, i - 1, min(df2, 1e12)))
    error = math.sqrt(2 * denominator / j) if denominator > 0 else math.nan
    means = study.figures.mean(axis=1)
    reach = _quantile(level, df2) * error
    pairs = []
    for a, b in combinations(range(i), 2):
        difference = float(means[a] - means[b])
        t = difference / error
        pairs.append(Difference(study.modalities[a], study.modalities[b], difference, difference - reach,
                                difference + reach, t, df2, _two_sided(t, df2)))  # fmt: skip
    return MultiReader(inference, f, float(i - 1), df2, p, level, j, study.n_cases,
                       _intervals(study, inference, level), tuple(pairs), found)  # fmt: skip


def _intervals(study: ReaderStudy, inference: Inference, level: float) -> dict[Hashable, Interval]:
    i, j = study.figures.shape
    covariances = study.covariance.reshape(i, j, i, j)
    intervals = {}
    for a, name in enumerate(study.modalities):
        figures, covariance = study.figures[a], covariances[a, :, a]
        if inference == "fixed cases":
            covariance = np.zeros_like(covariance)
        if inference == "fixed readers" or j == 1:
            off = (covariance.sum() - np.trace(covariance)) / max(j * (j - 1), 1)
            error = math.sqrt(max(np.trace(covariance) / j + (j - 1) * max(off, 0.0), 0.0) / j)
            middle, reach = float(figures.mean()), _quantile(level, math.inf) * error
            intervals[name] = Interval(middle, middle - reach, middle + reach, level, study.n_cases)
        else:
            intervals[name] = _mean_of_readers(figures, covariance, level, study.n_cases)[0]
    return intervals


def _mean_of_readers(
    figures: np.ndarray, covariance: np.ndarray, level: float, n_cases: int
) -> tuple[Interval, float, float]:
    """The readers' mean with its interval, the degrees of freedom and the standard error."""
    j = len(figures)
    between = float(figures.var(ddof=1))
    cov2 = (covariance.sum() - np.trace(covariance)) / (j * (j - 1))
    total = between + j * max(float(cov2), 0.0)
    df = (j - 1) * (total / between) ** 2 if between > 0 else math.inf
    error, middle = math.sqrt(total / j), float(figures.mean())
    reach = _quantile(level, df) * error
    return Interval(middle, middle - reach, middle + reach, level, n_cases), df, error


def _quantile(level: float, df: float) -> float:
    from scipy.stats import t as t_distribution

    return float(t_distribution.ppf((1 + level) / 2, min(df, 1e12)))


def _two_sided(t: float, df: float) -> float:
    from scipy.stats import t as t_distribution

    return math.nan if math.isnan(t) else float(2 * t_distribution.sf(abs(t), min(df, 1e12)))
