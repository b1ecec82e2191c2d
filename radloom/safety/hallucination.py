"""Structures that a synthetic image lost or invented, against the real image of the same patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from radloom.errors import RadloomError

_RING = 2  # voxels between a lesion and the outer edge of its surroundings
_LEAST_RING = 8  # voxels that surroundings need
_LAPLACIAN = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])


@dataclass(frozen=True)
class Fate:
    """One lesion of the truth. volume_ml: its size. real, synthetic: mean inside minus mean of its surroundings.

    visible: whether the real image shows it, by more than a standard deviation of the surroundings. lost: visible in
    the real image, and the synthetic one shows less than half of its contrast, or the opposite.
    """

    volume_ml: float
    real: float
    synthetic: float
    visible: bool

    @property
    def lost(self) -> bool:
        """Whether a lesion that the real image shows is not in the synthetic one."""
        return self.visible and self.synthetic * math.copysign(1, self.real) < abs(self.real) / 2


def lesion_fates(
    real: Float[np.ndarray, "_ _ _"],
    synthetic: Float[np.ndarray, "_ _ _"],
    lesion: Bool[np.ndarray, "_ _ _"],
    region: Bool[np.ndarray, "_ _ _"],
    *,
    voxel_ml: float,
    least_voxels: int = 3,
) -> list[Fate]:
    """What became of each connected part of `lesion` (26 neighbours) of at least `least_voxels` voxels.

    real, synthetic: the same patient's images in the same units. region: where tissue is; the surroundings of a part
    are the voxels of the region within two voxels of it, in plane and across, that no lesion covers. A part without
    surroundings is left out. Blind to a lesion that moved by less than its own size, and to its shape.

    >>> real = np.ones((9, 9, 3)); real[3:6, 3:6] = 2.0
    >>> lesion, head = real > 1.5, np.ones((9, 9, 3), bool)
    >>> [fate.lost for fate in lesion_fates(real, np.ones((9, 9, 3)), lesion, head, voxel_ml=0.001)]
    [True]
    """
    _same_shape(real, synthetic, lesion, region)
    found: Any = ndimage.label(lesion, structure=np.ones((3, 3, 3)))
    parts, count = found
    fates = []
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        assert place is not None, f"part {number} of {count} has a place"
        box = tuple(
            slice(max(0, s.start - _RING), min(n, s.stop + _RING)) for s, n in zip(place, lesion.shape, strict=True)
        )
        inside = parts[box] == number
        around = region[box] & ~lesion[box]
        if inside.sum() < least_voxels or around.sum() < _LEAST_RING:
            continue
        contrasts = [float(image[box][inside].mean() - image[box][around].mean()) for image in (real, synthetic)]
        visible = abs(contrasts[0]) > float(real[box][around].std())
        fates.append(Fate(float(inside.sum()) * voxel_ml, contrasts[0], contrasts[1], bool(visible)))
    return fates


def noise_sd(image: Float[np.ndarray, "_ _ _"], region: Bool[np.ndarray, "_ _ _"]) -> float:
    """Standard deviation of the noise inside the region, from the median size of second differences in axial slices.

    Immerkaer's operator (Comput Vis Image Underst 1996;64:300-302), with the median in place of the mean so that edges
    count little. An upper bound where the anatomy is finer than the voxels. NaN where the region has no inner voxel.

    >>> rng = np.random.default_rng(0)
    >>> round(noise_sd(2 + 0.1 * rng.standard_normal((64, 64, 4)), np.ones((64, 64, 4), bool)), 2)
    0.1
    """
    _same_shape(image, region)
    inner = ndimage.binary_erosion(region, structure=np.ones((3, 3, 1)), border_value=0)
    if not inner.any():
        return float("nan")
    differences: Any = ndimage.convolve(image.astype(float), _LAPLACIAN[..., None])
    return float(np.median(np.abs(differences[inner])) / 0.6745 / np.sqrt((_LAPLACIAN**2).sum()))


def false_structures(
    real: Float[np.ndarray, "_ _ _"],
    synthetic: Float[np.ndarray, "_ _ _"],
    region: Bool[np.ndarray, "_ _ _"],
    *,
    noise: float,
    least_voxels: int = 10,
) -> list[int]:
    """Sizes, in voxels, of the connected places where the images differ by over 5 noise standard deviations.

    Six neighbours, inside the region, `least_voxels` or more; largest first. One sign a place: what is too bright and
    what is too dark do not join. Blind to whether a difference matters: a shifted edge counts like a lesion.

    >>> real = np.zeros((8, 8, 4)); made = real.copy(); made[2:5, 2:5, 1:3] = 1.0
    >>> false_structures(real, made, np.ones((8, 8, 4), bool), noise=0.1)
    [18]
    """
    _same_shape(real, synthetic, region)
    if not noise > 0:
        raise RadloomError(f"noise is {noise}", expected="a standard deviation above 0")
    difference = synthetic - real
    sizes: list[int] = []
    for sign in (1.0, -1.0):
        found: Any = ndimage.label((sign * difference > 5 * noise) & region)
        sizes += [int(n) for n in np.bincount(found[0].ravel())[1:] if n >= least_voxels]
    return sorted(sizes, reverse=True)


def _same_shape(*arrays: np.ndarray) -> None:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise RadloomError(f"images and masks have {len(shapes)} shapes", expected="one grid for all")
