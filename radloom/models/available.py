"""One model for every set of inputs: inputs are hidden at random in training, and maps say which ones are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model


@final
class Available(Model):
    """p(x | those inputs that there are): the inner model sees the inputs, absent ones as 0, and a map for each.

    An absent input holds NaN at every voxel of its channel (see Given). The map of input i is 1 where it is there and 0
    where it is not (the domain map of Li et al. 2019, one channel an input). hide: the probability with which each
    input of each training item is hidden; one of them always stays.
    The inner model has 2 * inputs channels and begins from every set of inputs, so that a closed-form base serves all.
    """

    def __init__(self, model: Model, *, inputs: int, hide: float) -> None:
        super().__init__()
        if not 0 <= hide < 1:
            raise RadloomError(f"--set hide={hide} is out of range", expected="a share from 0 to below 1")
        self.model, self.inputs, self.hide, self.turns = model, inputs, hide, model.turns
        self._shown: Bool[Tensor, "b c"] | None = None  # in the first turn of a step; the others judge the same

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The inner model's loss under randomly hidden inputs, the same ones in all turns of a step."""
        if turn == self.turns[0] or self._shown is None or len(self._shown) != len(x):
            self._shown = _some(there(given), self.hide, rng)
        return self.model.loss(x, with_maps(given, self._shown), turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The inner model's draw from what is there. Raises RadloomError for an item without any input."""
        shown = there(given)
        if not shown.any(1).all():
            raise RadloomError("every input of a case is absent", expected="at least one image to draw from")
        return self.model.sample(with_maps(given, shown), shape, rng=rng)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The inner model's."""
        return self.model.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Begins the inner model on the batches as every non-empty set of inputs shows them."""
        sizes = range(1, self.inputs + 1)
        sets = [chosen for size in sizes for chosen in combinations(range(self.inputs), size)]

        def every_set() -> Iterator[Batch]:
            for batch in batches():
                for chosen in sets:
                    shown = torch.zeros(len(batch.x), self.inputs, dtype=torch.bool, device=batch.x.device)
                    shown[:, list(chosen)] = True
                    yield replace(batch, given=with_maps(batch.given, shown & there(batch.given)))

        self.model.begin(every_set)

    def after_step(self) -> None:
        """The inner model's."""
        self.model.after_step()


def there(given: Given) -> Bool[Tensor, "b c"]:
    """Which input of which item is there: not NaN everywhere."""
    assert given.image is not None, "inputs that may be absent are images"
    return ~torch.isnan(given.image).flatten(2).all(2)


def without(given: Given, inputs: Iterable[int]) -> Given:
    """The same condition with these inputs absent."""
    assert given.image is not None, "inputs that may be absent are images"
    image = given.image.clone()
    image[:, list(inputs)] = torch.nan
    return replace(given, image=image)


def with_maps(given: Given, shown: Bool[Tensor, "b c"]) -> Given:
    """The condition as the inner model sees it: hidden inputs 0, then a constant map for each input."""
    assert given.image is not None, "inputs that may be absent are images"
    maps: Float[Tensor, "b c *s"] = shown.view(*shown.shape, *(1,) * (given.image.ndim - 2)).expand(given.image.shape)
    image = torch.where(maps, given.image, torch.zeros((), dtype=given.image.dtype, device=given.image.device))
    return replace(given, image=torch.cat([image, maps.to(image.dtype)], dim=1))


def _some(present: Bool[Tensor, "b c"], hide: float, rng: torch.Generator) -> Bool[Tensor, "b c"]:
    """The inputs that stay: each present one with probability 1 - hide, and the luckiest one in any case."""
    luck = torch.rand(present.shape, generator=rng, device=present.device).masked_fill(~present, -1.0)
    luckiest = torch.zeros_like(present).scatter(1, luck.argmax(1, keepdim=True), True)
    return present & ((luck >= hide) | luckiest)
