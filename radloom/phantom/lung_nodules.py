"""Lung nodules: how large, dense and rough they are, where they sit, and which voxels they fill; no images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.phantom.chest import Chest, border_mm
from radloom.phantom.fields import Grid
from radloom.phantom.splats import Cloud, fraction, joined, tube

Kind = Literal["solid", "part-solid", "ground-glass"]
KINDS: tuple[Kind, ...] = ("solid", "part-solid", "ground-glass")
ADDED_HU = {"solid": 890.0, "part-solid": 420.0, "ground-glass": 270.0}  # above the parenchyma around it
DIAMETERS_MM = (5.0, 30.0)
CORE = 0.5  # radius of a part-solid nodule's dense core, as a share of the whole


@dataclass(frozen=True)
class Nodule:
    """One nodule; lengths in mm. malignant: the truth, of which size and edge tell only a part."""

    centre: tuple[float, float, float]
    diameter: float
    kind: Kind
    stretch: tuple[float, float, float]
    waves: tuple[float, ...]  # of its surface: amplitude relative to the radius and phases
    spicules: int
    malignant: bool


def draw_nodule(
    depth: np.ndarray, allowed: np.ndarray, grid: Grid, *, diameters: tuple[float, float], rng: np.random.Generator
) -> Nodule | None:
    """A nodule inside `allowed` voxels, or None where there are none; one in two touches or nears the pleura.

    depth: below the lung's surface, mm. diameters: mm, smallest and largest; small ones are more frequent.
    """
    low, high = np.log(diameters)
    diameter = float(np.exp(low + (high - low) * rng.random() ** 1.3))
    wanted = diameter / 2 * rng.uniform(0.5, 1.1) if rng.random() < 0.5 else rng.uniform(8, 45)
    held = np.flatnonzero(allowed & (np.abs(depth - wanted) < 4))
    if held.size == 0:
        held = np.flatnonzero(allowed)
    if held.size == 0:
        return None
    voxel = np.unravel_index(held[rng.integers(held.size)], grid.shape)
    centre = [o + d * (i + rng.uniform(-0.5, 0.5))
              for o, d, i in zip(grid.origin_mm, grid.spacing_mm, voxel, strict=True)]  # fmt: skip
    kind = KINDS[rng.choice(3, p=(0.68, 0.14, 0.18))]
    # Larger, part-solid and spiculated nodules are more often malignant, but a good part is left to chance.
    logit = -2.4 + 1.5 * np.log(diameter / 10) + {"solid": 0.0, "part-solid": 1.0, "ground-glass": -0.2}[kind]
    malignant = bool(rng.random() < 1 / (1 + np.exp(-logit)))
    spicules = int(rng.poisson(7 if malignant and diameter > 9 else 0.7))
    stretch = np.exp(rng.normal(0, 0.12, 3))
    stretch = stretch / np.prod(stretch) ** (1 / 3)
    rough = rng.uniform(0.10, 0.22) if malignant else rng.uniform(0.02, 0.10)
    return Nodule(
        (float(centre[0]), float(centre[1]), float(centre[2])), diameter, kind,
        (float(stretch[0]), float(stretch[1]), float(stretch[2])), (float(rough), *rng.uniform(0, 2 * np.pi, 6)),
        spicules, malignant,
    )  # fmt: skip


def nodule_depth(nodule: Nodule, grid: Grid) -> np.ndarray:
    """float32 (x, y, z): distance inside the nodule's surface, mm; negative outside."""
    away = [(axis - c).astype(np.float32) / np.float32(s)
            for axis, c, s in zip(grid.axes_mm(), nodule.centre, nodule.stretch, strict=True)]  # fmt: skip
    x, y, z = away[0][:, None, None], away[1][None, :, None], away[2][None, None, :]
    radius = np.sqrt(x**2 + y**2 + z**2)
    turn, tilt = np.arctan2(y, x), z / np.maximum(radius, np.float32(1e-3))
    rough, a, b, c, d, e, f = (np.float32(one) for one in nodule.waves)
    wave = np.sin(2 * turn + a) * np.cos(2 * tilt + b) + np.sin(3 * turn + c + 3 * tilt) + np.sin(4 * tilt + d + turn)
    wave = wave + 0.7 * np.sin(5 * turn + e) * np.sin(4 * tilt + f)
    return np.float32(nodule.diameter / 2) * (1 + rough * wave * np.float32(0.5)) - radius


def nodule_fraction(nodule: Nodule, grid: Grid, border_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of each voxel that is nodule, and the HU that it adds to parenchyma there; float32."""
    depth = nodule_depth(nodule, grid)
    filled = np.clip(0.5 + depth / np.float32(border_mm), 0, 1)
    # What is smaller than a voxel fills only its share of it.
    filled = filled * np.float32(min(1.0, nodule.diameter / border_mm))
    added = np.full(grid.shape, ADDED_HU[nodule.kind], np.float32)
    if nodule.kind == "part-solid":
        core = np.clip(0.5 + (depth - (1 - CORE) * nodule.diameter / 2) / np.float32(border_mm), 0, 1)
        added = added + core * (ADDED_HU["solid"] - added)
    return filled, added


def spicules(nodule: Nodule, grid: Grid, *, rng: np.random.Generator) -> np.ndarray:
    """float32: share of each voxel filled by the thin strands that radiate from the nodule."""
    clouds: list[Cloud] = []
    for _ in range(nodule.spicules):
        heading = rng.standard_normal(3)
        heading = heading / np.linalg.norm(heading)
        start = np.array(nodule.centre) + 0.4 * nodule.diameter * heading
        stop = start + rng.uniform(3, 9) * heading
        clouds.append(tube(np.stack([start, stop]), np.array([1.1, 0.4]), min(grid.spacing_mm)))
    return fraction(joined(clouds), grid)


def nodule_count(*, rng: np.random.Generator) -> int:
    """How many nodules one patient has: 0 in one of seven, up to 4."""
    return int(rng.choice(5, p=(0.14, 0.38, 0.26, 0.14, 0.08)))


def with_nodules(
    chest: Chest, hu: np.ndarray, *, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[Nodule]]:
    """HU with up to `count` nodules, their mask (1, 2, ... each), and what they are."""
    border = border_mm(chest.grid)
    inside = np.minimum(chest.lungs.sum(0), 1)
    mask, found = np.zeros(hu.shape, np.uint8), []
    free = inside >= 0.5
    for _ in range(count):
        nodule = draw_nodule(chest.depth, free, chest.grid, diameters=DIAMETERS_MM, rng=rng)
        if nodule is None:
            break
        filled, added = nodule_fraction(nodule, chest.grid, border)
        strands = spicules(nodule, chest.grid, rng=rng)
        share = filled * inside
        drawn = (share >= 0.5) & (mask == 0)
        if np.count_nonzero(drawn) == 0:  # smaller than a voxel: the voxel that holds most of it
            drawn = (share == share.max()) & (share > 0) & (mask == 0)
        if not drawn.any():
            continue
        hu = np.minimum(hu + share * added, np.maximum(hu, 60))
        hu = hu + 0.6 * strands * inside * np.maximum(0, -150 - hu)
        found.append(nodule)
        mask[drawn] = len(found)
        free = free & (filled == 0)
    return hu, mask, found


def nodule_labels(found: list[Nodule]) -> dict[str, object]:
    """The columns that describe the nodules, in the order of their numbers in the mask."""
    return {
        "label.nodules": len(found),
        "label.nodule_mm": " ".join(f"{one.diameter:.1f}" for one in found),
        "label.nodule_kind": " ".join(one.kind for one in found),
        "label.malignant": int(any(one.malignant for one in found)),
    }
