"""What one gets without a generative model, as images: training images again, a Gaussian, noise around the mean."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from radloom.errors import RadloomError

AGAIN, GAUSSIAN, NOISE = "training images again", "gaussian", "mean and noise"


def again(
    training: Float[np.ndarray, "n ..."], count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "m ..."], np.ndarray]:  # fmt: skip
    """Training images drawn with replacement, and their numbers (m,): as good as a copyist can be, and no better.

    >>> images, chosen = again(np.zeros((5, 2, 2)), 3, np.random.default_rng(0))
    >>> images.shape, len(chosen)
    ((3, 2, 2), 3)
    """
    _check(training, 1)
    chosen = rng.integers(len(training), size=count)
    return training[chosen], chosen


def gaussian(
    training: Float[np.ndarray, "n ..."], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "m ..."]:  # fmt: skip
    """Draws from the Gaussian with mean and covariance of the training images, all principal components kept.

    m + z (X - m) / sqrt(n - 1) with z ~ N(0, 1) of length n has just that covariance, so none is ever written down.
    Cut at -1 and 1. Blind to: all that is not second order, such as edges. Raises RadloomError below 2 images.

    >>> gaussian(np.zeros((5, 2, 2)), 3, np.random.default_rng(0)).shape
    (3, 2, 2)
    """
    _check(training, 2)
    rows = training.reshape(len(training), -1).astype(np.float32)
    mean = rows.mean(axis=0)
    z = rng.standard_normal((count, len(rows)), dtype=np.float32)
    drawn = mean + z @ (rows - mean) / np.float32(np.sqrt(len(rows) - 1))
    return np.clip(drawn, -1, 1).reshape(count, *training.shape[1:])


def noise(
    training: Float[np.ndarray, "n ..."], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "m ..."]:  # fmt: skip
    """The mean training image with independent noise of each voxel's own standard deviation, cut at -1 and 1.

    >>> noise(np.zeros((5, 2, 2)), 3, np.random.default_rng(0)).max()
    np.float32(0.0)
    """
    _check(training, 2)
    rows = training.astype(np.float32)
    z = rng.standard_normal((count, *rows.shape[1:]), dtype=np.float32)
    return np.clip(rows.mean(axis=0) + rows.std(axis=0) * z, -1, 1)


def _check(training: np.ndarray, least: int) -> None:
    if len(training) < least:
        raise RadloomError(f"{len(training)} training images for a baseline", expected=f"{least} or more")
