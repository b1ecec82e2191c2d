"""Whether synthetic images repeat real ones: nearest real images, copies, and what real images are to each other.

Without held-out images the baseline is each real image's nearest one of another patient. With them, the metrics of
`metrics.memorisation` compare training and held-out images.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from radloom.compare.measures import REAL, SYNTHETIC, Findings, Measure
from radloom.compare.planes import Described, Plane
from radloom.compare.space import Space
from radloom.errors import RadloomError
from radloom.metrics import memorisation
from radloom.metrics.featuresets import blocks
from radloom.metrics.neighbours import nearest_neighbours
from radloom.random import numpy_stream
from radloom.stats.intervals import Interval, bootstrap_ci, wilson

QUANTILE = 0.99
_THUMBNAILS = "64 x 64 thumbnails"


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A synthetic plane with its nearest real one: their correlation under the best flip, and whether it is a copy."""

    synthetic: Plane
    real: Plane
    correlation: float
    flips: tuple[int, ...]
    is_copy: bool


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest real plane of every synthetic one by correlation, and what counts as a copy.

    correlation (n,), threshold: the 99th percentile of the same among real images of different patients (or of
    held-out images), baseline: those values. neighbours: most alike first. identical: synthetic images whose voxels
    equal a real image's.
    """

    correlation: np.ndarray
    baseline: np.ndarray
    threshold: float
    neighbours: tuple[Neighbour, ...]
    identical: int


def add_nearest(
    target: str, real: Described, synthetic: Described, *, excluded: bool, held_out: Described | None, seed: int,
    found: Findings,
) -> Nearest | None:  # fmt: skip
    """Adds the copies found in the images; returns the neighbours, None when the images have no contrast.

    excluded: real images of the synthetic image's own patient do not count, as in translation, where they should be
    alike.
    """
    out: list[Nearest] = []
    rng = numpy_stream(seed, "compare", target, "copies")

    def work() -> Iterator[Measure]:
        nearest = _nearest(real, synthetic, excluded, held_out)
        out.append(nearest)
        copies = (nearest.correlation > nearest.threshold) * 1.0
        share = copy_share(copies, synthetic.patients, rng)
        usual = float(np.mean(nearest.baseline > nearest.threshold))
        against = "held-out images" if held_out else "real images and those of other patients"
        note = (f"share of images nearer to a real one than 99 % of {against} are (correlation above "
                f"{nearest.threshold:.4f}, any flip, brightness and contrast); {_THUMBNAILS}; 95 % interval over "
                "patients: Wilson's, or the bootstrap's where a patient has several images")  # fmt: skip
        n, m = len(synthetic.planes), len(real.planes)
        yield Measure(target, "copies", SYNTHETIC, share.estimate, share.low, share.high, n, m, 0, "correlation", "",
                      "1", "lower", note)  # fmt: skip
        yield Measure(target, "copies", REAL, usual, np.nan, np.nan, len(nearest.baseline), m, 0, "correlation", "",
                      "1", "lower", "the same of real images: what chance gives")  # fmt: skip
        yield Measure(target, "identical", SYNTHETIC, nearest.identical / n, np.nan, np.nan, n, m, 0, "voxels", "",
                      "1", "lower", "share of images whose voxels all equal those of a real image")  # fmt: skip

    found.attempt(target, "copies", work)
    return out[0] if out else None


def copy_share(copies: np.ndarray, patients: np.ndarray, rng: np.random.Generator) -> Interval:
    """The share with Wilson's interval where each patient has one image, or none or all are copies (a bootstrap then
    has no width), counting patients; else with the bootstrap's over patients.

    >>> none = copy_share(np.zeros(20), np.repeat(np.arange(10), 2), np.random.default_rng(0))
    >>> none.estimate, none.low, round(none.high, 4)  # of 10 patients
    (0.0, 0.0, 0.2775)
    """
    n, share = len(np.unique(patients)), float(copies.mean())
    if n == len(copies) or share in (0, 1):
        return wilson(round(share * n), n)
    return bootstrap_ci(copies, patients=patients, rng=rng)


def add_distances(
    space: Space, found: Findings, *, excluded: bool, held_out: np.ndarray | None, patients_held_out: np.ndarray
) -> None:
    """Adds distances to the nearest real image in a feature space and, with held-out images, the memorisation metrics.

    held_out: their features (h, d).
    """
    name = f"nearest_real_ratio ({space.extractor})"
    found.attempt(space.target, name, lambda: _ratio(space, excluded))
    if held_out is not None:
        for metric in ("nearest_training", "copy_fraction", "authenticity", "data_copying", "membership_auc"):
            found.attempt(space.target, f"{metric} ({space.extractor})",
                          lambda m=metric: _against_held_out(space, held_out, patients_held_out, m))  # fmt: skip


def _ratio(space: Space, excluded: bool) -> Iterator[Measure]:
    own = space.patients_synthetic if excluded else np.full(len(space.synthetic), None)
    near = _nearest_of_others(space.synthetic, space.real, own, space.patients_real)
    usual = _nearest_of_others(space.real, space.real, space.patients_real, space.patients_real)
    middle = float(np.median(usual))
    if middle == 0:
        raise RadloomError("half of the real images are copies of another patient's", expected="each image once")
    found = bootstrap_ci(near / middle, patients=space.patients_synthetic, statistic=np.median,
                         rng=space.stream("nearest"))  # fmt: skip
    note = ("median distance of a synthetic image to the nearest real one, over that of a real image to the nearest of "
            "another patient; 1: as far as real ones, near 0: copies, above 1: further away than real images are; 95 % "
            "interval: bootstrap over patients of the synthetic set")  # fmt: skip
    yield space.row("nearest_real_ratio", SYNTHETIC, found.estimate, spread=(found.low, found.high), better="neither",
                    note=note)  # fmt: skip


def _nearest_of_others(x: np.ndarray, y: np.ndarray, of_x: np.ndarray, of_y: np.ndarray) -> np.ndarray:
    """The distance of each row of x to the nearest row of y that is of another patient."""
    most = max(np.unique(of_y, return_counts=True)[1])
    if most == len(y):
        raise RadloomError("all real images are of one patient", expected="2 patients or more")
    found = nearest_neighbours(x, y, int(most) + 1)
    other = of_y[found.indices] != of_x[:, None]
    return found.distances[np.arange(len(x)), other.argmax(axis=1)]


def _against_held_out(
    space: Space, held_out: np.ndarray, patients_held_out: np.ndarray, metric: str
) -> Iterator[Measure]:
    t, s, who, rng = space.real, space.synthetic, space.patients_synthetic, space.stream(metric)
    if metric == "nearest_training":
        near = memorisation.nearest_training_distance(t, s, held_out)
        note = "median distance to the nearest training image, synthetic over held-out; below 1: copies"
        yield space.row("nearest_training_ratio", SYNTHETIC, near.ratio, better="neither", note=note)
    elif metric == "copy_fraction":
        copies = memorisation.copy_fraction(t, s, held_out, patients=who, rng=rng)
        one = copies.fraction
        note = f"held-out images: {copies.held_out_fraction:.3f}; 95 % interval: bootstrap over patients"
        yield space.row(metric, SYNTHETIC, one.estimate, spread=(one.low, one.high), note=note)
    elif metric == "authenticity":
        own = memorisation.authenticity(t, s, held_out, patients=who, rng=rng)
        one, note = own.synthetic, "to be compared with the held-out images; 95 % interval: bootstrap over patients"
        yield space.row(metric, SYNTHETIC, one.estimate, spread=(one.low, one.high), better="neither", note=note)
        yield space.row(metric, REAL, own.held_out, n=len(held_out), better="neither", note="held-out images")
    elif metric == "data_copying":
        test = memorisation.data_copying(t, s, held_out, rng=rng)
        yield space.row(
            metric, SYNTHETIC, test.value, better="neither", note="z-score; below -3: copies training images"
        )
    else:
        attack = memorisation.membership_attack(t, s, held_out, patients_training=space.patients_real,
                                                patients_held_out=patients_held_out, rng=rng)  # fmt: skip
        one = attack.auc
        note = f"0.5 is privacy; true positives at 1 % false positives: {attack.tpr_at_1_percent:.3f}"
        yield space.row(metric, SYNTHETIC, one.estimate, spread=(one.low, one.high), note=note)


def _nearest(real: Described, synthetic: Described, excluded: bool, held_out: Described | None) -> Nearest:
    of_real = real.patients
    own = synthetic.patients if excluded else np.full(len(synthetic.planes), None)
    train, drawn = _unit_rows(real, "real"), _unit_rows(synthetic, "synthetic")
    highest, number, flips = _closest(drawn, train, own, of_real)
    if held_out is None:
        baseline, _, _ = _closest(train, train, of_real, of_real)
    else:
        rows = _unit_rows(held_out, "held-out")
        baseline, _, _ = _closest(rows, train, np.full(len(rows), None), of_real)
    threshold = float(np.quantile(baseline, QUANTILE))
    order = np.argsort(-highest, kind="stable")
    neighbours = tuple(
        Neighbour(synthetic.planes[i], real.planes[number[i]], float(highest[i]), flips[i],
                  bool(highest[i] > threshold)) for i in order
    )  # fmt: skip
    identical = int(np.isin(synthetic.hashes, real.hashes).sum())
    return Nearest(highest, baseline, threshold, neighbours, identical)


def _unit_rows(chosen: Described, name: str) -> np.ndarray:
    """The thumbnails as rows of mean 0 and length 1. Raises RadloomError when one is constant."""
    rows = chosen.thumbnails.reshape(len(chosen.thumbnails), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    still = np.count_nonzero(length < 1e-9)
    if still:
        raise RadloomError(f"{still} {name} images are constant", expected="images that have a correlation")
    return (rows / length).astype(np.float32)


def _closest(
    x: np.ndarray, y: np.ndarray, of_x: np.ndarray, of_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]]]:
    """The largest correlation of each row with a row of another patient under any flip, whose, and under which flip."""
    side = round(x.shape[1] ** 0.5)
    highest, number = np.full(len(x), -np.inf), np.zeros(len(x), np.int64)
    flips: list[tuple[int, ...]] = [()] * len(x)
    for axes in itertools.chain.from_iterable(itertools.combinations((0, 1), size) for size in range(3)):
        for i in blocks(len(x), 256):
            turned = np.flip(x[i].reshape(-1, side, side), tuple(axis + 1 for axis in axes)).reshape(-1, x.shape[1])
            r = np.where(of_x[i, None] == of_y[None], -np.inf, np.clip(turned @ y.T, -1, 1))
            best = r.argmax(axis=1)
            values = r[np.arange(len(r)), best]
            for row in np.flatnonzero(values > highest[i]):
                highest[i.start + row], number[i.start + row], flips[i.start + row] = values[row], best[row], axes
    if not np.isfinite(highest).all():
        raise RadloomError("all real images are of one patient", expected="2 patients or more")
    return highest, number, flips
