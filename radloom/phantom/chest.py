"""A thorax on a grid, in Hounsfield units before disease: wall, mediastinum, abdomen, lungs with trees, skeleton."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radloom.phantom.chest_bones import bones
from radloom.phantom.chest_shape import (
    SIDES,
    Build,
    Points,
    body_depth,
    cage_depth,
    depth_in_ellipsoid,
    dome_z,
    heart_depth,
    lung_depth,
)
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.lung_trees import lung_trees
from radloom.phantom.splats import Cloud, fraction, smooth_path, tube

AIR, FAT, MUSCLE, BLOOD, LIVER = -1000.0, -100.0, 52.0, 42.0, 56.0  # HU
CARTILAGE, MARROW, CORTEX = 110.0, 220.0, 1150.0
LENS = 0.4  # smooth_field knows the head's box only, so that the chest is looked at through a lens
LENS_SHIFT_MM = (0.0, -17.0, 14.0)
Stream = Callable[[str], np.random.Generator]
Path = list  # of [x, y, z] in mm


@dataclass(frozen=True, eq=False)
class Chest:
    """A thorax without disease on a grid.

    soft: HU of everything but lungs and bone. lungs: voxel fraction of the right and the left lung (2, x, y, z).
    depth: distance below the nearer lung's surface, mm. cage: distance inside the rib cage, mm.
    vessels, airways, air: fractions of the lungs' trees. bone, marrow, cartilage: fractions. heart: fraction.
    """

    build: Build
    grid: Grid
    points: Points
    soft: np.ndarray
    lungs: np.ndarray
    depth: np.ndarray
    cage: np.ndarray
    heart: np.ndarray
    vessels: np.ndarray
    airways: np.ndarray
    air: np.ndarray
    bone: np.ndarray
    marrow: np.ndarray
    cartilage: np.ndarray


def box_grid(shape: tuple[int, int, int], low: tuple[float, ...], high: tuple[float, ...]) -> Grid:
    """The grid of `shape` voxels that fills the box between two corners, mm."""
    x, y, z = ((b - a) / n for a, b, n in zip(low, high, shape, strict=True))
    return Grid(shape, (low[0] + x / 2, low[1] + y / 2, low[2] + z / 2), (x, y, z))


def chest_field(grid: Grid, knots_mm: float, *, rng: np.random.Generator) -> np.ndarray:
    """float32: a smooth random field of unit variance over the chest; the same field on any grid."""
    origin = tuple(LENS * o + shift for o, shift in zip(grid.origin_mm, LENS_SHIFT_MM, strict=True))
    spacing = tuple(LENS * d for d in grid.spacing_mm)
    return smooth_field(Grid(grid.shape, origin, spacing), LENS * knots_mm, rng=rng).astype(np.float32)  # pyright: ignore


def softened(depth_mm: np.ndarray, border_mm: float) -> np.ndarray:
    """Voxel fraction of what lies `depth_mm` below a surface: one half on it, a ramp over `border_mm`."""
    return np.clip(np.float32(0.5) + depth_mm / np.float32(border_mm), 0, 1).astype(np.float32)


def over(base: np.ndarray, share: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """The base with a share of each voxel replaced by the value."""
    return base + share * (value - base)


def make_chest(build: Build, grid: Grid, *, congestion: float, stream: Stream) -> Chest:
    """One person's thorax on the grid; every part has its own random stream."""
    points = turned(grid, build.turn)
    border = float(np.mean(sorted(grid.spacing_mm)[:2]))
    cell = float(min(grid.spacing_mm))
    ripple = 2.5 * chest_field(grid, 38.0, rng=stream("ripple"))
    cage = cage_depth(build, points)
    depths = []
    for side in SIDES.values():
        depth = lung_depth(build, side, points)
        # Only the inner and lower surfaces ripple: the ribs keep the outer one smooth.
        depths.append(np.minimum(depth + ripple * np.clip((cage - depth) / 8, 0, 1), cage))
    lungs = np.stack([softened(depth, border) for depth in depths])
    heart = softened(heart_depth(build, points) + 0.6 * ripple, border)
    trees = lung_trees(build, cell, congestion=congestion, rng=stream("trees"))
    skeleton = bones(build, cell, rng=stream("bones"))
    seen = [
        fraction(_turned_cloud(cloud, -build.turn), grid)
        for cloud in (trees.vessels, trees.airways, trees.air, skeleton.whole, skeleton.marrow, skeleton.cartilage)
    ]
    vessels, airways, air, bone, marrow, cartilage = seen
    soft = _soft(build, grid, points, cage, heart, border, stream=stream)
    depth = np.maximum(depths[0], depths[1])
    return Chest(build, grid, points, soft, lungs, depth, cage, heart, vessels, airways, air, bone, marrow, cartilage)


def turned(grid: Grid, angle: float) -> Points:
    """The grid's positions in the body's own frame, which is turned about z; float32, broadcastable."""
    x, y, z = (axis.astype(np.float32) for axis in grid.axes_mm())
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x, z


def _turned_cloud(cloud: Cloud, angle: float) -> Cloud:
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = cloud.points.T
    return Cloud(np.stack([cos * x + sin * y, cos * y - sin * x, z], 1), cloud.volumes)


def _soft(
    build: Build, grid: Grid, p: Points, cage: np.ndarray, heart: np.ndarray, border: float, *, stream: Stream
) -> np.ndarray:
    """float32 HU: air, wall, mediastinum and abdomen, as if there were neither lungs nor bone."""
    rng = stream("soft")
    skin = body_depth(build, p)
    streaks = chest_field(grid, 11.0, rng=rng)
    hu = over(np.full(grid.shape, AIR, np.float32), softened(skin, border), FAT)
    hu = over(hu, softened(np.minimum(skin, 3 - skin), border) * 0.8, 20.0)
    marbled = 0.93 - 0.3 * np.clip(streaks - 0.9, 0, 1)
    hu = over(hu, softened(skin - build.fat - 1.5 * streaks, border) * marbled, MUSCLE)
    if build.female:
        hu = _breasts(build, hu, p, border, streaks, rng=rng)
    inside = softened(cage, border)
    lumps = chest_field(grid, 22.0, rng=rng)
    hu = over(hu, inside, np.where(lumps + 0.4 * streaks > 0.45, FAT + 10, 35.0))
    hu = _abdomen(build, hu, p, inside, border, lumps, rng=rng)
    hu = over(hu, heart, BLOOD + 3 * lumps)
    cell = float(min(grid.spacing_mm))
    for path, radius, value in _great_vessels(build):
        cloud = _turned_cloud(tube(smooth_path(np.array(path, float)), radius, cell), -build.turn)
        hu = over(hu, fraction(cloud, grid), value)
    return hu


def _breasts(
    build: Build, hu: np.ndarray, p: Points, border: float, streaks: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    size = float(rng.uniform(0.75, 1.25) * (0.8 + 0.012 * build.fat))
    sag = float(rng.normal(0, 8))
    for side in SIDES.values():
        offset = (p[0] - side * 72, p[1] - (build.depth + build.muscle + 6), p[2] - (-22 + sag))
        depth = depth_in_ellipsoid(offset, (56 * size, 42 * size, 58 * size))
        front = softened(depth, border) * (hu < -20)
        hu = over(hu, front, FAT)
        gland = softened(depth - 14 + 6 * streaks, border) * (hu < -60)
        hu = over(hu, 0.75 * gland, 35.0)
    return hu


def _abdomen(
    build: Build, hu: np.ndarray, p: Points, inside: np.ndarray, border: float, lumps: np.ndarray,
    *, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Liver right, spleen and a stomach with its gas bubble left, fat between them, below the diaphragm."""
    x, y, z = p
    for side in SIDES.values():
        below = softened(dome_z(build, side, x, y) - z - 2, border) * inside * (side * x > 0)
        organ = np.where(lumps > 0.9, FAT + 5, 45) if side < 0 else LIVER + 2 * lumps
        hu = over(hu, below, organ)
    left = build.domes[1]
    spleen = depth_in_ellipsoid((x + 0.72 * build.width, y + 0.45 * build.depth, z - (left - 48)), (30.0, 34.0, 42.0))
    hu = over(hu, softened(spleen, border) * inside, 50.0)
    bubble = float(rng.uniform(12, 30))
    gas = depth_in_ellipsoid((x + 52, y - 12, z - (left - 14 - bubble)), (bubble * 1.3, bubble, bubble * 0.8))
    hu = over(hu, softened(gas + 5, border), 45.0)
    return over(hu, softened(gas, border), AIR + 20) if rng.random() < 0.75 else hu


def _great_vessels(build: Build) -> list[tuple[Path, float, float]]:
    """Path, radius and HU of aorta, great veins, pulmonary trunk, gullet, windpipe and main bronchi."""
    wide = 1 + 0.006 * (build.age - 55)
    back = -0.44 * build.depth
    aorta = [
        [6, 22, 5],
        [14, 24, 35],
        [6, 10, 62],
        [-18, -16, 68],
        [-22, back, 48],
        [-21, back, -20],
        [-16, back, -120],
    ]
    trunk = [[-12, 34, 8], [-20, 18, 28], [-18, 2, 32]]
    found: list[tuple[Path, float, float]] = [
        (aorta, 14.0 * wide, BLOOD),
        ([[22, 8, 90], [25, 8, 50], [26, 8, 10]], 9.0, BLOOD),
        ([[-22, 4, 120], [-16, 16, 92], [4, 16, 84], [22, 10, 78]], 6.0, BLOOD),
        (trunk, 13.0, BLOOD),
        ([[-18, 2, 32], [6, 2, 26], [34, -4, 24]], 10.0, BLOOD),
        ([[-18, 2, 32], [-36, -8, 34]], 10.5, BLOOD),
        ([[-3, -34, 150], [-5, -36, 40], [-8, -34, -110]], 6.0, 30.0),
    ]
    windpipe = [[1, -12, 190], [1, -18, 110], [2, -20, 44]]
    right, left = [[2, -20, 46], [16, -18, 30], [34, -14, 14]], [[2, -20, 46], [-18, -18, 32], [-40, -14, 20]]
    for path, radius in ((windpipe, 9.0), (right, 7.2), (left, 6.4)):
        found += [(path, radius + 1.6, 60.0), (path, radius, AIR)]
    return found
