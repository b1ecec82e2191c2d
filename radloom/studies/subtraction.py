"""Subtraction of two examinations of a patient, a detector on the map, and its count against known new lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import ndimage

from radloom.errors import RadloomError

_BIAS_MM = 12.0  # standard deviation of the window in which the two examinations' brightness is matched
_THRESHOLDS = np.arange(3.0, 20.01, 0.5)  # standard deviations of the noise


@dataclass(frozen=True)
class Counts:
    """new lesions of the truth, found: how many the detector marked, false: marks that touch no new lesion."""

    new: int
    found: int
    false: int


def white_matter(t1: Float[np.ndarray, "x y z"], region: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """White matter that looks normal: the brightest third of a T1 inside the region, without its edge.

    Blind to a T1 in which something else is brighter, such as fat or a contrast agent.

    >>> t1 = np.tile(np.repeat([1.0, 1.1, 2.0], 3)[:, None, None], (1, 9, 3))
    >>> found = white_matter(t1, np.ones((9, 9, 3), bool))
    >>> bool(found[:6].any()), bool(found[7, 4, 1])
    (False, True)
    """
    inner: Any = ndimage.binary_erosion(region, structure=np.ones((3, 3, 1)))
    if not inner.any():
        raise RadloomError("the region has no inner voxel", expected="a head of at least 3 x 3 voxels")
    return inner & (t1 > np.quantile(t1[inner], 2 / 3))


def subtraction(
    baseline: Float[np.ndarray, "x y z"],
    follow_up: Float[np.ndarray, "x y z"],
    region: Bool[np.ndarray, "x y z"],
    white: Bool[np.ndarray, "x y z"],
    *,
    spacing_mm: Sequence[float],
) -> Float[np.ndarray, "x y z"]:
    """Follow-up minus baseline in standard deviations of the difference inside `white`, 0 outside the region.

    The examinations lie on one grid, in any units. The follow-up is first divided by the ratio of both images' means in
    a Gaussian window of 12 mm, which takes away gain and differential bias (the aim of Lewis and Fox, NeuroImage
    2004;23:75-83); median and standard deviation (1.4826 MAD) are those of white matter, so that a few lesions in it do
    not count. Blind to motion between the examinations, and to a change as wide as the window.
    Raises RadloomError on images of other shapes, or a difference without any spread.

    >>> rng = np.random.default_rng(0)
    >>> region, white = np.ones((2, 24, 24, 8), bool)
    >>> one, two = 5 + 0.1 * rng.standard_normal((2, 24, 24, 8))
    >>> z = subtraction(one, 2 * two, region, white, spacing_mm=(1.0, 1.0, 1.0))
    >>> round(float(z.std()), 1), abs(round(float(np.median(z)), 1))
    (1.0, 0.0)
    """
    if not baseline.shape == follow_up.shape == region.shape:
        raise RadloomError(f"examinations of shapes {baseline.shape} and {follow_up.shape}", expected="one grid",
                           do="register them first")  # fmt: skip
    window = [_BIAS_MM / mm for mm in spacing_mm]
    means = [
        ndimage.gaussian_filter(np.where(region, image, 0).astype(float), window) for image in (baseline, follow_up)
    ]
    ratio = np.divide(means[1], means[0], out=np.ones(region.shape), where=means[0] > 1e-6 * np.abs(means[0]).max())
    difference = np.where(region, follow_up / np.where(ratio > 0, ratio, 1.0) - baseline, 0.0)
    middle = float(np.median(difference[white]))
    deviation = 1.4826 * float(np.median(np.abs(difference[white] - middle)))
    if not deviation > 0:
        raise RadloomError("both examinations are the same image", expected="two scans with noise of their own")
    return np.where(region, (difference - middle) / deviation, 0.0)


def marks(
    change: Float[np.ndarray, "x y z"], *, threshold: float, least_mm3: float, voxel_mm3: float
) -> Integer[np.ndarray, "x y z"]:
    """The numbered places (26 neighbours) where the change is above the threshold, of least_mm3 or more.

    >>> change = np.zeros((5, 5, 3)); change[1, 1, 1] = change[3:, 3:, 1] = 9.0
    >>> int(marks(change, threshold=3.0, least_mm3=2.0, voxel_mm3=1.0).max())
    1
    """
    found: Any = ndimage.label(change > threshold, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(found[0].ravel()) * voxel_mm3
    sizes[0] = 0
    kept = np.flatnonzero(sizes >= least_mm3)
    numbers = np.zeros(len(sizes), dtype=np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return numbers[found[0]]


def counts(marked: Integer[np.ndarray, "x y z"], new: Integer[np.ndarray, "x y z"]) -> Counts:
    """How many numbered new lesions hold a voxel of a mark, and how many marks lie off every one by over a voxel.

    >>> marked = np.zeros((9, 3, 1), int); marked[1], marked[7] = 1, 2
    >>> new = np.zeros((9, 3, 1), int); new[1:3] = 1; new[4] = 2
    >>> counts(marked, new)
    Counts(new=2, found=1, false=1)
    """
    lesions = np.unique(new[new > 0])
    found = np.unique(new[(marked > 0) & (new > 0)])
    near: Any = ndimage.binary_dilation(new > 0, structure=np.ones((3, 3, 3)))
    touching = np.unique(marked[near & (marked > 0)])
    return Counts(len(lesions), len(found), int(marked.max()) - len(touching))


def threshold_for(
    changes: Sequence[tuple[np.ndarray, np.ndarray]], *, false_a_scan: float, least_mm3: float, voxel_mm3: float
) -> float:
    """The lowest threshold, 3 or more, with at most this many false marks a scan on these (change, new lesions).

    Without any scan: 3. Where no threshold up to 20 is enough: 20.
    """
    for threshold in _THRESHOLDS:
        false = [
            counts(marks(change, threshold=threshold, least_mm3=least_mm3, voxel_mm3=voxel_mm3), new).false
            for change, new in changes
        ]
        if not false or np.mean(false) <= false_a_scan:
            return float(threshold)
    return float(_THRESHOLDS[-1])


def contrast_to_noise(
    change: Float[np.ndarray, "x y z"], new: Integer[np.ndarray, "x y z"]
) -> float:  # fmt: skip
    """The mean change inside the new lesions, in standard deviations of white matter's; NaN where there is none."""
    return float(change[new > 0].mean()) if (new > 0).any() else float("nan")
