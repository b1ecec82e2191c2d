"""Zero-shot: a model of x given an image that trains with x in the image's place and never sees a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn

from radloom.given import Given
from radloom.models.cyclegan import region_of
from radloom.models.model import Batch, Model


@final
class ZeroShot(Model):
    """The inner model, told in training that x is what is given, and in drawing the given image.

    It translates as far as the inner model hears of an image only what all modalities have in common, such as
    networks.local_mutual_information; a network that sees grey values learns to copy. Blind to: all that the source
    knows beyond that common part, and to whether grey levels of a tissue are right.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.turns = model, model.turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The inner model's loss of x given x; given.image is not used."""
        return self.model.loss(x, own(x, given), turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The inner model's draw given the image."""
        return self.model.sample(given, shape, rng=rng)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The inner model's."""
        return self.model.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The inner model's, on what training shows it."""
        self.model.begin(lambda: (Batch(b.x, own(b.x, b.given), b.region) for b in batches()))

    def after_step(self) -> None:
        """The inner model's."""
        self.model.after_step()


def own(x: Tensor, given: Given) -> Given:
    """What is given, with x in the image's place and x's own region, where it is not 0."""
    return replace(given, image=x, mask=region_of(x, given).mask)
