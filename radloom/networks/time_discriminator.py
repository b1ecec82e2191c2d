"""A discriminator of noisy images that hears the noise level and the condition, 2D and 3D; no game."""

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


class _Down(nn.Module):
    """Half of the resolution: two 3x3 convolutions with the noise level added between them, and a linear way round."""

    def __init__(self, dims: int, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = layers.conv(dims, inputs, outputs, 3), layers.conv(dims, outputs, outputs, 3)
        self.level = nn.Linear(hidden, outputs)
        self.round = layers.conv(dims, inputs, outputs, 1)
        self.pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[dims]

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = self.first(F.leaky_relu(x, 0.2))
        h = self.second(F.leaky_relu(h + self.level(e).view(*h.shape[:2], *(1,) * (h.ndim - 2)), 0.2))
        return self.pool((h + self.round(x)) / 2**0.5, 2)


class TimeDiscriminator(nn.Module):
    """(x, noise, given) -> a score for each patch (b, 1, *t), high for real; noise (b,) is ln(sigma / alpha) / 4.

    x holds the images to judge, channel by channel. channels: width at each level, the first at full resolution, each
    next at half of the one before. maps: laid beside x, as in DiffusionUNet. Residual blocks with the noise level
    added, after Xiao et al. 2022, without their deviation across the batch: an item is judged alone.
    """

    def __init__(self, dims: int, inputs: int, channels: tuple[int, ...], *, maps: Sequence[Maps] = ()) -> None:
        super().__init__()
        self.maps, self.hidden = tuple(maps), 4 * channels[0]
        self.factor = 2 ** (len(channels) - 1)
        self.embed = nn.Sequential(
            nn.Linear(self.hidden, self.hidden), nn.SiLU(), nn.Linear(self.hidden, self.hidden), nn.SiLU()
        )
        self.stem = layers.conv(dims, inputs + sum(one.channels for one in self.maps), channels[0], 3)
        self.blocks = nn.ModuleList(_Down(dims, width, deeper, self.hidden) for width, deeper in pairwise(channels))
        self.head = layers.conv(dims, channels[-1], 1, 3)

    def forward(self, x: Float[Tensor, "b c *s"], noise: Float[Tensor, " b"], given: Given) -> Float[Tensor, "b 1 *t"]:
        """The scores."""
        e = self.embed(sinusoids(2 * noise, self.hidden).to(x))
        h = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        h = self.stem(layers.padded_to_multiple(h, self.factor))
        for block in self.blocks:
            h = block(h, e)
        return self.head(F.leaky_relu(h, 0.2))
