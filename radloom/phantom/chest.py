"""A thorax on a grid, in Hounsfield units before disease: wall, mediastinum, abdomen, lungs with trees, skeleton."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radloom.phantom.chest_bones import bones
from radloom.phantom.chest_shape import (
    SIDES,
    Arms,
    Build,
    Points,
    body_depth,
    cage_depth,
    depth_in_ellipsoid,
    dome_z,
    heart_depth,
    lung_depth,
)
from radloom.phantom.fields import Grid
from radloom.phantom.lung_trees import lung_trees
from radloom.phantom.solids import body_field, softened, spline
from radloom.phantom.splats import Cloud, fraction, joined, tube

AIR, FAT, MUSCLE, BLOOD, LIVER = -1000.0, -100.0, 52.0, 42.0, 56.0  # HU
CARTILAGE, MARROW, CORTEX = 110.0, 220.0, 1150.0
Stream = Callable[[str], np.random.Generator]


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


def border_mm(grid: Grid) -> float:
    """Width over which a border fades: one voxel along the two finer axes, mm."""
    return float(np.mean(sorted(grid.spacing_mm)[:2]))


def over(base: np.ndarray, share: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """The base with a share of each voxel replaced by the value."""
    return base + share * (value - base)


def make_chest(build: Build, grid: Grid, *, congestion: float, arms: Arms, stream: Stream) -> Chest:
    """One person's thorax on the grid; every part has its own random stream."""
    points = turned(grid, build.turn)
    border = border_mm(grid)
    cell = float(min(grid.spacing_mm))
    ripple = 2.5 * body_field(grid, 38.0, rng=stream("ripple"))
    cage = cage_depth(build, points)
    depths = []
    for side in SIDES.values():
        depth = lung_depth(build, side, points)
        # Only the inner and lower surfaces ripple: the ribs keep the outer one smooth.
        depths.append(np.minimum(depth + ripple * np.clip((cage - depth) / 8, 0, 1), cage))
    lungs = np.stack([softened(depth, border) for depth in depths])
    heart = softened(heart_depth(build, points) + 0.6 * ripple, border)
    trees = lung_trees(build, cell, congestion=congestion, rng=stream("trees"))
    skeleton = bones(build, cell, arms=arms, rng=stream("bones"))
    seen = [
        fraction(_turned_cloud(cloud, -build.turn), grid)
        for cloud in (trees.vessels, trees.airways, trees.air, skeleton.whole, skeleton.marrow, skeleton.cartilage)
    ]
    vessels, airways, air, bone, marrow, cartilage = seen
    soft = _soft(build, grid, points, cage, heart, arms=arms, stream=stream)
    depth = np.maximum(depths[0], depths[1])
    return Chest(build, grid, points, soft, lungs, depth, cage, heart, vessels, airways, air, bone, marrow, cartilage)


def parenchyma(chest: Chest, *, rng: np.random.Generator) -> np.ndarray:
    """float32 HU of the lungs between their vessels: denser behind, where the patient lies on them, and uneven."""
    mean, slope = rng.normal(-862, 18), rng.uniform(20, 55)
    uneven = 14 * body_field(chest.grid, 24.0, rng=rng) + 9 * body_field(chest.grid, 9.0, rng=rng)
    behind = np.clip(-chest.points[1] / 80, -1, 1)
    return (mean + slope * behind + uneven).astype(np.float32)


def compose(chest: Chest, lung: np.ndarray) -> np.ndarray:
    """float32 HU of the whole chest with this parenchyma in its lungs."""
    share = np.minimum(chest.lungs.sum(0), 1)
    inner = over(lung, chest.vessels, BLOOD)
    inner = over(inner, chest.airways, -60.0)
    inner = over(inner, chest.air, AIR)
    hu = over(chest.soft, share, inner)
    hu = over(hu, chest.cartilage * (1 - share), CARTILAGE)
    hu = over(hu, chest.bone, CORTEX)
    return over(hu, np.minimum(chest.marrow, chest.bone), MARROW)


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
    build: Build, grid: Grid, p: Points, cage: np.ndarray, heart: np.ndarray, *, arms: Arms, stream: Stream
) -> np.ndarray:
    """float32 HU: air, wall, mediastinum and abdomen, as if there were neither lungs nor bone."""
    rng, border = stream("soft"), border_mm(grid)
    skin = body_depth(build, p, arms=arms)
    streaks = body_field(grid, 11.0, rng=rng)
    hu = over(np.full(grid.shape, AIR, np.float32), softened(skin, border), FAT)
    hu = over(hu, softened(np.minimum(skin, 3 - skin), border) * 0.8, 20.0)
    marbled = 0.93 - 0.3 * np.clip(streaks - 0.9, 0, 1)
    hu = over(hu, softened(skin - build.fat - 1.5 * streaks, border) * marbled, MUSCLE)
    if build.female:
        hu = _breasts(build, hu, p, border, streaks, rng=rng)
    inside = softened(cage, border)
    lumps = body_field(grid, 22.0, rng=rng)
    hu = over(hu, inside, np.where(lumps + 0.4 * streaks > 0.45, FAT + 10, 35.0))
    hu = _abdomen(build, hu, p, inside, border, lumps, rng=rng)
    hu = over(hu, heart, BLOOD + 3 * lumps)
    cell = float(min(grid.spacing_mm))
    for value, cloud in _great_vessels(build, cell):
        hu = over(hu, fraction(_turned_cloud(cloud, -build.turn), grid), value)
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


def _great_vessels(build: Build, cell_mm: float) -> list[tuple[float, Cloud]]:
    """HU and place of the gullet, the great vessels, and the windpipe's wall and air."""
    wide = 1 + 0.006 * (build.age - 55)
    back = -0.44 * build.depth
    arch = [(6, 22, 5), (14, 24, 35), (6, 10, 62), (-18, -16, 68)]
    blood = [
        ([*arch, (-22, back, 48), (-21, back, -20), (-16, back, -120)], 14.0 * wide),  # aorta
        ([(22, 8, 90), (25, 8, 50), (26, 8, 10)], 9.0),  # great veins
        ([(-22, 4, 120), (-16, 16, 92), (4, 16, 84), (22, 10, 78)], 6.0),
        ([(-12, 34, 8), (-20, 18, 28), (-18, 2, 32)], 13.0),  # pulmonary trunk and its two arteries
        ([(-18, 2, 32), (6, 2, 26), (34, -4, 24)], 10.0),
        ([(-18, 2, 32), (-36, -8, 34)], 10.5),
    ]
    gullet = [([(-3, -34, 150), (-5, -36, 40), (-8, -34, -110)], 6.0)]
    bronchi = [
        ([(1, -12, 190), (1, -18, 110), (2, -20, 44)], 9.0),
        ([(2, -20, 46), (16, -18, 30), (34, -14, 14)], 7.2),
        ([(2, -20, 46), (-18, -18, 32), (-40, -14, 20)], 6.4),
    ]
    walls = [(path, radius + 1.6) for path, radius in bronchi]
    return [
        (value, joined([tube(spline(np.array(path, float)), radius, cell_mm) for path, radius in tubes]))
        for value, tubes in ((30.0, gullet), (BLOOD, blood), (60.0, walls), (AIR, bronchi))
    ]
