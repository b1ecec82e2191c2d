"""Grey levels of a region before texture is measured: binning, cropping, neighbours, resampling; no features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Spacing, Voxels, as_mask, as_real, positive, same_shape, spacing_of

MOST_LEVELS = 2048  # different ones: a co-occurrence matrix of more is bigger than most regions
HIGHEST_LEVEL = 2**16

Binning = Callable[[np.ndarray], np.ndarray]
"""From the intensities of a region to grey levels 1, 2, ...; `FixedWidth`, `FixedCount` or a function of yours."""


@dataclass(frozen=True)
class FixedWidth:
    """Bins of one width in the image's unit: level = floor((x - origin) / width) + 1.

    origin None puts it at the highest multiple of the width below the region's minimum, as PyRadiomics does. IBSI asks
    for the lower bound of the resegmentation range (-1000 HU for a window of -1000 to 400), the same for all cases.
    """

    width: Number
    origin: Number | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Levels from 1; values below the origin are an error."""
        width = positive(self.width, "the bin width")
        origin = np.floor(values.min() / width) * width if self.origin is None else self.origin
        if values.min() < origin:
            raise RadloomError(
                f"the region has values down to {values.min():g}, below the bins' origin {origin:g}",
                expected="an origin at or below the region's minimum",
                do="exclude those voxels from the mask or lower the origin",
            )
        return np.floor((values - origin) / width).astype(np.int64) + 1


@dataclass(frozen=True)
class FixedCount:
    """So many bins between the region's minimum and maximum; absolute intensities are lost. One level when flat."""

    count: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Levels 1 ... count."""
        low, high = values.min(), values.max()
        if int(self.count) != self.count or self.count < 1:
            raise RadloomError(f"the bin count is {self.count}", expected="a whole number of at least 1")
        if low == high:
            return np.ones(values.shape, np.int64)
        return np.minimum(np.floor(self.count * (values - low) / (high - low)).astype(np.int64) + 1, self.count)


def as_levels(values: np.ndarray) -> np.ndarray:
    """The intensities themselves, for an image that already holds grey levels 1, 2, ... (the IBSI digital phantom).

    >>> as_levels(np.array([1.0, 4.0])).tolist()
    [1, 4]
    """
    levels = values.astype(np.int64)
    if (levels != values).any() or levels.min() < 1:
        raise RadloomError("the region holds other values than 1, 2, ...", expected="grey levels", do="bin the image")
    return levels


@dataclass(frozen=True)
class Region:
    """One region of interest: its intensities in a fixed order, its mask and the spacing in mm, all cropped to it."""

    values: np.ndarray
    mask: np.ndarray
    spacing_mm: tuple[float, ...]

    def levels(self, binning: Binning) -> np.ndarray:
        """Grey levels on the cropped grid with a rim of one voxel; 0 outside the region."""
        found = binning(self.values)
        different = len(np.unique(found))
        if different > MOST_LEVELS or found.max() > HIGHEST_LEVEL:
            raise RadloomError(
                f"{different} grey levels up to {found.max()}",
                expected=f"at most {MOST_LEVELS} up to {HIGHEST_LEVEL}",
                do="widen the bins or narrow the mask",
            )
        grid = np.zeros(self.mask.shape, np.int32)
        grid[self.mask] = found
        return np.pad(grid, 1)


def region_of(image: Voxels, mask: Voxels, spacing_mm: Spacing) -> Region:
    """The region where the mask is set. Raises RadloomError when it is empty or image and mask do not fit.

    >>> region_of(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0, 1], [0, 1]]), (1, 1)).values.tolist()
    [2.0, 4.0]
    """
    values, inside = as_real(image, "the image"), as_mask(mask, "the region mask")
    same_shape(values, inside, "the image", "the region mask")
    spacing = spacing_of(spacing_mm, values.ndim)
    box = bounding_box(inside)
    return Region(values[box][inside[box]], inside[box], spacing)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The slices that hold every set voxel. Raises RadloomError when there is none.

    >>> bounding_box(np.array([[False, True, True]]))
    (slice(0, 1, None), slice(1, 3, None))
    """
    if not mask.any():
        raise RadloomError("the region mask is empty", expected="at least one voxel", do="leave this case out, counted")
    found = []
    for axis in range(mask.ndim):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        found.append(slice(int(line[0]), int(line[-1]) + 1))
    return tuple(found)


def directions(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """One of each pair of opposite steps to a neighbour, on a grid with a rim: 13 in 3D, 4 in 2D or in a single slice.

    Steps along an axis with a single voxel between the rims lead nowhere and are left out.

    >>> len(directions((9, 9, 9))), directions((4, 4, 3))
    (13, [(0, 1, 0), (1, -1, 0), (1, 0, 0), (1, 1, 0)])
    """
    steps = product(*((-1, 0, 1) if size > 3 else (0,) for size in shape))
    return [step for step in steps if step > (0,) * len(shape)]


def flat_step(step: Sequence[int], shape: Sequence[int]) -> int:
    """How far the neighbour lies in the flattened grid; the rim keeps steps from wrapping into the region.

    >>> flat_step((1, -1), (5, 7))
    6
    """
    return int(np.dot(step, [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]))


def resampled(
    image: Voxels, mask: Voxels, spacing_mm: Spacing, new_spacing_mm: Spacing, *, order: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask on another spacing, in float64 and boolean; both grids share their centre (IBSI 2.4).

    order: 1 is trilinear, 3 the cubic B-spline. The mask is interpolated linearly and kept from one half upward. The
    new grid has ceil(size * old / new) voxels. Outside the image the nearest voxel is taken.

    >>> new, inside = resampled(np.array([[0.0, 2.0]]), np.ones((1, 2)), (1, 2), (1, 1))
    >>> new.tolist(), inside.tolist()
    ([[0.0, 0.5, 1.5, 2.0]], [[True, True, True, True]])
    """
    from scipy.ndimage import map_coordinates

    values, inside = as_real(image, "the image"), as_mask(mask, "the region mask")
    same_shape(values, inside, "the image", "the region mask")
    old, new = (np.array(spacing_of(spacing, values.ndim)) for spacing in (spacing_mm, new_spacing_mm))
    # the tolerance keeps 3 * 0.1 / 0.3 from growing a voxel
    size = np.ceil(np.array(values.shape) * old / new - 1e-9).astype(int)
    axes = [
        (np.arange(n) - (n - 1) / 2) * b / a + (m - 1) / 2
        for n, m, a, b in zip(size, values.shape, old, new, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    moved = map_coordinates(values, grid, order=order, mode="nearest")
    kept = map_coordinates(inside.astype(np.float64), grid, order=1, mode="nearest") >= 0.5 - 1e-12
    return moved, kept
