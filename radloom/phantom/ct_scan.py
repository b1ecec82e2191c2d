"""What a CT scanner makes of a volume in HU: kernel, slice profile and correlated quantum noise; no projections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, sparse

from radloom.phantom.fields import Grid

MU_WATER = 0.1929  # 1/cm at 70 keV (SYSTEMS-direct 4.4)
CELL_CM, VIEWS = 0.07, 720  # the scanner whose noise is modelled: detector cell at the isocentre, views per turn
ELECTRONIC = 10.0  # variance of the detector's own noise, photons^2
DIRECTIONS = 6
Kernel = Callable[[np.ndarray], np.ndarray]


def smooth(f: np.ndarray) -> np.ndarray:
    """Hann window that ends at 0.6 of the Nyquist frequency; f is a fraction of it."""
    return np.where(f < 0.6, 0.5 + 0.5 * np.cos(np.pi * np.minimum(f / 0.6, 1)), 0.0)


def standard(f: np.ndarray) -> np.ndarray:
    """Hann window that ends at the Nyquist frequency."""
    return np.where(f < 1, 0.5 + 0.5 * np.cos(np.pi * np.minimum(f, 1)), 0.0)


def bone(f: np.ndarray) -> np.ndarray:
    """The bare ramp: no window."""
    return np.where(f <= 1, 1.0, 0.0)


def sharp(f: np.ndarray) -> np.ndarray:
    """Edges lifted by up to 1 + 3 f^2, tapered to nothing between 0.6 and 0.9 of the Nyquist frequency."""
    taper = 0.5 + 0.5 * np.cos(np.pi * np.clip((f - 0.6) / 0.3, 0, 1))
    return (1 + 3 * f**2) * taper


@dataclass(frozen=True)
class Protocol:
    """How a scan is made: kernel and photons per detector cell in air."""

    kernel: Kernel
    photons: float


def ct_scan(hu: np.ndarray, grid: Grid, protocol: Protocol, *, rng: np.random.Generator) -> np.ndarray:
    """int16 HU: the volume seen through the protocol's kernel, with its noise.

    The kernel and the noise's spectrum scale with the pixel: their Nyquist frequency is the grid's own, as if the
    detector's cells were as wide as its pixels, while the noise's standard deviation is that of a scanner with
    0.7 mm cells. A coarse grid is thus a small model of a fine scan, noise and sharpness of kernels included.
    """
    seen = _filtered(np.asarray(hu, np.float32), _window(grid, protocol.kernel))
    noisy = seen + noise_hu(hu, grid, protocol, rng=rng)
    return np.rint(np.clip(noisy, -1024, 3071)).astype(np.int16)


def noise_hu(hu: np.ndarray, grid: Grid, protocol: Protocol, *, rng: np.random.Generator) -> np.ndarray:
    """float32 noise, HU: as filtered back-projection makes it, wider and streaked where rays cross much tissue.

    The variance of a filtered back-projection is pi^2 / views times the mean over views of a ray's variance, times
    d * 2 * integral of (f W(f))^2 sinc(f d)^4 (Kak and Slaney 1988, ch. 5; linear interpolation gives the sinc).
    Each direction's share of the spectrum takes the variance of its own rays.
    """
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    spectrum = np.asarray(fft.rfft2(white, axes=(0, 1)))
    amplitude, turn = _noise_amplitude(grid, protocol.kernel)
    attenuation = np.maximum(1 + np.asarray(hu, np.float32) / 1000, 0).reshape(-1, hu.shape[2]) * MU_WATER
    scale = 1000 / MU_WATER * np.sqrt(np.pi**2 / VIEWS * _filter_power(protocol.kernel))
    total = np.zeros(hu.shape, np.float32)
    for k in range(DIRECTIONS):
        rays = _rays(grid, k)
        photons = protocol.photons * np.exp(-(rays @ attenuation) * _path_cm(grid))
        variance = rays.T @ (1 / photons * (1 + ELECTRONIC / photons))
        share = np.clip(1 - np.abs((turn - k * np.pi / DIRECTIONS + np.pi / 2) % np.pi - np.pi / 2)
                        / (np.pi / DIRECTIONS), 0, 1)  # fmt: skip
        part = np.asarray(fft.irfft2(spectrum * (amplitude * share)[..., None], s=hu.shape[:2], axes=(0, 1)))
        total += part * np.sqrt(variance).reshape(hu.shape).astype(np.float32) * np.float32(scale)
    return total


def _frequencies(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """(x, y/2+1): spatial frequency as a fraction of the grid's Nyquist frequency, and its direction."""
    fx = 2 * fft.fftfreq(grid.shape[0])[:, None]
    fy = 2 * fft.rfftfreq(grid.shape[1])[None]
    return np.hypot(fx, fy), np.arctan2(fy, fx)


def _window(grid: Grid, kernel: Kernel) -> np.ndarray:
    return kernel(_frequencies(grid)[0]).astype(np.float32)


def _noise_amplitude(grid: Grid, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude that gives white noise unit variance and the kernel's spectrum, and each frequency's direction."""
    f, turn = _frequencies(grid)
    amplitude = np.sqrt(f) * kernel(f) * np.sinc(f / 2) ** 2
    double = np.full(f.shape[1], 2.0)  # rfft keeps one of each pair of frequencies
    double[0] = 1
    if grid.shape[1] % 2 == 0:
        double[-1] = 1
    power = (amplitude**2 * double).sum() / (grid.shape[0] * grid.shape[1])
    return (amplitude / np.sqrt(max(power, 1e-12))).astype(np.float32), turn


def _filter_power(kernel: Kernel) -> float:
    """Integral of (f W)^2 sinc^4 times the cell, 1/cm^2: a ray's variance times this is the filtered one's."""
    f = (np.arange(4000) + 0.5) / 4000
    nyquist = 1 / (2 * CELL_CM)
    return float(CELL_CM * 2 * np.mean((f * nyquist * kernel(f)) ** 2 * np.sinc(f / 2) ** 4) * nyquist)


def _path_cm(grid: Grid) -> float:
    dx, dy = grid.spacing_mm[:2]
    return dx * dy / min(dx, dy) / 10


@lru_cache(maxsize=4 * DIRECTIONS)
def _ray_matrix(nx: int, ny: int, dx: float, dy: float, k: int) -> sparse.csr_matrix:
    """(rays, pixels): each pixel's shares of the two parallel rays nearest to it, at direction k."""
    angle, width = k * np.pi / DIRECTIONS, min(dx, dy)
    x, y = (np.arange(nx) - (nx - 1) / 2) * dx, (np.arange(ny) - (ny - 1) / 2) * dy
    place = (np.add.outer(x * np.cos(angle), y * np.sin(angle)) / width).ravel()
    place -= place.min()
    low = np.floor(place).astype(int)
    share = place - low
    pixels = np.arange(place.size)
    weights = np.concatenate([1 - share, share])
    return sparse.csr_matrix((weights, (np.concatenate([low, low + 1]), np.concatenate([pixels, pixels]))))


def _rays(grid: Grid, k: int) -> sparse.csr_matrix:
    return _ray_matrix(grid.shape[0], grid.shape[1], round(grid.spacing_mm[0], 6), round(grid.spacing_mm[1], 6), k)


def _filtered(hu: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The volume with its in-plane spectrum weighted; air around it keeps the opposite side away."""
    spectrum = np.asarray(fft.rfft2(hu, axes=(0, 1))) * window[..., None]
    return np.asarray(fft.irfft2(spectrum, s=hu.shape[:2], axes=(0, 1)))
