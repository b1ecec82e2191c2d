"""One simulated chest radiograph with its dual-energy images: anatomy, findings and a vendor become a Case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.phantom.chest import Chest, compose, make_chest, over, parenchyma
from radloom.phantom.chest_findings import (
    EFFUSION_HU,
    HEALTHY,
    SHARES,
    Findings,
    Seen,
    draw_findings,
    fluid,
    oedema_hu,
    report,
    with_heart,
)
from radloom.phantom.chest_shape import Build, draw_build
from radloom.phantom.lung_nodules import Nodule, nodule_labels, with_nodules
from radloom.phantom.radiograph import (
    GRID_LEAK,
    LOW,
    SCATTER,
    STANDARD,
    VENDORS,
    WHITE_LEVEL,
    Layers,
    Vendor,
    displayed,
    exposed,
    moved,
    projected,
    separated,
    window_of,
    without_glare,
)
from radloom.phantom.simulation import Request
from radloom.phantom.solids import body_grid
from radloom.random import numpy_stream
from radloom.types import Case, Image

NAME = "chest-xray"
IMAGES = ("cxr", "soft", "bone", "boneless", "other", "healthy")
VARIANTS = tuple(SHARES)
SIDE_MM, DEPTH_MM, CENTRE_MM = 372.0, 300.0, (0.0, 0.0, -8.0)
BONE_WINDOW_MM = (-0.5, 15.0)
SMOOTH_PX, MOTION_MM = (0.45, 1.1), 1.0  # ours: of the bone's noise; how far heart and diaphragm move, per axis
COVERING_MM = 1.5  # bone along a ray that counts as covering
Stream = Callable[[str], np.random.Generator]


@dataclass(frozen=True, eq=False)
class Patient:
    """Everything that the rays meet, and the truth about it; masks are (x, z)."""

    layers: Layers
    masks: dict[str, np.ndarray]
    heart: np.ndarray  # share of heart along the rays, 0 to 1
    body: np.ndarray
    nodules: list[Nodule]


def subject(index: int, request: Request) -> Case:
    """The examination of subject `index`: a pure function of the request and `index`."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(request.seed, NAME, index, name)

    findings = draw_findings(request.variant, rng=stream("findings"))
    build = draw_build(rng=stream("build"))
    first = int(stream("vendor").integers(2))
    vendor, other = VENDORS[first], VENDORS[1 - first]
    ill = patient(with_heart(build, findings, rng=stream("heart")), findings, request.shape, stream=stream)
    shown = films(ill, vendor, [key for key in request.images if key not in ("other", "healthy")], stream=stream)
    if "other" in request.images:
        shown["other"] = films(ill, other, ["cxr"], stream=lambda name: stream(f"other.{name}"))["cxr"]
    if "healthy" in request.images:
        well = patient(with_heart(build, HEALTHY, rng=stream("heart")), HEALTHY, request.shape, stream=stream)
        shown["healthy"] = films(well, vendor, ["cxr"], stream=stream)["cxr"]
    affine = np.diag([SIDE_MM / request.shape[0], SIDE_MM / request.shape[1], 1.0, 1.0])
    images = {f"image.{key}": Image(shown[key][..., None], affine) for key in request.images}
    images |= {key: Image(mask[..., None], affine, kind="label") for key, mask in ill.masks.items()}
    seen = Seen(heart_ratio(ill.masks), covered(ill))
    labels = describe(build, findings, ill, seen)
    text = {"text.report": report(build, findings, ill.nodules, seen, rng=stream("report"))}
    name = f"sub-{index:04d}"
    return Case(name, name, images, labels, text, site=vendor.site, vendor=vendor.name)


def patient(build: Build, findings: Findings, shape: tuple[int, int, int], *, stream: Stream) -> Patient:
    """The chest with its findings, projected from the back to the front."""
    pixel = SIDE_MM / shape[0]
    slices = max(24, round(DEPTH_MM / (2.4 * pixel)))
    grid = body_grid((shape[0], slices, shape[1]), (SIDE_MM, DEPTH_MM, SIDE_MM), CENTRE_MM)
    chest = make_chest(build, grid, congestion=findings.congestion, arms="down", stream=stream)
    # Upright and fully inspired: the lungs are light and even from back to front.
    lung = oedema_hu(chest, 0.8 * parenchyma(chest, rng=stream("lung")) - 180, findings, rng=stream("septa"))
    hu = compose(chest, lung)
    hu, mask, nodules = with_nodules(chest, hu, count=findings.nodules, rng=stream("nodules"))
    wet = fluid(chest, findings)
    hu = over(hu, wet.sum(0), EFFUSION_HU)
    depth = DEPTH_MM / slices
    layers = projected(hu, depth_mm=depth, pixel_mm=pixel)
    masks = {**_masks(chest, wet, depth), "mask.nodule": _flattened(mask, len(nodules))}
    masks["mask.bone"] = (chest.bone.sum(1) * depth > COVERING_MM).astype(np.uint8)
    heart = np.clip(chest.heart.sum(1) * depth / 60, 0, 1)
    return Patient(layers, masks, heart, (hu > -500).sum(1) * depth > 25, nodules)


def films(who: Patient, vendor: Vendor, keys: list[str], *, stream: Stream) -> dict[str, np.ndarray]:
    """int16 (x, z) pictures by key, all through one vendor's window."""
    high = exposed(who.layers, STANDARD, vendor, scatter=SCATTER, rng=stream("noise.high"))
    window = window_of(high, who.masks["mask.lung"] > 0, who.body)
    made = {"cxr": displayed(high, vendor, window)}
    if "boneless" in keys:
        bare = Layers(who.layers.soft, 0 * who.layers.bone, who.layers.pixel_mm)
        made["boneless"] = displayed(
            exposed(bare, STANDARD, vendor, scatter=SCATTER, rng=stream("noise.high")), vendor, window
        )
    if "soft" in keys or "bone" in keys:
        soft, bone = _dual(who, vendor, stream=stream)
        made["soft"] = displayed(soft, vendor, window_of(soft, who.masks["mask.lung"] > 0, who.body))
        low, top = BONE_WINDOW_MM
        made["bone"] = np.rint(WHITE_LEVEL * np.clip((bone - low) / (top - low), 0, 1)).astype(np.int16)
    return {key: made[key] for key in keys}


def _dual(who: Patient, vendor: Vendor, *, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Soft-tissue and bone image of two exposures 150 ms apart, in which heart and diaphragm have moved."""
    leak = SCATTER * GRID_LEAK
    x, z = stream("motion").normal(0, MOTION_MM / who.layers.pixel_mm, 2)
    later = moved(who.layers, ndimage.gaussian_filter(who.heart, 8 / who.layers.pixel_mm), (float(x), float(z)))
    high = exposed(who.layers, STANDARD, vendor, scatter=leak, rng=stream("noise.dual"))
    low = exposed(later, LOW, vendor, scatter=leak, rng=stream("noise.low"))
    return separated(without_glare(high, vendor), without_glare(low, vendor), smooth_px=SMOOTH_PX)


def _masks(chest: Chest, wet: np.ndarray, depth_mm: float) -> dict[str, np.ndarray]:
    """Lung fields (air fills most of the ray within the cage), heart, effusion: 1 right, 2 left."""
    right, left = ((chest.lungs[i] - wet[i]).sum(1) * depth_mm for i in (0, 1))
    cage = np.clip(0.5 + chest.cage / 3, 0, 1).sum(1) * depth_mm
    lung = np.where(right > left, 1, 2) * (right + left > np.maximum(0.45 * cage, 18))
    water = ndimage.gaussian_filter(wet.sum(2) * depth_mm, (0, 1, 1))
    effusion = np.where(water[0] >= water[1], 1, 2) * (water.max(0) > 10)
    heart = chest.heart.sum(1) * depth_mm > 20
    return {
        "mask.lung": lung.astype(np.uint8),
        "mask.heart": heart.astype(np.uint8),
        "mask.effusion": effusion.astype(np.uint8),
    }


def _flattened(mask: np.ndarray, count: int) -> np.ndarray:
    """uint8 (x, z): the nodules' numbers as the rays see them; where two overlap, the later one."""
    flat = np.zeros((mask.shape[0], mask.shape[2]), np.uint8)
    for number in range(1, count + 1):
        flat[(mask == number).any(1)] = number
    return flat


def covered(who: Patient) -> tuple[bool, ...]:
    """For each nodule, whether bone covers at least half of it."""
    bone, nodule = who.masks["mask.bone"] > 0, who.masks["mask.nodule"]
    return tuple(bool((nodule == n + 1).any() and bone[nodule == n + 1].mean() >= 0.5) for n in range(len(who.nodules)))


def heart_ratio(masks: Mapping[str, np.ndarray]) -> float:
    """The cardiothoracic ratio: the heart's greatest width over that of both lung fields with what lies between."""
    lungs = np.flatnonzero(((masks["mask.lung"] > 0) | (masks["mask.effusion"] > 0)).any(1))
    heart = np.flatnonzero(masks["mask.heart"].any(1))
    return float((np.ptp(heart) + 1) / (np.ptp(lungs) + 1)) if lungs.size and heart.size else 0.0


def describe(build: Build, findings: Findings, who: Patient, seen: Seen) -> dict[str, object]:
    """The label columns of one patient."""
    return {
        "label.age": round(build.age),
        "label.sex": "F" if build.female else "M",
        **nodule_labels(who.nodules),
        "label.nodule_covered": " ".join("yes" if one else "no" for one in seen.covered),
        "label.effusion": int(any(findings.effusions)),
        "label.failure": int(findings.failure),
        "label.congestion": round(findings.congestion, 2),
        "label.heart_ratio": round(seen.ratio, 3),
    }
