"""Radiographs from millimetres of soft tissue and bone: exposures, dual-energy separation, two vendors; no anatomy.

A beam is the name of one of the spectra of `operators.xray_spectrum`, whose torch is loaded when a film is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

BONE_HU, ONSET_HU = 1558.0, 60.0  # cortical bone at 70 keV; where a voxel begins to count as bone
STANDARD, LOW = "120 kVp", "60 kVp"
NYQUIST_LP_MM = 1.25  # of 0.4 mm pixels, which the grid's pixels stand for
SCATTER, SCATTER_MM, GRID_LEAK = 0.3, 60.0, 0.005  # share of the primary, its spread, what a correction leaves of it
GLARE, LEAST = (
    0.35,
    0.3,
)  # ours: frequencies below this share of Nyquist's are restored; least share of a ray that stays
NOISY = 0.008  # ours: share of the low-energy beam at which bone is smoothed half as for a dense patient
WHITE_LEVEL = 4095


@dataclass(frozen=True)
class Vendor:
    """A detector and its processing; the numbers are ours, within SYSTEMS-direct 4.5.

    f0: of the transfer exp(-f / f0), line pairs per mm. photons: per pixel in air. grain: share of the noise with a
    1/f spectrum. sharpen: gain of the unsharp mask. gamma: of the look-up table.
    """

    name: str
    site: str
    f0: float
    photons: float
    grain: float
    sharpen: float
    gamma: float


VENDORS = (
    Vendor("A", "north", 1.5, 2.0e5, 0.0, 0.45, 1.12),
    Vendor("B", "south", 2.5, 8.0e4, 0.5, 1.1, 0.86),
)


@dataclass(frozen=True, eq=False)
class Layers:
    """Water-equivalent soft tissue and cortical bone along each ray, mm (x, z), and the pixel's side, mm."""

    soft: np.ndarray
    bone: np.ndarray
    pixel_mm: float


def projected(hu: np.ndarray, *, depth_mm: float, pixel_mm: float) -> Layers:
    """Thicknesses along y of a volume in HU (x, y, z) whose voxels are `depth_mm` deep.

    A voxel is bone to clip((HU - 60) / 1498, 0, 1); the rest is soft tissue of its water-equivalent density.
    """
    bone = np.clip((hu - ONSET_HU) / (BONE_HU - ONSET_HU), 0, 1)
    soft = (1 - bone) * np.maximum(1 + hu / 1000, 0)
    return Layers(soft.sum(1, dtype=np.float64) * depth_mm, bone.sum(1, dtype=np.float64) * depth_mm, pixel_mm)


def exposed(layers: Layers, beam: str, vendor: Vendor, *, scatter: float, rng: np.random.Generator) -> np.ndarray:
    """Log-attenuation that the detector measures (x, z): the whole spectrum, scatter, blur and quantum noise."""
    primary = np.exp(-attenuated(layers.soft, layers.bone, beam))
    spread = SCATTER_MM / layers.pixel_mm
    # Only what meets the body scatters; an unweakened ray passes through air.
    seen = primary + scatter * ndimage.gaussian_filter(primary * (1 - primary) ** 2, spread, mode="nearest")
    seen = _passed(seen, lambda f: np.exp(-f * NYQUIST_LP_MM / vendor.f0))
    mean = np.maximum(seen, 1e-6) * vendor.photons
    white, grainy = rng.standard_normal((2, *seen.shape))
    f = _frequency(seen.shape)
    colour = np.where(f > 0, 1 / np.maximum(f, 1e-6), 0.0)
    twice = np.minimum(np.arange(f.shape[1]), 1) + 1  # rfft keeps one of each pair of frequencies
    colour /= np.sqrt((colour**2 * twice).sum() / seen.size)
    noise = np.sqrt(1 - vendor.grain) * white + np.sqrt(vendor.grain) * _filtered(grainy, colour)
    return -np.log(np.maximum(mean + np.sqrt(mean) * noise, 1) / vendor.photons)


def attenuated(soft: np.ndarray, bone: np.ndarray, beam: str) -> np.ndarray:
    """Noise-free log-attenuation of a hardening beam behind millimetres of soft tissue and bone."""
    import torch

    from radloom.operators.xray import Thickness
    from radloom.operators.xray_spectrum import log_attenuation, shipped

    return log_attenuation(Thickness(torch.from_numpy(soft), torch.from_numpy(bone)), shipped(beam)).numpy()


def without_glare(log_attenuation: np.ndarray, vendor: Vendor) -> np.ndarray:
    """The log-attenuation with the low frequencies of the detector's transfer restored; edges stay as blurred.

    The tails of exp(-f / f0) carry light from air and lungs behind the spine, more than the few rays that pass it; a
    subtraction of two energies needs them gone (Seibert et al., Med Phys 1985;12:281-288).
    """
    seen = np.exp(-log_attenuation)
    restored = _passed(seen, lambda f: np.exp(f * NYQUIST_LP_MM / vendor.f0 * np.exp(-((f / GLARE) ** 2))))
    return -np.log(np.maximum(restored, LEAST * seen))


def separated(high: np.ndarray, low: np.ndarray, *, smooth_px: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Log-attenuation of soft tissue alone in the standard beam, and millimetres of bone, from two exposures.

    Both thicknesses are solved for with the hardening of both beams; the noise of bone is then smoothed, and its shadow
    behind that much soft tissue is taken out of the standard exposure: bone cancels where the patient held still.
    smooth_px: standard deviations where much and where next to nothing of the low-energy beam gets through.
    """
    import torch

    from radloom.operators.xray import Exposure
    from radloom.operators.xray_spectrum import decompose, shipped

    exposures = Exposure(torch.from_numpy(low), torch.from_numpy(high))
    found = decompose(exposures, low=shipped(LOW), high=shipped(STANDARD))
    soft, bone = found.soft.numpy(), found.bone.numpy()
    clear, dense = (ndimage.gaussian_filter(bone, sd, mode="nearest") if sd else bone for sd in smooth_px)
    light = ndimage.gaussian_filter(np.exp(-low), 2.0, mode="nearest")
    bone = dense + (clear - dense) * light / (light + NOISY)
    return high - attenuated(soft, bone, STANDARD) + attenuated(soft, 0 * bone, STANDARD), bone


def moved(layers: Layers, where: np.ndarray, shift_px: tuple[float, float]) -> Layers:
    """The layers with soft tissue in `where` (0 to 1, soft-edged) shifted, as heart and diaphragm move; bone stays."""
    x, z = np.indices(where.shape, dtype=np.float64)
    places = [x - shift_px[0] * where, z - shift_px[1] * where]
    return replace(layers, soft=ndimage.map_coordinates(layers.soft, places, order=1, mode="nearest"))


def displayed(log_attenuation: np.ndarray, vendor: Vendor, window: tuple[float, float]) -> np.ndarray:
    """int16 0 to 4095: the vendor's unsharp mask, window and look-up table; dense tissue is bright."""
    width = max(log_attenuation.shape) / 40
    sharp = log_attenuation + vendor.sharpen * (
        log_attenuation - ndimage.gaussian_filter(log_attenuation, width, mode="nearest")
    )
    low, high = window
    return np.rint(WHITE_LEVEL * np.clip((sharp - low) / (high - low), 0, 1) ** vendor.gamma).astype(np.int16)


def window_of(log_attenuation: np.ndarray, lungs: np.ndarray, body: np.ndarray) -> tuple[float, float]:
    """Darkest and brightest log-attenuation shown: from the clearest lung to the dense abdomen, as vendors choose."""
    clear = np.percentile(log_attenuation[lungs if lungs.any() else body], 2)
    dense = np.percentile(log_attenuation[body], 97)
    return float(clear - 0.12 * (dense - clear)), float(dense)


def _frequency(shape: tuple[int, ...]) -> np.ndarray:
    """(x, z/2+1): frequency as a fraction of the grid's Nyquist frequency."""
    return np.hypot(2 * np.fft.fftfreq(shape[0])[:, None], 2 * np.fft.rfftfreq(shape[1])[None])


def _passed(image: np.ndarray, response: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The image through a transfer, a function of frequency; mirrored borders, or light would come from across."""
    edge = max(image.shape) // 8
    wide = np.pad(image, edge, mode="symmetric")
    return _filtered(wide, response(_frequency(wide.shape)))[edge:-edge, edge:-edge]


def _filtered(image: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The image with its spectrum weighted; its borders meet."""
    return np.asarray(fft.irfft2(np.asarray(fft.rfft2(image)) * response, s=image.shape))
