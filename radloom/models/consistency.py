"""Consistency training: a network that jumps from any noise to the image, learned without a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model
from radloom.models.spread import root_mean_square
from radloom.networks.conditions import Dropout, dropped, never
from radloom.samplers import grids
from radloom.samplers.denoiser import streams


@dataclass(frozen=True)
class Ladder:
    """The noise levels of training: `lowest` to `highest` in first + 1 levels, twice as many steps between them now
    and then up to last + 1, over `steps` of training (Song & Dhariwal 2024, section 3.4).

    mean, deviation: of the normal law of ln sigma by which levels are chosen (section 3.5). Sigmas are those of images
    of root mean square 0.5, as the paper's; scale them with the data's.
    """

    steps: int
    first: int = 10
    last: int = 1280
    lowest: float = 0.002
    highest: float = 80.0
    mean: float = -1.1
    deviation: float = 2.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 2 <= self.first <= self.last:
            raise RadloomError(f"a ladder of {self.first} to {self.last} levels over {self.steps} steps",
                               expected="2 <= first <= last, and steps above 0")  # fmt: skip
        if not 0 < self.lowest < self.highest < math.inf or not 0 < self.deviation < math.inf:
            raise RadloomError(f"a ladder of noise from {self.lowest} to {self.highest}, deviation {self.deviation}",
                               expected="0 < lowest < highest, and a deviation above 0")  # fmt: skip

    def levels(self, step: int) -> int:
        """The number N(k) of levels at a step of training.

        >>> [Ladder(steps=800).levels(k) for k in (0, 99, 100, 799, 10_000)]
        [11, 11, 21, 1281, 1281]
        """
        stages = int(math.log2(self.last // self.first)) + 1
        doublings = min(step // max(1, self.steps // stages), stages)
        return min(self.first * 2**doublings, self.last) + 1

    def sigmas(self, step: int) -> Float[Tensor, " n"]:
        """The levels of a step, rising, in float64 (Karras et al. 2022, eq. 5)."""
        return grids.karras(self.levels(step), self.lowest, self.highest)[:-1].flip(0)

    def chances(self, sigmas: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        """The chance of each pair of neighbours (n - 1,)."""
        ends = torch.special.ndtr((sigmas.log() - self.mean) / self.deviation)
        return ends.diff() / (ends[-1] - ends[0])


@final
class Consistency(Model):
    """p(x | given) by a network f(x, sigma) that leads every point of a noising path to its image.

    network: (x / sqrt(sigma**2 + spread**2), ln(sigma) / 4, given) -> answer F of x's shape, without dropout layers;
    f = c_skip x + c_out F with c_skip = spread**2 / ((sigma - lowest)**2 + spread**2), c_out = spread (sigma - lowest)
    / sqrt(sigma**2 + spread**2), so that f(x, lowest) = x (Song et al. 2023, appendix C). Training holds f at a level
    to its own answer, without gradient, at the level below for the same image and noise; no average of weights teaches
    (Song & Dhariwal 2024). draws: the falling levels from which it jumps, one for one evaluation, the first
    ladder.highest. huber: c of the metric sqrt(d**2 + c**2) - c of root mean squares. The step of training counts
    along in the weights. Outside given.mask the image is 0.
    """

    spread: Tensor
    step: Tensor

    def __init__(
        self, network: nn.Module, ladder: Ladder, *, draws: Sequence[float] = (80.0, 0.821), huber: float = 0.00054,
        dropout: Dropout = never, spread: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        falls = all(a > b for a, b in pairwise([*draws, ladder.lowest]))
        if not draws or draws[0] != ladder.highest or not falls:
            raise RadloomError(f"jumps from {', '.join(map(str, draws)) or 'nowhere'}",
                               expected=f"falling levels from {ladder.highest} to above {ladder.lowest}")  # fmt: skip
        if not huber > 0 or not (spread is None or 0 < spread < math.inf):
            raise RadloomError(f"a metric of c {huber} and a spread of {spread}", expected="numbers above 0")
        self.network, self.ladder, self.draws = network, ladder, tuple(draws)
        self.huber, self.dropout, self._measures = huber, dropout, spread is None
        self.register_buffer("spread", torch.tensor(0.5 if spread is None else spread))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Measures the spread over all voxels of the training images, unless it was given."""
        if self._measures:
            self.spread = self.spread.new_tensor(root_mean_square(batch.x for batch in batches()))

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """Mean of (sqrt(d**2 + huber**2) - huber) / (upper - lower), d the root mean square between the two jumps."""
        sigmas = self.ladder.sigmas(int(self.step)).to(x.device)
        lower = torch.multinomial(self.ladder.chances(sigmas), len(x), replacement=True, generator=rng)
        below, above = sigmas[lower].to(x), sigmas[lower + 1].to(x)
        n = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        known = dropped(given, len(x), self.dropout, rng)
        with torch.no_grad():
            right = self.jump(x + _like(below, x) * n, below, known)
        apart = (self.jump(x + _like(above, x) * n, above, known) - right).square().flatten(1).mean(1)
        metric = (apart + self.huber**2).sqrt() - self.huber
        return {"total": (metric / (above - below)).mean(), "apart": apart.mean().sqrt()}

    def jump(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """f(x, sigma): the image at the end of the path through x; sigma is a scalar or (b,)."""
        s = _like(sigma.to(x).expand(len(x)), x)
        total, way = (s**2 + self.spread**2).sqrt(), s - self.ladder.lowest
        answer = self.network(x / total, s.flatten().log() / 4, given).float()
        return self.spread**2 / (way**2 + self.spread**2) * x + self.spread * way / total * answer

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw by jumps with fresh noise between them (Song et al. 2023, Algorithm 1).

        A batch draws what its items draw one after the other from the same rng.
        """
        own = streams(rng, shape[0])
        x = torch.zeros(shape, device=rng.device)
        for i, sigma in enumerate(self.draws):
            added = sigma if i == 0 else (sigma**2 - self.ladder.lowest**2) ** 0.5
            x = self.jump(x + added * own.normal(x), torch.tensor(sigma), given)
        return x if given.mask is None else x * given.mask

    def after_step(self) -> None:
        """Counts the step."""
        self.step += 1


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (x.ndim - 1))
