"""What differs between a CT and many reconstructions of it, by vote: pixel for pixel, and with the slices beside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from radloom.errors import RadloomError


@dataclass(frozen=True)
class Tally:
    """votes: of `steps` reconstructions. difference: the last one's HU_x - HU_reconstruction after the median."""

    votes: Float[Tensor, "b 1 h w"]
    difference: Float[Tensor, "b 1 h w"]
    steps: int

    @property
    def suspect(self) -> Bool[Tensor, "b 1 h w"]:
        """More than one vote a step, of the two that there are: flagged most of the time, and beside others."""
        return self.votes > self.steps

    @property
    def map(self) -> Float[Tensor, "b 1 h w"]:
        """The votes times |difference| / steps, in HU: up to twice the difference."""
        return self.votes * self.difference.abs() / max(self.steps, 1)

    def scores(self, brain: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
        """The map's mean over the brain of each slice; 0 where there is no brain (Lee et al. 2022)."""
        return (self.map * brain).flatten(1).sum(1) / brain.flatten(1).sum(1).clamp_min(1)


def begun(like: Float[Tensor, "b 1 h w"]) -> Tally:
    """No vote yet."""
    return Tally(torch.zeros_like(like), torch.zeros_like(like), 0)


def voted(
    before: Tally, x: Float[Tensor, "b 1 h w"], reconstructed: Float[Tensor, "b 1 h w"],
    brain: Bool[Tensor, "b 1 h w"], *, limit: float, width: int,
) -> Tally:  # fmt: skip
    """The tally after one more reconstruction, x and it in HU; the batch: neighbouring slices of one case in order.

    d = median filter of width x width of (x - reconstructed) brain. A vote where |d| > limit; another where two of the
    slice and its two neighbours have one. The first and the last slice of a batch have one neighbour.
    """
    d = median((x - reconstructed) * brain, width) * brain
    flagged = (d.abs() > limit).to(x)
    beside = F.pad(flagged[:, 0].permute(1, 2, 0), (1, 1)).unfold(2, 3, 1).sum(3).permute(2, 0, 1)[:, None]
    return Tally(before.votes + flagged + ((beside >= 2) & brain).to(x), d, before.steps + 1)


def median(x: Float[Tensor, "b 1 h w"], width: int) -> Float[Tensor, "b 1 h w"]:
    """The median in squares of `width` pixels, the image continued by its rim.

    >>> median(torch.tensor([[[[0.0, 0, 0], [0, 9, 0], [0, 0, 0]]]]), 3).max().item()
    0.0
    """
    if width < 1 or width % 2 == 0:
        raise RadloomError(f"a median of {width} pixels", expected="an odd number")
    if width == 1:
        return x
    half = width // 2
    around = F.pad(x, (half,) * 4, mode="replicate").unfold(2, width, 1).unfold(3, width, 1)
    return around.flatten(4).median(4).values
