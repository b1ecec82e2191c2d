"""One simulated examination of an abdomen, or of a liver-nodule phantom: scene, scans, masks and labels of a Case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radloom.phantom.abdomen import fat_strands, great_vessels, liver_vessels, new_frame
from radloom.phantom.abdomen_nodules import MATERIALS, draw_nodules, regions_of_interest
from radloom.phantom.abdomen_organs import NUMBERS, liver_lesions, organs
from radloom.phantom.abdomen_values import PROTOCOLS, SITES, Site, draw_values
from radloom.phantom.ct_scan import ct_scan
from radloom.phantom.fields import Grid
from radloom.phantom.simulation import Request
from radloom.phantom.solids import Layer, body_field, filled_by, labelled, painted
from radloom.random import numpy_stream
from radloom.types import Case, Image

CONTRASTS = ("cect", "ncct")
Stream = Callable[[str], np.random.Generator]
Value = Callable[[str], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Scene:
    """What is scanned: layers in painting order, their HU without and with contrast agent, masks and table entries."""

    grid: Grid
    layers: Sequence[Layer]
    values: Mapping[str, Value]  # by "ncct" and "cect"
    texture: np.ndarray
    masks: Mapping[str, np.ndarray]
    labels: Mapping[str, int | float | str]


def examination(request: Request, index: int) -> Case:
    """The examination of subject `index`: a patient, or the phantom with its nodules set anew."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(request.seed, "abdomen-ct", index, name)

    site = SITES[stream("site").integers(len(SITES))]
    make_scene = {"patients": patient_scene, "phantom": phantom_scene}[request.variant]
    scene = make_scene(request.shape, site, stream=stream)
    images: dict[str, Image] = {}
    filled: dict[str, np.ndarray] = {}
    for key in request.images:
        which = "ncct" if key == "ncct" else "cect"
        if which not in filled:
            filled[which] = painted(scene.grid.shape, scene.layers, scene.values[which], scene.texture, -1000.0)
        protocol = PROTOCOLS.get(key, site.protocol)
        voxels = ct_scan(filled[which], scene.grid, protocol, rng=stream(f"scan.{key}"))
        images[f"image.{key}"] = Image(voxels, scene.grid.affine, unit="HU")
    images |= {key: Image(voxels, scene.grid.affine, kind="label") for key, voxels in scene.masks.items()}
    name = f"sub-{index:04d}"
    return Case(name, name, images, dict(scene.labels), site=site.site, vendor=site.vendor)


def patient_scene(shape: tuple[int, int, int], site: Site, *, stream: Stream) -> Scene:
    """A patient's anatomy, lesions and values on the day of the examination."""
    frame = new_frame(shape, rng=stream("frame"))
    grid = frame.space.grid
    organ_layers, liver = organs(frame, rng=stream("organs"))
    wanted = int(stream("count").choice([0, 1, 2, 3, 5, 8], p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]))
    lesions = liver_lesions(frame, liver, count=wanted, rng=stream("lesions"))
    vessels = [*great_vessels(frame, rng=stream("vessels")), *liver_vessels(frame, liver, rng=stream("tree"))]
    lesion_layers = [layer for lesion in lesions for layer in lesion.layers]
    layers = [*frame.layers, *organ_layers, *vessels, *lesion_layers, *frame.bones]
    texture = _texture(grid, fat_strands(frame, rng=stream("strands")), rng=stream("texture"))
    tissues = draw_values(phase=site.phase, iodine=site.iodine, rng=stream("values"))
    mask, ml = instances(grid, [lesion.layers[0] for lesion in lesions])
    seen = [lesion.kind for lesion, size in zip(lesions, ml, strict=True) if size > 0]
    # A lesion belongs to its organ; a layer that is no organ covers the organs below it.
    numbers = NUMBERS | {layer.name: NUMBERS["liver"] for layer in lesion_layers}
    labels: dict[str, int | float | str] = {
        "label.phase": site.phase,
        "label.lesions": len(seen),
        "label.lesion_ml": round(sum(ml), 3),
        "label.hypervascular": seen.count("hypervascular"),
        "label.clips": int(any(layer.name == "clip" for layer in organ_layers)),
        "label.liver_hu": round(tissues.native["liver"], 1),
    }
    masks = {"mask.organs": labelled(grid.shape, layers, numbers), "mask.lesion": mask}
    return Scene(grid, layers, {"ncct": tissues.without, "cect": tissues.with_iodine}, texture, masks, labels)


def phantom_scene(shape: tuple[int, int, int], site: Site, *, stream: Stream) -> Scene:
    """The phantom: a torso of even materials with spherical nodules in its liver; every material is known exactly."""
    frame = new_frame(shape, rng=stream("frame"))
    grid = frame.space.grid
    organ_layers, liver = organs(frame, rng=stream("organs"))
    vessels = [*liver_vessels(frame, liver, rng=stream("tree")), *great_vessels(frame, rng=stream("vessels"))]
    nodules, contrasts, diameters = draw_nodules(frame, liver, rng=stream("nodules"))
    solid = [layer for layer in [*organ_layers, *vessels] if layer.name in MATERIALS]
    layers = [*(layer for layer in frame.layers if layer.name != "heart"), *solid, *nodules, *frame.bones]
    tissues = draw_values(phase="portal", iodine=site.iodine, rng=stream("values"))
    offset = {layer.name: contrast for layer, contrast in zip(nodules, contrasts, strict=True)}

    def with_nodules(value: Value) -> Value:
        fixed = {name: value("liver")[0] + contrast for name, contrast in offset.items()}
        fixed["cavity"] = tissues.native["muscle"] - 20  # organs are cast in resin: no fat, no bowel
        return lambda name: (fixed[name] if name in fixed else value(name)[0], 0.0)

    mask, _ = instances(grid, nodules)
    numbers = NUMBERS | dict.fromkeys(offset, NUMBERS["liver"])
    found = labelled(grid.shape, layers, numbers)
    # not even a share of a voxel may be vessel or nodule
    plain = filled_by(grid.shape, layers, "liver") > 0.98
    masks = {"mask.organs": found, "mask.lesion": mask, "mask.roi": regions_of_interest(frame, found, mask, plain)}
    labels: dict[str, int | float | str] = {
        "label.lesions": len(nodules),
        "label.diameters_mm": " ".join(f"{one:g}" for one in diameters),
        "label.contrasts_hu": " ".join(f"{one:g}" for one in contrasts),
        "label.liver_hu": round(tissues.native["liver"], 1),
        "label.liver_cect_hu": round(tissues.native["liver"] + tissues.added["liver"], 1),
    }
    values = {"ncct": with_nodules(tissues.without), "cect": with_nodules(tissues.with_iodine)}
    return Scene(grid, layers, values, np.zeros(grid.shape, np.float32), masks, labels)


def instances(grid: Grid, lesions: Sequence[Layer]) -> tuple[np.ndarray, list[float]]:
    """Lesions numbered 1, 2, ... in order, and each one's volume in ml; 0 ml where it fills half of no voxel."""
    mask, ml, number = np.zeros(grid.shape, np.uint8), [], 0
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    for layer in lesions:
        solid = layer.fraction >= 0.5
        number += bool(solid.any())
        mask[layer.box][solid] = number
        ml.append(float(layer.fraction.sum()) * voxel_ml if solid.any() else 0.0)
    return mask, ml


def _texture(grid: Grid, strands: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Texture of tissues: coarse and fine grain of about unit variance, and the vessels in fat."""
    grain = 0.7 * body_field(grid, 12.0, rng=rng) + 0.6 * body_field(grid, 26.0, rng=rng)
    return grain + 3.0 * strands.astype(np.float32)
