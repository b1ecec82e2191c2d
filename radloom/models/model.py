"""The one abstract class: Model, a family p(x | given) with a loss to train by and a way to draw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from radloom.given import Given


@dataclass(frozen=True)
class Batch:
    """Examples to learn from: x (b, c, *s), what is given, and the region (b, 1, *s) that counts."""

    x: Float[Tensor, "b c *s"]
    given: Given
    region: Bool[Tensor, "b 1 *s"]


class Model(nn.Module, ABC):
    """p(x | given). Subclasses are final; to add to a model, wrap it.

    turns: the optimisers, in the order in which they step.
    """

    turns: tuple[str, ...] = ("all",)

    @abstractmethod
    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """Scalars by name; "total" is minimised in this turn, the others are logged."""

    @abstractmethod
    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw of x with this shape (b, c, *s)."""

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The parameters that step in this turn."""
        return self.parameters()

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Sets what is set from data before the first step (closed-form maps, scales); `batches()` passes over them."""

    def after_step(self) -> None:
        """Runs after all turns of a step: moving averages of teachers and the like."""
