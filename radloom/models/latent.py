"""Latent: a prior over the latents of a trained autoencoder, as one model of images (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol, final, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model


@runtime_checkable
class Autoencoder(Protocol):
    """What `Latent` asks of a module."""

    def encode(self, x: Tensor) -> Tensor:
        """The latents (b, k, *t) of images (b, c, *s)."""
        ...

    def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
        """The images (b, c, *size) of latents."""
        ...

    def latent_shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """(k, *t) for images of this size."""
        ...


Scale = Callable[[Tensor], Tensor]  # latents -> factor by which the prior sees them


def unit_spread(z: Tensor) -> Tensor:
    """1 / standard deviation of all latents: a diffusion prior then works at its usual noise (Rombach et al. 2022)."""
    return 1 / z.std().clamp_min(1e-12)


def as_they_are(z: Tensor) -> Tensor:
    """1: for latents that are whole numbers."""
    return z.new_ones(())


@final
class Latent(Model):
    """p(x | given) as a decoder's image of latents that a prior draws; only the prior trains.

    autoencoder: trained before, and frozen here. prior: any model of (b, k, *t). gate: the worst relative error of a
    reconstruction, sqrt(mean (x - x')**2 / variance of x) inside the region over the training images, with which the
    prior may train: a prior cannot give back what the autoencoder loses. Given images and masks are averaged onto
    the latents' grid.
    """

    scale: Tensor

    def __init__(self, autoencoder: nn.Module, prior: Model, *, gate: float = 0.3, scale: Scale = unit_spread) -> None:
        super().__init__()
        if not gate > 0:
            raise RadloomError(f"a gate at {gate}", expected="a relative error above 0, such as 0.3")
        self.autoencoder, self.prior = autoencoder.requires_grad_(False).eval(), prior
        self.gate, self._scale_of = gate, scale
        self.turns = prior.turns
        self.register_buffer("scale", torch.ones(()))

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The prior's loss on the latents of x."""
        with torch.no_grad():
            z = self.coder.encode(x) * self.scale
        return self.prior.loss(z, _on_grid(given, z.shape[2:]), turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The decoded image of the latents that the prior draws."""
        grid = self.coder.latent_shape(shape[2:])
        z = self.prior.sample(_on_grid(given, grid[1:]), (shape[0], *grid), rng=rng)
        return self.coder.decode(z / self.scale, shape[2:])

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The prior's."""
        return self.prior.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Measures the reconstruction, raises RadloomError where it is worse than the gate, sets the scale."""
        with torch.no_grad():
            error = relative_error(self.coder, batches())
            if not error <= self.gate:  # NaN is no better
                raise RadloomError(
                    f"the autoencoder reconstructs the training images with a relative error of {error:.2f}",
                    expected=f"at most {self.gate:g}", do="train the autoencoder longer, or give it more latents",
                )  # fmt: skip
            self.scale = self._scale_of(torch.cat([self.coder.encode(b.x).flatten() for b in batches()]))
            self.prior.begin(lambda: (self._batch(batch) for batch in batches()))

    def set_scale(self, spread: Tensor) -> None:
        """Sets the factor of the latents from their standard deviation, where the model rescales them."""
        if self._scale_of is unit_spread:
            self.scale = 1 / spread.clamp_min(1e-12)

    def after_step(self) -> None:
        """The prior's."""
        self.prior.after_step()

    def train(self, mode: bool = True) -> Latent:
        """Sets the prior's mode; the autoencoder stays as it draws."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    @property
    def coder(self) -> Autoencoder:
        """The autoencoder as what it does."""
        assert isinstance(self.autoencoder, Autoencoder), "an autoencoder encodes and decodes"
        return self.autoencoder

    def _batch(self, batch: Batch) -> Batch:
        z = self.coder.encode(batch.x) * self.scale
        region = F.interpolate(batch.region.float(), z.shape[2:], mode="area") > 0
        return Batch(z, _on_grid(batch.given, z.shape[2:]), region)


def relative_error(autoencoder: Autoencoder, batches: Iterable[Batch]) -> float:
    """The sqrt(mean (x - x')**2 / variance of x) over all voxels of the regions; 1 is no better than the mean image.

    The variance is about the mean of each channel. NaN without batches or with NaN; infinite for constant images that
    come back wrong.
    """
    count, total, squares, errors = 0.0, torch.zeros(()), torch.zeros(()), 0.0
    for batch in batches:
        x, region = batch.x.double(), batch.region.double()
        wrong = x - autoencoder.decode(autoencoder.encode(batch.x), batch.x.shape[2:]).double()
        axes = (0, *range(2, x.ndim))
        count += float(region.sum())
        total, squares = total + (x * region).sum(axes), squares + (x.square() * region).sum(axes)
        errors += float((wrong.square() * region).sum())
    if not count:
        return float("nan")
    variance = float((squares - total.square() / count).sum().clamp_min(0))
    return 0.0 if errors == 0 else (errors / variance) ** 0.5 if variance != 0 else float("inf")


def _on_grid(given: Given, size: tuple[int, ...]) -> Given:
    def seen(entry: Tensor | None) -> Tensor | None:
        return None if entry is None else F.interpolate(entry.float(), size, mode="area")

    return replace(given, image=seen(given.image), mask=seen(given.mask), measured=None)
