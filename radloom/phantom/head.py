"""What surrounds a brain: skull with diploe, scalp, skull base, orbits and sinuses, as voxel fractions; no signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.errors import RadloomError
from radloom.phantom.fields import Grid, smooth_field

Three = tuple[float | int, float | int, float | int]

WHOLE_MM = (220.0, 220.0, 120.0)  # the field of view over the whole head
CENTRE_MM = (0.0, -17.0, 34.0)  # MNI; from the floor of the orbits to above the vertex
SLICE_MM = 5.0
SOFT_MM = 0.8  # half the width of a border between layers
PARTS = ("csf", "cortical", "diploe", "fat", "muscle", "skin", "eye", "air")


@dataclass(frozen=True, eq=False)
class Head:
    """Fractions of each of PARTS (x, y, z), 0 in the brain; `depth_mm`: distance outwards from the brain's hull.

    skull_mm: (inner, outer) face of the skull in that distance, a map each.
    """

    parts: dict[str, np.ndarray]
    depth_mm: np.ndarray
    skull_mm: tuple[np.ndarray, np.ndarray]

    @property
    def body(self) -> np.ndarray:
        """Fraction of each voxel that is head but not brain, air inside it included."""
        return np.clip(sum(self.parts.values(), np.zeros(self.depth_mm.shape)), 0, 1)


def whole_head_grid(shape: tuple[int, int, int]) -> Grid:
    """The grid of `shape` over the whole head, vertex and scalp included; fewer slices than 24 are a slab."""
    if len(shape) != 3 or min(shape[:2]) < 16 or shape[2] < 1:
        raise RadloomError(f"cannot make images of shape {shape}", expected="three sizes, (>= 16, >= 16, >= 1)")
    dz = min(WHOLE_MM[2] / shape[2], SLICE_MM)
    spacing = (WHOLE_MM[0] / shape[0], WHOLE_MM[1] / shape[1], dz)
    x, y, z = (c - d * (n - 1) / 2 for c, d, n in zip(CENTRE_MM, spacing, shape, strict=True))
    return Grid(shape, (x, y, z), spacing)


def cover(brain: np.ndarray, grid: Grid, *, rng: np.random.Generator) -> Head:
    """A skull and scalp of one person around the brain mask."""
    outside = np.asarray(ndimage.distance_transform_edt(~brain, sampling=grid.spacing_mm))
    hull = _closed(brain, outside, grid)
    depth = _smooth_depth(hull, grid)
    lumps = [smooth_field(grid, knots, rng=rng) for knots in (40.0, 40.0, 45.0, 14.0)]
    inner = np.clip(rng.uniform(1.5, 3.5) + 0.7 * lumps[0], 0.8, None)
    thickness = np.clip(rng.uniform(5.5, 8.5) + 1.0 * lumps[1], 3.5, None)
    table = np.clip(0.27 * thickness, 1.2, 2.4)
    x, y, z = grid.points_mm()
    temporal = np.exp(-(((np.abs(x) - 66) / 16) ** 2) - ((y - 12) / 30) ** 2 - ((z + 8) / 26) ** 2)
    scalp = np.clip(rng.uniform(4.0, 7.5) + 0.8 * lumps[2], 2.5, None) + 9.0 * temporal
    outer = inner + thickness
    skin = outer + scalp

    def between(low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
        return _inside(depth - low) * _inside(high - depth)

    found: dict[str, np.ndarray] = {name: np.zeros(grid.shape) for name in PARTS}
    found["csf"] = _inside(inner - depth)
    found["diploe"] = between(inner + table, outer - table) * np.clip(0.9 + 0.12 * lumps[3], 0, 1)
    found["cortical"] = np.clip(between(inner, outer) - found["diploe"], 0, 1)
    found["muscle"] = between(outer, outer + 8.5 * temporal) * (temporal > 0.1)
    found["skin"] = between(skin - 1.8, skin)
    found["fat"] = np.clip(between(outer, skin - 1.8) - found["muscle"], 0, 1)
    _skull_base(found, grid, hull & (outside > 2.0), lumps[3], rng=rng)
    _face(found, grid, depth, outer, rng=rng)
    free = 1.0 - brain
    return Head({name: np.clip(part * free, 0, 1) for name, part in found.items()}, depth, (inner, outer))


def _closed(brain: np.ndarray, outside: np.ndarray, grid: Grid) -> np.ndarray:
    """The brain with its clefts filled (closing by 14 mm): the inner face of the skull follows this hull."""
    wide = outside < 14.0
    return brain | (np.asarray(ndimage.distance_transform_edt(wide, sampling=grid.spacing_mm)) > 14.0)


def _smooth_depth(hull: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance outwards from the hull, mm, negative inside; a skull has no dents as small as a brain's."""
    out, into = (np.asarray(ndimage.distance_transform_edt(one, sampling=grid.spacing_mm)) for one in (~hull, hull))
    return ndimage.gaussian_filter(out - into, [5.0 / spacing for spacing in grid.spacing_mm], mode="nearest")


def _inside(depth_mm: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + depth_mm / (2 * SOFT_MM), 0, 1)


def _ball(grid: Grid, centre: Three, radii: Three) -> np.ndarray:
    """Fraction of each voxel inside an ellipsoid; mm."""
    scaled = [((axis - c) / r) ** 2 for axis, c, r in zip(grid.axes_mm(), centre, radii, strict=True)]
    distance = np.sqrt(scaled[0][:, None, None] + scaled[1][:, None] + scaled[2])
    return _inside((1 - distance) * min(radii))


def _put(found: dict[str, np.ndarray], name: str, fraction: np.ndarray) -> None:
    """The fraction becomes this part; what was there gives way."""
    for other in found:
        found[other] = found[other] * (1 - fraction)
    found[name] = found[name] + fraction


def _skull_base(
    found: dict[str, np.ndarray], grid: Grid, cleft: np.ndarray, lumps: np.ndarray, *, rng: np.random.Generator
) -> None:
    """Petrous ridges with mastoid air cells, clivus and sphenoid sinus in the clefts below the brain."""
    z = grid.points_mm()[2]
    below = _inside(-6.0 - z) * cleft
    for side in (-1, 1):
        ridge = np.maximum.reduce([
            _ball(grid, (side * (14 + 9 * k), -14.0 - 5.5 * k, -36.0), (7.5, 5.0 + 0.6 * k, 8.0)) for k in range(5)
        ])  # fmt: skip
        _put(found, "cortical", ridge * below)
        cells = _ball(grid, (side * 50.0, -36.0, -36.0), (11.0, 13.0, 13.0)) * (lumps > -0.3)
        _put(found, "air", 0.85 * cells * np.clip(found["cortical"] + found["diploe"], 0, 1))
    _put(found, "cortical", _ball(grid, (0.0, -8.0, -34.0), (9.0, 7.0, 14.0)) * below)
    sinus = _ball(grid, (0.0, 12.0, -32.0), (rng.uniform(8, 13), 10.0, 9.0)) * below
    _put(found, "air", 0.95 * sinus)


def _face(
    found: dict[str, np.ndarray], grid: Grid, depth: np.ndarray, outer: np.ndarray, *, rng: np.random.Generator
) -> None:
    """Frontal sinus, orbits with globes, and the nose's bridge, in front of the brain."""
    near = _inside(30.0 - depth)
    for side in (-1, 1):
        orbit = _ball(grid, (side * 31.0, 56.0, -30.0), (17.0, 24.0, 16.0)) * _inside(depth - 3.0) * near
        _put(found, "fat", orbit)
        wall = _ball(grid, (side * 31.0, 56.0, -30.0), (19.5, 26.5, 18.5)) * _inside(depth - 2.0) - orbit
        _put(found, "cortical", np.clip(wall, 0, 1) * (grid.points_mm()[1] < 70))
        _put(found, "eye", _ball(grid, (side * 31.0, 68.0, -30.0), (12.0, 12.0, 12.0)) * _inside(depth - 3.0))
    cells = _ball(grid, (0.0, 50.0, -34.0), (12.0, 22.0, 16.0)) * _inside(depth - 3.0)
    _put(found, "air", 0.8 * cells)
    size = rng.uniform(0.3, 1.3)  # from almost none to large
    middle = _inside(depth - 4.0) * _inside(outer - 1.5 - depth)
    _put(found, "air", _ball(grid, (0.0, 78.0, -4.0), (19.0 * size, 14.0, 13.0 * size)) * middle)
