"""A fixed multi-scale description of one image that needs no weights: intensities, layout and structure by scale."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Voxels, as_real
from radloom.metrics.features_extractor import Window, window_of

LEVELS = 4
SMALLEST = 32  # voxels along each axis: 4 at the coarsest of 4 scales
BINOMIAL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
FLOOR = 1e-4  # of the window's width, below one step of 12 bit; keeps the logarithm of a flat image finite
GRID = {2: 4, 3: 2}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def multiscale_texture(image: Voxels, *, window: Window) -> np.ndarray:
    """A vector of 44 numbers (2D) or 40 (3D) that describes one image of any size and bit depth; unit 1.

    x = (image - low) / (high - low) with the same window for all images; values outside it are kept, nothing is
    clipped or rounded. A Gaussian pyramid (binomial 1 4 6 4 1, every second voxel) has four scales; for each, log10 of:
    mean |band| (band = scale minus its blur), its root mean square over its mean (sparseness), and mean |difference|
    along each axis; and the mean of sign(band) sqrt |band| (bright against dark detail). Between scales: the
    correlation of |band|. Then five quantiles and the means over a 4 x 4 (2 x 2 x 2) grid of the coarsest scale.
    It is not invariant to rotation, scale or intensity, on purpose. Compare sets only at the same voxel size.
    Raises RadloomError below 32 voxels along an axis. Blind to: fine relations of shape that leave scale energies
    alike; meaning. The design is ours, after Heeger DJ, Bergen JR. SIGGRAPH 1995:229-238.

    >>> found = multiscale_texture(np.zeros((32, 40)), window=(0, 1))
    >>> found.shape, float(found[0])
    ((44,), -4.0)
    """
    values = as_real(image, "the image")
    if values.ndim not in GRID or min(values.shape) < SMALLEST:
        raise RadloomError(
            f"the image has shape {values.shape}", expected=f"2 or 3 axes of at least {SMALLEST} voxels each"
        )
    low, high = window_of(window)
    scale = (values - low) / (high - low)
    found: list[float] = list(np.quantile(scale, QUANTILES))
    structure: list[float] = []
    sizes: list[np.ndarray] = []
    for _ in range(LEVELS):
        blurred = _blur(scale)
        band = scale - blurred
        structure += _of_band(band, scale)
        sizes.append(np.abs(band))
        coarse, scale = scale, blurred[(slice(None, None, 2),) * values.ndim]
    between = [_correlation(fine[tuple(slice(None, None, 2) for _ in fine.shape)], coarser)
               for fine, coarser in pairwise(sizes)]  # fmt: skip
    return np.array([*structure, *between, *found, *_layout(coarse)])


def _of_band(band: np.ndarray, scale: np.ndarray) -> list[float]:
    size = np.abs(band)
    mean = float(size.mean()) + FLOOR
    spread = float(np.sqrt(np.mean(size**2))) + FLOOR
    steps = [float(np.log10(np.mean(np.abs(np.diff(scale, axis=axis))) + FLOOR)) for axis in range(scale.ndim)]
    return [
        float(np.log10(mean)),
        float(np.log10(spread / mean)),
        *steps,
        float(np.mean(np.sign(band) * np.sqrt(size))),
    ]


def _blur(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import correlate1d

    for axis in range(values.ndim):
        values = correlate1d(values, BINOMIAL, axis=axis, mode="reflect")
    return values


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, 0 where either is constant."""
    x, y = a - a.mean(), b - b.mean()
    size = float(np.sqrt(np.sum(x**2) * np.sum(y**2)))
    return float(np.sum(x * y)) / size if size > a.size * FLOOR**2 else 0.0


def _layout(coarse: np.ndarray) -> list[float]:
    """Means over a coarse grid, so that moved anatomy is seen."""
    parts = [coarse]
    for axis in range(coarse.ndim):
        parts = [piece for part in parts for piece in np.array_split(part, GRID[coarse.ndim], axis=axis)]
    return [float(part.mean()) for part in parts]
