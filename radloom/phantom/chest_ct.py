"""One simulated chest CT: anatomy, nodules or interstitial disease, and a scanner become a Case."""

from __future__ import annotations

import numpy as np

from radloom.phantom.chest import Chest, compose, make_chest, parenchyma
from radloom.phantom.chest_scanners import STYLES, scan
from radloom.phantom.chest_shape import draw_build
from radloom.phantom.lung_nodules import nodule_count, nodule_labels, with_nodules
from radloom.phantom.lung_patterns import PATTERNS, draw_patterns, pattern_hu
from radloom.phantom.simulation import Request
from radloom.phantom.solids import body_grid
from radloom.random import numpy_stream
from radloom.types import Case, Image

NAME = "chest-ct"
IMAGES = ("ct", "reference", "healthy")
VARIANTS = ("nodules", "ild", "none")
SIZE_MM, CENTRE_MM = (372.0, 300.0, 240.0), (0.0, 0.0, 8.0)


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
        ill, mask, found = with_nodules(chest, healthy, count=nodule_count(rng=stream("count")), rng=stream("nodules"))
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


def lung_mask(chest: Chest) -> np.ndarray:
    """uint8: 1 right lung, 2 left lung; vessels and disease within belong to it."""
    right, left = chest.lungs
    return np.where(right >= 0.5, 1, np.where(left >= 0.5, 2, 0)).astype(np.uint8)


def pattern_labels(patterns: np.ndarray, lungs: np.ndarray, *, rng: np.random.Generator) -> dict[str, object]:
    """Percent of the lungs with each pattern, and a forced vital capacity of which the image tells a part."""
    volume = max(int(np.count_nonzero(lungs)), 1)
    percent = {number: 100 * float(np.count_nonzero(patterns == number)) / volume for number in PATTERNS}
    lost = 0.9 * percent[3] + 1.4 * percent[4] + 0.35 * percent[1] + 0.8 * percent[2] + 0.2 * percent[5]
    capacity = float(np.clip(98 - lost + rng.normal(0, 11), 25, 130))
    columns = {f"label.{name.replace(' ', '_')}": round(percent[number], 2) for number, name in PATTERNS.items()}
    return {**columns, "label.fvc": round(capacity, 1)}
