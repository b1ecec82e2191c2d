"""What learns and draws as its diffusion prior does; what it is good for beside drawing comes on top."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.model import Batch, Model


class OnPrior(Model):
    """p(x | given) by `prior`; subclasses heal with it or read it."""

    def __init__(self, prior: Diffusion) -> None:
        super().__init__()
        self.prior = prior

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The prior's."""
        return self.prior.loss(x, given, turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """An image of the prior."""
        return self.prior.sample(given, shape, rng=rng)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The prior's."""
        self.prior.begin(batches)
