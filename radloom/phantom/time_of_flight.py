"""Time-of-flight signals, the slabs of an acquisition and its high- and low-resolution images; no vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.mr_signal import spoiled_gradient_echo

TR_MS, TE_MS, FLIP_DEG = 24.0, 3.6, 18.0
BLOOD_T1_MS, BLOOD_T2_STAR_MS = 1900.0, 165.0  # 3 T
SLAB_MM, SLAB_STEP_MM = 40.0, 30.0  # overlapping slabs: a quarter of each is seen twice


@dataclass(frozen=True)
class Resolution:
    """What the low-resolution acquisition is: k-space kept along x, y (1/n) and slices averaged along z (n)."""

    keep: tuple[int, int]
    slices: int


def inflow(pulses: np.ndarray) -> np.ndarray:
    """Signal of blood that has seen this many pulses, per unit of proton density.

    Mz(n) = Mss + (1 - Mss) (E1 cos a)^n before the pulse; fresh blood (n = 0) is brightest and after many pulses
    blood is a stationary tissue (Haacke et al. 1999, ch. 24).
    """
    e1, angle = np.exp(-TR_MS / BLOOD_T1_MS), np.deg2rad(FLIP_DEG)
    steady = (1 - e1) / (1 - e1 * np.cos(angle))
    longitudinal = steady + (1 - steady) * (e1 * np.cos(angle)) ** pulses
    return longitudinal * np.sin(angle) * np.exp(-TE_MS / BLOOD_T2_STAR_MS)


def stationary(pd: float, t1_ms: float, t2_star_ms: float) -> float:
    """Signal of a tissue that does not move, in the same unit as `inflow`."""
    return float(spoiled_gradient_echo(pd, t1_ms, t2_star_ms, tr=TR_MS, te=TE_MS, flip_deg=FLIP_DEG))


def slabs_over(grid: Grid) -> list[tuple[float, float]]:
    """(low, high) of the slabs, mm along z, that cover the grid from below."""
    z = grid.axes_mm()[2]
    low, count = float(z[0]) - 5.0, int((z[-1] - z[0]) // SLAB_STEP_MM) + 1
    return [(low + k * SLAB_STEP_MM, low + k * SLAB_STEP_MM + SLAB_MM) for k in range(count)]


def slab_of(z_mm: np.ndarray, slabs: list[tuple[float, float]]) -> np.ndarray:
    """Index of the slab whose centre is nearest to each z: that slab's image is kept."""
    centres = np.array([(low + high) / 2 for low, high in slabs])
    return np.abs(np.asarray(z_mm)[..., None] - centres).argmin(-1)


def magnitude(signal: np.ndarray, sd: float, *, rng: np.random.Generator) -> np.ndarray:
    """Rician magnitude of the signal with complex noise of standard deviation `sd` per channel."""
    return np.hypot(signal + sd * rng.standard_normal(signal.shape), sd * rng.standard_normal(signal.shape))


def low_resolution(
    signal: np.ndarray, grid: Grid, how: Resolution, sd: float, *, shift_mm: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The object scanned again in less time, on the same grid: k-space cropped in plane, thick slices, its own noise.

    sd: noise per channel of the high-resolution scan. A voxel is n times as large and is measured in 1/n of the
    time, so that its noise falls by sqrt(n) only. shift_mm (3,): the patient has moved a little in between.
    """
    moved = ndimage.shift(signal, np.asarray(shift_mm) / grid.spacing_mm, order=1, mode="nearest")
    phase = np.exp(0.8j * smooth_field(grid, 60.0, rng=rng))
    thick = ndimage.uniform_filter1d(moved * phase, how.slices, axis=2, mode="nearest")
    # Slices that do not overlap: the middle of every block, then interpolated along z.
    middles = np.minimum(np.arange(how.slices // 2, signal.shape[2] + how.slices // 2, how.slices), signal.shape[2] - 1)
    middles = np.unique(middles)
    kept = _cropped(thick[:, :, middles], how.keep)
    volume = np.prod(how.keep) * how.slices
    coarse = kept + _cropped(_complex_noise(kept.shape, sd, rng=rng), how.keep) * np.sqrt(np.prod(how.keep) / volume)
    return _interpolated(np.abs(coarse), middles, signal.shape[2])


def _cropped(image: np.ndarray, keep: tuple[int, int]) -> np.ndarray:
    """The image with the outer k-space along x and y set to 0 behind a soft edge, as a scanner fills it."""
    spectrum = np.fft.fft2(image, axes=(0, 1))
    for axis, n in enumerate(keep):
        frequency = np.abs(np.fft.fftfreq(image.shape[axis]))
        edge = 0.5 / n
        window = np.where(frequency <= edge, 0.75 + 0.25 * np.cos(np.pi * frequency / edge), 0.0) if n > 1 else 1.0
        spectrum *= np.reshape(np.broadcast_to(window, frequency.shape), [-1 if i == axis else 1 for i in range(3)])
    return np.fft.ifft2(spectrum, axes=(0, 1))


def _complex_noise(shape: tuple[int, ...], sd: float, *, rng: np.random.Generator) -> np.ndarray:
    return sd * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


def _interpolated(image: np.ndarray, middles: np.ndarray, count: int) -> np.ndarray:
    """Slices at the places `middles` interpolated linearly to 0, 1, ..., count - 1."""
    at = np.interp(np.arange(count), middles, np.arange(len(middles)))
    low = np.minimum(at.astype(int), max(len(middles) - 2, 0))
    high = np.minimum(low + 1, len(middles) - 1)
    return image[:, :, low] * (1 - (at - low)) + image[:, :, high] * (at - low)
