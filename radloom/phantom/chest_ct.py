"""One simulated chest CT: anatomy, nodules or interstitial disease, and a scanner become a Case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radloom.phantom.chest import (
    AIR,
    BLOOD,
    CARTILAGE,
    CORTEX,
    MARROW,
    Chest,
    border_mm,
    make_chest,
    over,
)
from radloom.phantom.chest_scanners import STYLES, scan
from radloom.phantom.chest_shape import draw_build
from radloom.phantom.lung_nodules import Nodule, draw_nodule, nodule_fraction, spicules
from radloom.phantom.lung_patterns import PATTERNS, draw_patterns, pattern_hu
from radloom.phantom.simulation import Request
from radloom.phantom.solids import body_field, body_grid
from radloom.random import numpy_stream
from radloom.types import Case, Image

NAME = "chest-ct"
IMAGES = ("ct", "reference", "healthy")
VARIANTS = ("nodules", "ild", "none")
SIZE_MM, CENTRE_MM = (372.0, 300.0, 240.0), (0.0, 0.0, 8.0)
DIAMETERS_MM = (5.0, 30.0)
Stream = Callable[[str], np.random.Generator]


def subject(index: int, request: Request) -> Case:
    """The examination of subject `index`: a pure function of the request and `index`."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(request.seed, NAME, index, name)

    style = STYLES[int(stream("scanner").integers(len(STYLES)))]
    grid = body_grid(request.shape, SIZE_MM, CENTRE_MM)
    build = draw_build(rng=stream("build"))
    chest = make_chest(build, grid, congestion=0.0, arms="raised", stream=stream)
    lung = parenchyma(chest, rng=stream("lung"))
    masks = {"mask.lung": lung_mask(chest)}
    labels: dict[str, object] = {"label.group": style.group, "label.age": round(build.age),
                                 "label.sex": "F" if build.female else "M"}  # fmt: skip
    healthy = compose(chest, lung)
    ill = healthy
    if request.variant == "nodules":
        ill, mask, found = with_nodules(chest, healthy, stream=stream)
        masks["mask.nodule"] = mask
        labels |= nodule_labels(found)
    elif request.variant == "ild":
        patterns = draw_patterns(chest, rng=stream("patterns"))
        ill = compose(chest, pattern_hu(chest, patterns, lung, rng=stream("structure")))
        masks["mask.pattern"] = patterns
        labels |= pattern_labels(patterns, masks["mask.lung"], rng=stream("outcome"))
    shown = {"ct": (ill, style), "reference": (ill, STYLES[0]), "healthy": (healthy, style)}
    images = {}
    for key in request.images:
        volume, by = shown[key]
        # One stream per group: the healthy scan has the noise of the diseased one.
        voxels = scan(volume, grid, by, rng=stream(f"noise.{by.group}"))
        images[f"image.{key}"] = Image(voxels, grid.affine, unit="HU")
    images |= {key: Image(voxels, grid.affine, kind="label") for key, voxels in masks.items()}
    name = f"sub-{index:04d}"
    return Case(name, name, images, labels, site=style.site, vendor=style.vendor)


def parenchyma(chest: Chest, *, rng: np.random.Generator) -> np.ndarray:
    """float32 HU of the lungs between their vessels: denser behind, where the patient lies on them, and uneven."""
    mean, slope = rng.normal(-862, 18), rng.uniform(20, 55)
    uneven = 14 * body_field(chest.grid, 24.0, rng=rng) + 9 * body_field(chest.grid, 9.0, rng=rng)
    behind = np.clip(-chest.points[1] / np.float32(80), -1, 1)
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


def lung_mask(chest: Chest) -> np.ndarray:
    """uint8: 1 right lung, 2 left lung; vessels and disease within belong to it."""
    right, left = chest.lungs
    return np.where(right >= 0.5, 1, np.where(left >= 0.5, 2, 0)).astype(np.uint8)


def with_nodules(chest: Chest, hu: np.ndarray, *, stream: Stream) -> tuple[np.ndarray, np.ndarray, list[Nodule]]:
    """HU with nodules, their mask (1, 2, ... each), and what they are; none in about one person of seven."""
    rng = stream("nodules")
    count = int(rng.choice(5, p=(0.14, 0.38, 0.26, 0.14, 0.08)))
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


def pattern_labels(patterns: np.ndarray, lungs: np.ndarray, *, rng: np.random.Generator) -> dict[str, object]:
    """Percent of the lungs with each pattern, and a forced vital capacity of which the image tells a part."""
    volume = max(int(np.count_nonzero(lungs)), 1)
    percent = {number: 100 * float(np.count_nonzero(patterns == number)) / volume for number in PATTERNS}
    lost = 0.9 * percent[3] + 1.4 * percent[4] + 0.35 * percent[1] + 0.8 * percent[2] + 0.2 * percent[5]
    capacity = float(np.clip(98 - lost + rng.normal(0, 11), 25, 130))
    columns = {f"label.{name.replace(' ', '_')}": round(percent[number], 2) for number, name in PATTERNS.items()}
    return {**columns, "label.fvc": round(capacity, 1)}
