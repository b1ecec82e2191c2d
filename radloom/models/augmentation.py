"""Random changes of images before a discriminator that radiology can bear: no hue, no quarter turns, no hidden flips.

Adaptive augmentation (Karras et al. 2020, "limited data") and DiffAugment (Zhao et al. 2020) are made of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.models.feedback import Feedback

# (x, chance, rng) -> x, each item changed with this chance; differentiable in x
Change = Callable[[Tensor, float, torch.Generator], Tensor]


@final
class Augmentation(nn.Module):
    """A GAN's disguise: changes that real and generated images alike undergo before they are scored.

    The generator does not learn to draw them as long as most images pass unchanged. feedback: sets the chance of each
    change from how far the discriminator runs ahead; Feedback(target=None, start=1) is DiffAugment's fixed one.
    """

    def __init__(self, changes: tuple[Change, ...], feedback: Feedback) -> None:
        super().__init__()
        self.changes, self.feedback = changes, feedback

    def forward(self, x: Float[Tensor, "b c *s"], rng: torch.Generator) -> tuple[Tensor, None]:
        """The changed images; there is no time to be heard."""
        chance = float(self.feedback.p)
        if chance > 0:
            for change in self.changes:
                x = change(x, chance, rng)
        return x, None

    def note(self, real_scores: Tensor) -> None:
        """Passes the scores on to the feedback."""
        self.feedback.note(real_scores)

    def after_step(self, seed: int) -> None:
        """Sets the chance anew."""
        self.feedback.after_step()


def placement(
    *, shift: float = 0.125, turn: float = 10.0, scale: float = 0.2, stretch: float = 0.2, flips: tuple[int, ...] = ()
) -> Change:
    """Shifts, turns, scales and stretches an image, each by itself with the chance, all in one linear interpolation.

    shift: up to this share of each axis. turn: up to this many degrees about any axis (a head leans, it does not stand
    upside down). scale, stretch: standard deviation of the binary logarithm of the size, and of one axis against the
    others. flips: spatial axes along which a mirror image is as likely: none where side matters, as it does wherever
    heart, liver or handedness shows. What enters from outside is the reflected image.
    """

    def change(x: Tensor, chance: float, rng: torch.Generator) -> Tensor:
        dims = x.ndim - 2
        size = torch.tensor(x.shape[2:], dtype=torch.float32, device=x.device)
        draw = _Draws(len(x), chance, rng, x.device)
        matrix = torch.matrix_exp(draw.skew(dims, math.radians(turn)))
        sizes = scale * draw.normal(1) + stretch * draw.normal(dims)
        for axis in range(dims):
            mirrored = draw.chosen() & (draw.uniform(1)[:, 0] < 0.5) if axis in flips else torch.zeros_like(draw.none)
            matrix[:, :, axis] *= torch.where(mirrored, -1.0, 1.0)[:, None] * torch.exp2(-sizes[:, axis, None])
        matrix = matrix * size / size[:, None]  # in voxels a turn keeps shapes, in shares of the axes it would not
        moves = 2 * shift * (2 * draw.uniform(dims) - 1) * draw.chosen()[:, None]
        grid = torch.cat([matrix, moves[..., None]], dim=2).flip(1)
        grid = torch.cat([grid[..., :-1].flip(2), grid[..., -1:]], dim=2)  # torch counts the last axis first
        where = F.affine_grid(grid, list(x.shape), align_corners=False)
        moved = F.grid_sample(x.float(), where, padding_mode="reflection", align_corners=False)
        return moved.to(x)

    return change


def intensity(*, brightness: float = 0.2, contrast: float = 0.5, unit: float = 1.0) -> Change:
    """Multiplies by 2**(contrast n) and adds brightness * unit * n, each with the chance, n standard normal.

    One factor and one sum for all channels of an image, so that sequences keep their relation. unit: what a change of
    the image by 1 is in its data (ADA takes images of [-1, 1]).
    """

    def change(x: Tensor, chance: float, rng: torch.Generator) -> Tensor:
        draw = _Draws(len(x), chance, rng, x.device)
        factor, term = torch.exp2(contrast * draw.normal(1)), brightness * unit * draw.normal(1)
        one = (-1, *(1,) * (x.ndim - 1))
        return x * factor.view(one).to(x) + term.view(one).to(x)

    return change


def grain(*, deviation: float = 0.1) -> Change:
    """Adds white noise of deviation |n| times `deviation`, with the chance."""

    def change(x: Tensor, chance: float, rng: torch.Generator) -> Tensor:
        draw = _Draws(len(x), chance, rng, x.device)
        spread = deviation * draw.normal(1).abs().view(-1, *(1,) * (x.ndim - 1))
        return x + (spread * torch.randn(x.shape, generator=rng, device=rng.device).to(x.device)).to(x)

    return change


def cutout(*, share: float = 0.5) -> Change:
    """Blanks a box of this share of each axis somewhere, with the chance."""

    def change(x: Tensor, chance: float, rng: torch.Generator) -> Tensor:
        draw = _Draws(len(x), chance, rng, x.device)
        inside = draw.chosen().view(-1, *(1,) * (x.ndim - 1))
        for axis, length in enumerate(x.shape[2:], start=2):
            centre = draw.uniform(1) * length
            along = (torch.arange(length, device=x.device) + 0.5 - centre).abs() < share * length / 2
            view = [len(x), *(1,) * (x.ndim - 1)]
            view[axis] = length
            inside = inside & along.view(view)
        return x.masked_fill(inside, 0)

    return change


class _Draws:
    """Random numbers for each item of a batch: 0 where the item is not chosen for this change."""

    def __init__(self, count: int, chance: float, rng: torch.Generator, device: torch.device) -> None:
        self.count, self.chance, self.rng, self.device = count, chance, rng, device
        self.none = torch.zeros(count, dtype=torch.bool, device=device)

    def uniform(self, width: int) -> Tensor:
        """Numbers in [0, 1), for every item."""
        return torch.rand(self.count, width, generator=self.rng, device=self.rng.device).to(self.device)

    def chosen(self) -> Tensor:
        """Which items are changed."""
        return self.uniform(1)[:, 0] < self.chance

    def normal(self, width: int) -> Tensor:
        """Standard normal numbers of the chosen items."""
        drawn = torch.randn(self.count, width, generator=self.rng, device=self.rng.device).to(self.device)
        return drawn * self.chosen()[:, None]

    def skew(self, dims: int, most: float) -> Tensor:
        """Skew matrices whose exponentials turn by up to `most` about each axis."""
        angles = most * (2 * self.uniform(dims * (dims - 1) // 2) - 1) * self.chosen()[:, None]
        rows, columns = torch.triu_indices(dims, dims, 1).to(self.device)
        matrix = torch.zeros(self.count, dims, dims, device=self.device)
        matrix[:, rows, columns] = angles
        return matrix - matrix.mT


def radiology(*, unit: float = 1.0, flips: tuple[int, ...] = ()) -> tuple[Change, ...]:
    """The changes that help most in ADA (its blit, geometry and intensity) and that radiology can bear."""
    if not unit > 0:
        raise RadloomError(f"a unit of {unit}", expected="a number above 0")
    return (placement(flips=flips), intensity(unit=unit))
