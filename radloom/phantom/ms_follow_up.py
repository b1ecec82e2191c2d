"""Two examinations of one brain with MS-like lesions: what is new at the second is known; no single examination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Anatomy, Atlas, head_grid, new_subject
from radloom.phantom.brain import as_images, subject
from radloom.phantom.disease import Disease, Part, draw_tumour, grow_lesions, ovoid
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case, Image

MOST_NEW = 6
SAME = (
    "site",
    "tumour",
    "anatomy",
    "disease",
    "spread",
    "texture",
    "physiology.diffusion",
    "physiology.perfusion",
)  # what a year does not change


def two_examinations(
    atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], contrasts: Sequence[str]
) -> list[Case]:
    """Both examinations of subject `index` on one grid; the first is the subject of the variant "ms".

    mask.new numbers the new lesions of the second examination; mask.lesion holds old and new ones.
    """

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain", index, *(() if name in SAME else ("ses-2",)), name)

    first = subject(atlas, index, seed=seed, shape=shape, contrasts=contrasts, disease="ms")
    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    tumour = draw_tumour(atlas, rng=stream("tumour"))  # where the slab lies in the first examination
    grid = head_grid(shape, centre_z_mm=tumour.centre[2])
    push = (np.array(tumour.centre), 1.6 * tumour.radius, 0.0)
    anatomy = new_subject(atlas, grid, push=push, rng=stream("anatomy"))
    old = grow_lesions(anatomy, rng=stream("disease"))
    later, new = with_new_lesions(old, anatomy, rng=stream("new"))
    volumes = scan(anatomy, later, scanner, contrasts, stream=stream)
    masks = {"mask.brain": anatomy.brain, "mask.lesion": np.asarray(later.mask), "mask.new": new}
    images = as_images(volumes, masks, grid)
    months = round(float(stream("months").uniform(6, 24)), 1)
    labels = {**later.labels, "label.new_lesions": int(new.max()), "time.months": months}
    nothing = Image(np.zeros_like(new), grid.affine, kind="label")
    return [
        replace(first, id=f"{first.id}_ses-1", images={**first.images, "mask.new": nothing},
                labels={**first.labels, "label.new_lesions": 0, "time.months": 0.0}),
        replace(first, id=f"{first.id}_ses-2", images=images, labels=labels),
    ]  # fmt: skip


def with_new_lesions(old: Disease, anatomy: Anatomy, *, rng: np.random.Generator) -> tuple[Disease, np.ndarray]:
    """(the disease later, the numbered new lesions): up to MOST_NEW, apart from the old ones, half of them active.

    A lesion that was active before is so no longer: agent leaves the old parts.
    """
    grid, white = anatomy.grid, anatomy.fractions[1]
    mask = np.zeros(grid.shape, bool) if old.mask is None else old.mask > 0
    apart_mm = np.asarray(ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm)) if mask.any() else np.inf
    weight = (white * (np.exp(-anatomy.ventricle_mm / 12.0) + 0.02) * anatomy.brain * (apart_mm > 7.0)).ravel()
    field, active = np.zeros(grid.shape), np.zeros(grid.shape)
    wanted = int(rng.integers(0, MOST_NEW + 1))
    if weight.sum() > 0:
        for place in rng.choice(weight.size, wanted, p=weight / weight.sum()):
            at = np.unravel_index(place, grid.shape)
            centre = [float(axis[i]) for axis, i in zip(grid.axes_mm(), at, strict=True)]
            one = ovoid(grid.axes_mm(), centre, rng=rng)
            field = np.maximum(field, one)
            if rng.random() < 0.5:
                active = np.maximum(active, one)
    taken = sum((part.fraction for part in old.parts), np.zeros(grid.shape))
    field = field * anatomy.brain * np.clip(1.3 * white + 0.2, 0, 1) * (1 - anatomy.fractions[2]) * (1 - taken)
    active = np.minimum(active, field)
    quiet = [replace(part, agent=0.005) for part in old.parts]
    parts = (*quiet, Part(field - active, "lesion", 0.005), Part(active, "lesion", 0.2))
    new = np.asarray(ndimage.label((field > 0.4) & ~mask)[0]).astype(np.uint8)  # pyright: ignore[reportIndexIssue]
    whole = (mask | (new > 0)).astype(np.uint8)
    return Disease(parts, whole, {"label.enhancing": int((active > 0.4).any())}), new
