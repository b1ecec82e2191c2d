"""Random changes of training examples that another scanner might have made; test images are never changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def flipped(cut: Float[np.ndarray, "c *s"], share: float, rng: np.random.Generator) -> Float[np.ndarray, "c *s"]:
    """The example, mirrored left to right (first spatial axis) with probability `share`."""
    return cut[:, ::-1] if rng.random() < share else cut


def with_other_contrast(
    cut: Float[np.ndarray, "c *s"], hu: Sequence[bool], targets: int, spread: float, rng: np.random.Generator
) -> Float[np.ndarray, "c *s"]:
    """The example (inputs, targets, region) with each intensity v in brain medians as v**g; the median stays 1.

    hu: by input, then by target, whether it is in HU, which no scanner changes. The inputs of neighbouring slices may
    stand behind those of the slice itself; an input keeps its exponent in all of them. One exponent for all channels,
    log-normal with standard deviation `spread`: a scanner with stronger contrast in the inputs has it in the targets
    too. On top, one of half the spread for each input alone (ours).
    """
    inputs, slices = len(hu) - targets, (len(cut) - 1 - targets) // (len(hu) - targets)
    own = rng.normal(0, spread / 2, len(hu))[:inputs]
    powers = np.exp(rng.normal(0, spread) + np.concatenate([np.tile(own, slices), np.zeros(targets)]))
    powers[np.concatenate([np.tile(hu[:inputs], slices), hu[inputs:]]).astype(bool)] = 1
    powers = powers.reshape(-1, *(1,) * (cut.ndim - 1))
    images = np.sign(cut[:-1]) * np.abs(cut[:-1]) ** powers
    return np.concatenate([images, cut[-1:]]).astype(np.float32)
