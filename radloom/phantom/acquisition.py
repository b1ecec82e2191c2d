"""What a scanner makes of a subject: tissue mixtures, signals, blur, bias field, noise and integer scaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radloom.phantom.anatomy import Anatomy
from radloom.phantom.disease import Disease, Part
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.mr_signal import with_agent
from radloom.phantom.scanners import Scanner, Signal
from radloom.phantom.tissues import RELAXIVITY, TISSUES, Tissue

WHITE_UNITS = 500.0  # white matter's value in the stored image before the scanner's gain
NORMAL_AGENT = {"grey": 0.03, "white": 0.01, "csf": 0.0, "blood": 0.8}  # mmol/L (SYSTEMS-direct 4.3)
FWHM_PER_SD = 2.3548
FLUID_SHARE = {"csf": 0.25, "necrosis": 0.5, "mismatch core": 0.5}  # free water differs little between people


@dataclass(frozen=True, eq=False)
class Compartment:
    """A tissue's share of each brain voxel (n,), its PD, its T1 and T2 in ms there, and the contrast agent, mmol/L."""

    fraction: np.ndarray
    pd: np.ndarray
    t1: np.ndarray
    t2: np.ndarray
    agent: float


def scan(
    anatomy: Anatomy,
    ill: Disease,
    scanner: Scanner,
    contrasts: Sequence[str],
    *,
    stream: Callable[[str], np.random.Generator],
) -> dict[str, np.ndarray]:
    """int16 volumes by contrast, 0 outside the brain; each contrast draws from its own stream."""
    tissues = spread(TISSUES[scanner.field], rng=stream("spread"))
    compartments = mixture(anatomy, ill, tissues, rng=stream("texture"))
    tuning = float(stream("tuning").uniform(0.98, 1.02))
    sequences = scanner.sequences(t1_csf=tissues["csf"].t1, t1_wm=tissues["white"].t1, tuning=tuning)
    coil = log_bias(anatomy.grid, 0.15, rng=stream("coil"))  # one receive coil for all contrasts
    volumes = {}
    for contrast in contrasts:
        rng = stream(f"scan.{contrast}")
        signal = np.zeros(anatomy.grid.shape)
        signal[anatomy.brain] = mixed_signal(
            compartments, sequences[contrast], relaxivity=RELAXIVITY[scanner.field] if contrast == "t1c" else (0.0, 0.0)
        )
        signal = blurred(signal, anatomy.brain, scanner.blur_mm.get(contrast, 1.5), anatomy.grid)
        signal *= np.exp(coil + log_bias(anatomy.grid, 0.03, rng=rng))
        # White matter is nulled in DIR; its noise is that of the same receiver in FLAIR.
        white = white_signal(tissues, sequences["flair" if contrast == "dir" else contrast])
        noisy = rician(signal, scanner.noise * white, rng=rng)
        gain = WHITE_UNITS / white * rng.uniform(0.7, 1.4)
        volumes[contrast] = np.where(anatomy.brain, np.rint(np.clip(noisy * gain, 0, 32767)), 0).astype(np.int16)
    return volumes


def spread(table: Mapping[str, Tissue], *, rng: np.random.Generator) -> dict[str, Tissue]:
    """The table for one subject: T1 and T2 within 15 % of the mean, more than half of it common to all tissues."""
    common_t1, common_t2 = rng.uniform(0.92, 1.08, 2)
    found = {}
    for name, tissue in table.items():
        own_t1, own_t2, own_pd = rng.uniform(0.94, 1.06, 3)
        share = FLUID_SHARE.get(name, 1.0)
        found[name] = Tissue(
            pd=tissue.pd * own_pd ** (0.5 * share),
            t1=tissue.t1 * (common_t1 * own_t1) ** share,
            t2=tissue.t2 * (common_t2 * own_t2) ** share,
            source=tissue.source,
        )
    return found


def mixture(
    anatomy: Anatomy, ill: Disease, tissues: Mapping[str, Tissue], *, rng: np.random.Generator
) -> list[Compartment]:
    """The compartments of every brain voxel, their T1, T2 and PD varying smoothly by a few percent."""
    grid, brain = anatomy.grid, anatomy.brain
    grain, lumps = _water(grid, 9.0, rng=rng)[:, brain], _water(grid, 7.0, rng=rng)[:, brain]
    grey, white, csf = (one[brain] for one in anatomy.fractions)
    blood = 0.8 * vessels(grid, rng=rng)[brain] * np.clip(csf + 0.5 * grey - 0.2, 0, 1)
    healthy = np.clip(1 - sum((part.fraction[brain] for part in ill.parts), np.zeros(grey.shape)), 0, 1)
    shares = {"grey": grey, "white": white, "csf": csf, "blood": None}
    found = []
    for name in shares:
        share = blood if name == "blood" else shares[name] * (1 - blood)
        strength = 0.0 if name in ("csf", "blood") else 1.0
        found.append(_compartment(tissues[name], share * healthy, NORMAL_AGENT[name], grain, strength))
    for part in ill.parts:
        found.append(_diseased(part, brain, tissues, lumps))
    return found


def _water(grid: Grid, knots_mm: float, *, rng: np.random.Generator) -> np.ndarray:
    """(3, x, y, z): unit-variance fields for T1, T2 and PD, alike because more water lengthens and raises all three."""
    shared, *own = (smooth_field(grid, knots_mm, rng=rng) for _ in range(4))
    return 0.8 * shared + 0.6 * np.stack(own)


def _compartment(tissue: Tissue, fraction: np.ndarray, agent: float, grain: np.ndarray, strength: float) -> Compartment:
    t1, t2, pd = (np.exp(strength * sd * one) for sd, one in zip((0.025, 0.025, 0.008), grain, strict=True))
    return Compartment(fraction, tissue.pd * pd, tissue.t1 * t1, tissue.t2 * t2, agent)


def _diseased(part: Part, brain: np.ndarray, tissues: Mapping[str, Tissue], grain: np.ndarray) -> Compartment:
    """A diseased part, lumpier than normal tissue; where it is hidden it borrows white matter's values."""
    own, white = tissues[part.tissue], tissues["white"]
    seen = Tissue(
        pd=own.pd if part.hidden == "no" else white.pd,
        t1=white.t1 if part.hidden == "t1" else own.t1,
        t2=white.t2 if part.hidden == "t2" else own.t2,
        source=own.source,
    )
    return _compartment(seen, part.fraction[brain], part.agent, grain, 2.0)


def vessels(grid: Grid, *, rng: np.random.Generator) -> np.ndarray:
    """Winding lines in [0, 1]: where two smooth random fields vanish together."""
    a, b = smooth_field(grid, 13.0, rng=rng), smooth_field(grid, 13.0, rng=rng)
    return np.exp(-(a**2 + b**2) / (2 * 0.16**2))


def mixed_signal(
    compartments: Sequence[Compartment], sequence: Signal, *, relaxivity: tuple[float, float]
) -> np.ndarray:
    """Signal of each brain voxel: the sum over compartments of fraction times signal (partial volume)."""
    total = np.zeros(compartments[0].fraction.shape)
    for one in compartments:
        held = one.fraction > 1e-4
        t1 = with_agent(one.t1[held], one.agent, relaxivity=relaxivity[0])
        t2 = with_agent(one.t2[held], one.agent, relaxivity=relaxivity[1])
        total[held] += one.fraction[held] * sequence(one.pd[held], t1, t2)
    return total


def white_signal(tissues: Mapping[str, Tissue], sequence: Signal) -> float:
    """White matter's signal in this sequence."""
    white = tissues["white"]
    return float(sequence(np.array([white.pd]), np.array([white.t1]), np.array([white.t2]))[0])


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
