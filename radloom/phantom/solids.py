"""Soft solids in a warped space: ellipsoids, prisms and tubes as voxel fractions that are painted in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from radloom.phantom.fields import Grid, smooth_field

# Half the extent of a trunk; smooth_field knows the head's box only, so that a body is looked at through a lens.
LENS, LENS_SHIFT_MM = 0.4, (0.0, -17.0, 14.0)
REACH_MM = 24.0  # no warp moves a point further

Box = tuple[slice, slice, slice]
Point = Sequence[float | int] | np.ndarray


@dataclass(frozen=True, eq=False)
class Space:
    """A grid and, for each voxel, the place (3, x, y, z) in the template's mm that is found there."""

    grid: Grid
    points: np.ndarray

    @property
    def border_mm(self) -> float:
        """Width over which a border fades: one voxel in plane."""
        return float(np.sqrt(self.grid.spacing_mm[0] * self.grid.spacing_mm[1]))


@dataclass(frozen=True, eq=False)
class Layer:
    """What a solid fills: `fraction` of the voxels in `box`; a later layer covers an earlier one."""

    name: str
    box: Box
    fraction: np.ndarray


def body_grid(shape: tuple[int, int, int], size_mm: tuple[float, float, float], centre_mm: Point = (0, 0, 0)) -> Grid:
    """The grid of `shape` that fills the box of `size_mm` around `centre_mm`."""
    x, y, z = (size / n for size, n in zip(size_mm, shape, strict=True))
    first = [c - d * (n - 1) / 2 for c, d, n in zip(centre_mm, (x, y, z), shape, strict=True)]
    return Grid(shape, (first[0], first[1], first[2]), (x, y, z))


def body_field(grid: Grid, knots_mm: float, *, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field of unit variance over a trunk, up to 200 mm from its centre; float32."""
    origin = [LENS * o + shift for o, shift in zip(grid.origin_mm, LENS_SHIFT_MM, strict=True)]
    spacing = [LENS * d for d in grid.spacing_mm]
    seen = Grid(grid.shape, (origin[0], origin[1], origin[2]), (spacing[0], spacing[1], spacing[2]))
    return smooth_field(seen, LENS * knots_mm, rng=rng).astype(np.float32)


def warped_space(
    grid: Grid, warps: Sequence[tuple[float, float]], *, rng: np.random.Generator, tilt_deg: float = 2.0
) -> Space:
    """A subject's own space: turned about z by a few degrees and displaced by fields of (knots, amplitude) mm."""
    points = grid.points_mm().astype(np.float32)
    turn = np.deg2rad(rng.normal(0, tilt_deg))
    x, y = points[0].copy(), points[1].copy()
    points[0], points[1] = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    for knots_mm, amplitude_mm in warps:
        for axis in range(3):
            points[axis] += amplitude_mm * np.clip(body_field(grid, knots_mm, rng=rng), -2.5, 2.5)
    return Space(grid, points)


def box_around(space: Space, low: Point, high: Point) -> Box:
    """The voxels that a solid between two corners may touch, whatever the warp."""
    found = []
    for axis, a, b in zip(space.grid.axes_mm(), low, high, strict=True):
        start, stop = np.searchsorted(axis, [a - REACH_MM, b + REACH_MM])
        found.append(slice(int(start), int(stop)))
    return (found[0], found[1], found[2])


def softened(depth_mm: np.ndarray, border_mm: float) -> np.ndarray:
    """Voxel fraction of what lies `depth_mm` inside a border: 0.5 on it, a ramp over `border_mm`."""
    return np.clip(0.5 + depth_mm / border_mm, 0.0, 1.0).astype(np.float32)


def depth_in_ellipsoid(points: np.ndarray, centre: Point, radii: Point, turn_deg: Point = (0, 0, 0)) -> np.ndarray:
    """Distance to an ellipsoid's surface, mm, positive inside; exact to first order at the surface.

    turn_deg: rotation of the ellipsoid about x, then y, then z.
    """
    away = [points[axis] - np.float32(centre[axis]) for axis in range(3)]
    for axis in (2, 1, 0):
        if turn_deg[axis]:
            angle = np.deg2rad(-turn_deg[axis])
            i, j = [k for k in range(3) if k != axis] if axis != 1 else [2, 0]
            away[i], away[j] = (
                np.cos(angle) * away[i] - np.sin(angle) * away[j],
                np.sin(angle) * away[i] + np.cos(angle) * away[j],
            )
    scaled = [one / np.float32(r) for one, r in zip(away, radii, strict=True)]
    level = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    slope = np.sqrt(sum((one / np.float32(r)) ** 2 for one, r in zip(scaled, radii, strict=True)))
    return (1 - level) * np.maximum(level, 1e-3) / np.maximum(slope, 1e-6)


def depth_in_oval(
    x: np.ndarray, y: np.ndarray, radii: tuple[float | np.ndarray, float | np.ndarray], power: float
) -> np.ndarray:
    """Distance to the superellipse |x/a|^p + |y/b|^p = 1, mm, positive inside; to first order along the radius."""
    level = (np.abs(x / radii[0]) ** power + np.abs(y / radii[1]) ** power) ** (1 / power)
    return (1 - level) * np.hypot(x, y) / np.maximum(level, 1e-3)


def ellipsoid(
    space: Space,
    name: str,
    centre: Point,
    radii: Point,
    *,
    turn_deg: Point = (0, 0, 0),
    ripple: np.ndarray | None = None,
) -> Layer:
    """An ellipsoid; `ripple` (over the whole grid, mm) moves its surface outwards."""
    reach = max(radii) if any(turn_deg) else None
    half = [reach or r for r in radii]
    box = box_around(
        space, [c - h for c, h in zip(centre, half, strict=True)], [c + h for c, h in zip(centre, half, strict=True)]
    )
    depth = depth_in_ellipsoid(space.points[(slice(None), *box)], centre, radii, turn_deg)
    if ripple is not None:
        depth = depth + ripple[box]
    return Layer(name, box, softened(depth, space.border_mm))


def tube(
    space: Space, name: str, path: np.ndarray, radii: np.ndarray | float, *, ripple: np.ndarray | None = None
) -> Layer:
    """A tube along a path (n, 3) of points at most a radius apart, mm; `radii` one for each point."""
    radii = np.broadcast_to(np.asarray(radii, float), (len(path),))
    widest = float(radii.max())
    box = box_around(space, path.min(0) - widest, path.max(0) + widest)
    points = space.points[(slice(None), *box)]
    reach = 1.5 * widest + space.border_mm
    # The box has room for the warp; most of it is far from the tube and needs no search.
    low, high = path.min(0) - reach, path.max(0) + reach
    near = np.logical_and.reduce([(p > a) & (p < b) for p, a, b in zip(points, low, high, strict=True)])
    distance, nearest = np.full(near.shape, reach), np.full(near.shape, len(path))
    found = KDTree(path).query(points[:, near].T, distance_upper_bound=reach)
    distance[near], nearest[near] = np.minimum(found[0], reach), found[1]
    radius = np.append(radii, 0.0)[nearest]
    depth = radius - distance
    if ripple is not None:
        depth = depth + ripple[box]
    # A vessel thinner than a voxel fills only the share of the voxel that its cross-section has.
    thin = np.minimum(np.pi * np.maximum(radius, 0.1) ** 2 / space.border_mm**2, 1.0)
    return Layer(name, box, softened(depth, space.border_mm) * thin.astype(np.float32))


def whole(space: Space, name: str, depth_mm: np.ndarray) -> Layer:
    """A solid given by its depth over the whole grid."""
    return Layer(name, (slice(None), slice(None), slice(None)), softened(depth_mm, space.border_mm))


def kept(layer: Layer, share: np.ndarray) -> Layer:
    """The layer times a share over the whole grid."""
    return replace(layer, fraction=layer.fraction * share[layer.box])


def spline(points: Sequence[Point] | np.ndarray, *, step_mm: float = 1.5) -> np.ndarray:
    """(n, 3): a smooth path through `points`, mm, with about `step_mm` between its points."""
    from scipy.interpolate import make_interp_spline

    knots = np.asarray(points, float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    places = np.linspace(0, along[-1], max(int(along[-1] / step_mm), 2) + 1)
    return np.asarray(make_interp_spline(along, knots, k=min(3, len(knots) - 1))(places))


def painted(
    shape: tuple[int, int, int],
    layers: Sequence[Layer],
    value: Callable[[str], tuple[float, float]],
    texture: np.ndarray,
    background: float,
) -> np.ndarray:
    """float32: the background covered by each layer in turn.

    `value` of a layer's name is its mean and the sd of its texture; `texture` is a volume of unit variance.
    """
    out = np.full(shape, background, np.float32)
    for layer in layers:
        mean, sd = value(layer.name)
        new = np.float32(mean) + np.float32(sd) * texture[layer.box] if sd else np.float32(mean)
        out[layer.box] += layer.fraction * (new - out[layer.box])
    return out


def filled_by(shape: tuple[int, int, int], layers: Sequence[Layer], name: str) -> np.ndarray:
    """float32: the share of each voxel that the layers of this name fill once all are painted."""
    even = np.broadcast_to(np.float32(0), shape)
    return painted(shape, layers, lambda one: (float(one == name), 0.0), even, 0.0)


def labelled(shape: tuple[int, int, int], layers: Sequence[Layer], numbers: Mapping[str, int]) -> np.ndarray:
    """uint8: the number of the last layer that fills at least half of a voxel; 0 where its name has none."""
    out = np.zeros(shape, np.uint8)
    for layer in layers:
        view = out[layer.box]
        view[layer.fraction >= 0.5] = numbers.get(layer.name, 0)
    return out
