"""What a scanner makes of a subject: tissue mixtures, signals, blur, bias field, noise and integer scaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from radloom.phantom.anatomy import Anatomy
from radloom.phantom.compartments import Compartment, mixture, spread
from radloom.phantom.disease import Disease
from radloom.phantom.functional import FUNCTIONAL, functional_image
from radloom.phantom.mr_signal import with_agent
from radloom.phantom.receiver import WHITE_UNITS, blurred, log_bias, rician
from radloom.phantom.scanners import Scanner, Signal
from radloom.phantom.tissues import RELAXIVITY, TISSUES, Tissue


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
        if contrast in FUNCTIONAL:
            volumes[contrast] = functional_image(contrast, compartments, anatomy, scanner, stream=stream)
            continue
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
