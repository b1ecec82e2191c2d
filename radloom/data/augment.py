"""Random changes of training examples that another scanner might have made; test images are never changed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def flipped(cut: Float[np.ndarray, "c *s"], share: float, rng: np.random.Generator) -> Float[np.ndarray, "c *s"]:
    """The example, mirrored left to right (first spatial axis) with probability `share`."""
    return cut[:, ::-1] if rng.random() < share else cut


def with_other_contrast(
    cut: Float[np.ndarray, "c *s"], inputs: int, spread: float, rng: np.random.Generator
) -> Float[np.ndarray, "c *s"]:
    """The example (inputs, targets, region) with each intensity v in brain medians as v**g; the median stays 1.

    One exponent for all channels, log-normal with standard deviation `spread`: a scanner with stronger contrast in the
    inputs has it in the targets too. On top, one of half the spread for each input alone (ours).
    """
    if spread == 0:
        return cut
    channels = len(cut) - 1
    own = np.where(np.arange(channels) < inputs, 1.0, 0.0) * rng.normal(0, spread / 2, channels)
    powers = np.exp(rng.normal(0, spread) + own).reshape(-1, *(1,) * (cut.ndim - 1))
    images = np.sign(cut[:-1]) * np.abs(cut[:-1]) ** powers
    return np.concatenate([images, cut[-1:]]).astype(np.float32)
