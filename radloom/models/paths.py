"""Paths from images to noise: x_t = alpha(t) x0 + sigma(t) n; no network, no solver.

Every path is known by alpha, sigma and the time at which a ratio sigma / alpha is reached. Since x_t / alpha(t) =
x0 + (sigma / alpha) n, any sampler written for that form draws along any path.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from radloom.errors import RadloomError

Curve = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Path:
    """alpha and sigma of t in [earliest, latest], and time(sigma / alpha) = t."""

    alpha: Curve
    sigma: Curve
    time: Curve
    earliest: float
    latest: float

    def ratio(self, t: Tensor) -> Tensor:
        """sigma(t) / alpha(t), the standard deviation of the noise against an unscaled image."""
        return self.sigma(t) / self.alpha(t)


def variance_preserving(beta_min: float = 0.1, beta_max: float = 20.0, *, earliest: float = 1e-4) -> Path:
    """alpha**2 + sigma**2 = 1 with linear beta(t): DDPM's chain in continuous time (Song et al. 2021, eq. 33)."""
    _rising(beta_min, beta_max)
    integral, when = _linear_beta(beta_min, beta_max)
    return Path(
        alpha=lambda t: (-integral(t) / 2).exp(),
        sigma=lambda t: (-torch.expm1(-integral(t))).sqrt(),  # 1 - exp would lose the small times
        time=lambda ratio: when((ratio**2).log1p()),
        earliest=earliest, latest=1.0,
    )  # fmt: skip


def sub_variance_preserving(beta_min: float = 0.1, beta_max: float = 20.0, *, earliest: float = 1e-3) -> Path:
    """The same alpha, sigma = 1 - alpha**2: never noisier than variance_preserving (Song et al. 2021, eq. 29)."""
    _rising(beta_min, beta_max)
    integral, when = _linear_beta(beta_min, beta_max)
    return Path(
        alpha=lambda t: (-integral(t) / 2).exp(),
        sigma=lambda t: -torch.expm1(-integral(t)),
        time=lambda ratio: when(2 * (ratio / 2).asinh()),  # ratio = 1 / alpha - alpha = 2 sinh(integral / 2)
        earliest=earliest, latest=1.0,
    )  # fmt: skip


def cosine(offset: float = 0.008, *, earliest: float = 1e-3, latest: float = 0.999) -> Path:
    """alpha**2 + sigma**2 = 1 with alpha a cosine of t, 1 at t = 0 (Nichol & Dhariwal 2021, eq. 17)."""
    quarter = math.pi / 2
    start = offset / (1 + offset) * quarter

    def angle(t: Tensor) -> Tensor:
        return (t + offset) / (1 + offset) * quarter

    def sigma(t: Tensor) -> Tensor:  # sin(b - a) sin(b + a) = cos(a)**2 - cos(b)**2 without cancellation
        return ((angle(t) - start).sin() * (angle(t) + start).sin()).sqrt() / math.cos(start)

    def time(ratio: Tensor) -> Tensor:
        cosine_of = math.cos(start) / (1 + ratio**2).sqrt()
        sine_of = ((ratio**2 + math.sin(start) ** 2) / (1 + ratio**2)).sqrt()
        return torch.atan2(sine_of, cosine_of) / quarter * (1 + offset) - offset

    return Path(lambda t: angle(t).cos() / math.cos(start), sigma, time, earliest, latest)


def variance_exploding(lowest: float = 0.01, highest: float = 50.0) -> Path:
    """The path with alpha = 1 and sigma geometric in t from `lowest` to `highest` (Song et al. 2021, eq. 30)."""
    _rising(lowest, highest)
    growth = math.log(highest / lowest)
    return Path(
        alpha=torch.ones_like,
        sigma=lambda t: lowest * (growth * t).exp(),
        time=lambda ratio: (ratio / lowest).log() / growth,
        earliest=0.0, latest=1.0,
    )  # fmt: skip


def edm(lowest: float = 0.002, highest: float = 80.0) -> Path:
    """The path with alpha = 1, sigma = t (Karras et al. 2022)."""
    _rising(lowest, highest)
    return Path(torch.ones_like, lambda t: t, lambda ratio: ratio, lowest, highest)


def rectified_flow(*, earliest: float = 1e-3, latest: float = 0.999) -> Path:
    """The path with alpha = 1 - t, sigma = t: the straight path (Liu et al. 2023; Lipman et al. 2023)."""
    return Path(lambda t: 1 - t, lambda t: t, lambda ratio: ratio / (1 + ratio), earliest, latest)


def _linear_beta(beta_min: float, beta_max: float) -> tuple[Curve, Curve]:
    """The integral of beta from 0 to t, and its inverse."""
    rise = beta_max - beta_min
    return (
        lambda t: t * (beta_min + rise * t / 2),
        lambda total: 2 * total / (beta_min + (beta_min**2 + 2 * rise * total).sqrt()),
    )


def _rising(low: float, high: float) -> None:
    if not 0 < low < high:
        raise RadloomError(f"a path from {low} to {high}", expected="0 < low < high")
