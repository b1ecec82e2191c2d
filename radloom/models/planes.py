"""Planes: three models of slices, one for each axis of a volume, as one model of volumes (Xie et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model
from radloom.models.wrappers import Slicewise


@final
class Planes(Model):
    """The mean of what models of sagittal, coronal and axial slices draw of a volume (b, c, x, y, z).

    models: of slices across x, y and z, in this order, each with parameters of its own and the same turns. slices: how
    many of each direction a volume's loss looks at, those with something inside given.mask if there is one. draws: how
    many draws of each model are averaged: 1 keeps most of a draw's noise, more come nearer to the posterior's mean,
    which is best on average and smoother than any real image. Blind to: a volume must have all its planes, so training
    examples are whole volumes or slabs that the slices' models may take for whole images.
    """

    def __init__(self, models: tuple[Model, Model, Model], *, slices: int = 4, draws: int = 1) -> None:
        super().__init__()
        if slices < 1 or draws < 1:
            raise RadloomError(f"{slices} slices and {draws} draws of each plane", expected="at least 1 of both")
        if any(model.turns != models[0].turns for model in models):
            raise RadloomError("planes of models that take different turns", expected="three models of one kind")
        self.models, self.turns = nn.ModuleList(models), models[0].turns
        self.slices, self.draws = slices, draws

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The sum of the three models' losses, each on slices of its own direction drawn at random."""
        losses = []
        for axis, model in self._each():
            shown, known = _turned(x, axis), _turned_given(given, axis)
            places = _places(known.mask, shown, self.slices, rng)
            losses.append(model.loss(_taken(shown, places), _taken_given(known, places), turn=turn, rng=rng)["total"])
        named = {f"total.{name}": loss.detach() for name, loss in zip("xyz", losses, strict=True)}
        return {"total": torch.stack(losses).sum(), **named}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The mean of `draws` draws of each of the three models, over the whole volume."""
        return torch.cat([self._averaged(given[i : i + 1], (1, *shape[1:]), rng) for i in range(shape[0])])

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The three models' parameters."""
        for _, model in self._each():
            yield from model.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Each model's, on all slices of its direction."""
        for axis, model in self._each():
            Slicewise(model).begin(lambda axis=axis: (_turned_batch(batch, axis) for batch in batches()))

    def after_step(self) -> None:
        """Each model's."""
        for _, model in self._each():
            model.after_step()

    def _averaged(self, given: Given, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """One item, so that a batch draws what its items draw one after the other."""
        total = torch.zeros(shape)
        for axis, model in self._each():
            known, size = _turned_given(given, axis), _turned(total, axis).shape
            for _ in range(self.draws):
                drawn = Slicewise(model).sample(known, tuple(size), rng=rng).float().cpu()
                total += drawn.movedim(-1, 2 + axis)
        return total / (3 * self.draws)

    def _each(self) -> Iterator[tuple[int, Model]]:
        for axis, model in enumerate(self.models):
            assert isinstance(model, Model)
            yield axis, model


def _turned(x: Tensor, axis: int) -> Tensor:
    """(b, c, x, y, z) with the spatial axis moved last, where slices lie."""
    if x.ndim != 5:
        raise RadloomError(f"planes of images of shape {tuple(x.shape)}", expected="volumes (b, c, x, y, z)")
    return x.movedim(2 + axis, -1)


def _turned_given(given: Given, axis: int) -> Given:
    image, mask = given.image, given.mask
    return replace(given, image=image if image is None else _turned(image, axis),
                   mask=mask if mask is None else _turned(mask, axis))  # fmt: skip


def _turned_batch(batch: Batch, axis: int) -> Batch:
    return Batch(_turned(batch.x, axis), _turned_given(batch.given, axis), _turned(batch.region, axis))


def _places(mask: Tensor | None, x: Tensor, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The items and the slices of `count` slices for each item, among those that show something of the mask."""
    shown = torch.ones(len(x), x.shape[-1], device=x.device)
    if mask is not None:
        inside = mask.flatten(1, -2).any(1).float()
        shown = torch.where(inside.any(1, keepdim=True), inside, shown)
    slices = torch.multinomial(shown.to(rng.device), count, replacement=True, generator=rng).to(x.device)
    items = torch.arange(len(x), device=x.device)[:, None].expand_as(slices)
    return items.flatten(), slices.flatten()


def _taken(x: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """The slices (n, c, x, y) at these places of (b, c, x, y, z)."""
    return x.movedim(-1, 1)[places]


def _taken_given(given: Given, places: tuple[Tensor, Tensor]) -> Given:
    image, mask = given.image, given.mask
    return replace(given, image=image if image is None else _taken(image, places),
                   mask=mask if mask is None else _taken(mask, places))  # fmt: skip
