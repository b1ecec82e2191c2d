"""Models made of models: independent parts by channel, and overlapping tiles of a large image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.data.views import neighbours
from radloom.given import Given
from radloom.models.model import Batch, Model


@dataclass(frozen=True)
class Route:
    """Which channels of x a part draws, and which channels of given.image it sees."""

    draws: tuple[int, ...]
    sees: tuple[int, ...]


@final
class Independent(Model):
    """p(x | given) as a product: each part draws its own channels from its own inputs."""

    def __init__(self, parts: tuple[Model, ...], routes: tuple[Route, ...]) -> None:
        super().__init__()
        self.parts, self.routes = nn.ModuleList(parts), routes
        self.turns = parts[0].turns
        assert all(part.turns == self.turns for part in parts), "parts take the same turns"

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The sum of the parts' losses; their terms are logged as name.0, name.1, ..."""
        losses = [
            part.loss(x[:, list(route.draws)], given.channels(route.sees), turn=turn, rng=rng) for part, route in self
        ]
        named = {f"{name}.{i}": value for i, loss in enumerate(losses) for name, value in loss.items() if len(loss) > 1}
        return {**named, "total": torch.stack([loss["total"] for loss in losses]).sum()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """Every part's channels in their places."""
        drawn: dict[int, Tensor] = {}
        for part, route in self:
            channels = part.sample(given.channels(route.sees), (shape[0], len(route.draws), *shape[2:]), rng=rng)
            drawn.update(zip(route.draws, channels.unbind(1), strict=True))
        return torch.stack([drawn[channel] for channel in range(shape[1])], dim=1)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The parameters of all parts in this turn."""
        for part, _ in self:
            yield from part.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Begins each part on its own channels."""
        for part, route in self:
            part.begin(lambda route=route: (_routed(batch, route) for batch in batches()))

    def after_step(self) -> None:
        """Every part's own."""
        for part, _ in self:
            part.after_step()

    def __iter__(self) -> Iterator[tuple[Model, Route]]:
        for part, route in zip(self.parts, self.routes, strict=True):
            assert isinstance(part, Model)
            yield part, route


def _routed(batch: Batch, route: Route) -> Batch:
    return Batch(batch.x[:, list(route.draws)], batch.given.channels(route.sees), batch.region)


@final
class Slicewise(Model):
    """A model of axial slices as a model of volumes (b, c, x, y, z), `chunk` slices at a time.

    context: slices above and as many below that the model sees of given.image beside a slice, as in AxialSlices.
    """

    def __init__(self, model: Model, *, chunk: int = 8, context: int = 0) -> None:
        super().__init__()
        self.model, self.chunk, self.context = model, chunk, context
        self.turns = model.turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The inner model's loss over all slices."""
        return self.model.loss(_slices(x), _sliced(given, self.context), turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The slices' draws, stacked again."""
        b, c, *plane, depth = shape
        flat = _sliced(given, self.context)
        parts = [
            self.model.sample(
                flat[start : start + self.chunk], (min(self.chunk, b * depth - start), c, *plane), rng=rng
            )
            for start in range(0, b * depth, self.chunk)
        ]
        return torch.cat(parts).reshape(b, depth, c, *plane).movedim(1, -1)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The inner model's."""
        return self.model.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The inner model's, on slices."""
        self.model.begin(
            lambda: (Batch(_slices(b.x), _sliced(b.given, self.context), _slices(b.region)) for b in batches())
        )

    def after_step(self) -> None:
        """The inner model's."""
        self.model.after_step()


def _slices(x: Tensor) -> Tensor:
    """(b, c, x, y, z) as (b * z, c, x, y)."""
    return x.movedim(-1, 1).flatten(0, 1)


def _with_neighbours(image: Tensor, context: int) -> Tensor:
    """(b, c, x, y, z) with the neighbouring slices' channels behind each slice's own."""
    depth = image.shape[-1]
    places = torch.tensor([[z, *neighbours(z, depth, context)] for z in range(depth)])
    return torch.cat([image[..., column] for column in places.unbind(1)], dim=1)


def _sliced(given: Given, context: int) -> Given:
    assert given.label is None, "a label for each slice is not defined"
    assert given.text is None, "a text for each slice is not defined"
    assert given.measured is None, "a measurement of each slice is not defined"
    image, mask = given.image, given.mask
    if image is not None and context:
        image = _with_neighbours(image, context)
    return Given(image if image is None else _slices(image), mask if mask is None else _slices(mask))


@final
class Tiled(Model):
    """Draws a large image by overlapping tiles blended with a Gaussian weight; trains as the model inside.

    tile: edge of a tile in voxels along each axis; overlap: share of the edge that neighbours have in common.
    """

    def __init__(self, model: Model, tile: tuple[int, ...], *, overlap: float = 0.25) -> None:
        super().__init__()
        self.model, self.tile, self.overlap = model, tile, overlap
        self.turns = model.turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The inner model's loss."""
        return self.model.loss(x, given, turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The blend of the tiles' draws."""
        spatial = shape[2:]
        edges = tuple(min(edge, length) for edge, length in zip(self.tile, spatial, strict=True))
        weight = gaussian_window(edges)
        total, count = torch.zeros(shape), torch.zeros(spatial)
        starts = (tile_starts(n, edge, self.overlap) for n, edge in zip(spatial, edges, strict=True))
        for corner in product(*starts):
            box = tuple(slice(start, start + edge) for start, edge in zip(corner, edges, strict=True))
            drawn = self.model.sample(_cut(given, box), (*shape[:2], *edges), rng=rng).float().cpu()
            total[(..., *box)] += drawn * weight
            count[box] += weight
        return total / count

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The inner model's."""
        return self.model.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The inner model's."""
        self.model.begin(batches)

    def after_step(self) -> None:
        """The inner model's."""
        self.model.after_step()


def tile_starts(length: int, edge: int, overlap: float) -> list[int]:
    """Where tiles begin so that they cover [0, length) with at least this overlap, evenly spread."""
    if edge >= length:
        return [0]
    step = max(1, int(edge * (1 - overlap)))
    count = -(-(length - edge) // step) + 1
    return [round(i * (length - edge) / (count - 1)) for i in range(count)]


def gaussian_window(edges: tuple[int, ...]) -> Float[Tensor, "*s"]:
    """A weight that falls from the centre of a tile to its faces, sigma an eighth of the edge, never below 1e-3."""
    weight = torch.ones(())
    for edge in edges:
        steps = torch.arange(edge) - (edge - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (steps / (edge / 8)) ** 2)
    return weight.clamp_min(1e-3)


def _cut(given: Given, box: tuple[slice, ...]) -> Given:
    assert given.measured is None, "a measurement of each tile is not defined"

    def cut(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[(..., *box)]

    return Given(image=cut(given.image), mask=cut(given.mask), label=given.label, text=given.text)
