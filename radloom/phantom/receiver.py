"""What every MR image of a brain goes through: point spread, bias field and Rician noise; no tissues."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from radloom.phantom.fields import Grid

FWHM_PER_SD = 2.3548
WHITE_UNITS = 500.0  # white matter's value in the stored image before the scanner's gain


def blurred(signal: np.ndarray, brain: np.ndarray, width_mm: float, grid: Grid) -> np.ndarray:
    """The signal under the scanner's in-plane point spread; the brain's edge is not darkened by the background."""
    sd = [width_mm / FWHM_PER_SD / spacing for spacing in grid.spacing_mm[:2]] + [0.0]
    weight = ndimage.gaussian_filter(brain.astype(np.float64), sd)
    return ndimage.gaussian_filter(signal, sd) / np.maximum(weight, 1e-3)


def log_bias(grid: Grid, amplitude: float, *, rng: np.random.Generator) -> np.ndarray:
    """A random polynomial of degree 3 over the head whose largest magnitude on the grid's box is `amplitude`."""
    x, y, z = (
        (axis - centre) / half
        for axis, centre, half in zip(grid.axes_mm(), (0.0, -17.0, 20.0), (96.0, 96.0, 60.0), strict=True)
    )
    coefficients = rng.standard_normal((4, 4, 4))
    degree = np.add.outer(np.add.outer(np.arange(4), np.arange(4)), np.arange(4))
    coefficients = np.where((degree > 0) & (degree <= 3), coefficients, 0.0)
    corners = np.linspace(-1, 1, 9)  # the amplitude is set on a fixed lattice, so that it does not depend on the grid
    scale = np.abs(np.polynomial.polynomial.polygrid3d(corners, corners, corners, coefficients)).max()
    return amplitude / scale * np.polynomial.polynomial.polygrid3d(x, y, z, coefficients)


def rician(signal: np.ndarray, sd: float, *, rng: np.random.Generator) -> np.ndarray:
    """Magnitude of the signal with complex Gaussian noise of standard deviation `sd` in each channel."""
    real = signal + sd * rng.standard_normal(signal.shape)
    return np.hypot(real, sd * rng.standard_normal(signal.shape))
