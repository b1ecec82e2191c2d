"""Two examinations of one brain with MS plaques: what is new at the second is known; no single examination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from radloom.phantom.acquisition import scan
from radloom.phantom.anatomy import Atlas, head_grid, new_subject
from radloom.phantom.brain import as_images
from radloom.phantom.disease import draw_tumour
from radloom.phantom.fields import Grid
from radloom.phantom.ms_plaques import Plaque, Seen, draw_plaques, painted
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case

TURN_DEG, SHIFT_MM = 0.03, 0.03  # what registration leaves: standard deviation about and along each axis [ours]
# What a year does not change: the person, and the protocol's inversion times.
SAME = ("site", "anatomy", "spread", "tuning", "texture", "physiology.diffusion", "physiology.perfusion")
NO_GROWTH = (np.zeros(3), 20.0, 0.0)  # no mass presses the brain away


def two_examinations(
    atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int], contrasts: Sequence[str]
) -> list[Case]:
    """Both examinations of subject `index`, of one scanner; at the second the head lies a little otherwise.

    mask.number numbers the lesions, alike in both; text.lesions tells the place, the volume in mm3 and whether it is
    new of each; mask.new holds the numbers of the new ones, mask.lesion is 1 in old and new.
    """
    centre = draw_tumour(atlas, rng=numpy_stream(seed, "brain", index, "tumour")).centre  # where a slab is planned
    first = head_grid(shape, centre_z_mm=centre[2])
    anatomy = new_subject(atlas, first, push=NO_GROWTH, rng=numpy_stream(seed, "brain", index, "anatomy"))
    plaques = draw_plaques(anatomy, rng=numpy_stream(seed, "brain", index, "plaques"))
    rng = numpy_stream(seed, "brain", index, "ses-2", "pose")
    pose, turned, shifted = moved_head(centre, rng=rng)
    months = round(float(numpy_stream(seed, "brain", index, "ses-2", "months").uniform(6, 24)), 1)
    old = [one for one in plaques if not one.new]
    later = [one if one.new else replace(one, active=False) for one in plaques]  # agent has left the old ones
    still = {"time.months": 0.0, "label.turn_deg": 0.0, "label.shift_mm": 0.0}
    after = {"time.months": months, "label.turn_deg": turned, "label.shift_mm": shifted}
    return [
        _visit(atlas, index, 1, first, old, still, seed=seed, contrasts=contrasts),
        _visit(atlas, index, 2, replace(first, pose=pose), later, after, seed=seed, contrasts=contrasts),
    ]


def moved_head(centre: Sequence[float], *, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """(the pose (4, 4), scanner -> head mm; the turn about the centre, degrees; the shift, mm)."""
    axis = np.clip(rng.normal(0, TURN_DEG, 3), -2 * TURN_DEG, 2 * TURN_DEG)
    shift = np.clip(rng.normal(0, SHIFT_MM, 3), -2 * SHIFT_MM, 2 * SHIFT_MM)
    angle = np.deg2rad(np.linalg.norm(axis))
    x, y, z = axis / max(float(np.linalg.norm(axis)), 1e-9)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, np.array(centre) - turn @ np.array(centre) + shift
    return pose, round(float(np.rad2deg(angle)), 3), round(float(np.linalg.norm(shift)), 3)


def _visit(
    atlas: Atlas,
    index: int,
    session: int,
    grid: Grid,
    plaques: Sequence[Plaque],
    labels: dict[str, float],
    *,
    seed: int,
    contrasts: Sequence[str],
) -> Case:
    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain", index, *(() if name in SAME or session == 1 else ("ses-2",)), name)

    scanner = SCANNERS[stream("site").integers(len(SCANNERS))]
    anatomy = new_subject(atlas, grid, push=NO_GROWTH, rng=stream("anatomy"))
    seen = painted(plaques, anatomy)
    new = np.isin(seen.numbers, [one.number for one in plaques if one.new]) * seen.numbers
    volumes = scan(anatomy, seen.disease, scanner, contrasts, stream=stream)
    masks = {"mask.brain": anatomy.brain, "mask.lesion": seen.numbers > 0, "mask.number": seen.numbers, "mask.new": new}
    patient = f"sub-{index:04d}"
    told = {**seen.disease.labels, "label.lesions": len(seen.volumes), "label.new_lesions": len(np.unique(new)) - 1}
    text = {"text.lesions": lesion_text(plaques, seen)}
    images = as_images(volumes, masks, grid)
    return Case(
        f"{patient}_ses-{session}", patient, images, {**told, **labels}, text, scanner.site, scanner.vendor
    )  # fmt: skip


def lesion_text(plaques: Sequence[Plaque], seen: Seen) -> str:
    """`number:place,volume,old` or `new` of each lesion in the examination, volumes in mm3, separated by blanks."""
    return " ".join(
        f"{one.number}:{one.place},{seen.volumes[one.number]:.1f},{'new' if one.new else 'old'}"
        for one in plaques
        if one.number in seen.volumes
    )
