"""Ensemble: models of one kind that began apart, as one model; where their answers differ, none of them knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model


@final
class Ensemble(Model):
    """p(x | given) as the mean of the members' densities (Lakshminarayanan et al. 2017, deep ensembles).

    members: models that take the same turns, each built anew, so that they begin at other weights; they train on the
    same examples with noise of their own. A draw is one member's, each with equal chance. `each` has them all, for
    mean and deviation: small where all err alike, so no deviation vouches for an answer.
    """

    def __init__(self, members: tuple[Model, ...]) -> None:
        super().__init__()
        if not members or any(member.turns != members[0].turns for member in members):
            raise RadloomError(f"an ensemble of {len(members)} models", expected="models that take the same turns")
        self.members, self.turns = nn.ModuleList(members), members[0].turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The sum of the members' losses, so that each learns as if alone; "apart" is how far the largest is above it.

        One clip of the gradient serves all: a member with a wild step slows the others.
        """
        totals = torch.stack([member.loss(x, given, turn=turn, rng=rng)["total"] for member in self._each()])
        return {"total": totals.sum(), "apart": (totals.max() - totals.mean()).detach()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw of a member for each item, one item at a time."""
        members, drawn = list(self._each()), []
        for item in range(shape[0]):
            chosen = members[int(torch.randint(len(members), (), generator=rng, device=rng.device))]
            drawn.append(chosen.sample(given[item : item + 1], (1, *shape[1:]), rng=rng))
        return torch.cat(drawn)

    def each(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Float[Tensor, "m b c *s"]:
        """A draw of every member from the same noise."""
        begun = rng.get_state()
        drawn = []
        for member in self._each():
            rng.set_state(begun)
            drawn.append(member.sample(given, shape, rng=rng))
        return torch.stack(drawn)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The members'."""
        for member in self._each():
            yield from member.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Each member's."""
        for member in self._each():
            member.begin(batches)

    def after_step(self) -> None:
        """Each member's."""
        for member in self._each():
            member.after_step()

    def _each(self) -> Iterator[Model]:
        for member in self.members:
            assert isinstance(member, Model)
            yield member


@final
class Averaged(Model):
    """The mean of what an ensemble's members draw: for members of one answer, less error than one of them has.

    The mean squared error of the mean is that of the members less their spread around it (Krogh & Vedelsby 1995). For
    models that sample it is no draw of anything: a blur.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble, self.turns = ensemble, ensemble.turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The ensemble's."""
        return self.ensemble.loss(x, given, turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The mean of every member's draw from the same noise."""
        return self.ensemble.each(given, shape, rng=rng).mean(dim=0)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The members'."""
        return self.ensemble.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Each member's."""
        self.ensemble.begin(batches)

    def after_step(self) -> None:
        """Each member's."""
        self.ensemble.after_step()
