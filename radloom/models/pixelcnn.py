"""PixelCNN and PixelCNN++: the exact probability of an image of grey levels, voxel by voxel in row order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.given import Given
from radloom.models.discrete import Levels, Likelihood
from radloom.models.model import Model
from radloom.networks.causal import GatedPixelCNN, PixelCNNPlusPlus
from radloom.networks.layers import conv
from radloom.samplers.denoiser import streams


@final
class PixelCNN(Model):
    """P(x | given) = product over voxels and channels of P(level | all before).

    network: features of the voxels before (networks.causal); to it comes, for channel c, what channels 0 to c - 1 hold
    at the voxel itself. likelihood: of a level. vectors: modules (given, b) -> (b, width) whose sum conditions the
    network (class, value, text); given images and masks are not heard. Drawing takes one pass of a neighbourhood for
    each voxel.
    """

    def __init__(
        self, dims: int, inputs: int, network: GatedPixelCNN | PixelCNNPlusPlus, likelihood: Likelihood,
        levels: Levels, *, vectors: Sequence[nn.Module] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.likelihood, self.levels = network, likelihood, levels
        self.vectors = nn.ModuleList(vectors)
        width = network.channels
        self.heads = nn.ModuleList(
            nn.Sequential(conv(dims, width + c, width, 1), nn.SiLU(), conv(dims, width, likelihood.outputs, 1))
            for c in range(inputs)
        )

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """-log2 P in bits per voxel and channel."""
        return {"total": self.bits_per_dimension(x, given).mean()}

    def bits_per_dimension(self, x: Tensor, given: Given) -> Float[Tensor, " b"]:
        """-log2 P(x | given) per voxel and channel, x rounded to the levels."""
        return -self.log_likelihood(x, given) / (x[0].numel() * math.log(2))

    def log_likelihood(self, x: Tensor, given: Given) -> Float[Tensor, " b"]:
        """The ln P(x | given) in nats of each image, x rounded to the levels: a probability, not a density."""
        index = self.levels.index(x)
        signed = self.levels.signed(index)
        features = self.network(signed, self._vector(given, len(x)))
        total = x.new_zeros(len(x))
        for c, head in enumerate(self.heads):
            answer = head(torch.cat([features, signed[:, :c]], dim=1)).float()
            total = total + self.likelihood.log_prob(answer, index[:, c]).flatten(1).sum(1)
        return total

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw, one voxel after the other."""
        own = streams(rng, shape[0])
        uniform = torch.stack([torch.rand((2, *shape[1:]), generator=g, device=g.device) for g in own.generators])
        index = torch.zeros(shape, dtype=torch.long, device=rng.device)
        signed = torch.zeros(shape, device=rng.device)
        vector = self._vector(given, shape[0])
        for place in itertools.product(*map(range, shape[2:])):
            box, inner = self._around(place, shape[2:])
            features = self.network(signed[(..., *box)], vector)[(..., *inner)]
            for c, head in enumerate(self.heads):
                answer = head(torch.cat([features, signed[(slice(None), slice(c), *map(_one, place))]], dim=1))
                drawn = self.likelihood.draw(answer.float().flatten(1), uniform[(slice(None), slice(None), c, *place)])
                index[(slice(None), c, *place)] = drawn
                signed[(slice(None), c, *place)] = self.levels.signed(drawn)
        return self.levels.value(index)

    def _around(
        self, place: tuple[int, ...], size: tuple[int, ...]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:  # fmt: skip
        """The part of the image that the features at `place` depend on, and where the place lies in it."""
        reach, stride = self.network.reach, self.network.stride
        starts = [max(0, at - reach) // stride * stride for at in place]
        ends = [
            min(length, at + 1 + (reach if axis else 0))
            for axis, (at, length) in enumerate(zip(place, size, strict=True))
        ]
        box = tuple(slice(start, end) for start, end in zip(starts, ends, strict=True))
        return box, tuple(_one(at - start) for at, start in zip(place, starts, strict=True))

    def _vector(self, given: Given, count: int) -> Tensor | None:
        return torch.stack([heard(given, count) for heard in self.vectors]).sum(0) if len(self.vectors) else None


def _one(at: int) -> slice:
    return slice(at, at + 1)
