"""From an image to the styles that a style generator would draw it by: a w for each layer (W+)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers
from radloom.networks.equalised import EqualisedConv, EqualisedLinear, leaky, smoothly_halved, start_size


class _Block(nn.Module):
    """Two convolutions around a halving, beside a halving and a 1x1 convolution, over sqrt 2."""

    def __init__(self, dims: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = EqualisedConv(dims, inputs, inputs, 3), EqualisedConv(dims, inputs, outputs, 3)
        self.past = EqualisedConv(dims, inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        halved = smoothly_halved(x)
        return (leaky(self.second(smoothly_halved(leaky(self.first(x))))) + self.past(halved)) / math.sqrt(2)


class StyleEncoder(nn.Module):
    """x (b, c, *s) -> styles (b, n, width), the last layer a leaky one as that of StyleGAN's mapping.

    size, channels, patch: as StyleSynthesis2's. The body is a residual one like the discriminator's (Lee et al. 2022).

    >>> import torch
    >>> StyleEncoder(2, (32, 32), 3, (8, 8), styles=4, width=6)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 4, 6])
    """

    def __init__(
        self, dims: int, size: tuple[int, ...], inputs: int, channels: tuple[int, ...], *, styles: int, width: int,
        patch: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.styles, self.width, self.patch = styles, width, patch
        self.multiple = patch * 2 ** (len(channels) - 1)
        fine = channels[::-1]
        self.stem = EqualisedConv(dims, inputs * patch**dims, fine[0], 1)
        self.blocks = nn.ModuleList(_Block(dims, a, b) for a, b in pairwise(fine))
        self.last = EqualisedConv(dims, channels[0], channels[0], 3)
        start = start_size(tuple(-(-length // patch) for length in size), len(channels))
        self.head = EqualisedLinear(channels[0] * math.prod(start), styles * width)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b n w"]:
        """The styles."""
        h = layers.patches_to_channels(layers.padded_to_multiple(x, self.multiple), self.patch)
        h = leaky(self.stem(h))
        for block in self.blocks:
            h = block(h)
        answer = self.head(leaky(self.last(h)).flatten(1)).view(len(x), self.styles, self.width)
        return F.leaky_relu(answer, 0.2) * math.sqrt(2)
