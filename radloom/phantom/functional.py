"""T2*-weighted, diffusion and perfusion images of a brain, from what each tissue holds; structural MR is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from radloom.phantom.anatomy import Anatomy
from radloom.phantom.compartments import Compartment
from radloom.phantom.fields import smooth_field
from radloom.phantom.mr_signal import spin_echo, spoiled_gradient_echo
from radloom.phantom.receiver import WHITE_UNITS, blurred, log_bias, rician
from radloom.phantom.scanners import Scanner
from radloom.phantom.tissues import T2_STAR_PER_T2, Field

FUNCTIONAL = ("t2s", "dwi", "adc", "asl")
UNITS = {"adc": "1e-6 mm2/s", "asl": "mL/100 g/min"}
# Venous blood is deoxygenated: its T2*, ms, falls with the field [ours]; tissues take T2_STAR_PER_T2.
VENOUS_T2_STAR: dict[Field, float] = {"1.5T": 55.0, "3T": 22.0}
GRADIENT_ECHO: dict[Field, tuple[float, float, float]] = {"1.5T": (750.0, 26.0, 20.0), "3T": (650.0, 20.0, 18.0)}
BLEED_PER_MS = 0.08  # added relaxation rate of old blood inside a tumour [ours]
# Apparent diffusion coefficient, 1e-3 mm^2/s, and blood flow, mL/100 g/min, of each tissue [ours, usual values].
DIFFUSION = {"grey": 0.82, "white": 0.72, "csf": 3.0, "blood": 1.6, "core": 1.15, "necrosis": 1.9, "mismatch core": 1.7,
             "oedema": 1.35, "rim": 0.98, "lesion": 1.15, "plaque": 1.0, "cortical plaque": 0.95}  # fmt: skip
FLOW = {"grey": 58.0, "white": 22.0, "csf": 0.0, "blood": 30.0, "core": 24.0, "necrosis": 5.0, "mismatch core": 18.0,
        "oedema": 15.0, "rim": 60.0, "lesion": 17.0, "plaque": 17.0, "cortical plaque": 45.0}  # fmt: skip
TUMOUR = ("core", "mismatch core", "rim")
B_VALUE = 1.0  # ms/um^2: 1000 s/mm^2
ECHO_PLANAR: dict[Field, tuple[float, float]] = {"1.5T": (6000.0, 95.0), "3T": (6000.0, 75.0)}  # TR, TE
ECHO_PLANAR_MM, PERFUSION_MM = 2.8, 5.0  # full widths
FLOW_NOISE = {"1.5T": 6.0, "3T": 4.0}  # mL/100 g/min after averaging [ours]

Streams = Callable[[str], np.random.Generator]


def functional_image(
    contrast: str, compartments: Sequence[Compartment], anatomy: Anatomy, scanner: Scanner, *, stream: Streams
) -> np.ndarray:
    """int16 volume, 0 outside the brain: "t2s" and "dwi" in scanner units, "adc" in 1e-6 mm^2/s, "asl" in mL/100 g/min.

    dwi and adc come from one acquisition: adc is ln(b0 / dwi) / b of noisy images.
    """
    if contrast == "t2s":
        found = _scaled(_susceptible(compartments, anatomy, scanner, stream), stream("gain.t2s"))
    elif contrast == "asl":
        found = perfusion(compartments, anatomy, scanner, stream)
    else:
        b0, weighted = diffusion(compartments, anatomy, scanner, stream)
        if contrast == "dwi":
            found = _scaled(weighted, stream("gain.dwi"))
        else:
            found = 1000 / B_VALUE * np.log(np.maximum(b0, 1e-6) / np.maximum(weighted, 1e-6))
            found = np.clip(found, 0, 4000)
    return np.where(anatomy.brain, np.rint(np.clip(found, -32768, 32767)), 0).astype(np.int16)


def diffusion(
    compartments: Sequence[Compartment], anatomy: Anatomy, scanner: Scanner, stream: Streams
) -> tuple[np.ndarray, np.ndarray]:
    """Echo-planar images without and with diffusion weighting, white matter of the first about 1, with Rician noise."""
    tr, te = ECHO_PLANAR[scanner.field]
    cells = float(stream("physiology.diffusion").uniform(0.85, 1.2))  # denser or looser tumours than most
    images = [np.zeros(anatomy.grid.shape) for _ in range(2)]
    white = _level(compartments, lambda pd, t1, t2: spin_echo(pd, t1, t2, tr=tr, te=te))
    for one in compartments:
        signal = one.fraction * spin_echo(one.pd, one.t1, one.t2, tr=tr, te=te) / white
        coefficient = DIFFUSION[one.tissue] * (cells if one.tissue in TUMOUR else 1.0)
        images[0][anatomy.brain] += signal
        images[1][anatomy.brain] += signal * np.exp(-B_VALUE * coefficient)
    rng = stream("scan.diffusion")
    coil = np.exp(log_bias(anatomy.grid, 0.12, rng=rng))
    b0, weighted = (
        rician(blurred(one, anatomy.brain, ECHO_PLANAR_MM, anatomy.grid) * coil, scanner.noise, rng=rng)
        for one in images
    )
    return b0, weighted


def perfusion(compartments: Sequence[Compartment], anatomy: Anatomy, scanner: Scanner, stream: Streams) -> np.ndarray:
    """Blood flow as arterial spin labelling maps it, mL/100 g/min: coarse, noisy, below 0 where noise wins.

    A tumour's flow is drawn apart from its looks: structural images do not tell it.
    """
    rng = stream("physiology.perfusion")
    level, tumour = float(rng.uniform(0.8, 1.25)), float(rng.choice([0.45, 1.0, 1.9], p=[0.3, 0.3, 0.4]))
    flow = np.zeros(anatomy.grid.shape)
    for one in compartments:
        flow[anatomy.brain] += one.fraction * FLOW[one.tissue] * (tumour if one.tissue in TUMOUR else 1.0)
    flow *= level * np.exp(0.12 * smooth_field(anatomy.grid, 25.0, rng=rng))
    flow = blurred(flow * anatomy.brain, anatomy.brain, PERFUSION_MM, anatomy.grid)
    noise = stream("scan.asl").standard_normal(flow.shape)
    noise = blurred(noise, np.ones(flow.shape, bool), PERFUSION_MM, anatomy.grid)
    return flow + FLOW_NOISE[scanner.field] * noise / noise.std()


def _susceptible(
    compartments: Sequence[Compartment], anatomy: Anatomy, scanner: Scanner, stream: Streams
) -> np.ndarray:
    """Spoiled gradient echo with a long echo time, white matter about 1: dark veins, and dark old blood in tumours."""
    tr, te, flip = GRADIENT_ECHO[scanner.field]
    rng = stream("physiology.bleed")
    bleeds = rng.random() < 0.35
    blood = np.clip(smooth_field(anatomy.grid, 7.0, rng=rng) - 0.5, 0, 1)[anatomy.brain] * bleeds

    def signal(one: Compartment) -> np.ndarray:
        t2_star = (
            one.t2 * T2_STAR_PER_T2 if one.tissue != "blood" else np.full(one.t2.shape, VENOUS_T2_STAR[scanner.field])
        )
        if one.tissue in (*TUMOUR, "necrosis"):
            t2_star = 1 / (1 / t2_star + BLEED_PER_MS * blood)
        return one.fraction * spoiled_gradient_echo(one.pd, one.t1, t2_star, tr=tr, te=te, flip_deg=flip)

    total = np.zeros(anatomy.grid.shape)
    total[anatomy.brain] = sum(signal(one) for one in compartments)
    white = _level(
        compartments, lambda pd, t1, t2: spoiled_gradient_echo(pd, t1, t2 * T2_STAR_PER_T2, tr=tr, te=te, flip_deg=flip)
    )
    rng = stream("scan.t2s")
    seen = blurred(total / white, anatomy.brain, 1.5, anatomy.grid) * np.exp(log_bias(anatomy.grid, 0.15, rng=rng))
    return rician(seen, scanner.noise, rng=rng)


def _level(compartments: Sequence[Compartment], sequence: Callable[..., np.ndarray]) -> float:
    """White matter's mean signal."""
    white = next(one for one in compartments if one.tissue == "white")
    return float(np.mean(sequence(white.pd, white.t1, white.t2)))


def _scaled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return image * WHITE_UNITS * float(rng.uniform(0.7, 1.4))
