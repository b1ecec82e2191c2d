"""Likelihoods of grey levels: a softmax over all of them, or a mixture of discretised logistics; no network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from radloom.errors import RadloomError


@dataclass(frozen=True)
class Levels:
    """`count` grey levels at equal steps from `low` to `high`: 256 for 8 bits, 4096 for 12."""

    count: int
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 2 or not self.low < self.high:
            raise RadloomError(f"{self.count} levels from {self.low} to {self.high}",
                               expected="at least two, from a lower to a higher value")  # fmt: skip

    def index(self, x: Tensor) -> Tensor:
        """The nearest level's number, 0 to count - 1; values outside get the end ones. NaN raises RadloomError."""
        if x.isnan().any():
            raise RadloomError("NaN among grey values", expected="numbers", do="fill or mask what is missing")
        share = (x.double() - self.low) / (self.high - self.low)
        return (share * (self.count - 1)).round().clamp(0, self.count - 1).long()

    def value(self, index: Tensor) -> Tensor:
        """The grey value of a level's number."""
        return self.low + (self.high - self.low) * index.float() / (self.count - 1)

    def signed(self, index: Tensor) -> Tensor:
        """The level's place from -1 to 1, as networks read it."""
        return 2 * index.float() / (self.count - 1) - 1


@dataclass(frozen=True)
class Softmax:
    """A free probability for each level (van den Oord et al. 2016a): best for few levels, or for codes."""

    levels: int

    @property
    def outputs(self) -> int:
        """One number per level."""
        return self.levels

    def log_prob(self, answer: Tensor, index: Tensor) -> Tensor:
        """The log-softmax at the level."""
        return answer.log_softmax(1).gather(1, index[:, None])[:, 0]

    def draw(self, answer: Tensor, uniform: Tensor) -> Tensor:
        """The level at which the cumulated probability passes the first uniform number."""
        return _chosen(answer, uniform[:, 0])


@dataclass(frozen=True)
class LogisticMixture:
    """A mixture of logistics, each integrated over the level's bin (Salimans et al. 2017, eq. 2).

    For a level at x in [-1, 1] and h = 1 / (levels - 1): P = sum of pi [s((x + h - m) / s) - s((x - h - m) / s)] with
    s(.) the logistic function; the end levels take the tails. Serves 12 bits as well as 8, h = 1 / 4095.
    """

    levels: int
    components: int = 10

    @property
    def outputs(self) -> int:
        """Weight, mean and ln scale of each component."""
        return 3 * self.components

    def log_prob(self, answer: Tensor, index: Tensor) -> Tensor:
        """The ln P by s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), which keeps small differences."""
        weight, mean, log_scale = self._parts(answer)
        half = 1 / (self.levels - 1)
        x = (2 * index.to(mean) / (self.levels - 1) - 1)[:, None]
        upper, lower = (x + half - mean) * (-log_scale).exp(), (x - half - mean) * (-log_scale).exp()
        below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
        inside = below + above + torch.log(-torch.expm1(lower - upper))
        ends = torch.where((index == 0)[:, None], below, above)
        at_end = (index == 0) | (index == self.levels - 1)
        return (weight.log_softmax(1) + torch.where(at_end[:, None], ends, inside)).logsumexp(1)

    def draw(self, answer: Tensor, uniform: Tensor) -> Tensor:
        """A component by the first uniform number, its logistic by the second, rounded to the nearest level."""
        weight, mean, log_scale = self._parts(answer)
        which = _chosen(weight, uniform[:, 0])[:, None]
        u = uniform[:, 1].clamp(1e-6, 1 - 1e-6)
        x = mean.gather(1, which)[:, 0] + log_scale.gather(1, which)[:, 0].exp() * (u.log() - (-u).log1p())
        return ((x + 1) / 2 * (self.levels - 1)).round().clamp(0, self.levels - 1).long()

    def _parts(self, answer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight, mean, log_scale = answer.chunk(3, dim=1)
        return weight, mean, log_scale.clamp(-math.log(self.levels - 1) - 2, 5)  # a narrower one is one level anyway


Likelihood = Softmax | LogisticMixture


def _chosen(logits: Tensor, uniform: Tensor) -> Tensor:
    cumulated = logits.softmax(1).cumsum(1)
    return (cumulated < uniform[:, None]).sum(1).clamp_max(logits.shape[1] - 1)


def bits_per_dimension(log_density: Tensor, voxels: int, levels: Levels) -> Tensor:
    """Bits per voxel of images of so many levels, from ln p of the images with uniform noise of one level's width.

    -(ln p / voxels) / ln 2 + log2 of the levels per unit; an upper bound on the bits of the discrete image (Theis et
    al. 2016, eq. 5). p is a density of x in the levels' own range; log_density (b,) in nats, as is the answer.

    >>> bits_per_dimension(torch.tensor([0.0]), 4, Levels(256, 0.0, 255.0)).tolist()
    [0.0]
    """
    width = (levels.high - levels.low) / (levels.count - 1)
    return -log_density / voxels / math.log(2) - math.log2(width)
