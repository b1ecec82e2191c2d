"""Curved tubes and plates as clouds of small volumes that are dropped onto a grid; no tissue values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.phantom.fields import Grid

GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points (n, 3) in mm and the volume that each stands for (n,), mm^3."""

    points: np.ndarray
    volumes: np.ndarray


def joined(clouds: Sequence[Cloud]) -> Cloud:
    """All points of the clouds; an empty cloud of none."""
    if not clouds:
        return Cloud(np.zeros((0, 3)), np.zeros(0))
    return Cloud(np.concatenate([one.points for one in clouds]), np.concatenate([one.volumes for one in clouds]))


def fraction(cloud: Cloud, grid: Grid) -> np.ndarray:
    """float32 (x, y, z): the share of each voxel that the cloud fills, at most 1; each point is spread trilinearly."""
    out = np.zeros(grid.shape, np.float32)
    place = (cloud.points - np.array(grid.origin_mm)) / np.array(grid.spacing_mm)
    kept = np.all((place > -1) & (place < np.array(grid.shape)), axis=1)
    if not kept.any():
        return out
    place, volumes = place[kept], cloud.volumes[kept] / float(np.prod(grid.spacing_mm))
    low = np.floor(place).astype(np.int64)
    share = place - low
    first = low.min(0)
    box = low.max(0) + 2 - first
    start = ((low[:, 0] - first[0]) * box[1] + low[:, 1] - first[1]) * box[2] + low[:, 2] - first[2]
    (x0, y0, z0), (x1, y1, z1) = (1 - share).T, share.T
    columns = [(x * y, (i * box[1] + j) * box[2]) for i, x in enumerate((x0 * volumes, x1 * volumes))
               for j, y in enumerate((y0, y1))]  # fmt: skip
    weights = np.concatenate([part for xy, _ in columns for part in (xy * z0, xy * z1)])
    places = np.concatenate([part for _, shift in columns for part in (start + shift, start + shift + 1)])
    total = np.bincount(places, weights, minlength=int(box.prod())).reshape(box)
    # The box may reach one voxel beyond the grid on each side.
    cut = tuple(slice(max(0, -f), n - f) for f, n in zip(first, grid.shape, strict=True))
    inside = total[cut]
    at = tuple(slice(max(0, f), max(0, f) + n) for f, n in zip(first, inside.shape, strict=True))
    out[at] = np.minimum(inside, 1)
    return out


def tube(
    path: np.ndarray,
    radii: np.ndarray | float,
    cell_mm: float,
    *,
    flat: float = 1.0,
    up: tuple[int, int, int] = (0, 0, 1),
) -> Cloud:
    """A tube along a path (n, 3), radii in mm; its section is an ellipse `flat` times as wide across `up` as along.

    cell_mm: the finest spacing of the grid that will see it.
    """
    radii = np.broadcast_to(np.asarray(radii, float), (len(path),))
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    steps = max(int(np.ceil(along[-1] / (0.7 * cell_mm))), 1)
    places = (np.arange(steps) + 0.5) / steps * along[-1]
    centre = np.stack([np.interp(places, along, path[:, axis]) for axis in range(3)], 1)
    radius = np.interp(places, along, radii)
    heading = _unit(np.gradient(centre, axis=0) if steps > 1 else (path[-1:] - path[:1]))
    side = _cross(heading, np.array([up], float))
    short = np.linalg.norm(side, axis=1) < 0.1
    side[short] = _cross(heading[short], np.array([[0.3, 1.0, 0.2]]))
    side = _unit(side)
    lift = _cross(side, heading)
    count = max(int(np.ceil(np.pi * radius.max() ** 2 * flat / (0.6 * cell_mm) ** 2)), 1)
    ring, turn = np.sqrt((np.arange(count) + 0.5) / count), np.arange(count) * GOLDEN
    # Each section is turned on, so that its points do not line up with the voxels.
    turn = turn[None] + np.arange(steps)[:, None]
    across = (flat * radius)[:, None] * ring * np.cos(turn)
    upward = radius[:, None] * ring * np.sin(turn)
    points = centre[:, None] + across[..., None] * side[:, None] + upward[..., None] * lift[:, None]
    volume = np.pi * radius**2 * flat * along[-1] / steps / count
    return Cloud(points.reshape(-1, 3), np.repeat(volume, count))


def lines(paths: np.ndarray, radii: np.ndarray, cell_mm: float) -> Cloud:
    """Many tubes thinner than the grid's cell, along paths (b, n, 3) with radii (b,) in mm: points on their middle."""
    if len(paths) == 0:
        return joined([])
    lengths = np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(1)
    count = np.maximum(np.ceil(lengths / (0.7 * cell_mm)).astype(int), 1)
    which = np.repeat(np.arange(len(paths)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    place = (step + 0.5) / count[which] * (paths.shape[1] - 1)
    low = np.minimum(place.astype(int), paths.shape[1] - 2)
    share = (place - low)[:, None]
    points = (1 - share) * paths[which, low] + share * paths[which, low + 1]
    return Cloud(points, (np.pi * radii**2 * lengths / count)[which])


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross product of (n, 3) and (n or 1, 3); NumPy's own spends most of its time on its axes."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
