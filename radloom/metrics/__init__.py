"""The numbers by which images and masks are judged, and what one must know of each; no statistics over cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from radloom.metrics import fidelity, overlap


@dataclass(frozen=True)
class Metric:
    """A function that gives one value per case, and what one must know before believing it.

    needs: the arguments that it cannot do without, by name and in order; the first ones are images or masks.
    better: the direction of improvement; "neither" for a size.
    unit: "1" is no unit; "image" is the image's own (HU, SUV), "image^2" its square.
    """

    name: str
    value: Callable[..., float]
    needs: tuple[str, ...]
    better: Literal["higher", "lower", "neither"]
    unit: str
    cite: str
    blind_to: str


_IMAGES = ("prediction", "target")
_MASKS = ("predicted", "truth")
_SCALED = (*_IMAGES, "data_range")
_SPACED = (*_MASKS, "spacing_mm")

_ALL = (
    Metric("mse", fidelity.mse, _IMAGES, "lower", "image^2", "wang2009mean",
           "where the error lies; rewards blurring"),
    Metric("rmse", fidelity.rmse, _IMAGES, "lower", "image", "wang2009mean",
           "where the error lies; rewards blurring"),
    Metric("mae", fidelity.mae, _IMAGES, "lower", "image", "willmott2005advantages",
           "where the error lies and its sign; small lesions; background makes it small"),
    Metric("nmse", fidelity.nmse, _IMAGES, "lower", "1", "zbontar2018fastmri",
           "where the error lies; depends on where zero lies, so it means little in HU"),
    Metric("nrmse", fidelity.nrmse, _IMAGES, "lower", "1", "zbontar2018fastmri",
           "where the error lies; three normalisations go by this name"),
    Metric("psnr", fidelity.psnr, _SCALED, "higher", "dB", "huynhthu2008scope",
           "where the error lies; rewards blurring; background and data range move it by several dB"),
    Metric("ssim", fidelity.ssim, _SCALED, "higher", "1", "wang2004image",
           "intensity offsets in bright regions, small lesions, whether sharp detail is true"),
    Metric("ssim_slices", fidelity.ssim_slices, _SCALED, "higher", "1", "wang2004image",
           "what SSIM is blind to, and jumps from slice to slice"),
    Metric("ms_ssim", fidelity.ms_ssim, _SCALED, "higher", "1", "wang2003multiscale",
           "what SSIM is blind to, and intensity errors except at the coarsest scale"),
    Metric("gmsd", fidelity.gmsd, _SCALED, "lower", "1", "xue2014gradient",
           "intensity offsets, and an error that is the same everywhere"),
    Metric("dice", overlap.dice, _MASKS, "higher", "1", "dice1945measures",
           "where the errors lie and their shape; a missed small lesion beside a large one"),
    Metric("iou", overlap.iou, _MASKS, "higher", "1", "jaccard1912distribution",
           "where the errors lie and their shape; a missed small lesion beside a large one"),
    Metric("average_surface_distance", overlap.average_surface_distance, _SPACED, "lower", "mm",
           "heimann2009comparison", "one far outlier among many border voxels"),
    Metric("hausdorff", overlap.hausdorff, _SPACED, "lower", "mm", "huttenlocher1993comparing",
           "everything but the single worst voxel"),
    Metric("hausdorff95", overlap.hausdorff95, _SPACED, "lower", "mm", "maierhein2024metrics",
           "a twentieth of the surface, so a small missed lesion beside a large one"),
    Metric("surface_dice", overlap.surface_dice, (*_SPACED, "tolerance_mm"), "higher", "1", "nikolov2021clinically",
           "errors below the tolerance, how far the others are, volume"),
    Metric("volume", overlap.volume, ("mask", "spacing_mm"), "neither", "mm^3", "",
           "place and shape; partial volume at the border"),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
