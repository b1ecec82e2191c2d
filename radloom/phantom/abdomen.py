"""The upper abdomen's frame: body wall, ribs, spine, lungs and great vessels in one subject's space; no organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.branching import branching_tree
from radloom.phantom.solids import (
    Layer,
    Space,
    body_field,
    body_grid,
    box_around,
    depth_in_oval,
    ellipsoid,
    kept,
    softened,
    spline,
    tube,
    warped_space,
    whole,
)

SIZE_MM = (368.0, 368.0, 192.0)
WALL_MM, CAVITY_MM = (148.0, 98.0), (136.0, 84.0)  # half axes: outside of the muscles, inside of them
WARPS = ((95.0, 4.0), (40.0, 2.2))


@dataclass(frozen=True, eq=False)
class Frame:
    """A subject's space and the depths, mm, that organs are fitted to: the cavity, and above the diaphragm."""

    space: Space
    cavity: np.ndarray
    lung: np.ndarray
    layers: tuple[Layer, ...]  # from the skin to the ribs, to be painted before the organs
    bones: tuple[Layer, ...]  # to be painted after them


def new_frame(shape: tuple[int, int, int], *, rng: np.random.Generator) -> Frame:
    """Wall, bones and lungs of a new subject: lean to obese, broad or slender."""
    grid = body_grid(shape, SIZE_MM)
    space = warped_space(grid, WARPS, rng=rng)
    fat_side, fat_front = np.exp(rng.normal(np.log(18), 0.45)), np.exp(rng.normal(np.log(17), 0.45))
    stature = rng.uniform(0.9, 1.06, 3) * (1 - 0.002 * (fat_side - 15))
    for axis in range(3):
        space.points[axis] /= stature[axis]
    x, y, z = space.points
    power = rng.uniform(2.2, 2.6)
    muscle = depth_in_oval(x, y, WALL_MM, power)
    front = np.clip(0.5 + y / 120, 0, 1)
    # Fat is thickest at the flanks' back and over the belly, and a groove runs down the spine.
    fat = fat_side * (1 - front) + fat_front * front - 5 * np.exp(-(x**2) / 350) * (1 - front)
    skin = muscle + np.minimum(fat, 172 / stature[0] - WALL_MM[0])
    cavity = np.minimum(depth_in_oval(x, y, CAVITY_MM, power), 200)
    lung = np.minimum(_above_diaphragm(x, y, z, rng=rng), cavity + 4)
    for middle, radii in ((-18.0, (38.0, 68.0)), (62.0, (66.0, 62.0))):  # spine and gullet; heart and its fat
        lung = np.minimum(lung, -depth_in_oval(x + 6, y - middle, radii, 2.0))
    layers = (
        whole(space, "skin", skin),
        whole(space, "fat", skin - 2.5),
        whole(space, "muscle", muscle),
        whole(space, "cavity", cavity),
        *_muscles(space, rng=rng),
        whole(space, "lung", lung),
        ellipsoid(space, "heart", (-22, 28, 104), (62, 46, 34), turn_deg=(0, -12, 0)),
    )
    return Frame(space, cavity, lung, layers, (*_ribs(space, muscle, rng=rng), *_spine(space, rng=rng)))


def _above_diaphragm(x: np.ndarray, y: np.ndarray, z: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Height above the two domes, mm; the lung's recess reaches down between dome and ribs."""
    height, left = rng.uniform(68, 88), rng.uniform(2, 14)
    falls = 50 * np.where(y < 5, (y - 5) / 88, (y - 5) / 115) ** 2  # the recess is deepest behind
    right_dome = height - falls - 40 * ((x - 68) / 66) ** 2
    left_dome = height - left - falls - 38 * ((x + 72) / 60) ** 2
    return 0.8 * (z - np.maximum(np.maximum(right_dome, left_dome), -2))


def _muscles(space: Space, *, rng: np.random.Generator) -> list[Layer]:
    """Paraspinal muscles, psoas, quadratus lumborum and the diaphragm's crura, both sides."""
    bulk = rng.uniform(0.8, 1.15)
    found = []
    for side in (1, -1):
        found.append(_column(space, "muscle", (side * 33.0, -80.0), (27 * bulk, 17 * bulk), low=-200.0, high=200.0))
        found.append(_column(space, "muscle", (side * 64.0, -66.0), (20 * bulk, 9.0), low=-200.0, high=20.0))
        psoas = spline([(side * 30, -48, 15), (side * 37, -44, -40), (side * 46, -36, -110)])
        found.append(tube(space, "muscle", psoas, np.linspace(6, 23 * bulk, len(psoas))))
        crus = spline([(side * 14, -36, -25), (side * 17, -30, 30), (side * 22, -22, 80)])
        found.append(tube(space, "muscle", crus, 5.0))
    return found


def _column(
    space: Space, name: str, centre: tuple[float, float], radii: tuple[float, float], *, low: float, high: float
) -> Layer:
    """An upright prism of oval section between two heights."""
    reach = max(radii)
    box = box_around(space, (centre[0] - reach, centre[1] - reach, low), (centre[0] + reach, centre[1] + reach, high))
    x, y, z = space.points[(slice(None), *box)]
    depth = depth_in_oval(x - centre[0], y - centre[1], radii, 2.3)
    return Layer(name, box, softened(np.minimum(depth, np.minimum(z - low, high - z)), space.border_mm))


def _ribs(space: Space, muscle: np.ndarray, *, rng: np.random.Generator) -> list[Layer]:
    """Ribs as sloping arcs in the wall, their cartilage in front, above the costal margin."""
    x, y, z = space.points
    around = np.arctan2(np.abs(x) / WALL_MM[0], -y / WALL_MM[1])  # 0 at the spine, pi at the sternum
    shell = np.minimum(muscle - 2.0, 9.5 - muscle)
    pitch = 29.0
    slope = z + 42 * np.minimum(around, 2.0) - 30 * np.clip(around - 2.0, 0, None)
    across = 6.0 - np.abs((slope / pitch + rng.random()) % 1 - 0.5) * pitch
    margin = z - np.interp(around, [0, 0.5, 1.6, 2.3, 3.2], [0, 0, -8, 25, 95])
    depth = np.minimum(np.minimum(shell, across), np.minimum(margin, 40 * (around - 0.22)))
    bony = 30 * (1.95 - around)
    return [
        whole(space, "cartilage", np.minimum(depth, 2 - bony)),
        whole(space, "rib cortex", np.minimum(depth, bony)),
        whole(space, "rib marrow", np.minimum(depth - 2.4, bony)),
    ]


def _spine(space: Space, *, rng: np.random.Generator) -> list[Layer]:
    """Vertebral bodies with end plates, discs, arch, processes and canal."""
    x, y, z = space.points
    bend = -53 + 5 * np.sin((z + rng.uniform(-30, 30)) / 60)
    level = np.abs(((z / 34 + rng.random()) % 1) - 0.5) * 34  # 17 in the middle of a disc
    y = y - bend
    body = depth_in_oval(x, y, (23 - 0.08 * level, 17.5), 2.3)
    arch = np.minimum(depth_in_oval(x, y + 25, (18.0, 15.0), 2.0), 13 - level)
    canal = depth_in_oval(x, y + 25, (11.0, 8.5), 2.2)
    spinous = np.minimum(np.minimum(3.5 - np.abs(x), 24 - np.abs(y + 46)), 11 - level)
    transverse = np.minimum(np.minimum(40 - np.abs(x), 5 - np.abs(y + 24)), 6 - level)
    marrow = np.minimum(body - 2.0, 11.5 - level)
    bone = np.maximum(np.maximum(arch, spinous), transverse)
    return [
        whole(space, "disc", body),
        whole(space, "cortex", np.minimum(body, 14 - level)),
        whole(space, "marrow", marrow),
        whole(space, "cortex", bone),
        whole(space, "marrow", bone - 3.0),
        whole(space, "canal", canal),
    ]


def great_vessels(frame: Frame, *, rng: np.random.Generator) -> list[Layer]:
    """Aorta with coeliac, mesenteric, renal and iliac arteries; cava, renal, splenic and mesenteric veins."""
    space, sway = frame.space, rng.normal(0, 3, 6)
    wide = rng.uniform(0.85, 1.3)
    aorta = spline([(-10 + sway[0], -27, 125), (-12 + sway[1], -25, 50), (-9 + sway[2], -23, -10), (-2, -26, -72)])
    found = [tube(space, "vein", spline([(26, -34, -120), (22, -25, -55), (22, -23, 10), (21, -8, 60), (16, 2, 115)]),
                  11.5 * rng.uniform(0.8, 1.1))]  # fmt: skip
    for side in (1, -1):
        hilum = (side * 44, -34, -12 - 6 * side)
        root = (14.0, -22.0, 2.0) if side > 0 else (-20.0, -20.0, 2.0)
        found.append(tube(space, "vein", spline([root, (side * 30, -26, -4), hilum]), 4.6))
        found.append(tube(space, "artery", spline([(-8, -27, 0), (side * 28, -34, -6), hilum]), 2.8))
        found.append(
            tube(space, "artery", spline([(-2, -26, -70), (side * 18, -32, -92), (side * 32, -38, -125)]), 5.5)
        )
    found.append(tube(space, "vein", spline([(-80, -14, 32), (-40, -4, 16), (6, 8, 6)]), 4.5))
    found.append(tube(space, "vein", spline([(8, 22, -85), (9, 18, -40), (8, 9, 4)]), 5.0))
    found.append(tube(space, "artery", spline([(-10, -14, 14), (-7, 2, 0), (-3, 12, -40), (4, 24, -85)]), 3.2))
    found.append(tube(space, "artery", spline([(-11, -15, 24), (-8, 2, 27), (14, 10, 26), (34, 16, 24)]), 2.8))
    found.append(tube(space, "artery", spline([(-8, 2, 27), (-45, -8, 26), (-84, -20, 36)]), 2.6))
    return [*found, tube(space, "aorta", aorta, wide * np.linspace(11, 8.2, len(aorta)))]


def liver_vessels(frame: Frame, liver: np.ndarray, *, rng: np.random.Generator) -> list[Layer]:
    """Portal tree and hepatic veins, held inside the liver (its fraction over the whole grid)."""
    space = frame.space
    trunk = spline([(7, 8, 4), (22, 12, 16), (36, 13, 26)])
    found = [tube(space, "portal vein", trunk, 6.5)]
    for heading, radius in (((1, 0.25, 0.35), 5.2), ((-0.6, 0.8, 0.35), 4.2)):
        for branch in branching_tree((36, 13, 26), heading, radius=radius, generations=5, rng=rng):
            if branch.radii[0] > 0.9:
                found.append(kept(tube(space, "portal vein", branch.path, branch.radii), liver))
    for heading in ((1, 0.15, -0.35), (0.55, 0.8, -0.25), (-0.5, 0.85, -0.1)):
        for branch in branching_tree((22, -4, 66), heading, radius=4.4, generations=4, rng=rng, length_per_radius=9.0):
            if branch.radii[0] > 0.9:
                found.append(kept(tube(space, "hepatic vein", branch.path, branch.radii), liver))
    return found


def fat_strands(frame: Frame, *, rng: np.random.Generator) -> np.ndarray:
    """Winding small vessels in fat, 0 to 1."""
    a, b = (body_field(frame.space.grid, 17.0, rng=rng) for _ in range(2))
    return np.exp(-(a**2 + b**2) / (2 * 0.2**2))
