"""Vessels and airways of the lungs: trees that reach every part of a lung, with radii by Murray's law; no values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.chest_shape import SIDES, Build, hilum, lung_depth
from radloom.phantom.splats import Cloud, joined, lines, tube

TERMINAL_MM = 0.62  # radius of the last branch that is drawn
LEAVES = (330, 380)  # ends of each tree in the left and in the right lung
HIDDEN = 0.16  # branches whose radius is a smaller share of a voxel cannot be seen
STEPS = 6  # points on a branch
AIRWAY_LEAVES = 14  # an airway is drawn while its artery feeds more parts than these


@dataclass(frozen=True, eq=False)
class Branch:
    """A path (n, 3), its radius in mm, and how many ends it feeds."""

    path: np.ndarray
    radius: float
    leaves: int


@dataclass(frozen=True, eq=False)
class Trees:
    """Arteries with veins, the walls of airways with what they hold, and the air in them; clouds."""

    vessels: Cloud
    airways: Cloud
    air: Cloud


def lung_trees(build: Build, cell_mm: float, *, congestion: float, rng: np.random.Generator) -> Trees:
    """The trees of both lungs; `congestion` widens the vessels, those of the upper lungs most (0 none, 1 severe)."""
    found: list[tuple[Branch, float]] = []
    airways: list[Branch] = []
    fewest = int((HIDDEN * cell_mm / TERMINAL_MM) ** 3)
    for side in SIDES.values():
        door = hilum(build, side)
        heading = np.array([side, 0.0, -0.3])
        for kind, shift in (("artery", (0, 0, 4)), ("vein", (-2 * side, 6, -14))):
            ends = _inside(build, side, LEAVES[side > 0], rng=rng)
            for branch in grow(door + np.array(shift), heading, ends, fewest=fewest, rng=rng):
                height = float(np.clip((branch.path[:, 2].mean() - 10) / 60, -0.5, 1))
                found.append((branch, branch.radius * (1 + congestion * (0.22 + 0.3 * height))))
                if kind == "artery" and branch.leaves > AIRWAY_LEAVES:
                    airways.append(branch)
    thin = [(branch.path, radius) for branch, radius in found if radius < 0.6 * cell_mm]
    paths, radii = np.array([one[0] for one in thin]).reshape(-1, STEPS, 3), np.array([one[1] for one in thin])
    wide = [tube(branch.path, radius, cell_mm) for branch, radius in found if radius >= 0.6 * cell_mm]
    beside = [(one.path + np.array([0, -1.0, 0.3]) * 1.9 * one.radius, one.radius) for one in airways]
    walls = [tube(path, 1.12 * radius + 0.5, cell_mm) for path, radius in beside]
    air = [tube(path, 0.95 * radius, cell_mm) for path, radius in beside]
    return Trees(joined([lines(paths, radii, cell_mm), *wide]), joined(walls), joined(air))


def grow(
    start: np.ndarray, heading: np.ndarray, ends: np.ndarray, *, fewest: int, rng: np.random.Generator
) -> list[Branch]:
    """Branches from `start` to the `ends` (n, 3), which are halved again and again across their longest side.

    Radii keep Murray's law (Murray 1926): a radius cubed is the sum of its daughters' radii cubed. Branches that feed
    fewer than `fewest` ends are left out.
    """
    frame = np.linalg.qr(rng.standard_normal((3, 3)))[0]  # the sides are those of a box that is turned at random
    t = np.linspace(0, 1, STEPS)[:, None]
    found: list[Branch] = []
    waiting = [(start, heading / np.linalg.norm(heading), ends, ends @ frame, rng)]
    while waiting:
        place, ahead, held, sides, rng = waiting.pop()
        goal = held.mean(0)
        reach = 1.0 if len(held) == 1 else rng.uniform(0.36, 0.52)
        stop = place + reach * (goal - place)
        far = stop - place
        bend = 0.22 * np.sqrt(far @ far) * ahead
        path = (1 - t) ** 2 * place + 2 * t * (1 - t) * (0.5 * (place + stop) + bend) + t**2 * stop
        found.append(Branch(path, TERMINAL_MM * len(held) ** (1 / 3), len(held)))
        if len(held) == 1:
            continue
        axis = int(np.argmax(sides.max(0) - sides.min(0)))
        order = np.argsort(sides[:, axis])
        cut = min(max(round(len(held) * rng.uniform(0.35, 0.65)), 1), len(held) - 1)
        onward = path[-1] - path[-2]
        onward = onward / max(float(np.sqrt(onward @ onward)), 1e-6)
        for half in (order[:cut], order[cut:]):
            own = np.random.Generator(np.random.Philox(rng.integers(2**62)))
            if len(half) >= fewest:
                waiting.append((stop, onward, held[half], sides[half], own))
    return found


def _inside(build: Build, side: float, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """(count, 3): points in a lung, at least 4 mm below the pleura."""
    low = np.array([0.0, -build.depth, -150.0])
    high = np.array([build.width, build.depth, build.top])
    tried = low + rng.random((14 * count, 3)) * (high - low)
    tried[:, 0] *= side
    depth = lung_depth(build, side, (tried[:, 0], tried[:, 1], tried[:, 2]))
    return tried[depth > 4][:count]
