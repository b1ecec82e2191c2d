"""One model for each class: a family that hears no condition becomes p(x | class)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model


@final
class ByClass(Model):
    """p(x | class) by a part of its own for each class in the first column of given.label; classes share nothing.

    An item whose class is unknown (NaN) or no class of the parts raises RadloomError.
    """

    def __init__(self, parts: tuple[Model, ...]) -> None:
        super().__init__()
        assert parts, "a class has a part"
        assert all(part.turns == parts[0].turns for part in parts), "parts take the same turns"
        self.parts, self.turns = nn.ModuleList(parts), parts[0].turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The parts' losses on their own items, weighted by how many these are; a class without items adds nothing."""
        found: dict[str, Tensor] = {}
        classes = self._classes(given, len(x))
        for number, part in enumerate(self._each()):
            mine = torch.tensor([one == number for one in classes], device=x.device)
            if mine.any():
                share = mine.float().mean()
                for name, value in part.loss(x[mine], _chosen(given, mine), turn=turn, rng=rng).items():
                    found[name] = found.get(name, torch.zeros((), device=x.device)) + share * value
        return found

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """Every item's draw by the part of its class."""
        classes, parts, drawn, first = self._classes(given, shape[0]), list(self._each()), [], 0
        for number, run in groupby(classes):  # in order, so that a batch draws what its items draw one by one
            count = len(list(run))
            items = given[first : first + count]
            drawn.append(parts[number].sample(items, (count, *shape[1:]), rng=rng))
            first += count
        return torch.cat(drawn)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The parts'."""
        for part in self._each():
            yield from part.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Each part's, on its own items."""
        for number, part in enumerate(self._each()):
            part.begin(lambda number=number: self._of_class(batches(), number))

    def after_step(self) -> None:
        """Each part's."""
        for part in self._each():
            part.after_step()

    def bits(
        self, x: Tensor, given: Given, rng: torch.Generator, of: Callable[[Any, Tensor, Given, torch.Generator], Tensor]
    ) -> Tensor:  # fmt: skip
        """`of` each item under the part of its class."""
        classes, parts = self._classes(given, len(x)), list(self._each())
        return torch.cat([of(parts[c], x[i : i + 1], given[i : i + 1], rng) for i, c in enumerate(classes)])

    def _of_class(self, batches: Iterable[Batch], number: int) -> Iterator[Batch]:
        for batch in batches:
            mine = torch.tensor([one == number for one in self._classes(batch.given, len(batch.x))])
            if mine.any():
                yield Batch(batch.x[mine], _chosen(batch.given, mine), batch.region[mine])

    def _classes(self, given: Given, count: int) -> list[int]:
        labels = [float("nan")] * count if given.label is None else given.label[:, 0].tolist()
        if not all(label in range(len(self.parts)) for label in labels):
            raise RadloomError(f"classes {labels[:4]} for {len(self.parts)} models", do="name a class for every image",
                               expected=f"0 to {len(self.parts) - 1}")  # fmt: skip
        return [int(label) for label in labels]

    def _each(self) -> Iterator[Model]:
        for part in self.parts:
            assert isinstance(part, Model)
            yield part


def _chosen(given: Given, mine: Tensor) -> Given:
    def some(entry: Tensor | None) -> Tensor | None:
        return None if entry is None else entry[mine]

    return replace(given, image=some(given.image), mask=some(given.mask), label=some(given.label))


def by_class(make: Callable[[], Model], classes: int) -> Model:
    """The model itself where there are no classes, else one for each."""
    return ByClass(tuple(make() for _ in range(classes))) if classes else make()


Bits = Callable[[Any, Tensor, Given, torch.Generator], Tensor]


def by_class_bits(of: Bits) -> Bits:
    """The bits of images under a model that may have a part for each class."""

    def bits(model: Model, x: Tensor, given: Given, rng: torch.Generator) -> Tensor:
        return model.bits(x, given, rng, of) if isinstance(model, ByClass) else of(model, x, given, rng)

    return bits
