"""MS plaques one by one: where they lie, how large they are, and the share of each voxel that they take; no signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.phantom.anatomy import Anatomy
from radloom.phantom.disease import Disease, Part
from radloom.phantom.fields import Grid

# How many of each place a patient has, and how many more a year or two later, on average. Old: 13 subcortical ones
# (Pongratz et al. 2023) and 8 intracortical ones on DIR (Geurts et al. 2005), the others ours. New: 3.3 as read on
# synthetic DIR (Schlaeger et al. 2023, abstract); their shares ours.
OLD = {"periventricular": 9.0, "deep": 13.0, "juxtacortical": 6.0, "cortical": 7.0, "infratentorial": 2.0}
NEW = {"periventricular": 0.7, "deep": 0.7, "juxtacortical": 0.7, "cortical": 1.1, "infratentorial": 0.2}
MOST_NEW = 9
LEAST_MM, LARGEST_MM, CORTICAL_MM = 3.0, 10.0, 7.0  # 3 mm is what counts as a lesion (Thompson et al. 2018)
APART_MM = 3.0  # of healthy tissue between a new lesion and any other
ACTIVE = {"old": 0.05, "new": 0.2}  # share that takes up contrast agent; Pongratz et al. 2023: 3 to 7 %
HELD, FAINT = 0.35, 0.15  # share of a voxel that the mask holds; of the fullest voxel of a lesion that is in it at all
SUB_MM = 0.7  # voxels are divided into cells of at most this: a lesion may be smaller than a voxel
BORDER_MM = 0.15  # over which an edge fades, so that cells count in part
WHOLE_HEAD_MM = 120.0


@dataclass(frozen=True, eq=False)
class Plaque:
    """One lesion: its number, place, centre and radii in mm of the head, and the share of tissue that it replaces."""

    number: int
    place: str
    centre: np.ndarray
    radii: np.ndarray
    density: float
    new: bool
    active: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """What one examination holds of the plaques: the disease, their numbers by voxel, and each one's volume, mm3."""

    disease: Disease
    numbers: np.ndarray
    volumes: dict[int, float]


def draw_plaques(anatomy: Anatomy, *, rng: np.random.Generator) -> list[Plaque]:
    """The patient's lesions, old ones first, numbered from 1; new ones touch no other.

    A patient's rate varies about the mean by a gamma factor, so that some have many. Diameters are log-normal about
    4.2 mm between 3 and 10; old periventricular ones are up to half as large again, stretched away from the ventricle.
    """
    weights = place_weights(anatomy)
    covered = min(1.0, anatomy.grid.shape[2] * anatomy.grid.spacing_mm[2] / WHOLE_HEAD_MM)
    found: list[Plaque] = []
    for age, rates in (("old", OLD), ("new", NEW)):
        load = rng.gamma(3.0, 1 / 3) * covered ** (0.5 if age == "new" else 1.0)  # a slab is planned where it is new
        for place, rate in rates.items():
            for centre in _centres(anatomy.grid, weights[place], int(rng.poisson(rate * load)), rng=rng):
                one = _plaque(len(found) + 1, place, centre, age, rng=rng)
                if age == "old" or (_apart(one, found) and sum(other.new for other in found) < MOST_NEW):
                    found.append(one)
    return found


def place_weights(anatomy: Anatomy) -> dict[str, np.ndarray]:
    """How likely a lesion of each place is to begin in each voxel; zero where it cannot."""
    grid, (grey, white, _) = anatomy.grid, anatomy.fractions
    x, y, z = grid.points_mm()
    posterior = ((z < -24) & (y < -38) & (np.abs(x) < 45)) | ((np.abs(x) < 15) & (y < -16) & (y > -40) & (z < -18))
    nuclei = (np.abs(x) < 34) & (y > -30) & (y < 24) & (z > -14) & (z < 24)
    cortex = (grey > 0.5) & ~nuclei & ~posterior
    to_cortex = np.asarray(ndimage.distance_transform_edt(~cortex, sampling=grid.spacing_mm)) if cortex.any() else 99.0
    white, ventricle = white * (anatomy.brain & ~posterior), anatomy.ventricle_mm
    return {
        "periventricular": white**2 * np.exp(-ventricle / 3.0) * (ventricle < 8),
        "deep": white**2 * (ventricle > 8) * (to_cortex > 5),
        "juxtacortical": white * (ventricle > 10) * (to_cortex <= 4),
        "cortical": grey**2 * cortex * anatomy.brain,
        "infratentorial": (anatomy.fractions[1] + 0.2 * grey) * (anatomy.brain & posterior),
    }


def _centres(grid: Grid, weight: np.ndarray, count: int, *, rng: np.random.Generator) -> list[np.ndarray]:
    if count == 0 or weight.sum() <= 0:
        return []
    axes = grid.axes_mm()
    places = rng.choice(weight.size, count, p=(weight / weight.sum()).ravel())
    inside = np.array(np.unravel_index(places, grid.shape)).T
    corners = np.array([[axis[i] for axis, i in zip(axes, at, strict=True)] for at in inside])
    return list(corners + np.array(grid.spacing_mm) * rng.uniform(-0.5, 0.5, corners.shape))


def _plaque(number: int, place: str, centre: np.ndarray, age: str, *, rng: np.random.Generator) -> Plaque:
    largest = CORTICAL_MM if place == "cortical" else LARGEST_MM
    diameter = float(np.clip(np.exp(rng.normal(np.log(4.2), 0.35)), LEAST_MM, largest))
    stretch = np.exp(rng.normal(0, 0.15, 3))
    if place == "periventricular":
        stretch[0] *= rng.uniform(1.1, 1.8)  # Dawson's finger
        diameter *= rng.uniform(1.0, 1.5) if age == "old" else 1.0
    stretch /= np.prod(stretch) ** (1 / 3)
    density, active = float(rng.uniform(0.7, 1.0)), bool(rng.random() < ACTIVE[age] and place != "cortical")
    return Plaque(number, place, centre, diameter / 2 * stretch, density, age == "new", active)


def _apart(one: Plaque, others: Sequence[Plaque]) -> bool:
    return all(
        np.linalg.norm(one.centre - other.centre) > one.radii.max() + other.radii.max() + APART_MM for other in others
    )


def painted(plaques: Sequence[Plaque], anatomy: Anatomy) -> Seen:
    """The plaques in an examination; those of which no voxel holds FAINT lie outside it and have no number there."""
    grid = anatomy.grid
    white = anatomy.brain * np.clip(1.3 * anatomy.fractions[1] + 0.2, 0, 1) * (1 - anatomy.fractions[2])
    grey = anatomy.brain * np.clip(1.6 * anatomy.fractions[0] - 0.2, 0, 1) * (1 - anatomy.fractions[2])
    taken, numbers = np.zeros(grid.shape), np.zeros(grid.shape, np.uint8)
    layers = {kind: np.zeros(grid.shape) for kind in ("quiet", "active", "cortical")}
    volumes: dict[int, float] = {}
    for one in plaques:
        box = _box(one, grid)
        if any(side.start >= side.stop for side in box):
            continue
        held = _share(one, grid, box) * (grey if one.place == "cortical" else white)[box]
        held = np.minimum(held, 1 - taken[box])
        free = held * (numbers[box] == 0)
        if free.max() < FAINT:
            continue
        numbers[box][(free >= HELD) | (free == free.max())] = one.number
        taken[box] += held
        layers["cortical" if one.place == "cortical" else "active" if one.active else "quiet"][box] += (
            one.density * held
        )
        volumes[one.number] = float(held.sum() * np.prod(grid.spacing_mm))
    parts = (
        Part(layers["quiet"], "plaque", 0.005),
        Part(layers["active"], "plaque", 0.2),
        Part(layers["cortical"], "cortical plaque", 0.03),
    )
    labels: dict[str, int | str] = {
        "label.enhancing": int(any(one.active and one.number in volumes for one in plaques))
    }
    return Seen(Disease(parts, (numbers > 0).astype(np.uint8), labels), numbers, volumes)


def _box(one: Plaque, grid: Grid) -> tuple[slice, slice, slice]:
    """The voxels around a plaque."""
    centre = one.centre
    if grid.pose is not None:
        centre = grid.pose[:3, :3].T @ (centre - grid.pose[:3, 3])
    reach = one.radii.max() + 2.0
    low, high = (
        np.rint((centre + side * reach - np.array(grid.origin_mm)) / np.array(grid.spacing_mm)).astype(int)
        for side in (-1, 1)
    )
    x, y, z = (slice(max(0, int(a)), min(n, int(b) + 1)) for a, b, n in zip(low, high, grid.shape, strict=True))
    return x, y, z


def _share(one: Plaque, grid: Grid, box: tuple[slice, slice, slice]) -> np.ndarray:
    """The share of each voxel of the box inside the ellipsoid."""
    axes, cells = [], []
    for axis, spacing, side in zip(grid.axes_mm(), grid.spacing_mm, box, strict=True):
        count = max(1, int(np.ceil(spacing / SUB_MM)))
        steps = ((np.arange(count) + 0.5) / count - 0.5) * spacing
        axes.append((axis[side][:, None] + steps).ravel())
        cells.append(count)
    points = np.stack(np.meshgrid(*axes, indexing="ij"))
    if grid.pose is not None:
        points = np.tensordot(grid.pose[:3, :3], points, axes=1) + grid.pose[:3, 3][:, None, None, None]
    radii = one.radii[:, None, None, None]
    away = np.sqrt((((points - one.centre[:, None, None, None]) / radii) ** 2).sum(0))
    inside = 1 / (1 + np.exp(np.clip((away - 1) * one.radii.min() / BORDER_MM, -30, 30)))
    shape = [n for side, count in zip(box, cells, strict=True) for n in (side.stop - side.start, count)]
    return inside.reshape(shape).mean((1, 3, 5))
