"""The neck's anatomy without its vessels: outline, muscles, spine, airway, glands and jaw in one subject's space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.solids import (
    Layer,
    Space,
    body_field,
    body_grid,
    depth_in_ellipsoid,
    depth_in_oval,
    ellipsoid,
    kept,
    spline,
    tube,
    warped_space,
    whole,
)

SIZE_MM = (208.0, 208.0, 168.0)
WARPS = ((70.0, 2.5), (32.0, 1.2))


@dataclass(frozen=True)
class Build:
    """One subject's sizes, drawn once, so that two poses of the subject are one person."""

    stature: tuple[float, float, float]
    fat_mm: float
    bulk: float  # muscles
    phase: float  # of the vertebrae along z, 0 to 1
    airway: float
    thyroid: float


def draw_build(*, rng: np.random.Generator) -> Build:
    """Slender to stout necks."""
    x, y, z = (float(one) for one in rng.uniform(0.9, 1.08, 3))
    fat, bulk, phase, airway, thyroid = (
        rng.normal(np.log(6), 0.4),
        *rng.uniform([0.85, 0, 0.8, 0.7], [1.2, 1, 1.2, 1.3]),
    )
    return Build((x, y, z), float(np.exp(fat)), float(bulk), float(phase), float(airway), float(thyroid))


def neck_space(shape: tuple[int, int, int], build: Build, *, rng: np.random.Generator) -> Space:
    """The subject's space; z = 0 is near the carotid forks, +y the chin."""
    space = warped_space(body_grid(shape, SIZE_MM), WARPS, rng=rng, tilt_deg=2.5)
    for axis in range(3):
        space.points[axis] /= build.stature[axis]
    return space


def moved(space: Space, *, rng: np.random.Generator) -> tuple[Space, np.ndarray]:
    """The subject a moment earlier, and the displacement (3, x, y, z), mm: shifted, turned, the larynx lifted."""
    grid = space.grid
    x, y, z = grid.points_mm().astype(np.float32)
    turn, nod = np.deg2rad(rng.normal(0, 0.7, 2))
    shift = rng.normal(0, 0.7, 3)
    swallow = rng.uniform(0, 4) * np.exp(-(x**2 + (y - 28) ** 2) / 600) * np.exp(-((z + 25) ** 2) / 1800)
    move = np.stack(
        [
            shift[0] - turn * y,
            shift[1] + turn * x - nod * z,
            shift[2] + nod * y + swallow,
        ]
    ).astype(np.float32)
    for axis in range(3):
        move[axis] += 0.5 * body_field(grid, 45.0, rng=rng)
    return Space(grid, space.points + move), move


def neck_layers(space: Space, build: Build) -> tuple[list[Layer], list[Layer]]:
    """Soft tissues, to be painted before the vessels, and bones, after them."""
    outline = _outline(space, build)
    under_skin = outline[1].fraction
    inner = [*_muscles(space, build), *_glands(space, build), *_airway(space, build)]
    return [*outline, *(kept(layer, under_skin) for layer in inner)], [*_spine(space, build), *_jaw(space)]


def _step(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def _outline(space: Space, build: Build) -> list[Layer]:
    x, y, z = space.points
    head, shoulder = _step((z - 42) / 9), _step((-z - 68) / 8)
    rx = 57 + 12 * head + 26 * shoulder
    ry = 56 + 20 * head
    deep = depth_in_oval(x, y + 6 - 12 * head, (rx, ry), 2.15)
    fat = build.fat_mm * (1 + 0.5 * (y < 0)) * (1 - 0.3 * head)
    return [
        whole(space, "skin", deep + fat),
        whole(space, "fat", deep + fat - 2.0),
        whole(space, "platysma", np.minimum(deep, 2.5 - deep)),
    ]


def _muscles(space: Space, build: Build) -> list[Layer]:
    """The nape's muscles, sternomastoids, scalenes, muscles before the spine, floor of the mouth and tongue."""
    x, y, z = space.points
    found = []
    bulk = build.bulk
    ax = np.abs(x)
    for centre, radii in (((17.0, -40.0), (15.0, 14.0)), ((36.0, -33.0), (15.0, 17.0)), ((24.0, -57.0), (25.0, 6.0))):
        depth = depth_in_oval(ax - centre[0], y - centre[1], (radii[0] * bulk, radii[1] * bulk), 2.4)
        found.append(whole(space, "muscle", np.minimum(depth, 4 + ax - 3)))
    for sign in (1, -1):
        strap = spline([(sign * 56, -24, 80), (sign * 48, 2, 10), (sign * 34, 24, -40), (sign * 16, 38, -100)])
        for offset in (-5.0, 5.0):
            shifted = strap + np.array([sign * 0.8 * offset, -offset, 0])
            found.append(tube(space, "muscle", shifted, 7.0 * bulk))
        found.append(tube(space, "muscle", spline([(sign * 22, -6, 30), (sign * 30, -8, -40), (sign * 44, -6, -100)]),
                          9.0 * bulk))  # fmt: skip
        found.append(tube(space, "muscle", spline([(sign * 8, 6, 80), (sign * 9, 7, 0), (sign * 10, 5, -100)]), 5.0))
        found.append(tube(space, "muscle", spline([(sign * 9, 40, 5), (sign * 8, 43, -45), (sign * 8, 40, -95)]), 4.5))
        found.append(
            tube(space, "muscle", spline([(sign * 44, 20, 78), (sign * 42, 14, 50), (sign * 40, 16, 42)]), 10.0)
        )
    found.append(ellipsoid(space, "muscle", (0, 44, 62), (25, 32, 24)))
    found.append(
        whole(space, "muscle", np.minimum(depth_in_oval(x, y - 36, (28.0, 26.0), 2.2), np.minimum(z - 22, 44 - z)))
    )
    return found


def _glands(space: Space, build: Build) -> list[Layer]:
    size = build.thyroid
    found = [tube(space, "thyroid", spline([(12, 33, -66), (0, 37, -66), (-12, 33, -66)]), 4.0)]
    for sign in (1, -1):
        found += [
            ellipsoid(space, "thyroid", (sign * 18, 22, -60), np.array([9, 11, 23]) * size, turn_deg=(8, 0, 0)),
            ellipsoid(space, "parotid", (sign * 54, -6, 60), (12, 19, 24)),
            ellipsoid(space, "submandibular", (sign * 30, 30, 26), (10, 15, 13)),
            ellipsoid(space, "node", (sign * 40, 8, 28), (4, 3, 7)),
        ]
    return found


def _airway(space: Space, build: Build) -> list[Layer]:
    """Pharynx, larynx with its cartilages, hyoid, trachea and gullet."""
    wide = build.airway
    path = spline([(0, 12, 95), (0, 11, 55), (0, 16, 25), (0, 25, -5), (0, 27, -40), (0, 25, -110)])
    share = np.linspace(0, 1, len(path))
    radii = wide * np.interp(share, [0, 0.3, 0.5, 0.6, 0.7, 1], [11, 9, 10, 4.5, 9, 9])
    gullet = spline([(0, 10, -25), (2, 10, -60), (4, 10, -110)])
    y = space.points[1]
    around = depth_in_ellipsoid(space.points, (0, 24, -14), (21, 21, 26))
    shield = np.minimum(np.minimum(around, 3.2 - around), y - 20)  # the thyroid cartilage is open behind
    ring = depth_in_ellipsoid(space.points, (0, 26, -42), (14, 14, 9))
    ring = np.minimum(ring, 4.0 - ring)
    hyoid = spline([(22, 12, 14), (16, 32, 12), (0, 42, 10), (-16, 32, 12), (-22, 12, 14)])
    return [
        tube(space, "muscle", gullet, 6.0),
        tube(space, "mucosa", path, radii + 4.0),
        whole(space, "cartilage", shield),
        whole(space, "cartilage", ring),
        tube(space, "air", path, radii),
        tube(space, "hyoid", hyoid, 3.0),
    ]


def _spine(space: Space, build: Build) -> list[Layer]:
    """Vertebral bodies, discs, arches with the foramina of the vertebral arteries, cord in its canal."""
    x, y, z = space.points
    bend = -8 + 5 * np.cos(z / 60)
    y = y - bend
    level = np.abs(((z / 18 + build.phase) % 1) - 0.5) * 18  # 9 in the middle of a disc
    body = depth_in_oval(x, y + 4, (13.0, 9.5), 2.4)
    canal = depth_in_oval(x, y + 23, (11.5, 8.0), 2.1)
    cord = depth_in_oval(x, y + 22.5, (6.5, 4.3), 2.0)
    arch = np.minimum(np.minimum(canal + 4.5, -canal), np.minimum(7.0 - level, 24 - np.abs(y + 24)))
    spinous = np.minimum(np.minimum(2.8 - np.abs(x), 11 - np.abs(y + 44)), 5.0 - level)
    side = depth_in_oval(np.abs(x) - 17, y + 5, (7.0, 6.0), 2.0)
    foramen = depth_in_oval(np.abs(x) - 17, y + 5, (3.4, 3.4), 2.0)
    transverse = np.minimum(np.minimum(side, -foramen), 4.5 - level)
    bone = np.maximum(np.maximum(arch, spinous), transverse)
    return [
        whole(space, "disc", np.minimum(body, level - 6.5)),
        whole(space, "cortex", np.minimum(body, 7.2 - level)),
        whole(space, "marrow", np.minimum(body - 1.6, 5.8 - level)),
        whole(space, "canal", canal),
        whole(space, "cord", cord),
        whole(space, "cortex", bone),
        whole(space, "marrow", np.minimum(bone - 2.0, 3.0 - level)),
    ]


def _jaw(space: Space) -> list[Layer]:
    """Mandible with teeth, and the mastoids."""
    path = spline([(50, -4, 92), (49, 2, 66), (40, 30, 50), (22, 62, 46), (0, 76, 46), (-22, 62, 46), (-40, 30, 50),
                   (-49, 2, 66), (-50, -4, 92)])  # fmt: skip
    found = [tube(space, "cortex", path, 6.5), tube(space, "marrow", path, 3.6)]
    for k in range(7):
        angle = np.deg2rad(-66 + 22 * k)
        found.append(ellipsoid(space, "tooth", (30 * np.sin(angle), 36 + 36 * np.cos(angle), 58), (3.2, 3.2, 8)))
    for sign in (1, -1):
        found += [ellipsoid(space, "cortex", (sign * 54, -26, 90), (12, 16, 18)),
                  ellipsoid(space, "air cells", (sign * 54, -26, 90), (9, 13, 15))]  # fmt: skip
    return found
