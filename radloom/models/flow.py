"""Normalizing flows: the exact density of an image by an invertible map to Gaussian noise, and one for manifolds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.discrete import Levels, bits_per_dimension
from radloom.models.model import Batch, Model
from radloom.networks.flows import Chain, Glow
from radloom.networks.layers import cropped_to, padded_to_multiple
from radloom.samplers.denoiser import streams

_FIRST_IMAGES = 256  # that set the activation norms


@final
class Flow(Model):
    """ln p(x) = ln N(f(x); 0, 1) + ln |det df/dx|.

    bijection: f, such as networks.flows.Glow. levels: the grey levels of the images, between which training spreads
    them evenly: without, the density of discrete values grows without end. None: the values are continuous.
    temperature: standard deviation of the noise that is drawn. Images that do not fit f's factor train and draw with
    their far edges repeated. What is given is not heard.
    """

    def __init__(self, bijection: Chain | Glow, levels: Levels | None, *, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise RadloomError(f"a temperature of {temperature}", expected="a number above 0; 1 is the model's own")
        self.bijection, self.levels, self.temperature = bijection, levels, temperature

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """-ln p in nats per voxel and channel, of images with uniform noise within their levels."""
        spread = padded_to_multiple(self._spread(x, rng), self.bijection.factor)
        return {"total": -self.log_likelihood(spread, given).mean() / spread[0].numel()}

    def log_likelihood(self, x: Tensor, given: Given) -> Float[Tensor, " b"]:
        """The ln p(x) of each image in nats, a density in x's own unit."""
        z, change = self.bijection(x)
        return change + _log_normal(z.flatten(1))

    def bits_per_dimension(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Float[Tensor, " b"]:
        """Bits per voxel and channel of images of grey levels, by one draw of the noise within the levels."""
        if self.levels is None:
            raise RadloomError("bits of continuous values", expected="a flow with levels")
        return bits_per_dimension(self.log_likelihood(self._spread(x, rng), given), x[0].numel(), self.levels)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw."""
        padded = (shape[1], *(-(-length // self.bijection.factor) * self.bijection.factor for length in shape[2:]))
        z = streams(rng, shape[0]).normal(torch.empty(shape[0], math.prod(padded), device=rng.device))
        return cropped_to(self.bijection.invert(self.temperature * z, padded), torch.Size(shape[2:]))

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Sets the activation norms by the first images."""
        _fit(self.bijection, batches(), self._spread)

    def _spread(self, x: Tensor, rng: torch.Generator) -> Tensor:
        if self.levels is None:
            return x
        exact = self.levels.value(self.levels.index(x))
        width = (self.levels.high - self.levels.low) / (self.levels.count - 1)
        return exact + width * (torch.rand(x.shape, generator=rng, device=x.device) - 0.5)


@final
class DenoisingFlow(Model):
    """A density on a manifold of `dimensions`, learned from images with noise (Horvat & Pfister 2021).

    f maps x + deviation n to (u, v): u ~ N(0, 1) says where on the manifold, v ~ N(0, deviation**2) how far off. Loss:
    -ln p(x + deviation n) + weight |x - f^-1(u, 0)|**2. `project` then takes any image to the manifold, and the
    distance to there says how unlike the training images it is. u is the first numbers of f's z.
    """

    def __init__(
        self, bijection: Chain | Glow, dimensions: int, *, deviation: float = 0.05, weight: float = 10.0
    ) -> None:
        super().__init__()
        if dimensions < 1 or not deviation > 0:
            raise RadloomError(f"a manifold of {dimensions} dimensions and noise of {deviation}",
                               expected="at least 1, and a deviation above 0")  # fmt: skip
        self.bijection, self.dimensions = bijection, dimensions
        self.deviation, self.weight = deviation, weight

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The loss per number; density and distance are its parts, distance the squared one before the weight."""
        x = padded_to_multiple(x, self.bijection.factor)
        noisy = x + self.deviation * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        z, change = self.bijection(noisy)
        density = (self._log_base(z.flatten(1)) + change).mean() / x[0].numel()
        distance = (x - self._on_manifold(z, x.shape)).square().mean()
        return {"total": self.weight * distance - density, "density": density, "distance": distance}

    def log_likelihood(self, x: Tensor, given: Given) -> Float[Tensor, " b"]:
        """The ln density of noisy images x in nats."""
        z, change = self.bijection(x)
        return self._log_base(z.flatten(1)) + change

    def project(self, x: Tensor) -> Tensor:
        """The point of the manifold for each image: f^-1(u, 0)."""
        padded = padded_to_multiple(x, self.bijection.factor)
        return cropped_to(self._on_manifold(self.bijection(padded)[0], padded.shape), x.shape[2:])

    def distance(self, x: Tensor) -> Float[Tensor, " b"]:
        """The root mean square of x - project(x), an anomaly score in x's unit."""
        return (x - self.project(x)).square().flatten(1).mean(1).sqrt()

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A point of the manifold, without noise."""
        padded = (shape[1], *(-(-length // self.bijection.factor) * self.bijection.factor for length in shape[2:]))
        self._check(math.prod(padded))
        z = torch.zeros(shape[0], math.prod(padded), device=rng.device)
        u = z[:, : self.dimensions]
        u.copy_(streams(rng, shape[0]).normal(u))
        return cropped_to(self.bijection.invert(z, padded), torch.Size(shape[2:]))

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Sets the activation norms by the first images."""
        _fit(self.bijection, batches(), lambda x, rng: x)

    def _log_base(self, z: Tensor) -> Tensor:
        self._check(z.shape[1])
        off = z[:, self.dimensions :]
        scaled = _log_normal(off / self.deviation) - off.shape[1] * math.log(self.deviation)
        return _log_normal(z[:, : self.dimensions]) + scaled

    def _on_manifold(self, z: Tensor, shape: torch.Size) -> Tensor:
        kept = z.flatten(1)[:, : self.dimensions]
        off = kept.new_zeros(len(kept), math.prod(shape[1:]) - self.dimensions)
        return self.bijection.invert(torch.cat([kept, off], dim=1), tuple(shape[1:]))

    def _check(self, numbers: int) -> None:
        if self.dimensions >= numbers:
            raise RadloomError(f"a manifold of {self.dimensions} dimensions in images of {numbers} numbers",
                               expected="fewer dimensions than numbers")  # fmt: skip


def _log_normal(z: Tensor) -> Tensor:
    """The ln N(z; 0, 1) of each row."""
    return -(z.square().sum(1) + z.shape[1] * math.log(2 * math.pi)) / 2


def _fit(
    bijection: Chain | Glow, batches: Iterable[Batch], spread: Callable[[Tensor, torch.Generator], Tensor]
) -> None:  # fmt: skip
    rng, found = torch.Generator().manual_seed(0), []
    for batch in batches:
        found.append(padded_to_multiple(spread(batch.x, rng), bijection.factor))
        if sum(map(len, found)) >= _FIRST_IMAGES:
            break
    one_shape = [x for x in found if x.shape[1:] == found[0].shape[1:]]
    if one_shape:
        with torch.no_grad():
            bijection.fit(torch.cat(one_shape))
