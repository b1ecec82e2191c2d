"""The neck's vessels: carotids that fork, vertebral arteries and jugular veins; plaque, stenosis and occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.branching import branching_tree
from radloom.phantom.solids import Layer, Space, ellipsoid, spline, tube

INTERNAL_MM = 2.5  # radius of the internal carotid artery beyond its bulb
NUMBERS = {"carotid right": 1, "carotid left": 2, "vertebral right": 3, "vertebral left": 4, "jugular": 5}
SIDES = {"right": 1, "left": -1}
KINDS = ("soft", "calcified", "mixed")


@dataclass(frozen=True)
class Plaque:
    """A plaque at the origin of an internal carotid artery.

    side: right or left. percent: NASCET stenosis, 100 (1 - narrowest lumen / lumen beyond the bulb); 100 is occluded.
    centre_mm, length_mm: above the fork. kind: soft plaque has blood's HU without contrast agent. aside: which way the
    lumen is pushed, radians.
    """

    side: str
    percent: float
    centre_mm: float
    length_mm: float
    kind: str
    aside: float


def draw_plaques(*, rng: np.random.Generator) -> list[Plaque]:
    """The plaques of one subject: a third have none; one carotid in twelve is occluded."""
    found = []
    if rng.random() < 0.33:
        return found
    for side in SIDES:
        if rng.random() < 0.6:
            percent = 100.0 if rng.random() < 0.12 else float(rng.uniform(15, 92))
            centre, length = rng.uniform(6, 13), rng.uniform(9, 20)
            kind = str(rng.choice(KINDS, p=[0.35, 0.25, 0.4]))
            found.append(Plaque(side, percent, float(centre), float(length), kind, float(rng.uniform(0, 2 * np.pi))))
    return found


def vessels(space: Space, plaques: list[Plaque], *, rng: np.random.Generator) -> list[Layer]:
    """Veins, then arteries with their plaques, in painting order; the same draws give the same vessels in any space."""
    found: list[Layer] = []
    size = rng.uniform(0.85, 1.15)
    for side, sign in SIDES.items():
        found += _jugular(space, sign, rng=rng)
        found += _vertebral(space, side, sign, rng=rng)
    for side, sign in SIDES.items():
        plaque = next((one for one in plaques if one.side == side), None)
        found += _carotid(space, side, sign, size, plaque, rng=rng)
    return found


def _jugular(space: Space, sign: int, *, rng: np.random.Generator) -> list[Layer]:
    sway = rng.normal(0, 1.2, (5, 3))
    points = [(30, 20, -115), (36, 12, -45), (38, 3, 8), (37, -5, 45), (33, -8, 95)]
    path = spline((np.array(points) + sway) * np.array([sign, 1, 1]))
    radius = rng.uniform(4.0, 7.5) * np.interp(np.linspace(0, 1, len(path)), [0, 0.5, 1], [1.1, 1.0, 0.8])
    outer = spline(np.array([(50, 14, -60), (54, 2, 0), (52, -12, 50)]) * np.array([sign, 1, 1]))
    return [tube(space, "jugular", path, radius), tube(space, "small vein", outer, rng.uniform(1.2, 2.4))]


def _vertebral(space: Space, side: str, sign: int, *, rng: np.random.Generator) -> list[Layer]:
    points = [(22, 2, -115), (18, -8, -70), (17, -9, -20), (17, -9, 35), (25, -14, 56), (22, -27, 66), (7, -18, 84)]
    path = spline((np.array(points) + rng.normal(0, 0.6, (7, 3))) * np.array([sign, 1, 1]))
    return [tube(space, f"vertebral {side}", path, rng.uniform(1.2, 2.3))]


def _carotid(
    space: Space, side: str, sign: int, size: float, plaque: Plaque | None, *, rng: np.random.Generator
) -> list[Layer]:
    """Common carotid, its fork, internal carotid with bulb and plaque, external carotid with branches."""
    mirror, name = np.array([sign, 1, 1]), f"carotid {side}"
    sway = rng.normal(0, 1.3, (4, 3))
    fork = np.array([26, 8, rng.uniform(-14, 10)]) + rng.normal(0, 1.2, 3)
    common = spline(np.vstack([np.array([(14, 20, -118), (20, 16, -65)]) + sway[:2], fork]) * mirror)
    rise = np.array([(4, -6, 14), (3.5, -10, 38), (0, -12, 62), (-3, -6, 100)]) + rng.normal(0, 1.2, (4, 3))
    internal = spline(np.vstack([fork, fork + rise]) * mirror, step_mm=0.75)
    external = spline((fork + np.array([(0, 0, 0), (-3, 7, 13), (3, 9, 32), (13, 0, 62)])) * mirror)
    outer = size * _normal_radius(internal)
    found = [tube(space, name, common, 3.3 * size)]
    found.append(tube(space, name, external, size * np.linspace(2.3, 1.5, len(external))))
    for share, heading in ((0.15, (-0.5, 0.9, -0.6)), (0.3, (-0.6, 0.9, 0.3)), (0.5, (0.1, 1.0, 0.3))):
        start = external[int(share * (len(external) - 1))]
        for branch in branching_tree(start, np.array(heading) * mirror, radius=1.2, generations=3, rng=rng,
                                     length_per_radius=16.0):  # fmt: skip
            found.append(tube(space, "small artery", branch.path, branch.radii))
    if plaque is None:
        return [*found, tube(space, name, internal, outer)]
    return [*found, *_diseased(space, name, internal, outer, size, plaque)]


def _normal_radius(path: np.ndarray) -> np.ndarray:
    """Radius along a healthy internal carotid artery of usual size: the bulb, then even."""
    along = _along(path)
    return INTERNAL_MM + 1.3 * np.exp(-(((along - 6) / 7) ** 2))


def _along(path: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])


def lumen_radius(path: np.ndarray, outer: np.ndarray, size: float, plaque: Plaque) -> np.ndarray:
    """Radius of the lumen along the path, mm: a cosine narrowing to the NASCET degree at the plaque's centre."""
    along = _along(path)
    narrowest = size * INTERNAL_MM * (1 - plaque.percent / 100)
    window = np.cos(np.pi / 2 * np.clip((along - plaque.centre_mm) / (plaque.length_mm / 2), -1, 1)) ** 2
    depth = np.maximum(np.interp(plaque.centre_mm, along, outer) - narrowest, 0)
    return np.maximum(np.minimum(outer, outer - depth * window), np.minimum(outer, narrowest))


def _diseased(space: Space, name: str, path: np.ndarray, outer: np.ndarray, size: float, plaque: Plaque) -> list[Layer]:
    """The wall filled with plaque, the lumen pushed aside in it, and chalk; nothing flows behind an occlusion."""
    along = _along(path)
    inside = np.abs(along - plaque.centre_mm) <= plaque.length_mm / 2
    beyond = along >= plaque.centre_mm - plaque.length_mm / 2
    if plaque.percent >= 100:
        blocked = beyond
        found = [tube(space, "occluded", path[blocked], 0.9 * outer[blocked])]
        if (~blocked).sum() > 1:
            found.append(tube(space, name, path[~blocked], outer[~blocked]))
    else:
        lumen = lumen_radius(path, outer, size, plaque)
        shift = 0.8 * (outer - lumen)[:, None] * np.array([np.cos(plaque.aside), np.sin(plaque.aside), 0.0])
        found = [tube(space, "plaque", path[inside], outer[inside]), tube(space, name, path + shift, lumen)]
    return [*found, *_chalk(space, path, outer, plaque)]


def _chalk(space: Space, path: np.ndarray, outer: np.ndarray, plaque: Plaque) -> list[Layer]:
    """Calcified flecks in the wall opposite to the lumen; none in soft plaque."""
    count = {"soft": 0, "mixed": 2, "calcified": 4}[plaque.kind]
    along = _along(path)
    found = []
    for k in range(count):
        place = plaque.centre_mm + plaque.length_mm * ((k + 0.5) / count - 0.5) * 0.7
        i = int(np.argmin(np.abs(along - place)))
        turn = plaque.aside + np.pi + 0.5 * np.sin(5 * k + plaque.aside)
        where = path[i] + 0.75 * outer[i] * np.array([np.cos(turn), np.sin(turn), 0.0])
        found.append(ellipsoid(space, "chalk", where, (1.4, 1.4, 2.6)))
    return found
