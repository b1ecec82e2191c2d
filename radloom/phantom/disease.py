"""Tumours and MS-like lesions: where they are, which tissues they hold and how they take up contrast; no signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.phantom.anatomy import Anatomy, Atlas
from radloom.phantom.fields import Grid, smooth_field

CORE, OEDEMA, ENHANCING = 1, 2, 3  # labels of mask.tumour
Hidden = Literal["no", "t1", "t2"]


@dataclass(frozen=True, eq=False)
class Part:
    """A diseased compartment: voxel fraction, tissue in the table, contrast agent mmol/L, and where it is invisible."""

    fraction: np.ndarray
    tissue: str
    agent: float
    hidden: Hidden = "no"


@dataclass(frozen=True, eq=False)
class Disease:
    """The parts of one subject's disease, its mask (labels) and what the table says about it."""

    parts: tuple[Part, ...]
    mask: np.ndarray | None
    labels: dict[str, int | str]


@dataclass(frozen=True)
class Tumour:
    """One tumour's phenotype; lengths in mm, positions in MNI mm."""

    centre: tuple[float, float, float]
    radius: float  # core with rim
    rim: float  # thickness; 0 where nothing enhances
    oedema: float  # thickness around the core
    stretch: tuple[float, float, float]
    push: float  # strength of the mass effect
    idh_mutant: bool
    core_tissue: str
    hidden: Hidden
    rim_agent: float  # mmol/L
    softness: float = 0.7  # half the width over which the border fades, mm

    @property
    def enhancing(self) -> bool:
        """Whether a rim takes up contrast."""
        return self.rim > 0


def draw_tumour(atlas: Atlas, *, rng: np.random.Generator) -> Tumour:
    """A tumour whose look follows its IDH status: mutants enhance less often and show T2-FLAIR mismatch."""
    mutant = rng.random() < 0.4
    centre = atlas.white_mm[rng.integers(len(atlas.white_mm))] + rng.uniform(-2, 2, 3)
    enhancing = rng.random() < (0.25 if mutant else 0.9)
    mismatch = rng.random() < (0.65 if mutant else 0.05)  # T2-FLAIR mismatch sign (Patel et al. 2017)
    hidden = rng.choice(["no", "t1", "t2"], p=[0.7, 0.15, 0.15])
    necrotic = enhancing and hidden == "no"
    core = "mismatch core" if mismatch else "necrosis" if necrotic else "core"
    stretch = np.exp(rng.normal(0, 0.15, 3))
    return Tumour(
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        radius=float(rng.uniform(9, 20)),
        rim=float(rng.uniform(3.2, 6.0)) if enhancing else 0.0,
        oedema=float(rng.uniform(3.5, 7) if mutant else rng.uniform(5, 13)),
        stretch=(float(stretch[0]), float(stretch[1]), float(stretch[2])),
        push=float(rng.uniform(0.0, 0.35)),
        idh_mutant=bool(mutant),
        core_tissue=core,
        hidden=hidden if core == "core" else "no",  # fluid cannot hide on T1 or T2
        rim_agent=float(rng.uniform(0.1, 0.35)),
    )


def grow_tumour(tumour: Tumour, anatomy: Anatomy, *, rng: np.random.Generator) -> Disease:
    """The tumour inside the subject's brain: irregular, its oedema following the white matter."""
    distance = _warped_distance(anatomy.grid, tumour, rng=rng)
    rim_noise = smooth_field(anatomy.grid, 9.0, rng=rng)
    reach = smooth_field(anatomy.grid, 14.0, rng=rng)
    white = anatomy.fractions[1]
    # The falx holds it back: without this, white matter across the midline would light up as an island.
    own_side = _inside(3.0 + np.sign(tumour.centre[0]) * anatomy.template_x_mm)
    tissue = anatomy.brain * (1 - 0.8 * anatomy.fractions[2]) * own_side
    whole = _inside(tumour.radius - distance, tumour.softness) * tissue
    thickness = np.clip(tumour.rim * (1 + 0.35 * rim_noise), 0.0, None)
    core = np.minimum(_inside(tumour.radius - thickness - distance), whole) if tumour.enhancing else whole
    swollen = _inside(tumour.radius + tumour.oedema * np.clip(1 + 0.5 * reach, 0.15, 2.2) - distance)
    oedema = np.clip(swollen * tissue * np.clip(0.15 + 1.1 * white, 0, 1) - whole, 0, 1)
    parts = (
        Part(core, tumour.core_tissue, 0.01, tumour.hidden),
        Part(oedema, "oedema", 0.005, "t1" if tumour.hidden == "t1" else "no"),
        Part(whole - core, "rim", tumour.rim_agent),
    )
    labels = {
        "label.idh": int(tumour.idh_mutant),
        "label.enhancing": int(tumour.enhancing),
        "label.mismatch": int(tumour.core_tissue == "mismatch core"),
        "label.hidden": tumour.hidden,
    }
    return Disease(parts, _label_mask(core, oedema, whole - core), labels)


def _warped_distance(grid: Grid, tumour: Tumour, *, rng: np.random.Generator) -> np.ndarray:
    """Distance from the tumour's centre, mm, in a stretched and noise-warped metric."""
    away = grid.points_mm() - np.array(tumour.centre)[:, None, None, None]
    distance = np.sqrt(((away / np.array(tumour.stretch)[:, None, None, None]) ** 2).sum(0))
    warp = 0.20 * smooth_field(grid, 16.0, rng=rng) + 0.10 * smooth_field(grid, 7.0, rng=rng)
    return distance * np.clip(1 + warp, 0.5, 1.6)


def _inside(depth_mm: np.ndarray, softness_mm: float = 0.7) -> np.ndarray:
    """Fraction of a voxel inside a border that lies `depth_mm` outwards: 0.5 on the border."""
    return 1 / (1 + np.exp(-np.clip(depth_mm / softness_mm, -30, 30)))


def _label_mask(core: np.ndarray, oedema: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """uint8 labels where a part holds more than the others and at least 0.4 of the voxel together."""
    stack = np.stack([core, oedema, rim])
    return np.where(stack.sum(0) > 0.4, stack.argmax(0) + 1, 0).astype(np.uint8)


def no_disease() -> Disease:
    """A healthy subject."""
    return Disease((), None, {})


def grow_lesions(anatomy: Anatomy, *, rng: np.random.Generator) -> Disease:
    """MS-like lesions: ovoids in the white matter near the ventricles, some further out, some taking up contrast."""
    grid, white = anatomy.grid, anatomy.fractions[1]
    field = np.zeros(grid.shape)
    enhancing = np.zeros(grid.shape)
    near = np.exp(-anatomy.ventricle_mm / 7.0) + 0.01
    weight = (white * near * anatomy.brain).ravel()
    axes = grid.axes_mm()
    covered = min(1.0, grid.shape[2] * grid.spacing_mm[2] / 60.0)  # a thin slab cuts fewer of the head's lesions
    count = int(np.ceil(rng.integers(8, 26) * covered)) + 1
    for place in rng.choice(weight.size, count, p=weight / weight.sum()):
        centre = [float(a[i]) for a, i in zip(axes, np.unravel_index(place, grid.shape), strict=True)]
        lesion = ovoid(axes, centre, rng=rng)
        field = np.maximum(field, lesion)
        if rng.random() < 0.12:
            enhancing = np.maximum(enhancing, lesion)
    field = field * anatomy.brain * np.clip(1.3 * white + 0.2, 0, 1) * (1 - anatomy.fractions[2])
    active = np.minimum(enhancing, field)
    parts = (Part(field - active, "lesion", 0.005), Part(active, "lesion", 0.2))
    labels: dict[str, int | str] = {"label.enhancing": int((active > 0.4).any())}
    return Disease(parts, (field > 0.4).astype(np.uint8), labels)


def ovoid(axes: tuple[np.ndarray, ...], centre: list[float], *, rng: np.random.Generator) -> np.ndarray:
    """Voxel fractions of an ellipsoid whose long axis lies at right angles to the ventricle (Dawson's finger)."""
    radius = rng.uniform(2.0, 4.5)
    radii = radius * np.array([rng.uniform(1.2, 2.2), rng.uniform(0.8, 1.4), 1.0])
    scaled = [((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)]
    distance = np.sqrt(scaled[0][:, None, None] + scaled[1][:, None] + scaled[2]) * radius
    return _inside(radius - distance)
