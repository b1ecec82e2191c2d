"""The residual discriminator of StyleGAN2, 2D and 3D: scores of whole images, given classes, values, maps or a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import layers
from radloom.networks.conditions import Maps, sinusoids
from radloom.networks.equalised import (
    EqualisedConv,
    EqualisedLinear,
    leaky,
    pixel_norm,
    smoothly_halved,
    start_size,
    with_deviation,
)


class _Block(nn.Module):
    """Two convolutions and a halving, beside a halving and a 1x1 convolution, over sqrt 2 (Karras et al. 2020, 4.2)."""

    def __init__(self, dims: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualisedConv(dims, inputs, inputs, 3)
        self.second = EqualisedConv(dims, inputs, outputs, 3)
        self.past = EqualisedConv(dims, inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = leaky(self.second(smoothly_halved(leaky(self.first(x)))))  # halved first: a quarter of the cost (ours)
        return (h + self.past(smoothly_halved(x))) / math.sqrt(2)


class ResidualDiscriminator(nn.Module):
    """(x, given, time) -> a score for each image; real is high.

    size: of the images. channels: width at each resolution from coarse to fine, as the generator's. vectors: modules
    (given, b) -> (b, width) whose sum is projected on the image's features (Miyato & Koyama 2018). maps: laid beside x.
    times: whether it hears how noisy x is, from 0 to this number (Diffusion-GAN); 0 for not at all. group: items whose
    deviation it sees, see `with_deviation`; 1 for each by itself. patch: voxels that it takes as channels.
    """

    def __init__(
        self,
        dims: int,
        size: tuple[int, ...],
        inputs: int,
        channels: tuple[int, ...],
        *,
        vectors: Sequence[nn.Module] = (),
        width: int = 0,
        maps: Sequence[Maps] = (),
        times: int = 0,
        group: int = 4,
        patch: int = 1,
    ) -> None:
        super().__init__()
        if (vectors or times) and width < 1:
            raise RadloomError(
                "a discriminator with vectors or times and no width", expected="the width of its vectors"
            )
        self.maps, self.times, self.group, self.patch = tuple(maps), times, group, patch
        self.vectors = nn.ModuleList(vectors)
        self.clock = EqualisedLinear(width, width) if times else None
        seen = (inputs + sum(one.channels for one in self.maps)) * patch**dims
        coarse = tuple(-(-length // patch) for length in size)
        start = start_size(coarse, len(channels))
        self.multiple = patch * 2 ** (len(channels) - 1)
        fine = channels[::-1]
        self.stem = EqualisedConv(dims, seen, fine[0], 1)
        self.blocks = nn.ModuleList(_Block(dims, a, b) for a, b in pairwise(fine))
        self.last = EqualisedConv(dims, channels[0] + (group > 1), channels[0], 3)
        self.dense = EqualisedLinear(channels[0] * math.prod(start), channels[0])
        self.head = EqualisedLinear(channels[0], width or 1)

    def forward(self, x: Float[Tensor, "b c *s"], given: Given, time: Tensor | None = None) -> Float[Tensor, "b 1"]:
        """The scores."""
        seen = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        seen = layers.padded_to_multiple(seen, self.multiple)
        h = leaky(self.stem(layers.patches_to_channels(seen, self.patch)))
        for block in self.blocks:
            h = block(h)
        if self.group > 1:
            h = with_deviation(h, self.group)
        h = leaky(self.last(h)).flatten(1)
        answer = self.head(leaky(self.dense(h)))
        heard = [vector(given, len(x)) for vector in self.vectors]
        if self.clock is not None and time is not None:
            heard.append(self.clock(sinusoids(4 * math.pi * time / self.times, self.clock.weight.shape[1])))
        if not heard:
            return answer.mean(1, keepdim=True)
        known = pixel_norm(torch.stack(heard).sum(0))
        return (answer * known).sum(1, keepdim=True) / math.sqrt(answer.shape[1])
