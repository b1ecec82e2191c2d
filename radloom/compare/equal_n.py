"""Distribution metrics at equal n: synthetic, real and merely copied images against the same half of the real set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from radloom.compare.measures import DUPLICATES, HALVES, SYNTHETIC, Measure
from radloom.compare.space import Curves, Space, spread
from radloom.compare.splits import SMALLEST, SPLITS, halves, normal
from radloom.errors import RadloomError
from radloom.metrics import distribution
from radloom.metrics.featuresets import clusters
from radloom.metrics.prd import PrdCurve

K = 5  # neighbours of precision, recall, density, coverage (Naeem et al. 2020)
_RANGE = f"mean over {SPLITS} random splits of the real patients; low and high: smallest and largest of them"


def distance(x: np.ndarray, y: np.ndarray) -> float:
    """The squared Frechet distance of two sets of features, without the warning for few images."""
    return distribution.frechet_distance(x, y).value


def at_equal_n(space: Space) -> Iterator[Measure]:
    """Three arms judged against the same half of the real patients: synthetic, the other half, and copies of it."""
    values: dict[tuple[str, str], list[float]] = {}
    sizes = []
    for split in range(SPLITS):
        rng = space.stream("halves", split)
        a, b = halves(space.patients_real, rng)
        size = min(len(a), len(b), len(space.synthetic))
        if size < SMALLEST:
            raise RadloomError(f"{size} images for each arm", expected=f"{SMALLEST} or more")
        reference = space.real[a[:size]]
        arms = {
            SYNTHETIC: space.synthetic[rng.permutation(len(space.synthetic))[:size]],
            HALVES: space.real[b[:size]],
            DUPLICATES: reference[rng.integers(size, size=size)],
        }
        sizes.append(size)
        for arm, rows in arms.items():
            for metric, value in _quick(reference, rows).items():
                values.setdefault((metric, arm), []).append(value)
    size = round(float(np.mean(sizes)))
    for (metric, arm), of in values.items():
        better = "lower" if metric in ("fd_equal_n", "mmd2_equal_n") else "higher"
        yield space.row(metric, arm, float(np.mean(of)), spread=(min(of), max(of)), n=size, n_real=size,
                        better=better, unit="feature^2" if metric == "fd_equal_n" else "1", note=_RANGE)  # fmt: skip


def _quick(reference: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    found = distribution.prdc(reference, rows, K)
    return {
        "fd_equal_n": distance(reference, rows),
        "mmd2_equal_n": distribution.mmd2_polynomial(reference, rows),
        "precision_equal_n": found.precision,
        "recall_equal_n": found.recall,
        "density_equal_n": found.density,
        "coverage_equal_n": found.coverage,
    }


def precision_recall_curve(space: Space, out: list[Curves]) -> Iterator[Measure]:
    """Sajjadi's curve of synthetic against real and of real against real, at the size of half the real set."""
    rng = space.stream("prd")
    a, b = halves(space.patients_real, rng)
    size = min(len(a), len(b), len(space.synthetic))
    if size < SMALLEST:
        raise RadloomError(f"{size} images for each side", expected=f"{SMALLEST} or more")
    reference = (space.real[a[:size]] - space.real.mean(axis=0)) / spread(space.real)
    sets = []
    chosen = rng.permutation(len(space.synthetic))[:size]
    for rows in (space.synthetic[chosen], space.real[b[:size]]):
        sets.append((rows - space.real.mean(axis=0)) / spread(space.real))
    kinds = min(20, size // 2)
    curves = [distribution.prd_curve(reference, rows, kinds, runs=10, rng=space.stream("k-means")) for rows in sets]
    out.append(Curves(*curves))
    who = (space.patients_synthetic[chosen], space.patients_real[b[:size]])
    for arm, curve, rows, patients in zip((SYNTHETIC, HALVES), curves, sets, who, strict=True):
        errors = _prd_errors(reference, rows, space.patients_real[a[:size]], patients, kinds, space.stream("prd", arm))
        for metric, value, se in (("prd_f8", curve.f8, errors[0]), ("prd_f1_8", curve.f1_8, errors[1])):
            low, high = normal(value, se)
            yield space.row(metric, arm, value, spread=(max(low, 0.0), min(high, 1.0)), n=size, n_real=size,
                            better="higher",
                            note=f"{kinds} clusters, 10 runs, z-scored features, equal n; F8 weighs recall, F1/8 "
                                 "precision; 95 % interval: bootstrap over patients, clusters held fixed")  # fmt: skip


def _prd_errors(
    x: np.ndarray, y: np.ndarray, patients_x: np.ndarray, patients_y: np.ndarray, kinds: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Standard errors of F8 and F1/8 over 200 bootstraps of patients, with one clustering held fixed."""
    from sklearn.cluster import KMeans

    groups = clusters(patients_x, len(x), "a set"), clusters(patients_y, len(y), "a set")
    if min(map(len, groups)) < 3:
        return np.nan, np.nan
    labels = KMeans(kinds, random_state=int(rng.integers(2**31 - 1))).fit_predict(np.concatenate([x, y]))
    shares = []
    for of, part in zip(groups, np.split(labels, [len(x)]), strict=True):
        counts = np.stack([np.bincount(part[rows], minlength=kinds) for rows in of])
        drawn = rng.multinomial(len(of), np.full(len(of), 1 / len(of)), size=200) @ counts
        shares.append(drawn / drawn.sum(axis=1, keepdims=True))
    values = []
    for p, q in zip(*shares, strict=True):
        precision, recall = distribution.prd_from_histograms(p, q, 101)
        curve = PrdCurve(precision, recall, len(x), len(y), x.shape[1], kinds, 1)
        values.append((curve.f8, curve.f1_8))
    f8, f1_8 = np.std(values, axis=0, ddof=1)
    return float(f8), float(f1_8)
