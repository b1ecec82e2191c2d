"""Gaussian data, whose denoiser and probability flow are closed forms, for the tests of samplers."""

import torch
from torch import Tensor

from radloom.given import Given
from radloom.samplers.denoiser import Denoiser, Sampler, streams

MEANS = torch.tensor([-0.6, -0.2, 0.0, 0.1, 0.3, 0.4, 0.5, 0.7], dtype=torch.float64).view(1, 8, 1, 1)
SPREADS = torch.tensor([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6], dtype=torch.float64).view(1, 8, 1, 1)


def gaussian(means: Tensor = MEANS, spreads: Tensor = SPREADS) -> Denoiser:
    """E[x0 | x] for independent N(mean, spread**2): the prior's mean and x, weighted by their precisions."""
    return lambda x, sigma, given: (means * sigma**2 + x * spreads**2) / (sigma**2 + spreads**2)


def flowed(x: Tensor, start: float, end: float) -> Tensor:
    """The exact probability flow: distance from the mean, in units of sqrt(spread**2 + sigma**2), is conserved."""
    return MEANS + (x - MEANS) * ((SPREADS**2 + end**2) / (SPREADS**2 + start**2)).sqrt()


def normal(count: int, seed: int = 0) -> Tensor:
    return torch.randn((count, 8, 1, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def run(
    sampler: Sampler, x: Tensor, sigmas: Tensor, given: Given | None = None, *, denoise: Denoiser | None = None
) -> Tensor:
    own = streams(torch.Generator().manual_seed(1), len(x))
    return sampler(denoise or gaussian(), x, sigmas, given or Given(), own)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(0, keepdim=True), x.std(0, keepdim=True)
