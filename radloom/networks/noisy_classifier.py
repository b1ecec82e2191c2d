"""A classifier of noisy images that hears the noise level, for guidance, 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.given import Given
from radloom.networks import layers
from radloom.networks.conditions import Maps, sinusoids
from radloom.networks.residual_unet import PositionNorm


class _Level(nn.Module):
    """Two convolutions with the noise level's gain and shift between them, then half of the resolution."""

    def __init__(self, dims: int, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.before, self.between = PositionNorm(inputs), PositionNorm(inputs)
        self.first, self.second = (layers.conv(dims, inputs, inputs, 3) for _ in range(2))
        self.modulation = nn.Linear(hidden, 2 * inputs)
        self.down = layers.conv(dims, inputs, outputs, 3, stride=2)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = self.first(F.silu(self.before(x)))
        gain, shift = self.modulation(e).view(*e.shape[:1], -1, *(1,) * (x.ndim - 2)).chunk(2, dim=1)
        h = self.second(F.silu(self.between(h) * (1 + gain) + shift))
        return self.down(x + h)


class NoisyClassifier(nn.Module):
    """(x_t, noise, given) -> logits (b, classes); noise (b,) is ln(sigma / alpha) / 4.

    channels: width at each level, the first at 1/patch of the resolution, each next at half of the one before. The
    lowest level's positions are pooled by attention: each has a say in which of them count. maps: laid beside x.
    """

    def __init__(
        self, dims: int, inputs: int, classes: int, channels: tuple[int, ...], *, patch: int = 2,
        maps: Sequence[Maps] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch, self.maps, self.hidden = patch, tuple(maps), 4 * channels[0]
        self.multiple = patch * 2 ** len(channels)
        self.embed = nn.Sequential(nn.Linear(self.hidden, self.hidden), nn.SiLU(), nn.Linear(self.hidden, self.hidden))
        seen = inputs + sum(one.channels for one in self.maps)
        self.stem = layers.conv(dims, seen * patch**dims, channels[0], 3)
        widths = (*channels, channels[-1])
        self.levels = nn.ModuleList(_Level(dims, width, deeper, self.hidden) for width, deeper in pairwise(widths))
        self.norm = PositionNorm(channels[-1])
        self.head = layers.conv(dims, channels[-1], classes + 1, 1)

    def forward(self, x: Float[Tensor, "b c *s"], noise: Float[Tensor, " b"], given: Given) -> Float[Tensor, "b k"]:
        """The logits."""
        e = F.silu(self.embed(sinusoids(2 * noise, self.hidden).to(x)))
        h = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        h = self.stem(layers.patches_to_channels(layers.padded_to_multiple(h, self.multiple), self.patch))
        for level in self.levels:
            h = level(h, e)
        answers = self.head(F.silu(self.norm(h))).flatten(2)
        return (answers[:, :-1] * answers[:, -1:].softmax(2)).sum(2)
