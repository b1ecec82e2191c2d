"""The function types that all samplers share, and one stream of noise per item of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from radloom.given import Given

# (x, sigma, given) -> E[x0 | x0 + sigma n = x]; x (b, c, *s), sigma a scalar tensor above 0
Denoiser = Callable[[Tensor, Tensor, Given], Tensor]
Guide = Callable[[Denoiser], Denoiser]


@dataclass(frozen=True)
class Streams:
    """A generator for each item of the batch: what an item draws does not depend on its neighbours."""

    generators: tuple[torch.Generator, ...]

    def normal(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape, type and device, each item from its own stream."""
        drawn = [torch.randn(x.shape[1:], generator=g, device=g.device, dtype=x.dtype) for g in self.generators]
        return torch.stack(drawn).to(x.device)

    def signs(self, x: Tensor) -> Tensor:
        """-1 or 1 with equal chance (Rademacher), each item from its own stream."""
        drawn = [torch.randint(2, x.shape[1:], generator=g, device=g.device) for g in self.generators]
        return (2 * torch.stack(drawn) - 1).to(x)


def streams(rng: torch.Generator, count: int) -> Streams:
    """`count` streams seeded from rng one after the other: a batch of two takes what two batches of one take."""
    seeds = [int(torch.randint(2**62, (), generator=rng, device=rng.device)) for _ in range(count)]
    return Streams(tuple(torch.Generator(rng.device).manual_seed(seed) for seed in seeds))


# (denoise, x, sigmas, given, rng) -> x0; x = sigmas[0] * noise, sigmas falls to its last entry, mostly 0
Sampler = Callable[[Denoiser, Tensor, Tensor, Given, Streams], Tensor]
