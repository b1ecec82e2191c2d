"""Filtered copies of an image from which radiomic features are taken: wavelet sub-bands and Laplacian of Gaussian."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Spacing, Voxels, as_real, positive, spacing_of

_R = math.sqrt(7)
# Coiflet with two vanishing moments (Daubechies 1992); closed form, in the order of a decomposition filter
LOW = np.array([-3 + _R, 1 - _R, 14 - 2 * _R, 14 + 2 * _R, 5 + _R, 1 - _R]) / (16 * math.sqrt(2))
HIGH = LOW[::-1] * np.array([-1, 1, -1, 1, -1, 1])


def coiflet_subbands(image: Voxels) -> dict[str, np.ndarray]:
    """The undecimated wavelet sub-bands of one level by name ("LLH": high-pass along z): 8 in 3D, 4 in 2D.

    Each axis is filtered by the six-tap coiflet with periodic borders and kept at full size; an axis of odd length
    gets one voxel more (its first) before and loses it after, as in PyRadiomics. Same unit as the image, times
    2^(axes / 2) in "LLL". Blind to: nothing, the sub-bands together hold the image.
    Daubechies I. Ten Lectures on Wavelets. SIAM 1992.

    >>> bands = coiflet_subbands(np.ones((6, 6)))
    >>> sorted(bands), round(float(bands["LL"][0, 0]), 9), round(float(np.abs(bands["LH"]).max()), 9)
    (['HH', 'HL', 'LH', 'LL'], 2.0, 0.0)
    """
    from scipy.ndimage import convolve1d

    values = as_real(image, "the image")
    keep = tuple(slice(0, size) for size in values.shape)
    bands = {"": np.pad(values, [(0, size % 2) for size in values.shape], mode="wrap")}
    for axis in range(values.ndim):
        # an even filter sits half a voxel off; this origin is that of the stationary transform in common use
        bands = {
            name + letter: convolve1d(band, taps, axis=axis, mode="wrap", origin=0)
            for (name, band), (letter, taps) in product(bands.items(), (("L", LOW), ("H", HIGH)))
        }
    return {name: band[keep] for name, band in bands.items()}


def laplacian_of_gaussian(image: Voxels, spacing_mm: Spacing, *, sigma_mm: Number) -> np.ndarray:
    """sigma^2 times the Laplacian of the image smoothed at sigma mm: bright blobs are negative, in the image's unit.

    The recursive filter of SimpleITK, as PyRadiomics uses it. Raises RadloomError when an axis has fewer than 4 voxels.
    Blind to: structures much larger or smaller than sigma.
    Deriche R. IEEE Trans Pattern Anal Mach Intell 1990;12:78-87.

    >>> x = np.arange(64.0)
    >>> slope = laplacian_of_gaussian(np.stack([x] * 16), (1, 1), sigma_mm=2)
    >>> bool(np.abs(slope[:, 20:44]).max() < 1e-2)
    True
    """
    import SimpleITK as sitk

    values = as_real(image, "the image")
    spacing = spacing_of(spacing_mm, values.ndim)
    if min(values.shape) < 4 or values.ndim < 2:
        raise RadloomError(f"the image has shape {values.shape}", expected="at least 4 voxels along each axis")
    picture = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    picture.SetSpacing(spacing)
    found = sitk.LaplacianRecursiveGaussian(picture, sigma=positive(sigma_mm, "sigma_mm"), normalizeAcrossScale=True)
    return sitk.GetArrayFromImage(found).astype(np.float64).T
