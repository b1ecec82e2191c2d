"""Random smooth fields over the head, and the grid that they are evaluated on; the same field on any grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# The head in MNI millimetres (x, y, z), with room for the largest deformation.
LOW_MM, HIGH_MM = (-112.0, -132.0, -72.0), (112.0, 96.0, 100.0)
_SPREAD = (151 / 315) ** 1.5  # the mean over positions of the sum of squared spline weights is 151/315 along each axis


@dataclass(frozen=True, eq=False)
class Grid:
    """An axis-aligned RAS+ grid: the position of the first voxel and the spacing, mm.

    pose: (4, 4), scanner mm -> head mm, of a head that lies otherwise in the scanner; None where both are the same.
    """

    shape: tuple[int, int, int]
    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    pose: np.ndarray | None = None

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), voxel index -> RAS+ position in mm."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:3, 3] = self.origin_mm
        return affine

    def axes_mm(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions along x, y and z in the scanner, mm."""
        x, y, z = (o + d * np.arange(n) for o, d, n in zip(self.origin_mm, self.spacing_mm, self.shape, strict=True))
        return x, y, z

    def points_mm(self) -> np.ndarray:
        """(3, x, y, z) positions in the head, mm."""
        points = np.stack(np.meshgrid(*self.axes_mm(), indexing="ij"))
        if self.pose is None:
            return points
        return np.tensordot(self.pose[:3, :3], points, axes=1) + self.pose[:3, 3][:, None, None, None]


def smooth_field(grid: Grid, knots_mm: float, *, rng: np.random.Generator) -> np.ndarray:
    """A cubic-spline random field of unit variance on the grid; correlated over about `knots_mm`.

    The random coefficients do not depend on the grid, so a finer grid or another pose shows the same field.
    """
    counts = [int((high - low) / knots_mm) + 4 for low, high in zip(LOW_MM, HIGH_MM, strict=True)]
    field = rng.standard_normal(counts)
    if grid.pose is not None:
        return _at_points(field, (grid.points_mm() - np.array(LOW_MM)[:, None, None, None]) / knots_mm + 1.5)
    for axis, (positions, low, n) in enumerate(zip(grid.axes_mm(), LOW_MM, counts, strict=True)):
        basis = cubic_spline((positions[:, None] - low) / knots_mm + 1.5 - np.arange(n))
        field = np.moveaxis(np.tensordot(basis, field, axes=(1, axis)), 0, axis)
    return field / _SPREAD


def _at_points(coefficients: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The spline at places (3, ...) in units of its knots; turned against the knots, no axis can be done alone."""
    return ndimage.map_coordinates(coefficients, places, order=3, prefilter=False, mode="nearest") / _SPREAD


def cubic_spline(u: np.ndarray) -> np.ndarray:
    """The cubic B-spline of unit knot distance at `u`."""
    a = np.abs(u)
    inner, outer = 2 / 3 - a**2 + a**3 / 2, np.clip(2 - a, 0, None) ** 3 / 6
    return np.where(a < 1, inner, outer)
