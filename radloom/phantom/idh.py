"""Gliomas whose size and enhancement are graded from 0 to 1 and whose place and margin follow IDH; one examination."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Atlas, head_grid, new_subject
from radloom.phantom.brain import as_images
from radloom.phantom.disease import CORE, ENHANCING, Tumour, draw_tumour, grow_tumour
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case

RADIUS_MM = (7.0, 24.0)  # of grade 0 and of grade 1
LOBES = ("frontal", "insular", "other")
DISTINCT, BLURRED = 0.7, 3.0  # half widths of a border, mm


def subject(atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], contrasts: Sequence[str]) -> Case:
    """The examination of subject `index`: as the variant "tumour", with grades that a generator can be asked for."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain", index, "idh", name)

    tumour, size, enhancement = draw_graded(atlas, rng=stream("tumour"))
    grid = head_grid(shape, centre_z_mm=tumour.centre[2])
    growth = (np.array(tumour.centre), 1.6 * tumour.radius, tumour.push)
    anatomy = new_subject(atlas, grid, push=growth, rng=stream("anatomy"))
    ill = grow_tumour(tumour, anatomy, rng=stream("disease"))
    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    mask = np.asarray(ill.mask)
    images = as_images(scan(anatomy, ill, scanner, contrasts, stream=stream),
                       {"mask.brain": anatomy.brain, "mask.tumour": mask}, grid)  # fmt: skip
    voxel_cm3 = float(np.prod(grid.spacing_mm)) / 1000
    solid = np.isin(mask, (CORE, ENHANCING)).sum()
    labels = dict(ill.labels) | {
        "label.size": round(size, 3),
        "label.enhancement": round(enhancement, 3),
        "label.volume_cm3": round(float((mask > 0).sum()) * voxel_cm3, 2),
        "label.enhancing_share": round(float((mask == ENHANCING).sum() / max(solid, 1)), 3),
        "label.location": location(tumour.centre),
        "label.margin": "distinct" if tumour.softness == DISTINCT else "indistinct",
    }
    name = f"sub-{index:04d}"
    return Case(name, name, images, labels, site=scanner.site, vendor=scanner.vendor)


def draw_graded(atlas: Atlas, *, rng: np.random.Generator) -> tuple[Tumour, float, float]:
    """(the tumour, its grade of size, its grade of enhancement): both from 0 to 1 and both overlapping between classes.

    size: of the radius between RADIUS_MM. enhancement: the share of the solid tumour's volume that takes up contrast.
    Mutants are on average smaller, enhance less, lie more often in the frontal lobe and insula and are better
    delineated: features that readers judge in studies of synthetic IDH images; the amounts are ours.
    """
    mutant = bool(rng.random() < 0.5)
    base = draw_tumour(atlas, rng=rng)
    size = float(rng.beta(1.6, 2.2) if mutant else rng.beta(2.2, 1.6))
    none = rng.random() < (0.5 if mutant else 0.08)
    enhancement = 0.0 if none else float(rng.beta(1.3, 3.0) if mutant else rng.beta(2.0, 1.5))
    radius = RADIUS_MM[0] + size * (RADIUS_MM[1] - RADIUS_MM[0])
    mismatch = rng.random() < (0.5 if mutant else 0.05) and enhancement < 0.3  # Patel et al. 2017
    distinct = rng.random() < (0.65 if mutant else 0.35)
    centre = _centre(atlas, frontal=rng.random() < (0.6 if mutant else 0.3), rng=rng)
    a, b, c = base.stretch
    even = (a * b * c) ** (1 / 3)  # so that the grade alone sets the volume
    tumour = Tumour(
        centre=centre, radius=radius, rim=radius * (1 - (1 - enhancement) ** (1 / 3)),
        oedema=radius * float(rng.uniform(0.3, 0.5) if mutant else rng.uniform(0.35, 0.65)),
        stretch=(a / even, b / even, c / even),
        push=base.push, idh_mutant=mutant,
        core_tissue="mismatch core" if mismatch else "necrosis" if 0.15 < enhancement < 0.75 else "core",
        hidden="no", rim_agent=float(rng.uniform(0.12, 0.35)), softness=DISTINCT if distinct else BLURRED,
    )  # fmt: skip
    return tumour, size, enhancement


def location(centre: tuple[float, float, float]) -> str:
    """The lobe by MNI position, coarsely: "frontal", "insular" or "other".

    >>> location((-30.0, 30.0, 30.0)), location((38.0, 0.0, 2.0)), location((25.0, -60.0, 30.0))
    ('frontal', 'insular', 'other')
    """
    return LOBES[int(_lobes(np.array([centre]))[0])]


def _lobes(places: np.ndarray) -> np.ndarray:
    """Index in LOBES of each MNI position (n, 3)."""
    x, y, z = places.T
    insular = (np.abs(x) > 28) & (np.abs(x) < 48) & (y > -22) & (y < 24) & (z < 16)
    return np.where(insular, 1, np.where((y > 0) & (z > 2), 0, 2))


def _centre(atlas: Atlas, *, frontal: bool, rng: np.random.Generator) -> tuple[float, float, float]:
    """A place in deep white matter, in the frontal lobe or insula or elsewhere."""
    places = atlas.white_mm[(_lobes(atlas.white_mm) < 2) == frontal]
    x, y, z = places[rng.integers(len(places))]
    return float(x), float(y), float(z)
