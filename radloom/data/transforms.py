"""Invertible steps between grids and units; where the head is: region.py; what a network sees: views.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from scipy import ndimage

from radloom.data.region import background, check_finite, exact_background, foreground
from radloom.errors import RadloomError
from radloom.types import Image

_T = TypeVar("_T")


@dataclass(frozen=True)
class Rescale:
    """Intensities as (v - offset) / scale, without unit.

    source_unit: filled in by `apply`.
    """

    offset: float
    scale: float
    source_unit: str | None = None

    def __post_init__(self) -> None:
        if not np.isfinite([self.offset, self.scale]).all() or self.scale <= 0:
            raise RadloomError(
                f"intensities cannot be rescaled by offset {self.offset:g} and scale {self.scale:g}",
                expected="a finite offset and a scale above 0",
            )

    def apply(self, image: Image) -> Image:
        """The image as (v - offset) / scale in float32."""
        voxels = (image.voxels.astype(np.float32) - np.float32(self.offset)) / np.float32(self.scale)
        done = replace(self, source_unit=image.unit)
        return replace(image, voxels=voxels, unit="1", history=(*image.history, done))

    def inverse(self, image: Image) -> Image:
        """The image as v * scale + offset in the unit before `apply`."""
        voxels = image.voxels.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)
        return replace(image, voxels=voxels, unit=image.unit if self.source_unit is None else self.source_unit)

    def record(self) -> dict[str, Any]:
        """JSON-ready name and parameters."""
        return {"name": "rescale", "offset": self.offset, "scale": self.scale, "source_unit": self.source_unit}


@dataclass(frozen=True)
class PadOrCrop:
    """Voxels added or cut evenly on both sides of each axis until the image has `shape`.

    fill: the value of added voxels; None takes the image's background (0 for labels).
    source_shape: filled in by `apply`.
    """

    shape: tuple[int, int, int]
    fill: float | None = None
    source_shape: tuple[int, int, int] | None = None

    def apply(self, image: Image) -> Image:
        """The image with `shape` around the same centre."""
        fill = background(image) if self.fill is None else self.fill
        done = replace(self, fill=fill, source_shape=image.shape)
        moved = _recentred(image, self.shape, _added_before(image.shape, self.shape), fill)
        return replace(moved, history=(*image.history, done))

    def inverse(self, image: Image) -> Image:
        """The image on the grid before `apply`; voxels that had been cut hold the fill."""
        shape, fill = _applied(self.source_shape, "pad_or_crop"), _applied(self.fill, "pad_or_crop")
        before = tuple(-n for n in _added_before(shape, self.shape))
        return _recentred(image, shape, before, fill)

    def record(self) -> dict[str, Any]:
        """JSON-ready name and parameters."""
        source = None if self.source_shape is None else list(self.source_shape)
        return {"name": "pad_or_crop", "shape": list(self.shape), "fill": self.fill, "source_shape": source}


@dataclass(frozen=True, eq=False)
class Resample:
    """Values at the voxels of another grid: trilinear, smoothed first along axes that lose samples; labels by nearest.

    What was skull-stripped stays stripped: a voxel whose nearest one holds the exact background keeps it, so that no
    halo of mixed values grows around the brain.

    affine, shape: the grid.
    fill: the value outside the image's field of view; None takes the image's background (0 for labels).
    source_affine, source_shape: filled in by `apply`.
    """

    affine: np.ndarray
    shape: tuple[int, int, int]
    fill: float | None = None
    source_affine: np.ndarray | None = None
    source_shape: tuple[int, int, int] | None = None

    def apply(self, image: Image) -> Image:
        """The image on the grid."""
        fill = background(image) if self.fill is None else self.fill
        done = replace(self, fill=fill, source_affine=image.affine, source_shape=image.shape)
        return replace(_on_grid(image, self.affine, self.shape, fill), history=(*image.history, done))

    def inverse(self, image: Image) -> Image:
        """The image interpolated back onto the grid before `apply`."""
        affine, shape = _applied(self.source_affine, "resample"), _applied(self.source_shape, "resample")
        return _on_grid(image, affine, shape, _applied(self.fill, "resample"))

    def record(self) -> dict[str, Any]:
        """JSON-ready name and parameters."""
        return {
            "name": "resample",
            "affine": self.affine.tolist(),
            "shape": list(self.shape),
            "fill": self.fill,
            "source_affine": None if self.source_affine is None else self.source_affine.tolist(),
            "source_shape": None if self.source_shape is None else list(self.source_shape),
        }


def resampled_to_spacing(image: Image, spacing_mm: tuple[float, float, float]) -> Image:
    """The image with this distance between voxels, mm, over the same field of view with the same centre."""
    if min(spacing_mm) <= 0:
        raise RadloomError(f"the spacing {spacing_mm} mm is not possible", expected="three numbers above 0")
    old, new = np.array(image.spacing_mm), np.array(spacing_mm)
    shape = np.maximum(1, np.ceil(np.array(image.shape) * old / new - 1e-3)).astype(int)
    axes = image.affine[:3, :3] / old * new
    centre = image.affine[:3, :3] @ ((np.array(image.shape) - 1) / 2) + image.affine[:3, 3]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, centre - axes @ ((shape - 1) / 2)
    return Resample(affine, (int(shape[0]), int(shape[1]), int(shape[2]))).apply(image)


def resampled_like(image: Image, other: Image) -> Image:
    """The image on the grid of the other."""
    return Resample(other.affine, other.shape).apply(image)


def brain_median_scale(image: Image, mask: np.ndarray | None = None) -> Rescale:
    """The rescaling that puts the background at 0 and the median of the foreground (or of the mask) at 1.

    The median, not a high percentile: a percentile makes the brightness depend on whether there is a lesion.
    """
    check_finite(image)
    inside = image.voxels[foreground(image) if mask is None else mask.astype(bool)]
    offset = background(image)
    scale = float(np.median(inside)) - offset if inside.size else 0.0
    if scale <= 0:
        raise RadloomError(
            f"an image has no foreground brighter than its background ({offset:g})",
            expected="intensities that differ between inside and outside of the head",
            do="run `radloom data audit` to find constant images",
        )
    return Rescale(offset, scale)


def network_scale(image: Image, mask: np.ndarray) -> Rescale:
    """The rescaling to what networks see: HU in units of water (air 0, water 1), else units of the median."""
    check_finite(image)
    scale = Rescale(-1000.0, 1000.0) if image.unit == "HU" else brain_median_scale(image, mask)
    return replace(scale, source_unit=image.unit)


def _applied(value: _T | None, name: str) -> _T:
    if value is None:
        raise RadloomError(f"a {name} step was undone that had not been applied", expected="a step of image.history")
    return value


def _added_before(source: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """Voxels added at the low end of each axis; negative where they are cut."""
    return tuple((new - old) // 2 for old, new in zip(source, target, strict=True))


def _recentred(image: Image, shape: tuple[int, int, int], before: tuple[int, ...], fill: float) -> Image:
    voxels = np.full(shape, fill, dtype=image.voxels.dtype)
    here = [slice(max(0, b), min(new, b + old)) for b, old, new in zip(before, image.shape, shape, strict=True)]
    there = [slice(part.start - b, part.stop - b) for part, b in zip(here, before, strict=True)]
    voxels[tuple(here)] = image.voxels[tuple(there)]
    affine = image.affine.astype(float)
    affine[:3, 3] -= affine[:3, :3] @ np.array(before)
    return replace(image, voxels=voxels, affine=affine)


def _on_grid(image: Image, affine: np.ndarray, shape: tuple[int, int, int], fill: float) -> Image:
    to_source = np.linalg.inv(image.affine) @ affine

    def sampled(voxels: np.ndarray, order: int) -> np.ndarray:
        return ndimage.affine_transform(voxels, to_source, output_shape=shape, order=order, mode="nearest")

    if image.kind == "label":
        voxels = sampled(image.voxels, 0)
    else:
        smooth = ndimage.gaussian_filter(image.voxels.astype(np.float32), _antialias(to_source), mode="nearest")
        voxels = sampled(smooth, 1)
        nothing = exact_background(image.voxels)
        if nothing is not None:
            voxels[sampled((image.voxels == nothing).astype(np.uint8), 0) == 1] = nothing
    voxels[~_in_view(to_source, shape, image.shape)] = fill
    return replace(image, voxels=voxels, affine=np.asarray(affine, dtype=float))


def _antialias(to_source: np.ndarray) -> tuple[float, ...]:
    """Width of the Gaussian along each source axis, voxels, so that its full width at half maximum makes up the
    difference between the two voxel sizes (Cardoso et al. 2015); 0 along axes that lose no samples.
    """
    step = np.linalg.norm(to_source[:3, :3], axis=1)
    return tuple(np.sqrt(np.maximum(step**2 - 1, 0)) / np.sqrt(8 * np.log(2)))


def _in_view(to_source: np.ndarray, shape: tuple[int, int, int], source: tuple[int, int, int]) -> np.ndarray:
    """Where the grid's voxel centres lie inside the source's outermost voxels."""
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = np.ones(shape, dtype=bool)
    for row, length in zip(to_source, source, strict=False):
        place = row[0] * i + row[1] * j + row[2] * k + row[3]
        inside &= (place > -0.5 - 1e-4) & (place < length - 0.5 + 1e-4)
    return inside
