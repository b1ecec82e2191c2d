"""Brains with enhancing metastases of 2 to 20 mm, numbered, and the rough boxes that somebody drew around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.data.boxes import Box, as_text, painted
from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Anatomy, Atlas, head_grid, new_subject
from radloom.phantom.brain import as_images
from radloom.phantom.disease import Disease, Part
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.scanners import SCANNERS
from radloom.phantom.splats import Cloud, fraction
from radloom.random import numpy_stream
from radloom.types import Case

DIAMETER_MM = (2.0, 20.0)
MOST = 9
HOLLOW_MM = 8.0  # larger ones may be necrotic inside
SWELLING_MM = 6.0  # larger ones are surrounded by oedema
SHIFTED = 0.05  # share of boxes that lie beside their lesion

# Half-open voxel ranges x0, y0, z0, x1, y1, z1.


@dataclass(frozen=True)
class Metastasis:
    """Centre in mm, diameter in mm, agent in mmol/L, share of the radius that is necrotic, oedema around it in mm."""

    centre: tuple[float, float, float]
    diameter: float
    agent: float
    hollow: float
    oedema: float


def subject(atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], contrasts: Sequence[str]) -> Case:
    """The examination of subject `index`; mask.metastasis numbers them, mask.box paints their rough boxes.

    text.boxes: "number:x0,y0,z0,x1,y1,z1" for each, half-open voxel ranges, separated by blanks.
    """

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain", index, "metastases", name)

    grid = head_grid(shape, centre_z_mm=float(stream("slab").uniform(0, 40)))
    anatomy = new_subject(atlas, grid, push=(np.zeros(3), 20.0, 0.0), rng=stream("anatomy"))
    spread = draw(anatomy, rng=stream("spread of cancer"))
    ill, numbered = grow(spread, anatomy, rng=stream("disease"))
    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    boxes = rough_boxes(numbered, rng=stream("boxes"))
    masks = {
        "mask.brain": anatomy.brain,
        "mask.metastasis": numbered,
        "mask.box": painted(list(boxes.values()), grid.shape),
    }
    images = as_images(scan(anatomy, ill, scanner, contrasts, stream=stream), masks, grid)
    labels = {
        "label.metastases": int(numbered.max()),
        "label.largest_mm": round(max((one.diameter for one in spread), default=0.0), 1),
    }
    name = f"sub-{index:04d}"
    return Case(name, name, images, labels, {"text.boxes": as_text(boxes)}, site=scanner.site, vendor=scanner.vendor)


def draw(anatomy: Anatomy, *, rng: np.random.Generator) -> list[Metastasis]:
    """Up to MOST metastases, most of them small, where grey meets white matter; one in eight subjects has none."""
    grid, (grey, white, _) = anatomy.grid, anatomy.fractions
    weight = (grey * white * anatomy.brain).ravel()
    covered = min(1.0, grid.shape[2] * grid.spacing_mm[2] / 60.0)  # a thin slab cuts fewer of the head's
    count = 0 if rng.random() < 0.125 else max(1, round(covered * min(MOST, int(rng.geometric(0.3)))))
    found: list[Metastasis] = []
    if weight.sum() <= 0:
        return found
    for place in rng.choice(weight.size, 4 * count, p=weight / weight.sum()):
        at = np.unravel_index(place, grid.shape)
        centre = [float(axis[i] + d * rng.uniform(-0.5, 0.5))
                  for axis, i, d in zip(grid.axes_mm(), at, grid.spacing_mm, strict=True)]  # fmt: skip
        diameter = float(np.exp(rng.uniform(*np.log(DIAMETER_MM))))
        apart = [np.linalg.norm(np.subtract(one.centre, centre)) - (one.diameter + diameter) / 2 for one in found]
        hollow = float(rng.uniform(0.5, 0.75)) if diameter > HOLLOW_MM and rng.random() < 0.6 else 0.0
        oedema = float(rng.uniform(1, 7)) if diameter > SWELLING_MM and rng.random() < 0.8 else 0.0
        agent = float(rng.uniform(0.06, 0.4))
        if len(found) < count and min(apart, default=np.inf) > 8.0:
            found.append(Metastasis((centre[0], centre[1], centre[2]), diameter, agent, hollow, oedema))
    return found


def grow(spread: Sequence[Metastasis], anatomy: Anatomy, *, rng: np.random.Generator) -> tuple[Disease, np.ndarray]:
    """(the disease, uint8 numbers): enhancing balls, hollow where necrotic, with oedema along the white matter."""
    grid = anatomy.grid
    taken, numbered = np.zeros(grid.shape), np.zeros(grid.shape, np.uint8)
    parts: list[Part] = []
    swollen = np.zeros(grid.shape)
    reach = np.clip(1 + 0.5 * smooth_field(grid, 12.0, rng=rng), 0.2, 2.0)
    for one in spread:
        whole = np.minimum(_ball(one, 1.0, grid, rng=rng) * anatomy.brain, 1 - taken)
        held = whole >= min(0.4, 0.7 * whole.max())  # the smallest fill no voxel
        if not (whole.max() > 0.02 and held.any()):
            continue
        numbered[held & (numbered == 0)] = numbered.max() + 1
        core = np.minimum(_ball(one, one.hollow, grid, rng=rng) * anatomy.brain, whole) if one.hollow else 0 * whole
        parts += [Part(whole - core, "rim", one.agent), Part(core, "necrosis", 0.01)]
        taken = taken + whole
        if one.oedema:
            away = np.linalg.norm(grid.points_mm() - np.array(one.centre)[:, None, None, None], axis=0)
            swollen = np.maximum(
                swollen, 1 / (1 + np.exp(np.clip((away - one.diameter / 2 - one.oedema * reach) / 0.8, -30, 30)))
            )
    white = np.clip(0.1 + 1.1 * anatomy.fractions[1], 0, 1) * (1 - anatomy.fractions[2])
    parts.append(Part(np.clip(swollen * white * anatomy.brain - taken, 0, 1), "oedema", 0.005))
    return Disease(tuple(parts), numbered, {}), numbered


def rough_boxes(numbered: np.ndarray, *, rng: np.random.Generator) -> dict[int, Box]:
    """Loose boxes by number: each side of the tight box in plane grows by up to 40 % and 3 voxels, a few are shifted.

    In z they are tight. That is how carelessly Han et al. 2019 let boxes be drawn; the amounts are ours.
    """
    found: dict[int, Box] = {}
    for number in range(1, int(numbered.max()) + 1):
        at = np.argwhere(numbered == number)
        low, high = at.min(0).astype(float), at.max(0) + 1.0
        size = high[:2] - low[:2]
        low[:2] -= size * rng.uniform(0, 0.4, 2) + rng.uniform(0, 3, 2)
        high[:2] += size * rng.uniform(0, 0.4, 2) + rng.uniform(0, 3, 2)
        shift = (high[:2] - low[:2]) * rng.uniform(-0.25, 0.25, 2) * (rng.random() < SHIFTED)
        low[:2], high[:2] = low[:2] + shift, high[:2] + shift
        x0, y0, z0 = (int(one) for one in np.clip(np.rint(low), 0, np.array(numbered.shape) - 1))
        x1, y1, z1 = (int(one) for one in np.minimum(np.rint(high), numbered.shape))
        found[number] = (x0, y0, z0, max(x1, x0 + 1), max(y1, y0 + 1), max(z1, z0 + 1))
    return found


def _ball(one: Metastasis, share: float, grid: Grid, *, rng: np.random.Generator) -> np.ndarray:
    """Fraction of an uneven ball of `share` of the radius, by points: it may be smaller than a voxel."""
    radius = share * one.diameter / 2
    volume = 4 / 3 * np.pi * radius**3
    count = int(np.clip(4 * volume, 200, 20000))
    way = rng.standard_normal((count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    lumps = rng.standard_normal((3, 3))
    uneven = 1 + 0.10 * np.sin(2.5 * way @ lumps).sum(1, keepdims=True) / np.sqrt(1.5)
    points = np.array(one.centre) + radius * rng.random((count, 1)) ** (1 / 3) * way * uneven
    return fraction(Cloud(points, np.full(count, volume / count)), grid)
