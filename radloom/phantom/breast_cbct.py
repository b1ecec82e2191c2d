"""One simulated cone-beam scan of a breast: noisy projections, FDK from all, half and a third of the views, masks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from radloom.phantom.breast import (
    FIELD_MM,
    WATER,
    Breast,
    breast_grid,
    build,
    density_class,
    draw_build,
    halved,
    numbered,
)
from radloom.phantom.fields import Grid
from radloom.phantom.simulation import Request
from radloom.random import numpy_stream
from radloom.types import Case, Image

if TYPE_CHECKING:
    from radloom.operators.ct import Cone

SOURCE_MM, DETECTOR_MM = 650.0, 923.0  # from the source to the isocentre and to the detector
EVERY = {"full": 1, "half": 2, "third": 3}  # which views each image is made from
IMAGES = (*EVERY, "truth")
ELECTRONIC_SD = 10.0**0.5  # photons
SITES = (("north", "A", 1.0e5), ("south", "B", 4.0e4))  # photons per detector cell in air [ours]


def scanner(shape: tuple[int, int, int]) -> Cone:
    """The cone beam that scans a volume of `shape`: as many cells as it is wide, about as many views, a full circle."""
    from radloom.operators.ct import Cone, full_circle

    wide, tall = FIELD_MM[0] / 2, FIELD_MM[2] / 2
    cell = 2 * wide * DETECTOR_MM / math.sqrt(SOURCE_MM**2 - wide**2) / shape[0]
    rows = math.ceil(2 * tall * DETECTOR_MM / (SOURCE_MM - wide) / cell)
    views = 6 * max(2, round(shape[0] / 6))  # halves and thirds of it are whole
    return Cone(shape, FIELD_MM[0] / shape[0], full_circle(views), shape[0], cell, rows, cell, SOURCE_MM, DETECTOR_MM)


def subject(index: int, request: Request) -> Case:
    """The scan of subject `index`, a pure function of the request's seed, shape and variant and of `index`.

    Variant "images": HU volumes on one grid. Variant "projections": line integrals, (cells, rows, views).
    """

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(request.seed, "breast-cbct", index, name)

    habit = draw_build(rng=stream("build"))
    nx, ny, nz = request.shape
    # A body has no voxels: it is projected from a grid twice as fine as the one that the images are made on.
    breast = build(breast_grid((2 * nx, 2 * ny, 2 * nz)), habit, rng=stream("anatomy"))
    site, vendor, photons = SITES[stream("site").integers(len(SITES))]
    clean = line_integrals(breast.attenuation, request.shape)
    noisy = measured(clean, photons, rng=stream("noise"))
    images = _stacks(clean, noisy, request) if request.variant == "projections" else _volumes(breast, noisy, request)
    held = halved(breast.gland).sum() / max(float(halved(breast.breast).sum()), 1e-9)
    labels = {
        "label.masses": len(habit.masses),
        "label.mass_mm": round(2 * max((one.radius for one in habit.masses), default=0.0), 1),
        "label.malignant": int(any(one.malignant for one in habit.masses)),
        "label.calcifications": breast.specks,
        "label.gland": round(float(held), 3),
        "label.density": density_class(float(held)),
    }
    name = f"sub-{index:04d}"
    return Case(name, name, images, labels, site=site, vendor=vendor)


def line_integrals(attenuation: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """float64 (views, cells, rows): noise-free projections of a volume of twice `shape` by the scanner of `shape`."""
    import torch

    from radloom.operators.ct import Projector

    geometry = scanner(shape)
    fine = replace(geometry, size=attenuation.shape, spacing_mm=geometry.spacing_mm / 2)
    return Projector(fine)(torch.from_numpy(attenuation)[None, None])[0, 0].double().numpy()


def measured(clean: np.ndarray, photons: float, *, rng: np.random.Generator) -> np.ndarray:
    """Line integrals as a detector with `photons` for each unattenuated ray tells them."""
    counts = rng.poisson(photons * np.exp(-clean)) + ELECTRONIC_SD * rng.standard_normal(clean.shape)
    return -np.log(np.maximum(counts, 1.0) / photons)


def reconstructed(projections: np.ndarray, shape: tuple[int, int, int], every: int) -> np.ndarray:
    """int16 HU (x, y, z): FDK with the standard kernel from every `every`-th view of (views, cells, rows)."""
    import torch

    from radloom.operators.ct import sparse
    from radloom.operators.ct_reconstruct import fdk

    views = torch.from_numpy(np.ascontiguousarray(projections[::every])).float()[None, None]
    mu = fdk(views, sparse(scanner(shape), every))[0, 0].numpy()
    return np.rint(np.clip(1000 * (mu / WATER - 1), -1024, 3071)).astype(np.int16)


def filled(projections: np.ndarray, every: int) -> np.ndarray:
    """The stack with all but every `every`-th view replaced by the line between its measured neighbours, round 360."""
    views = len(projections)
    low = np.arange(views) // every * every
    share = ((np.arange(views) - low) / every)[:, None, None]
    return (1 - share) * projections[low] + share * projections[(low + every) % views]


def _volumes(breast: Breast, noisy: np.ndarray, request: Request) -> dict[str, Image]:
    grid = breast_grid(request.shape)
    found: dict[str, Image] = {}
    for key in request.images:
        if key == "truth":
            hu = np.rint(1000 * (halved(breast.attenuation) / WATER - 1)).astype(np.int16)
        else:
            hu = reconstructed(noisy, request.shape, EVERY[key])
        found[f"image.{key}"] = Image(hu, grid.affine, unit="HU")
    masks = {
        "mask.breast": halved(breast.breast) >= 0.5,
        "mask.gland": halved(breast.gland) >= 0.5,
        "mask.mass": numbered(tuple(halved(one) for one in breast.masses), request.shape),
        "mask.calcification": halved(breast.calcium) > 0,
    }
    return found | {key: Image(one.astype(np.uint8), grid.affine, kind="label") for key, one in masks.items()}


def _stacks(clean: np.ndarray, noisy: np.ndarray, request: Request) -> dict[str, Image]:
    """Stacks (cells, rows, views) with the cell's side in mm and degrees between views as spacing."""
    geometry = scanner(request.shape)
    affine = _stack_affine(geometry)
    found: dict[str, Image] = {}
    for key in request.images:
        stack = clean if key == "truth" else filled(noisy, EVERY[key])
        found[f"image.{key}"] = Image(np.moveaxis(stack, 0, -1).astype(np.float32), affine)
    views = np.arange(len(geometry.angles))
    masks = {"mask.breast": np.moveaxis(clean > WATER, 0, -1)}  # a millimetre of water and more
    masks |= {
        f"mask.{key}": np.broadcast_to(views % EVERY[key] == 0, masks["mask.breast"].shape) for key in ("half", "third")
    }
    return found | {key: Image(one.astype(np.uint8), affine, kind="label") for key, one in masks.items()}


def _stack_affine(geometry: Cone) -> np.ndarray:
    size = (geometry.cells, geometry.rows, len(geometry.angles))
    spacing = (geometry.cell_mm, geometry.row_mm, 360.0 / size[2])
    first = [-d * (n - 1) / 2 for d, n in zip(spacing[:2], size[:2], strict=True)]
    return Grid(size, (first[0], first[1], 0.0), spacing).affine
