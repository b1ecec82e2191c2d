"""One simulated CT angiography of a neck: scans before and after the injection, masks and labels of a Case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.ct_scan import Protocol, ct_scan, standard
from radloom.phantom.neck import draw_build, moved, neck_layers, neck_space
from radloom.phantom.neck_vessels import NUMBERS, SIDES, Plaque, draw_plaques, vessels
from radloom.phantom.simulation import Request
from radloom.phantom.solids import Layer, Space, body_field, filled_by, labelled, painted
from radloom.random import numpy_stream
from radloom.types import Case, Image

IMAGES = ("ncct", "cta", "aligned")

# Native HU, what the agent adds in the arterial phase, sd of the texture (SYSTEMS-direct 4.3, 4.4; the rest ours).
# Blood, soft plaque and an occluded artery weigh the same before the injection.
TISSUES: dict[str, tuple[float, float, float]] = {
    "skin": (25.0, 4.0, 6.0), "fat": (-98.0, 1.0, 10.0), "platysma": (40.0, 4.0, 8.0), "muscle": (56.0, 10.0, 9.0),
    "thyroid": (108.0, 85.0, 8.0), "parotid": (8.0, 22.0, 14.0), "submandibular": (42.0, 40.0, 7.0),
    "node": (40.0, 35.0, 4.0), "mucosa": (42.0, 28.0, 8.0), "cartilage": (130.0, 3.0, 45.0),
    "air": (-1000.0, 0.0, 0.0), "air cells": (-500.0, 0.0, 200.0), "hyoid": (420.0, 0.0, 60.0),
    "disc": (85.0, 3.0, 8.0), "cortex": (700.0, 3.0, 90.0), "marrow": (230.0, 6.0, 50.0), "canal": (15.0, 3.0, 4.0),
    "cord": (36.0, 4.0, 3.0), "tooth": (1900.0, 0.0, 150.0),
    "jugular": (42.0, 110.0, 3.0), "small vein": (42.0, 90.0, 3.0), "small artery": (42.0, 280.0, 3.0),
    "vertebral right": (42.0, 300.0, 3.0), "vertebral left": (42.0, 300.0, 3.0),
    "carotid right": (42.0, 310.0, 3.0), "carotid left": (42.0, 310.0, 3.0),
    "occluded": (44.0, 4.0, 3.0), "plaque": (44.0, 5.0, 6.0), "chalk": (850.0, 0.0, 60.0),
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A hospital: its protocol and how much iodine weighs there."""

    site: str
    vendor: str
    protocol: Protocol
    iodine: float


SITES = (
    Site("north", "A", Protocol(standard, 2.0e5), 1.0),
    Site("east", "B", Protocol(standard, 1.2e5), 1.2),
    Site("south", "C", Protocol(standard, 3.0e5), 0.85),
)


def examination(request: Request, index: int) -> Case:
    """The examination of subject `index`: the native scan is taken a moment before the angiography."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(request.seed, "neck-cta", index, name)

    site = SITES[stream("site").integers(len(SITES))]
    build, plaques = draw_build(rng=stream("build")), draw_plaques(rng=stream("plaques"))
    space = neck_space(request.shape, build, rng=stream("space"))
    before, move = moved(space, rng=stream("move"))
    grid = space.grid
    texture = 0.7 * body_field(grid, 7.0, rng=stream("grain")) + 0.7 * body_field(grid, 18.0, rng=stream("lumps"))
    jitter = {name: float(one) for name, one in zip(TISSUES, stream("values").normal(0, 1, len(TISSUES)), strict=True)}
    blood, strength = float(stream("blood").normal(0, 3)), site.iodine * float(stream("timing").uniform(0.8, 1.2))

    def native(name: str) -> tuple[float, float]:
        hu, _, grain = TISSUES[name]
        own = blood if name in BLOOD else jitter[name] * (3.0 if abs(hu) < 200 else 0.06 * abs(hu))
        return hu + own, grain

    def filled(name: str) -> tuple[float, float]:
        mean, grain = native(name)
        return mean + strength * TISSUES[name][1], grain

    def layers(where: Space) -> list[Layer]:
        soft, bones = neck_layers(where, build)
        # The foramina are open: vessels pass through bone that is painted before them.
        return [*soft, *bones, *vessels(where, plaques, rng=stream("vessels"))]

    scene = layers(space)
    images = {}
    for key in request.images:
        parts, value = (scene if key != "ncct" else layers(before)), (filled if key == "cta" else native)
        voxels = ct_scan(
            painted(grid.shape, parts, value, texture, -1000.0), grid, site.protocol, rng=stream(f"scan.{key}")
        )
        images[f"image.{key}"] = Image(voxels, grid.affine, unit="HU")
    masks = {"mask.vessels": labelled(grid.shape, scene, NUMBERS),
             "mask.plaque": labelled(grid.shape, scene, {"plaque": 1, "chalk": 2, "occluded": 3})}  # fmt: skip
    images |= {key: Image(voxels, grid.affine, kind="label") for key, voxels in masks.items()}
    inside = filled_by(grid.shape, scene[:1], "skin") > 0.5
    shift = float(np.linalg.norm(move[:, inside], axis=0).mean()) if inside.any() else 0.0
    name = f"sub-{index:04d}"
    return Case(name, name, images, _labels(plaques) | {"label.shift_mm": round(shift, 2)}, site=site.site,
                vendor=site.vendor)  # fmt: skip


BLOOD = (*NUMBERS, "small vein", "small artery", "occluded", "plaque")


def _labels(plaques: list[Plaque]) -> dict[str, float | int | str]:
    """For each side the NASCET degree, and the kind of plaque."""
    found: dict[str, float | int | str] = {}
    for side in SIDES:
        plaque = next((one for one in plaques if one.side == side), None)
        found[f"label.stenosis_{side}"] = round(plaque.percent, 1) if plaque else 0.0
        found[f"label.plaque_{side}"] = plaque.kind if plaque else "none"
    worst = max((one.percent for one in plaques), default=0.0)
    found["label.severe"] = int(worst >= 70)
    found["label.occluded"] = int(worst >= 100)
    return found
