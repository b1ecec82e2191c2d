"""One simulated FDG examination of a brain: T1 and SUV on one grid, Alzheimer pattern, changes that MR cannot show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Anatomy, Atlas, head_grid, new_subject
from radloom.phantom.disease import no_disease
from radloom.phantom.fields import smooth_field
from radloom.phantom.head import cover
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case, Image

# FDG uptake relative to grey matter (Hoffman et al. 1990: 4 : 1 : 0), scalp and bone (SYSTEMS-direct 4.6).
UPTAKE = {"grey": 1.0, "white": 0.25, "csf": 0.0, "scalp": 0.15, "bone": 0.08}
GREY_SUV = 7.0
PSF_MM = {"north": 6.0, "east": 8.0, "south": 7.0}  # full width at half maximum
COUNTS = {"north": 5e6, "east": 1.5e6, "south": 3e6}  # per slice of 5 mm
FWHM_PER_SD = 2.3548
IMAGES = ("t1", "pet")
# The Alzheimer pattern's regions as blobs, MNI mm: (x, y, z), (radii), both sides. What is spared: sensorimotor
# and visual cortex, cerebellum, basal ganglia.
PATTERN = {
    "temporoparietal": ((52.0, -54.0, 30.0), (20.0, 22.0, 24.0)),
    "precuneus": ((6.0, -60.0, 34.0), (12.0, 20.0, 18.0)),
    "posterior cingulate": ((5.0, -42.0, 26.0), (10.0, 14.0, 12.0)),
    "lateral temporal": ((56.0, -26.0, -8.0), (16.0, 28.0, 14.0)),
    "medial temporal": ((26.0, -18.0, -16.0), (12.0, 20.0, 11.0)),
}
GROUPS = ("CN", "MCI", "AD")
GROUP_SHARES = (0.4, 0.3, 0.3)


@dataclass(frozen=True)
class Dementia:
    """One subject's state: severity 0-1, uptake factors by region and side, atrophy, and a focus that MR cannot show.

    focus: (MNI centre, radius mm, factor of uptake) or None; it leaves the anatomy untouched.
    """

    group: str
    severity: float
    factors: dict[str, tuple[float, float]]
    atrophy: float
    focus: tuple[tuple[float, float, float], float, float] | None
    converts: bool


def draw_dementia(*, rng: np.random.Generator) -> Dementia:
    """A subject; atrophy follows severity only in part, and a quarter has a focus of uptake that MR cannot show."""
    group = str(rng.choice(GROUPS, p=GROUP_SHARES))
    severity = {"CN": rng.uniform(0.0, 0.12), "MCI": rng.uniform(0.1, 0.75), "AD": rng.uniform(0.6, 1.0)}[group]
    uneven = float(rng.normal(0, 0.25))  # one side is often worse
    factors = {}
    for name in PATTERN:
        depth = severity * rng.uniform(0.18, 0.32)
        factors[name] = (1 - depth * np.clip(1 + uneven, 0.5, 1.5), 1 - depth * np.clip(1 - uneven, 0.5, 1.5))
    atrophy = float(np.clip(0.35 * severity + rng.uniform(0, 0.45), 0, 1))  # age shrinks healthy brains too
    converts = group == "MCI" and bool(rng.random() < severity / 0.85)
    focus = None
    if rng.random() < 0.25:
        centre = (
            float(rng.choice([-1, 1]) * rng.uniform(25, 55)),
            float(rng.uniform(-60, 45)),
            float(rng.uniform(0, 50)),
        )
        focus = (
            centre,
            float(rng.uniform(12, 22)),
            float(rng.choice([rng.uniform(0.55, 0.75), rng.uniform(1.25, 1.5)])),
        )
    pairs = {name: (float(left), float(right)) for name, (left, right) in factors.items()}
    return Dementia(group, float(severity), pairs, atrophy, focus, converts)


def subject(atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], images: Sequence[str]) -> Case:
    """The examination of subject `index`, a pure function of seed, index and shape."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain-pet", index, name)

    ill = draw_dementia(rng=stream("dementia"))
    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    grid = head_grid(shape, centre_z_mm=20.0)
    anatomy = shrunken(new_subject(atlas, grid, push=(np.zeros(3), 20.0, 0.0), rng=stream("anatomy")), ill)
    found: dict[str, Image] = {}
    if "t1" in images:
        found["image.t1"] = Image(scan(anatomy, no_disease(), scanner, ("t1",), stream=stream)["t1"], grid.affine)
    focus = focus_of(ill, anatomy)
    if "pet" in images:
        clean = uptake(anatomy, ill, focus, stream)
        suv = measured(clean, anatomy, PSF_MM[scanner.site], COUNTS[scanner.site], rng=stream("pet"))
        found["image.pet"] = Image(suv.astype(np.float32), grid.affine, unit="SUV")
    found["mask.brain"] = Image(anatomy.brain.astype(np.uint8), grid.affine, kind="label")
    found["mask.regions"] = Image(regions(anatomy), grid.affine, kind="label")
    found["mask.focus"] = Image((focus > 0.5).astype(np.uint8), grid.affine, kind="label")
    name = f"sub-{index:04d}"
    return Case(name, name, found, columns(ill), site=scanner.site, vendor=scanner.vendor)


def columns(ill: Dementia) -> dict[str, int | float | str]:
    """The table's columns of one subject."""
    mean = {name: round((left + right) / 2, 3) for name, (left, right) in ill.factors.items()}
    return {
        "label.group": ill.group,
        "label.ad": int(ill.group == "AD"),
        "label.converts": int(ill.converts),
        "label.severity": round(ill.severity, 3),
        "label.uptake_precuneus": mean["precuneus"],
        "label.uptake_temporoparietal": mean["temporoparietal"],
        "label.hidden": int(ill.focus is not None),
        "label.focus_uptake": round(ill.focus[2], 3) if ill.focus else 1.0,
    }


def shrunken(anatomy: Anatomy, ill: Dementia) -> Anatomy:
    """The anatomy with atrophy: sulci and ventricles take from grey matter, most in the ill regions."""
    grey, white, csf = anatomy.fractions
    loss = ill.atrophy * (0.15 + 0.35 * ill.severity * weights(anatomy).max(0))
    # Grey matter gives way where it already meets CSF, which widens the sulci.
    edge = np.clip(ndimage.gaussian_filter(csf, [2.0 / d for d in anatomy.grid.spacing_mm]) * 3, 0, 1)
    lost = grey * np.clip(loss * (0.3 + edge), 0, 0.85)
    return replace(anatomy, fractions=np.stack([grey - lost, white, csf + lost]))


def weights(anatomy: Anatomy) -> np.ndarray:
    """(regions, x, y, z): how far each voxel belongs to each region of PATTERN, in [0, 1], both sides."""
    x, y, z = anatomy.grid.points_mm()
    x = np.abs(anatomy.template_x_mm)
    found = []
    for (cx, cy, cz), (rx, ry, rz) in PATTERN.values():
        found.append(np.exp(-np.log(2) * (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2) ** 1.5))
    return np.stack(found)


def regions(anatomy: Anatomy) -> np.ndarray:
    """uint8: the region of PATTERN (1, 2, ...) of every voxel of grey matter at least half inside one."""
    share = weights(anatomy)
    return np.where((share.max(0) > 0.5) & (anatomy.fractions[0] > 0.5), share.argmax(0) + 1, 0).astype(np.uint8)


def focus_of(ill: Dementia, anatomy: Anatomy) -> np.ndarray:
    """How far each voxel belongs to the focus that MR cannot show, in [0, 1]."""
    if ill.focus is None:
        return np.zeros(anatomy.grid.shape)
    centre, radius, _ = ill.focus
    away = np.sqrt(sum((p - c) ** 2 for p, c in zip(anatomy.grid.points_mm(), centre, strict=True)))
    return np.clip(0.5 + (radius - away) / 6.0, 0, 1) * anatomy.brain


def uptake(
    anatomy: Anatomy, ill: Dementia, focus: np.ndarray, stream: Callable[[str], np.random.Generator]
) -> np.ndarray:
    """SUV before the scanner: tissue mixture, pattern by side, personal variation that follows no border on MR."""
    rng, grid = stream("uptake"), anatomy.grid
    grey, white, _ = anatomy.fractions
    factor = np.ones(grid.shape)
    right = anatomy.template_x_mm > 0
    for weight, (left_side, right_side) in zip(weights(anatomy), ill.factors.values(), strict=True):
        factor *= 1 - weight * (1 - np.where(right, right_side, left_side))
    factor *= np.exp(0.06 * smooth_field(grid, 30.0, rng=rng))
    x, y, z = grid.points_mm()
    basal = np.exp(-(((np.abs(x) - 22) / 12) ** 2) - ((y - 2) / 18) ** 2 - ((z - 4) / 12) ** 2)
    visual = np.exp(-((x / 18) ** 2) - ((y + 84) / 18) ** 2 - ((z - 6) / 18) ** 2)
    factor *= 1 + 0.15 * basal + rng.uniform(0.05, 0.3) * visual - 0.12 * (z < -15) * (y < -35)
    if ill.focus is not None:
        factor *= 1 + focus * (ill.focus[2] - 1)
    total = (UPTAKE["grey"] * grey + UPTAKE["white"] * white) * factor
    head = cover(anatomy.brain, grid, rng=stream("head"))
    scalp = head.parts["muscle"] + head.parts["skin"] + 0.5 * head.parts["fat"]
    total += UPTAKE["scalp"] * scalp + UPTAKE["bone"] * (head.parts["cortical"] + head.parts["diploe"])
    return total * GREY_SUV * rng.uniform(0.75, 1.3)


def measured(
    suv: np.ndarray, anatomy: Anatomy, fwhm_mm: float, counts: float, *, rng: np.random.Generator
) -> np.ndarray:
    """SUV under the scanner's point spread, with noise of that spread whose variance follows the activity.

    The noise in the middle of the brain is 100 / sqrt(counts / 4000) percent, as much as an iterative
    reconstruction with this post-filter leaves (ours).
    """
    sd = [fwhm_mm / FWHM_PER_SD / spacing for spacing in anatomy.grid.spacing_mm]
    seen = ndimage.gaussian_filter(suv, sd)
    grains = ndimage.gaussian_filter(rng.standard_normal(suv.shape), [0.6 * one for one in sd])
    level = np.median(seen[anatomy.brain]) if anatomy.brain.any() else 1.0
    strength = np.sqrt(4000.0 / counts) * np.sqrt(np.maximum(seen, 0.05 * level) * level)
    return np.maximum(seen + strength * grains / grains.std(), 0)
