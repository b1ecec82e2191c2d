"""Which times a diffusion model trains at, and how much each counts; no network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError
from radloom.models.paths import Path

Times = Callable[[int, Path, torch.Generator], Tensor]  # (count, path, rng) -> t (count,)
Weight = Callable[[Tensor], Tensor]  # sigma / alpha -> factor of the squared error of the prediction


def uniform(count: int, path: Path, rng: torch.Generator) -> Float[Tensor, " n"]:
    """The t uniform over the path, one in each of `count` equal parts: a batch covers it (Kingma et al. 2021)."""
    parts = torch.arange(count, device=rng.device)
    u = (parts + torch.rand(count, generator=rng, device=rng.device)) / count
    return path.earliest + (path.latest - path.earliest) * u


def discrete(steps: int) -> Times:
    """The t of a chain of `steps` equal steps, as DDPM trains."""
    if steps < 2:
        raise RadloomError(f"a chain of {steps} steps", expected="at least 2")

    def times(count: int, path: Path, rng: torch.Generator) -> Tensor:
        step = torch.randint(steps, (count,), generator=rng, device=rng.device)
        return path.earliest + (path.latest - path.earliest) * step / (steps - 1)

    return times


def log_normal(mean: float = -1.2, deviation: float = 1.2) -> Times:
    """The t at which ln(sigma / alpha) ~ N(mean, deviation**2) (Karras et al. 2022, table 1), kept within the path."""

    def times(count: int, path: Path, rng: torch.Generator) -> Tensor:
        drawn = torch.randn(count, generator=rng, device=rng.device)
        return path.time((mean + deviation * drawn).exp()).clamp(path.earliest, path.latest)

    return times


def logit_normal(mean: float = 0.0, deviation: float = 1.0) -> Times:
    """The t with ln(t / (1 - t)) ~ N(mean, deviation**2), kept within the path (Esser et al. 2024, eq. 19)."""

    def times(count: int, path: Path, rng: torch.Generator) -> Tensor:
        drawn = torch.randn(count, generator=rng, device=rng.device)
        return torch.sigmoid(mean + deviation * drawn).clamp(path.earliest, path.latest)

    return times


def equal(ratio: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """1: each prediction's own loss (DDPM's simple one, EDM's, the flow's)."""
    return torch.ones_like(ratio)


def min_snr(limit: float = 5.0) -> Weight:
    """min(snr, limit) / snr, snr = 1 / ratio**2, for a noise prediction (Hang et al. 2023, eq. 9)."""
    return lambda ratio: (limit * ratio**2).clamp_max(1.0)
