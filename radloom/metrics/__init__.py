"""The numbers by which images and masks are judged, and what one must know of each; no statistics over cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from radloom.metrics import distribution, fidelity, memorisation, overlap


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


@dataclass(frozen=True)
class SetMetric:
    """A function that gives one number, or a result with its interval, per set of cases, from feature matrices (n, d).

    needs: the arguments that it cannot do without; sets first. value_of: the field of the result that holds the number,
    "" when the result is the number. better, unit, cite, blind_to: as in `Metric`.
    """

    name: str
    value: Callable[..., object]
    value_of: str
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

_SETS = ("real", "synthetic")
_DRAWN = (*_SETS, "rng")
_GUARDED = ("training", "synthetic", "held_out")

_ALL_OF_SETS = (
    SetMetric("fid", distribution.fid, "", _SETS, "lower", "feature^2", "heusel2017gans",
              "all but mean and covariance; copies; biased upwards by about 1/n"),
    SetMetric("fid_infinity", distribution.fid_infinity, "value", _DRAWN, "lower", "feature^2", "chong2020effectively",
              "all but mean and covariance; copies; still biased with fewer images than features"),
    SetMetric("kid", distribution.kid, "mean", _DRAWN, "lower", "1", "bikowski2018demystifying",
              "copies; moments above the third"),
    SetMetric("mmd2_polynomial", distribution.mmd2_polynomial, "", _SETS, "lower", "1", "gretton2012kernel",
              "copies; moments above the third"),
    SetMetric("cmmd", distribution.cmmd, "", _SETS, "lower", "1", "jayasumana2024rethinking",
              "copies; scales far from sigma; biased upwards by about 1/n"),
    SetMetric("prdc", distribution.prdc, "coverage", _SETS, "higher", "1", "naeem2020reliable",
              "copies; precision is lifted by one real outlier"),
    SetMetric("improved_precision_recall", distribution.improved_precision_recall, "precision", _SETS, "higher", "1",
              "kynknniemi2019improved", "copies; lifted by one real outlier"),
    SetMetric("prd_curve", distribution.prd_curve, "f8", _DRAWN, "higher", "1", "sajjadi2018assessing",
              "copies; differences within a cluster"),
    SetMetric("frechet_radiomic_distance", distribution.frechet_radiomic_distance, "value", _SETS, "lower", "1",
              "konz2024frechet", "what the radiomic features do not measure; copies; sampling bias"),
    SetMetric("inception_score", distribution.inception_score, "mean", ("logits",), "higher", "1",
              "salimans2016improved", "the real images; variety within a class; meaningless without fitting classes"),
    SetMetric("vendi_score", distribution.vendi_score, "", ("features",), "neither", "1", "friedman2023vendi",
              "whether the images are realistic; noise is diverse"),
    SetMetric("copy_fraction", memorisation.copy_fraction, "fraction", (*_GUARDED, "rng"), "lower", "1",
              "carlini2023extracting", "copies that the extractor places elsewhere; duplicates in the training set"),
    SetMetric("authenticity", memorisation.authenticity, "synthetic", (*_GUARDED, "rng"), "neither", "1",
              "alaa2022faithful", "copies that the extractor places elsewhere; duplicates in the training set"),
    SetMetric("data_copying", memorisation.data_copying, "value", (*_GUARDED, "rng"), "neither", "1",
              "meehan2020nonparametric", "a few copies among many new images"),
    SetMetric("membership_attack", memorisation.membership_attack, "auc", (*_GUARDED, "rng"), "lower", "1",
              "chen2020ganleaks", "attacks that see the model; a few patients who are found with certainty"),
)  # fmt: skip

SET_METRICS: dict[str, SetMetric] = {metric.name: metric for metric in _ALL_OF_SETS}
