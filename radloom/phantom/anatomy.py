"""Brain anatomy: tissue fractions of a new subject, warped from the templates that nilearn ships; no signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.errors import RadloomError
from radloom.phantom.fields import Grid, smooth_field

FIELD_OF_VIEW_MM = (192.0, 192.0, 120.0)
CENTRE_MM = (0.0, -17.0, 20.0)  # MNI; from the temporal lobes to the vertex, where gliomas grow
SLICE_MM = 5.0
SHARPEN = 2.0  # the template averages 152 people; a power of its fractions restores one person's borders


@dataclass(frozen=True, eq=False)
class Atlas:
    """Template maps over the brain, and where a tumour may begin.

    fractions: (3, x, y, z) of grey, white and CSF at 1 mm; origin_mm: MNI position of the first voxel.
    ventricle_mm: distance to the ventricles at every second voxel, mm.
    white_mm: (n, 3) MNI positions deep in cerebral white matter.
    """

    fractions: np.ndarray
    origin_mm: np.ndarray
    ventricle_mm: np.ndarray
    white_mm: np.ndarray


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One subject's fractions of grey, white and CSF (3, x, y, z), brain mask and places."""

    grid: Grid
    fractions: np.ndarray
    brain: np.ndarray
    ventricle_mm: np.ndarray
    template_x_mm: np.ndarray  # distance to the right of the midline


def load_atlas() -> Atlas:
    """The MNI152 tissue fractions, cropped to the brain (about 2 s: nilearn is slow to import)."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template

    images = [load() for load in (load_mni152_gm_template, load_mni152_wm_template, load_mni152_brain_mask)]
    maps = np.stack([np.asarray(image.dataobj, np.float32) for image in images])
    box = ndimage.find_objects((maps[2] > 0).astype(np.int8))[0]
    origin = images[0].affine[:3, 3] + [side.start for side in box]
    grey, white, mask = maps[(slice(None), *box)]
    brain = ndimage.binary_opening(ndimage.binary_fill_holes(mask > 0), iterations=2)
    fractions = np.stack([grey, white, np.clip(1 - grey - white, 0, 1)]) ** SHARPEN * brain
    fractions /= np.maximum(fractions.sum(0), 1e-6)
    half = (slice(None, None, 2),) * 3
    ventricle_mm = _ventricle_mm(fractions[(2, *half)] > 0.5, brain[half], origin)
    return Atlas(fractions, origin, ventricle_mm, _deep_white_mm(fractions[(1, *half)], origin))


def _ventricle_mm(csf: np.ndarray, brain: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Distance to the ventricles, mm, on the 2 mm lattice: they are the CSF deep inside the cerebrum."""
    x, y, z = (2 * one + start for one, start in zip(np.ogrid[tuple(map(slice, csf.shape))], origin, strict=True))
    central = (np.abs(x) < 38) & (y > -60) & (y < 40) & (z > -8)
    ventricles = csf & central & (_distance_mm(brain) > 22)
    return _distance_mm(~ventricles).astype(np.float32)


def _deep_white_mm(white: np.ndarray, origin: np.ndarray) -> np.ndarray:
    found = 2.0 * np.argwhere(white > 0.6) + origin
    x, y, z = found.T
    return found[(np.abs(x) > 14) & (np.abs(x) < 58) & (z > 0) & (z < 56) & (y > -80) & (y < 48)]


def _distance_mm(inside: np.ndarray) -> np.ndarray:
    """Distance of each voxel of the 2 mm lattice to the nearest one that is not inside, mm."""
    return np.asarray(ndimage.distance_transform_edt(inside, sampling=2.0))


def head_grid(shape: tuple[int, int, int], *, centre_z_mm: float) -> Grid:
    """The grid of `shape` over the head; fewer slices than the head needs are a slab around `centre_z_mm`."""
    if len(shape) != 3 or min(shape[:2]) < 16 or shape[2] < 1:
        raise RadloomError(f"cannot make images of shape {shape}", expected="three sizes, (>= 16, >= 16, >= 1)")
    dz = min(FIELD_OF_VIEW_MM[2] / shape[2], SLICE_MM)
    spacing = (FIELD_OF_VIEW_MM[0] / shape[0], FIELD_OF_VIEW_MM[1] / shape[1], dz)
    extent = (FIELD_OF_VIEW_MM[2] - dz * shape[2]) / 2
    centre_z = float(np.clip(centre_z_mm, CENTRE_MM[2] - extent, CENTRE_MM[2] + extent))
    centre = (CENTRE_MM[0], CENTRE_MM[1], centre_z)
    x, y, z = (c - d * (n - 1) / 2 for c, d, n in zip(centre, spacing, shape, strict=True))
    return Grid(shape, (x, y, z), spacing)


def new_subject(
    atlas: Atlas, grid: Grid, *, push: tuple[np.ndarray, float, float], rng: np.random.Generator
) -> Anatomy:
    """A subject's anatomy: the atlas under an affine jitter and a smooth displacement.

    push: (centre, radius mm, strength 0-0.5) of a growth that presses the tissue around it outwards.
    """
    points = grid.points_mm()
    centre, radius, strength = push
    away = points - centre[:, None, None, None]
    points = points - strength * away * np.exp(-(away**2).sum(0) / (2 * radius**2))
    points = _affine_jitter(rng) @ (points.reshape(3, -1) - np.array(CENTRE_MM)[:, None])
    points = points.reshape(3, *grid.shape) + np.array(CENTRE_MM)[:, None, None, None]
    for knots_mm, amplitude_mm in ((45.0, 4.0), (18.0, 1.8)):
        points = points + amplitude_mm * np.stack([smooth_field(grid, knots_mm, rng=rng) for _ in range(3)])
    where = points - atlas.origin_mm[:, None, None, None]
    fractions = np.stack([ndimage.map_coordinates(one, where, order=1, output=np.float64) for one in atlas.fractions])
    brain = fractions.sum(0) > 0.5
    fractions[2] *= rng.uniform(0.9, 2.0)  # atrophy widens ventricles and sulci
    fractions *= brain / np.maximum(fractions.sum(0), 1e-6)
    distance = ndimage.map_coordinates(atlas.ventricle_mm, where / 2, order=1, mode="nearest", output=np.float64)
    return Anatomy(grid, fractions, brain, distance, points[0])


def _affine_jitter(rng: np.random.Generator) -> np.ndarray:
    """(3, 3): a few degrees of rotation and a brain 2-10 % smaller than the template, subject -> template."""
    angles = rng.normal(0, np.deg2rad(3.0), 3)
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        turn, (i, j) = np.eye(3), [k for k in range(3) if k != axis]
        turn[[i, j], [i, j]], turn[i, j], turn[j, i] = np.cos(angle), -np.sin(angle), np.sin(angle)
        rotation = turn @ rotation
    return rotation * (1 / rng.uniform(0.91, 0.99, 3))
