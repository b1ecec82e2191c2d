"""Models that turn an image into its pseudo-healthy version and a map: a diffusion model of healthy images, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.model import Batch, Model
from radloom.samplers.denoiser import streams
from radloom.samplers.healing import Heal, Healed


@runtime_checkable
class Heals(Protocol):
    """What the study of anomalies asks of a model."""

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """The pseudo-healthy version of x (b, c, *s) and the map of what differs."""
        ...


@final
class Healing(Model):
    """p(x) of healthy images by `prior`, and `how` an image is made healthy with it."""

    def __init__(self, prior: Diffusion, how: Heal) -> None:
        super().__init__()
        self.prior, self.how = prior, how

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The prior's."""
        return self.prior.loss(x, given, turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A healthy image of the prior."""
        return self.prior.sample(given, shape, rng=rng)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The prior's."""
        self.prior.begin(batches)

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """The image as `how` makes it healthy; a batch takes the noise that its items take one after the other."""
        with torch.no_grad():
            return self.how(self.prior.guided(), x, given, streams(rng, len(x)))
