"""Glioblastomas at several visits after treatment: regression and regrowth by a known law, and survival tied to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Atlas, head_grid, new_subject
from radloom.phantom.brain import as_images
from radloom.phantom.disease import CORE, ENHANCING, OEDEMA, Tumour, draw_tumour, grow_tumour
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case

VISITS, APART_MONTHS = 4, 2.0
GROWTH = 0.12  # per month, the median
EFFECT = 0.9  # log hazard for each unit of ln(growth / GROWTH)
SHAPE, SCALE_MONTHS = 1.6, 15.0  # Weibull survival at the median growth
FOLLOW_UP_MONTHS = (8.0, 30.0)
SAME = ("site", "tumour", "anatomy", "disease", "spread", "texture", "course", "physiology.diffusion",
        "physiology.perfusion", "physiology.bleed")  # fmt: skip


@dataclass(frozen=True)
class Course:
    """Rates of regrowth and regression per month, months of observation, and whether they end in death."""

    growth: float
    decay: float
    months: float
    died: bool

    def volume(self, months: float) -> float:
        """Enhancing volume relative to the first visit: exp(-decay t) + exp(growth t) - 1 (Stein et al. 2008)."""
        return float(np.exp(-self.decay * months) + np.exp(self.growth * months) - 1)


def examinations(
    atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], contrasts: Sequence[str]
) -> list[Case]:
    """The visits of subject `index`, two to VISITS, on one grid; time.os and event.os count from the first."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain", index, "response", name)

    tumour = enhancing(draw_tumour(atlas, rng=stream("tumour")), rng=stream("rim"))
    course = draw_course(rng=stream("course"))
    grid = head_grid(shape, centre_z_mm=tumour.centre[2])
    push = (np.array(tumour.centre), 1.6 * tumour.radius, tumour.push)
    anatomy = new_subject(atlas, grid, push=push, rng=stream("anatomy"))
    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    voxel_cm3 = float(np.prod(grid.spacing_mm)) / 1000
    name, cases = f"sub-{index:04d}", []
    for visit, months in enumerate(visit_months(course), 1):

        def at_visit(name: str, visit: int = visit) -> np.random.Generator:
            return stream(name) if name in SAME else numpy_stream(seed, "brain", index, "response", visit, name)

        ill = grow_tumour(scaled(tumour, course.volume(months)), anatomy, rng=stream("disease"))
        mask = np.asarray(ill.mask)
        images = as_images(scan(anatomy, ill, scanner, contrasts, stream=at_visit),
                           {"mask.brain": anatomy.brain, "mask.tumour": mask}, grid)  # fmt: skip
        rim = next(part for part in ill.parts if part.tissue == "rim")
        labels = {
            "label.visit": visit,
            "label.enhancing_cm3": round(float(rim.fraction.sum()) * voxel_cm3, 3),
            "label.tumour_cm3": round(float(np.isin(mask, (CORE, OEDEMA, ENHANCING)).sum()) * voxel_cm3, 2),
            "label.growth": round(course.growth, 4),
            "time.months": round(months, 2),
            "time.os": round(course.months, 2),
            "event.os": int(course.died),
        }
        cases.append(Case(f"{name}_ses-{visit}", name, images, labels, site=scanner.site, vendor=scanner.vendor))
    return cases


def draw_course(*, rng: np.random.Generator) -> Course:
    """Growth spread by a factor of two about its median; death by a Weibull law whose hazard follows the growth.

    hazard(t) = (SHAPE / b) (t / b)^(SHAPE - 1) with b = SCALE_MONTHS (growth / GROWTH)^(-EFFECT / SHAPE), so that the
    log hazard rises by EFFECT for each unit of ln growth: what a Cox model has to find.
    """
    growth = GROWTH * float(np.exp(0.6 * rng.standard_normal()))
    decay = float(rng.uniform(0.05, 0.45))
    scale = SCALE_MONTHS * (growth / GROWTH) ** (-EFFECT / SHAPE)
    death = max(1.0, float(scale * rng.weibull(SHAPE)))
    end = float(rng.uniform(*FOLLOW_UP_MONTHS))
    return Course(growth, decay, min(death, end), death <= end)


def visit_months(course: Course) -> list[float]:
    """Every APART_MONTHS while the patient lives and is followed, but two at least."""
    planned = [visit * APART_MONTHS for visit in range(VISITS)]
    kept = [one for one in planned if one < course.months]
    return kept if len(kept) > 1 else [0.0, 0.5 * course.months]


def enhancing(tumour: Tumour, *, rng: np.random.Generator) -> Tumour:
    """The tumour as wild type with a rim, and small enough to grow within its hemisphere."""
    return replace(
        tumour, idh_mutant=False, radius=float(rng.uniform(8, 14)), rim=float(rng.uniform(3.2, 5.5)), hidden="no",
        core_tissue="necrosis", oedema=float(rng.uniform(4, 9)), rim_agent=float(rng.uniform(0.12, 0.35)),
    )  # fmt: skip


def scaled(tumour: Tumour, volume: float) -> Tumour:
    """The tumour with `volume` times its enhancing volume: all its lengths change by the cube root."""
    factor = min(volume ** (1 / 3), 30.0 / tumour.radius)  # no tumour outgrows a hemisphere
    return replace(tumour, radius=tumour.radius * factor, rim=tumour.rim * factor, oedema=tumour.oedema * factor)
