"""Seven ways to scan one chest: vendor, dose and kernel make sharpness, noise, slices and faults; no anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from radloom.phantom.fields import Grid

MU_WATER = 0.01929  # 1/mm at 70 keV (SYSTEMS-direct 4.4)
VIEWS, CELL_MM = 720, 0.7  # of the scanner whose noise is modelled
ELECTRONIC = 10.0  # variance of the detector's own noise, photons^2


@dataclass(frozen=True)
class Style:
    """How a group of scans is made.

    photons: per detector cell in air. lift: of the kernel at high frequencies. taper: where it begins and ends to
    fall, as fractions of the Nyquist frequency. slice_mm: full width of the slice profile. offset_hu, ring_hu: faults.
    """

    group: int
    vendor: str
    dose: str
    kernel: str
    photons: float
    lift: float
    taper: tuple[float, float]
    slice_mm: float
    offset_hu: float
    ring_hu: float

    @property
    def site(self) -> str:
        """Such as "A-standard-sharp"."""
        return f"{self.vendor}-{self.dose}-{self.kernel}"

    def window(self, f: np.ndarray) -> np.ndarray:
        """The kernel at frequencies f (fractions of Nyquist); 1 at 0, so that the mean HU stays."""
        low, high = self.taper
        fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((f - low) / (high - low), 0, 1))
        return (1 + self.lift * f**2) * fall


STYLES = (  # the first is the target of Hwang et al. 2023: vendor A, standard dose, sharp; the numbers are ours
    Style(1, "A", "standard", "sharp", 2.5e5, 2.2, (0.60, 1.00), 3.0, 0.0, 0.0),
    Style(2, "A", "low", "medium", 6.0e4, 0.0, (0.05, 0.85), 4.0, 0.0, 0.0),
    Style(3, "B", "standard", "sharp", 2.2e5, 1.4, (0.50, 0.95), 3.0, 5.0, 0.0),
    Style(4, "B", "low", "medium", 5.0e4, 0.0, (0.00, 0.75), 5.0, 5.0, 2.0),
    Style(5, "C", "standard", "medium", 2.0e5, 0.0, (0.10, 0.80), 5.0, -8.0, 4.0),
    Style(6, "D", "standard", "medium", 3.0e5, 0.3, (0.10, 0.90), 4.0, 3.0, 0.0),
    Style(7, "D", "low", "sharp", 7.0e4, 3.0, (0.60, 0.90), 2.5, 3.0, 0.0),
)


def scan(hu: np.ndarray, grid: Grid, style: Style, *, rng: np.random.Generator) -> np.ndarray:
    """int16 HU: the volume as this group's scanner shows it.

    Kernel and noise spectrum scale with the pixel, as if detector cells were as wide as pixels, so that a coarse grid
    is a small model of a fine scan; the noise's standard deviation is that of a scanner with 0.7 mm cells.
    """
    sd = style.slice_mm / 2.3548 / grid.spacing_mm[2]
    seen = ndimage.gaussian_filter1d(hu, sd, axis=2, mode="nearest") if sd > 0.2 else hu
    f, _ = _frequencies(grid)
    spectrum = fft.rfft2(np.asarray(seen, np.float32), axes=(0, 1)) * style.window(f).astype(np.float32)[..., None]
    seen = fft.irfft2(spectrum, s=hu.shape[:2], axes=(0, 1))
    seen = seen + noise(hu, grid, style, rng=rng) + style.offset_hu + rings(grid, style, rng=rng)
    return np.rint(np.clip(seen, -1024, 3071)).astype(np.int16)


def noise(hu: np.ndarray, grid: Grid, style: Style, *, rng: np.random.Generator) -> np.ndarray:
    """float32 HU: noise of filtered back-projection, stronger and streaked along rays that cross much tissue.

    The variance is pi^2 / views times the mean over views of a ray's variance e^p / I0 (1 + s^2 e^p / I0), times the
    filter's power (Kak and Slaney 1988, ch. 5). The rays along x and those along y stand for all: the frequencies
    across each direction carry the variance of its rays.
    """
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    f, turn = _frequencies(grid)
    amplitude = np.sqrt(f) * style.window(f) * np.sinc(f / 2) ** 2
    twice = np.where((np.arange(f.shape[1]) == 0) | (2 * np.arange(f.shape[1]) == grid.shape[1]), 1.0, 2.0)
    amplitude /= np.sqrt(max(float((amplitude**2 * twice).sum()) / (grid.shape[0] * grid.shape[1]), 1e-12))
    spectrum = fft.rfft2(white, axes=(0, 1))
    mu = np.maximum(1 + np.asarray(hu, np.float32) / 1000, 0) * MU_WATER
    scale = 1000 / MU_WATER * np.sqrt(np.pi**2 / VIEWS * filter_power(style))
    total = np.zeros(hu.shape, np.float32)
    for axis, share in ((0, np.sin(turn)), (1, np.cos(turn))):  # rays along x are measured along y
        photons = style.photons * np.exp(-mu.sum(axis, keepdims=True) * grid.spacing_mm[axis])
        sd = np.sqrt(1 / photons * (1 + ELECTRONIC / photons)) * scale
        part = fft.irfft2(spectrum * (amplitude * np.abs(share)).astype(np.float32)[..., None], s=hu.shape[:2],
                          axes=(0, 1))  # fmt: skip
        total += part * sd.astype(np.float32)
    return total


def filter_power(style: Style) -> float:
    """1/mm^2: what the kernel makes of a ray's variance, the cell times the integral of (f W)^2 sinc^4 over f."""
    f = (np.arange(2000) + 0.5) / 2000
    nyquist = 1 / (2 * CELL_MM)
    return float(CELL_MM * 2 * nyquist * np.mean((f * nyquist * style.window(f)) ** 2 * np.sinc(f / 2) ** 4))


def rings(grid: Grid, style: Style, *, rng: np.random.Generator) -> np.ndarray:
    """float32 HU (x, y, 1): faint rings about the isocentre from cells that count a little wrong."""
    x, y, _ = grid.axes_mm()
    radius = np.hypot(x[:, None], y[None])
    places = np.arange(0, 400, 3.0)
    heights = rng.standard_normal(places.size) * style.ring_hu
    return np.interp(radius, places, heights)[..., None].astype(np.float32)


def _frequencies(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """(x, y/2+1): in-plane frequency as a fraction of the grid's Nyquist frequency, and its direction."""
    fx, fy = 2 * fft.fftfreq(grid.shape[0])[:, None], 2 * fft.rfftfreq(grid.shape[1])[None]
    return np.hypot(fx, fy), np.arctan2(fy, fx)
