"""Copies of training images found in the images themselves, by normalised correlation; by features: `memorisation`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import as_numpy
from radloom.metrics.featuresets import Patients, blocks
from radloom.stats.intervals import Interval, bootstrap_ci
from radloom.stats.numbers import share

Images = Any  # a list of arrays of one shape, or one array or tensor (n, x, y) or (n, x, y, z)
_ROWS = 128  # images of a block


@dataclass(frozen=True, eq=False)
class ImageCopies:
    """The closest training image of each synthetic one, and how many are closer than real images ever come.

    correlation (n,) in [-1, 1], training (n,) the training image's number, flips (n,) the flipped axes of each match.
    fraction: share of synthetic images above `threshold`, with its interval; `held_out_fraction`: the same of the
    held-out real images, which set the threshold. d is the number of voxels of an image.
    """

    correlation: np.ndarray
    training: np.ndarray
    flips: tuple[tuple[int, ...], ...]
    fraction: Interval
    held_out_fraction: float
    threshold: float
    n_synthetic: int
    n_training: int
    n_held_out: int
    d: int


def image_copies(
    training: Images,
    synthetic: Images,
    held_out: Images,
    *,
    quantile: float = 0.99,
    patients: Patients = None,
    rng: np.random.Generator,
) -> ImageCopies:
    """Which synthetic images repeat a training image, up to flips, brightness and contrast.

    For each image the largest Pearson correlation r = cov(a, b)/(sd a sd b) with any training image under any flip of
    its axes; r does not notice a -> c a + b with c > 0. Above the `quantile` of the held-out real images' own largest r
    it counts as a copy, so a generator that copies nothing gives about 1 - quantile. Images of one shape, (x, y) or
    (x, y, z); `patients` (synthetic images,) are the units of the bootstrap interval.
    Blind to: shifts, turns and elastic change, which hide a copy; alignment that makes all images alike raises every r,
    which is why the threshold comes from real images; copies of a part. Raises RadloomError for a constant image.
    Akbar MU, Wang W, Eklund A. arXiv 2305.07644.

    >>> rng = np.random.default_rng(0)
    >>> train, new, other = (rng.random((20, 8, 8)) for _ in range(3))
    >>> drawn = np.concatenate([3 * train[4:5, ::-1] + 7, new])
    >>> found = image_copies(train, drawn, other, rng=rng)
    >>> round(float(found.correlation[0]), 9), int(found.training[0]), found.flips[0], found.n_synthetic, found.d
    (1.0, 4, (0,), 21, 64)
    """
    share(quantile)
    train, shape = _normalised(training, "the training set")
    drawn, _ = _normalised(synthetic, "the synthetic set", shape)
    real, _ = _normalised(held_out, "the held-out set", shape)
    highest, number, flips = _closest(drawn, train, shape)
    baseline, _, _ = _closest(real, train, shape)
    threshold = float(np.quantile(baseline, quantile))
    who = np.arange(len(drawn)) if patients is None else patients
    return ImageCopies(
        highest, number, tuple(flips), bootstrap_ci((highest > threshold) * 1.0, patients=who, rng=rng),
        float(np.mean(baseline > threshold)), threshold, len(drawn), len(train), len(real), train.shape[1],
    )  # fmt: skip


def _normalised(images: Images, name: str, shape: tuple[int, ...] | None = None) -> tuple[np.ndarray, tuple[int, ...]]:
    """The images as rows of mean 0 and length 1, and their shape. Raises RadloomError when one is unfit."""
    arrays = [as_numpy(image) for image in images]
    shapes = {array.shape for array in arrays} | ({shape} if shape is not None else set())
    if not arrays or len(shapes) > 1 or len(arrays[0].shape) not in (2, 3):
        raise RadloomError(
            f"{name} has {len(arrays)} images of shapes {', '.join(map(str, sorted(shapes)))}",
            expected="images (x, y) or (x, y, z) of one shape in all sets",
        )
    rows = np.stack([array.ravel() for array in arrays]).astype(np.float64)
    if not np.isfinite(rows).all():
        raise RadloomError(f"{name} has NaN or infinite voxels", expected="finite values")
    still = np.ptp(rows, axis=1) == 0
    if still.any():
        raise RadloomError(
            f"{np.count_nonzero(still)} images of {name} are constant", expected="images that have a correlation",
            do="leave those out and state how many",
        )  # fmt: skip
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, arrays[0].shape


def _closest(
    rows: np.ndarray, train: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]]]:
    """The largest correlation of each row with a training row under any flip, whose, and under which flip."""
    highest, number = np.full(len(rows), -np.inf), np.zeros(len(rows), np.int64)
    flips: list[tuple[int, ...]] = [()] * len(rows)
    for axes in _flips(len(shape)):
        for i in blocks(len(rows), _ROWS):
            turned = np.flip(rows[i].reshape(-1, *shape), tuple(axis + 1 for axis in axes)).reshape(-1, rows.shape[1])
            r = np.clip(turned @ train.T, -1, 1)
            best = r.argmax(axis=1)
            values = r[np.arange(len(r)), best]
            for row in np.flatnonzero(values > highest[i]):
                highest[i.start + row], number[i.start + row], flips[i.start + row] = values[row], best[row], axes
    return highest, number, flips


def _flips(axes: int) -> Iterator[tuple[int, ...]]:
    """Every set of axes, none first."""
    return itertools.chain.from_iterable(itertools.combinations(range(axes), size) for size in range(axes + 1))
