"""One simulated examination of a brain: anatomy, disease and a scanner become the images and masks of a Case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Atlas, head_grid, new_subject
from radloom.phantom.disease import Disease, draw_tumour, grow_lesions, grow_tumour, no_disease
from radloom.phantom.fields import Grid
from radloom.phantom.functional import FUNCTIONAL, UNITS
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case, Image

CONTRASTS = ("t1", "t1c", "t2", "flair", "pd", "dir", *FUNCTIONAL)
DISEASES = ("tumour", "ms", "none")
DiseaseName = Literal["tumour", "ms", "none"]


def subject(
    atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], contrasts: Sequence[str], disease: DiseaseName
) -> Case:
    """The examination of subject `index`: a pure function of `seed` and `index`, whatever else is in the cohort."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain", index, name)

    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    tumour = draw_tumour(atlas, rng=stream("tumour"))
    grid = head_grid(shape, centre_z_mm=tumour.centre[2])
    push = tumour.push if disease == "tumour" else 0.0
    growth = (np.array(tumour.centre), 1.6 * tumour.radius, push)
    anatomy = new_subject(atlas, grid, push=growth, rng=stream("anatomy"))
    ill = no_disease()
    if disease == "tumour":
        ill = grow_tumour(tumour, anatomy, rng=stream("disease"))
    elif disease == "ms":
        ill = grow_lesions(anatomy, rng=stream("disease"))
    volumes = scan(anatomy, ill, scanner, contrasts, stream=stream)
    images = as_images(volumes, {"mask.brain": anatomy.brain} | _disease_mask(ill, disease), grid)
    name = f"sub-{index:04d}"
    return Case(name, name, images, dict(ill.labels), site=scanner.site, vendor=scanner.vendor)


def as_images(volumes: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray], grid: Grid) -> dict[str, Image]:
    """The entries of a case: `volumes` by contrast and `masks` by column on the grid."""
    images = {
        f"image.{contrast}": Image(one, grid.affine, unit=UNITS.get(contrast, "1")) for contrast, one in volumes.items()
    }
    return images | {key: Image(one.astype(np.uint8), grid.affine, kind="label") for key, one in masks.items()}


def _disease_mask(ill: Disease, disease: DiseaseName) -> dict[str, np.ndarray]:
    if ill.mask is None:
        return {}
    return {"mask.tumour" if disease == "tumour" else "mask.lesion": ill.mask}
