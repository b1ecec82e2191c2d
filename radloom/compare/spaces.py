"""Every distribution metric of two sets in one feature space, beside what real images and mere copies would get.

The Frechet distance never stands alone: a value at equal n, its extrapolation to unlimited images, and the floor of
real against real stand beside it. Intervals resample patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from radloom.compare.equal_n import K, at_equal_n, distance, precision_recall_curve
from radloom.compare.measures import REAL, SYNTHETIC, Findings, Measure
from radloom.compare.space import Curves, Space, spread
from radloom.compare.splits import Statistic, jackknife, normal
from radloom.metrics import distribution

K_IMPROVED = 3  # (Kynkäänniemi et al. 2019)
_UNDERSAMPLED = "no more images than features: mostly sampling bias, read it beside fd_equal_n of the real halves"


def add_distribution(space: Space, found: Findings) -> Curves | None:
    """Adds every distribution metric of a space to what was found; returns the curves where there are enough images."""

    def attempt(metric: str, work: Callable[[], Iterable[Measure]]) -> None:
        found.attempt(space.target, f"{metric} ({space.extractor})", work)

    attempt("fd", lambda: _frechet(space))
    attempt("fd_infinity", lambda: _unlimited(space))
    attempt("kid", lambda: _kid(space))
    attempt("mmd2", lambda: _mmd2(space))
    attempt("precision, recall, density, coverage", lambda: _manifold(space))
    attempt("improved_precision, improved_recall", lambda: _improved(space))
    attempt("vendi", lambda: _vendi(space))
    attempt("fd_equal_n, mmd2_equal_n, coverage_equal_n", lambda: at_equal_n(space))
    curves: list[Curves] = []
    attempt("prd_f8, prd_f1_8", lambda: precision_recall_curve(space, curves))
    return curves[0] if curves else None


def add_core(space: Space, found: Findings) -> None:
    """Adds the Frechet distance with its correction and floor, KID, and precision, recall, density and coverage."""
    for metric, work in (("fd", _frechet), ("fd_infinity", _unlimited), ("kid", _kid),
                         ("precision, recall, density, coverage", _manifold),
                         ("fd_equal_n, mmd2_equal_n, coverage_equal_n", at_equal_n)):  # fmt: skip
        found.attempt(space.target, f"{metric} ({space.extractor})", lambda work=work: work(space))


def _se(space: Space, statistic: Statistic, name: str) -> float:
    return jackknife(statistic, space.real, space.synthetic, space.patients_real, space.patients_synthetic,
                     space.stream("jackknife", name))  # fmt: skip


def _frechet(space: Space) -> Iterator[Measure]:
    x, y = space.real, space.synthetic
    found = distribution.frechet_distance(x, y)
    note = "95 % interval: jackknife over patients; biased upwards by about 1/n"
    note += f"; {_UNDERSAMPLED}" if found.undersampled else ""
    low, high = normal(found.value, _se(space, distance, "fd"))
    yield space.row("fd", SYNTHETIC, found.value, spread=(max(low, 0.0), high), unit="feature^2", note=note)


def _unlimited(space: Space) -> Iterator[Measure]:
    x, y = space.real, space.synthetic
    draws = 20 if x.shape[1] <= 100 else 8
    unbiased = distribution.fid_infinity(x, y, draws=draws, patients_real=space.patients_real,
                                         patients_synthetic=space.patients_synthetic,
                                         rng=space.stream("fid_infinity"))  # fmt: skip
    note = f"the Frechet distance extrapolated to unlimited images; 95 % interval from {draws} bootstraps of patients"
    note += "; still biased: no more images than features" if min(len(x), len(y)) <= x.shape[1] else ""
    yield space.row("fd_infinity", SYNTHETIC, unbiased.value, spread=(unbiased.low, unbiased.high),
                    unit="feature^2", note=note)  # fmt: skip


def _kid(space: Space) -> Iterator[Measure]:
    x, y = space.real, space.synthetic
    size = min(1000, max(2, min(len(x), len(y)) // 2))
    drawn = distribution.kid(x, y, size, 100, rng=space.stream("kid"))
    note = f"100 subsets of {size}; interval: 1.96 standard errors over subsets, not over patients"
    yield space.row("kid", SYNTHETIC, drawn.mean, spread=normal(drawn.mean, drawn.se), note=note)


def _mmd2(space: Space) -> Iterator[Measure]:
    x, y = space.real, space.synthetic
    all_pairs = distribution.mmd2_interval(x, y, patients_real=space.patients_real,
                                           patients_synthetic=space.patients_synthetic,
                                           rng=space.stream("mmd2"))  # fmt: skip
    note = "KID's kernel over all pairs, unbiased; 95 % interval: bootstrap over patients, too wide near 0"
    yield space.row("mmd2", SYNTHETIC, all_pairs.value, spread=normal(all_pairs.value, all_pairs.se), note=note)


def _manifold(space: Space) -> Iterator[Measure]:
    found = distribution.prdc_intervals(space.real, space.synthetic, K, patients_real=space.patients_real,
                                        patients_synthetic=space.patients_synthetic,
                                        rng=space.stream("prdc"))  # fmt: skip
    for name in ("precision", "recall", "density", "coverage"):
        one = getattr(found, name)
        yield space.row(name, SYNTHETIC, one.estimate, spread=(one.low, one.high), better="higher",
                        note=f"k = {K}; 95 % interval: bootstrap over patients, balls held fixed")  # fmt: skip


def _improved(space: Space) -> Iterator[Measure]:
    found = distribution.improved_precision_recall(space.real, space.synthetic, K_IMPROVED)
    for name in ("precision", "recall"):

        def one(x: np.ndarray, y: np.ndarray, name: str = name) -> float:
            return getattr(distribution.improved_precision_recall(x, y, K_IMPROVED), name)

        value = getattr(found, name)
        low, high = normal(value, _se(space, one, f"improved {name}"))
        yield space.row(f"improved_{name}", SYNTHETIC, value, spread=(max(low, 0.0), min(high, 1.0)), better="higher",
                        note=f"k = {K_IMPROVED}; 95 % interval: jackknife over patients")  # fmt: skip


def _vendi(space: Space) -> Iterator[Measure]:
    size = min(len(space.real), len(space.synthetic))
    for arm, rows, who in ((SYNTHETIC, space.synthetic, space.patients_synthetic),
                           (REAL, space.real, space.patients_real)):  # fmt: skip
        chosen = np.sort(space.stream("vendi", arm).permutation(len(rows))[:size])
        z = (rows[chosen] - space.real.mean(axis=0)) / spread(space.real)
        value = distribution.vendi_score(z)
        se = jackknife(lambda x, _: distribution.vendi_score(x), z, z, who[chosen], who[chosen],
                       space.stream("vendi", arm, "jackknife")) if len(z) >= 3 else np.nan  # fmt: skip
        yield space.row("vendi", arm, value, spread=normal(value, se), n=size, n_real=0, better="neither",
                        note="effective number of different images (z-scored features, cosine), the same n for both "
                             "arms; 95 % interval: jackknife over patients")  # fmt: skip
