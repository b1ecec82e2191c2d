"""Seven ways to scan one chest: vendor, dose and kernel make sharpness, noise, slices and faults; no anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.phantom.ct_scan import Protocol, ct_scan
from radloom.phantom.fields import Grid


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
    """int16 HU: the volume as this group's scanner shows it; see `ct_scan` for kernel and noise."""
    faults = style.offset_hu + rings(grid, style, rng=rng)
    seen = slice_averaged(np.asarray(hu, np.float32), grid, style.slice_mm) + faults
    return ct_scan(seen, grid, Protocol(style.window, style.photons), rng=rng)


def slice_averaged(hu: np.ndarray, grid: Grid, thickness_mm: float) -> np.ndarray:
    """The volume averaged along z over a Gaussian slice profile of this full width at half maximum, mm."""
    sd = thickness_mm / 2.3548 / grid.spacing_mm[2]
    return ndimage.gaussian_filter1d(hu, sd, axis=2, mode="nearest") if sd > 0.2 else hu


def rings(grid: Grid, style: Style, *, rng: np.random.Generator) -> np.ndarray:
    """float32 HU (x, y, 1): faint rings about the isocentre from cells that count a little wrong."""
    x, y, _ = grid.axes_mm()
    radius = np.hypot(x[:, None], y[None])
    places = np.arange(0, 400, 3.0)
    heights = rng.standard_normal(places.size) * style.ring_hu
    return np.interp(radius, places, heights)[..., None].astype(np.float32)
