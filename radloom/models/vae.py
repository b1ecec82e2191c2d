"""VAE and beta-VAE: an image from Gaussian latents, trained by the bound on its likelihood (Kingma & Welling 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.layers import cropped_to
from radloom.samplers.denoiser import streams


@dataclass(frozen=True)
class Capacity:
    """The KL is held at C, which rises from 0 to `top` nats over `steps`: strength |KL - C| (Burgess et al. 2018)."""

    top: float
    steps: int
    strength: float = 100.0


@final
class VAE(Model):
    """p(x) = integral of N(x; decoder(z), sigma**2) N(z; 0, 1), with one sigma that is learned.

    encoder: (b, c, *s) -> (b, 2 latents, *t), mean and ln variance of each latent. decoder: (b, latents, *t) -> images.
    beta: weight of the KL term; 1 is the VAE, more buys latents that are independent of each other with sharpness
    (Higgins et al. 2017). capacity: takes the place of beta. What is given is not heard.
    """

    finished: Tensor

    def __init__(
        self, encoder: Encoder, decoder: Decoder, latents: int, *, beta: float = 1.0, capacity: Capacity | None = None
    ) -> None:
        super().__init__()
        if not beta > 0:
            raise RadloomError(f"a beta of {beta}", expected="a number above 0; 1 is the VAE")
        if encoder.factor != decoder.factor:
            raise RadloomError(f"an encoder by {encoder.factor} and a decoder by {decoder.factor}",
                               expected="one factor", do="give both the same number of levels")  # fmt: skip
        self.encoder, self.decoder, self.latents = encoder, decoder, latents
        self.beta, self.capacity = beta, capacity
        self.log_deviation = torch.nn.Parameter(torch.tensor(-1.0))
        self.register_buffer("finished", torch.zeros(()))

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """total: -ln p(x | z) + beta KL, or strength |KL - C|, in nats per voxel; the parts in nats per image."""
        mean, log_variance = self.posterior(x)
        z = mean + (log_variance / 2).exp() * _noise(mean, rng)
        misfit = -self.log_density(x, z).mean()
        kl = kl_to_standard(mean, log_variance).mean()
        if self.capacity is None:
            price = self.beta * kl
        else:
            allowed = self.capacity.top * (self.finished / self.capacity.steps).clamp_max(1)
            price = self.capacity.strength * (kl - allowed).abs()
        return {"total": (misfit + price) / x[0].numel(), "misfit": misfit, "kl": kl}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and ln variance of q(z | x), each (b, latents, *t)."""
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 10)

    def log_density(self, x: Tensor, z: Tensor) -> Float[Tensor, " b"]:
        """The ln p(x | z) in nats per image."""
        error = (x - self.decode(z, x.shape[2:])) / self.log_deviation.exp()
        return -(error.square() / 2 + self.log_deviation + math.log(2 * math.pi) / 2).flatten(1).sum(1)

    def bound(self, x: Tensor, given: Given, *, draws: int = 1, rng: torch.Generator) -> Float[Tensor, " b"]:
        """A lower bound on ln p(x) in nats: the ELBO at 1 draw, tighter with more (IWAE, Burda et al. 2016, eq. 8)."""
        mean, log_variance = self.posterior(x)
        weights = []
        for _ in range(draws):
            n = _noise(mean, rng)
            z = mean + (log_variance / 2).exp() * n
            ratio = (n.square() + log_variance - z.square()) / 2  # ln N(z; 0, 1) - ln q(z | x)
            weights.append(self.log_density(x, z) + ratio.flatten(1).sum(1))
        return torch.stack(weights).logsumexp(0) - math.log(draws)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The mean image of latents drawn from N(0, 1), without the decoder's noise."""
        z = streams(rng, shape[0]).normal(torch.empty(shape[0], *self.latent_shape(shape[2:]), device=rng.device))
        return self.decode(z, shape[2:])

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x)."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
        """The image (b, c, *size) of latents z."""
        return cropped_to(self.decoder(z).float(), torch.Size(size))

    def latent_shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Channels and axes of the latents of an image of this size."""
        return (self.latents, *(-(-length // self.encoder.factor) for length in size))

    def after_step(self) -> None:
        """Counts the step, for the capacity."""
        self.finished += 1


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Float[Tensor, " b"]:
    """KL(N(mean, variance) || N(0, 1)) in nats, summed over all but the first axis.

    >>> kl_to_standard(torch.tensor([[1.0]]), torch.tensor([[0.0]])).tolist()
    [0.5]
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1) / 2


def _noise(x: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
