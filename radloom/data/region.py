"""Where the head or body is in an image, and which value stands for nothing."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from radloom.errors import RadloomError
from radloom.types import Image

_BACKGROUND_SHARE = 0.2
_STRIPPED = 0.4  # of the voxels beside the fill that are brighter than air; heads in air have under 0.2
_AIR_HU = -500.0  # up to which HU count as air
_POCKET = 0.05


def background(image: Image) -> float:
    """The value of nothing: 0 for labels, the exact value that fills the border of a stripped image, else the least."""
    if image.kind == "label":
        return 0.0
    exact = exact_background(image.voxels)
    return float(np.nanmin(image.voxels)) if exact is None else exact


def foreground(image: Image) -> np.ndarray:
    """Boolean array, true inside the head or body.

    Where one exact value fills the border and over 20 % of the volume, and tissue begins right beside it
    (skull-stripped images, also those that a carrier rescaled so that nothing is -1), the foreground is every other
    value. Otherwise it is the largest part that is brighter than air, its holes filled: above -500 HU, or above a tenth
    of the way from the 2nd to the 98th percentile. Otsu's threshold would lie between muscle and fat on a T1 of a limb.
    """
    check_finite(image)
    exact = exact_background(image.voxels)
    seen = np.ones(image.shape, dtype=bool) if exact is None else image.voxels != exact
    if not seen.any():
        return seen
    if exact is not None and not (image.unit == "HU" and exact <= _AIR_HU):
        edge = image.voxels[seen & ndimage.binary_dilation(~seen)]
        if np.mean(edge > _air(image, seen, darkest=exact, percent=90)) > _STRIPPED:
            return seen
    return _largest_part(seen & (image.voxels > _air(image, seen, darkest=None, percent=98)))


def _air(image: Image, seen: Bool[np.ndarray, "x y z"], *, darkest: float | None, percent: int) -> float:
    """The value up to which a voxel counts as air; `seen`: voxels that nobody filled up."""
    if image.unit == "HU":
        return _AIR_HU
    low, high = np.percentile(image.voxels[seen], [2, percent])
    low = low if darkest is None else min(low, darkest)
    return float(low + 0.1 * (high - low))


def _largest_part(bright: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The largest component once threads and specks of a voxel are gone, with its rim, its holes filled in-plane too.

    In-plane: a head that leaves the volume below has no 3D holes.
    """
    from skimage.measure import label

    plane = np.ones((3, 3, 1), dtype=bool)
    plane[[0, 0, 2, 2], [0, 2, 0, 2]] = False
    parts = np.asarray(label(ndimage.binary_opening(bright, plane), connectivity=1))
    if not parts.any():
        return np.zeros(bright.shape, dtype=bool)
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    filled = ndimage.binary_fill_holes(ndimage.binary_dilation(largest, plane) & bright)
    filled = np.asarray(ndimage.binary_fill_holes(filled, structure=plane), dtype=bool)
    for axis, side in ((0, 0), (0, -1), (1, 0), (1, -1)):
        filled |= _pockets(filled, plane, axis, side)
    return filled


def _pockets(
    body: Bool[np.ndarray, "x y z"], plane: Bool[np.ndarray, "3 3 1"], axis: int, side: int
) -> Bool[np.ndarray, "x y z"]:
    """Holes of a slice that only this side of the field of view opens, of less than 1/20 of the slice: cut bone."""
    ends = [(0, 0)] * 3
    ends[axis] = (1, 0) if side == 0 else (0, 1)
    closed = np.asarray(ndimage.binary_fill_holes(np.pad(body, ends, constant_values=True), structure=plane))
    holes = np.delete(closed, side, axis) & ~body
    return holes & (holes.mean(axis=(0, 1)) < _POCKET)


def exact_background(voxels: np.ndarray) -> float | None:
    """The exact value that is most frequent on the faces, if it fills over a fifth of the volume."""
    faces = [np.take(voxels, [0, -1], axis).ravel() for axis in range(3) if voxels.shape[axis] > 1]
    if not faces:
        return None
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    value = values[np.argmax(counts)]
    return float(value) if np.mean(voxels == value) > _BACKGROUND_SHARE else None


def check_finite(image: Image) -> None:
    """Raises RadloomError when a voxel is NaN or infinite."""
    if not np.isfinite(image.voxels).all():
        raise RadloomError("an image holds NaN or infinite values", do="run `radloom data audit` to see which")
