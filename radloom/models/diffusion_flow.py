"""Diffusion normalizing flow: noising is learned as well as denoising, by the bound on the path (Zhang & Chen 2021)."""

from __future__ import annotations

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.models.paths import Path
from radloom.samplers.denoiser import streams


@final
class DiffusionFlow(Model):
    """A chain to noise and back whose two drifts are learned together.

    Step i from x_i to x_(i+1), with beta_i = 1 - (alpha_(i+1) / alpha_i)**2 of a path that preserves the variance:
    to noise x_(i+1) = sqrt(1 - beta) x_i + beta d(x_i) + sqrt(beta) n, and back x_i = (x_(i+1) - beta d(x_(i+1)) +
    beta s(x_(i+1))) / sqrt(1 - beta) + sqrt(beta) n. drift: d, None for 0, which is DDPM; score: s =
    -score(...) / sigma_(i+1). Both networks are (x, noise, given) -> x's shape, noise (b,) is ln(sigma / alpha) / 4.
    times: rising, of the path; the data stand before the first. Training goes through all steps; it keeps their states
    and computes the rest anew on the way back.
    """

    def __init__(self, drift: nn.Module | None, score: nn.Module, path: Path, times: Tensor) -> None:
        super().__init__()
        alpha = torch.cat([torch.ones(1, dtype=torch.float64), path.alpha(times.double())])
        if len(times) < 2 or not (alpha.diff() < 0).all():
            raise RadloomError("a chain whose signal does not fall", expected="two or more rising times above 0")
        if not torch.allclose(alpha[1:] ** 2 + path.sigma(times.double()) ** 2, torch.ones_like(alpha[1:]), atol=1e-4):
            raise RadloomError("a path that changes the variance", expected="alpha**2 + sigma**2 = 1",
                               do="take paths.variance_preserving or paths.cosine")  # fmt: skip
        self.drift, self.score = drift, score
        self.betas = [float(b) for b in 1 - (alpha[1:] / alpha[:-1]) ** 2]
        self.sigmas = [float(s) for s in (1 - alpha[1:] ** 2).sqrt()]

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """Minus the bound, in nats per voxel and channel."""
        return {"total": -self.bound(x, given, rng=rng).mean() / x[0].numel()}

    def bound(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Float[Tensor, " b"]:
        """A lower bound on ln p(x) in nats without bias, from one path: ln p(x_N) + sum of (|n|**2 - |n_back|**2) / 2.

        n_back is the noise that would have taken the step back (eq. 13). Both directions have the variance beta, whose
        logarithms cancel.
        """
        numbers = x[0].numel()
        total = x.new_zeros(len(x))
        for i in range(len(self.betas)):
            n = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
            x, change = self._checkpointed(i, x, n, given)
            total = total + change
        return total - (x.square().flatten(1).sum(1) + numbers * math.log(2 * math.pi)) / 2

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw; the last step adds no noise."""
        own = streams(rng, shape[0])
        x = own.normal(torch.empty(shape, device=rng.device))
        for i in reversed(range(len(self.betas))):
            x = self._back(i, x, given)
            if i:
                x = x + self.betas[i] ** 0.5 * own.normal(x)
        return x

    def _checkpointed(self, i: int, x: Tensor, n: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled():
            return self._step(i, x, n, given)
        result = checkpoint(self._step, i, x, n, given, use_reentrant=False)
        assert isinstance(result, tuple)
        return result

    def _step(self, i: int, x: Tensor, n: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """The next x, and by how much the step changes the bound."""
        beta = self.betas[i]
        after = (1 - beta) ** 0.5 * x + beta * self._drift(i, x, given) + beta**0.5 * n
        back = (x - self._back(i, after, given)) / beta**0.5
        return after, (n.square() - back.square()).flatten(1).sum(1) / 2

    def _back(self, i: int, x: Tensor, given: Given) -> Tensor:
        """The mean of x_i from x_(i+1)."""
        beta = self.betas[i]
        score = -self.score(x, self._level(i, x), given).float() / self.sigmas[i]
        return (x - beta * self._drift(i, x, given) + beta * score) / (1 - beta) ** 0.5

    def _drift(self, i: int, x: Tensor, given: Given) -> Tensor:
        return torch.zeros_like(x) if self.drift is None else self.drift(x, self._level(i, x), given).float()

    def _level(self, i: int, x: Tensor) -> Tensor:
        sigma = self.sigmas[i]
        return x.new_full((len(x),), math.log(sigma / (1 - sigma**2) ** 0.5) / 4)
