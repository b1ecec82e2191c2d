"""How close a synthetic image is to the real one, voxel by voxel and in structure; no sets of images here.

Every function takes ONE image (x, y) or (x, y, z), numpy or torch, and returns one float computed in float64. Average
over cases afterwards: the mean of PSNR is not the PSNR of the mean error. `prediction` comes first, `target` second;
only NMSE and NRMSE notice when they are swapped.
`mask` (boolean, same shape) keeps the voxels inside; `data_range` is the width of the intensity scale (HU window,
maximum of the cohort's target, 1 for [0, 1]) and is never taken from the two images themselves.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Voxels, positive, real_pair, region
from radloom.metrics.structural import gmsd, ms_ssim, ssim, ssim_slices

__all__ = ["gmsd", "mae", "ms_ssim", "mse", "nmse", "nrmse", "psnr", "rmse", "ssim", "ssim_slices"]

Normalisation = Literal["euclidean", "range", "mean"]


def mse(prediction: Voxels, target: Voxels, *, mask: Voxels | None = None) -> float:
    """Mean squared error, in squared units of the image; 0 is best.

    MSE = 1/N sum_i (p_i - t_i)^2 over the voxels of the image (or of the mask), shapes (x, y) or (x, y, z).
    Blind to: where the error lies and whether it is one lost lesion or even noise; rewards blurring, because the mean
    of all plausible images minimises it. One bright vessel can outweigh everything else.
    Wang Z, Bovik AC. IEEE Signal Process Mag 2009;26:98-117.

    >>> mse(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 2.0]]))
    1.0
    """
    p, t = _inside(prediction, target, mask)
    return float(np.mean((p - t) ** 2))


def rmse(prediction: Voxels, target: Voxels, *, mask: Voxels | None = None) -> float:
    """Root mean squared error, in units of the image (HU, SUV); 0 is best.

    RMSE = sqrt(MSE). Blind to: what MSE is blind to. Wang Z, Bovik AC. IEEE Signal Process Mag 2009;26:98-117.

    >>> rmse(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0]])) == 12.5**0.5
    True
    """
    return math.sqrt(mse(prediction, target, mask=mask))


def mae(prediction: Voxels, target: Voxels, *, mask: Voxels | None = None) -> float:
    """Mean absolute error, in units of the image (HU, SUV); 0 is best.

    MAE = 1/N sum_i |p_i - t_i|, shapes (x, y) or (x, y, z).
    Blind to: where the error lies and its sign; a small lesion that is missing hardly moves it, and a large empty
    background makes it small (give a mask). Willmott CJ, Matsuura K. Clim Res 2005;30:79-82.

    >>> mae(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 0.0]]))
    1.0
    """
    p, t = _inside(prediction, target, mask)
    return float(np.mean(np.abs(p - t)))


def nmse(prediction: Voxels, target: Voxels, *, mask: Voxels | None = None) -> float:
    """Squared error over the target's energy, unit 1; 0 is best, an image of zeros has 1.

    NMSE = |p - t|^2 / |t|^2 (fastMRI: Zbontar J et al. arXiv 1811.08839), shapes (x, y) or (x, y, z).
    Blind to: what MSE is blind to, and its size depends on where zero lies, so it means little in HU.
    Raises RadloomError when the target is zero everywhere.

    >>> nmse(np.array([[3.0, 0.0]]), np.array([[3.0, 4.0]])) == 16 / 25
    True
    """
    p, t = _inside(prediction, target, mask)
    energy = float(np.sum(t**2))
    if energy == 0:
        raise RadloomError("the target is zero everywhere", expected="some signal to divide by", do="use mse")
    return float(np.sum((p - t) ** 2)) / energy


def nrmse(
    prediction: Voxels, target: Voxels, *, normalisation: Normalisation = "euclidean", mask: Voxels | None = None
) -> float:
    """Root mean squared error over the target's size, unit 1; 0 is best. Name the normalisation where you print it.

    NRMSE = RMSE / s with s = sqrt(mean t^2) for "euclidean" (then NRMSE^2 = NMSE), max t - min t for "range",
    mean t for "mean"; all over the mask when there is one. scikit-image calls "range" min-max.
    Blind to: what MSE is blind to; "range" shrinks when the target has one bright voxel, and "euclidean" and "mean"
    depend on where zero lies. Raises RadloomError when s is not above 0 (a constant target for "range").

    >>> nrmse(np.array([[0.0, 4.0]]), np.array([[0.0, 2.0]]), normalisation="range") == 2**0.5 / 2
    True
    """
    p, t = _inside(prediction, target, mask)
    sizes = {"euclidean": lambda: math.sqrt(np.mean(t**2)), "range": lambda: np.ptp(t), "mean": lambda: np.mean(t)}
    if normalisation not in sizes:
        raise RadloomError(f"unknown normalisation {normalisation!r}", expected=" or ".join(sizes))
    size = float(sizes[normalisation]())
    if size <= 0:
        raise RadloomError(
            f"the target's {normalisation} size is {size:g}", expected="a target that is not constant and above 0 there"
        )
    return math.sqrt(np.mean((p - t) ** 2)) / size


def psnr(prediction: Voxels, target: Voxels, *, data_range: Number, mask: Voxels | None = None) -> float:
    """Peak signal-to-noise ratio, dB; higher is better, inf for identical images (leave those out of a mean, counted).

    PSNR = 10 log10(R^2 / MSE) with R = data_range, shapes (x, y) or (x, y, z).
    Blind to: what MSE is blind to. Two PSNR values compare only at the same R, the same mask and the same region:
    empty background raises it by several dB. Huynh-Thu Q, Ghanbari M. Electron Lett 2008;44:800-801.

    >>> round(psnr(np.array([[0.0, 0.1]]), np.array([[0.1, 0.0]]), data_range=1), 12)
    20.0
    """
    width = positive(data_range, "data_range")
    error = mse(prediction, target, mask=mask)
    return 10 * math.log10(width**2 / error) if error > 0 else math.inf


def _inside(prediction: Voxels, target: Voxels, mask: Voxels | None) -> tuple[np.ndarray, np.ndarray]:
    p, t = real_pair(prediction, target)
    inside = region(mask, t)
    return (p, t) if inside is None else (p[inside], t[inside])
