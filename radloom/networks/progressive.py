"""The progressive GAN's two players (Karras et al. 2018): images grow by resolutions that fade in; 2D and 3D."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.given import Given
from radloom.networks import layers
from radloom.networks.conditions import Maps
from radloom.networks.equalised import (
    EqualisedConv,
    EqualisedLinear,
    halved,
    leaky,
    pixel_norm,
    start_size,
    with_deviation,
)
from radloom.networks.stylegan import Noise


def parts(stage: float) -> tuple[int, float]:
    """The finest resolution that a stage has, and how far it has faded in.

    >>> [parts(stage) for stage in (0.0, 1.25, 2.0)]
    [(0, 1.0), (2, 0.25), (2, 1.0)]
    """
    finest = math.ceil(stage)
    return finest, 1.0 if stage == finest else stage - (finest - 1)


def faded(x: Float[Tensor, "b c *s"], stage: float, levels: int) -> Float[Tensor, "b c *s"]:
    """The image as a generator at this stage could show it: what is finer than it has is averaged away, or faded."""
    finest, share = parts(stage)
    shape, spare = torch.Size(x.shape[2:]), levels - 1 - finest
    y = halved(layers.padded_to_multiple(x, 2 ** (levels - 1)), spare)
    if share < 1:
        y = _between(_doubled(halved(y)), y, share)
    return layers.cropped_to(_doubled(y, spare), shape)


class ProgressiveGenerator(nn.Module):
    """(z, given) -> images; also a plain generator of convolutions, as it is fully grown unless a model sets `stage`.

    size: of the images. channels: width at each resolution from coarse to fine. vectors: modules (given, b) -> (b,
    width) beside z. maps: averaged to each resolution and laid beside the features that enter it (Han et al. 2019).
    stage: a buffer, from 0 (the coarsest resolution) to len(channels) - 1; between whole numbers one fades in.
    """

    stage: Tensor

    def __init__(
        self, dims: int, size: tuple[int, ...], outputs: int, channels: tuple[int, ...], *, latent: int,
        vectors: Sequence[nn.Module] = (), width: int = 0, maps: Sequence[Maps] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.latent, self.shape, self.maps = latent, (outputs, *size), tuple(maps)
        self.vectors = nn.ModuleList(vectors)
        self.levels, self.start = len(channels), start_size(size, len(channels))
        beside = sum(one.channels for one in self.maps)
        self.dense = EqualisedLinear(latent + (width if vectors else 0), channels[0] * math.prod(self.start))
        pairs = list(zip((channels[0], *channels), channels, strict=False))
        self.first = nn.ModuleList(EqualisedConv(dims, a + beside, b, 3) for a, b in pairs)
        self.second = nn.ModuleList(EqualisedConv(dims, b, b, 3) for b in channels)
        self.images = nn.ModuleList(EqualisedConv(dims, b, outputs, 1) for b in channels)
        self.register_buffer("stage", torch.tensor(float(self.levels - 1)))

    def forward(self, z: Float[Tensor, "b l"], given: Given, noise: Noise) -> Float[Tensor, "b k *s"]:
        """The images of z at full size, however coarse their content is."""
        finest, share = parts(float(self.stage))
        known = [pixel_norm(z)]
        if len(self.vectors):
            known.append(pixel_norm(torch.stack([vector(given, len(z)) for vector in self.vectors]).sum(0)))
        x = pixel_norm(leaky(self.dense(torch.cat(known, dim=1)))).reshape(len(z), -1, *self.start)
        maps = self._maps(given, z)
        before = x
        for level in range(finest + 1):
            before = x
            h = _doubled(x) if level else x
            if maps is not None:
                h = torch.cat([h, halved(maps, self.levels - 1 - level)], dim=1)
            x = pixel_norm(leaky(self.first[level](h)))
            x = pixel_norm(leaky(self.second[level](x)))
        image = self.images[finest](x)
        if share < 1:
            image = _between(_doubled(self.images[finest - 1](before)), image, share)
        return layers.cropped_to(_doubled(image, self.levels - 1 - finest), torch.Size(self.shape[1:]))

    def _maps(self, given: Given, z: Tensor) -> Tensor | None:
        if not self.maps:
            return None
        grid = z.new_zeros(len(z), 1, *self.shape[1:])
        drawn = torch.cat([one.draw(given, grid) for one in self.maps], dim=1)
        return layers.padded_to_multiple(drawn, 2 ** (self.levels - 1))


class ProgressiveDiscriminator(nn.Module):
    """(x, given) -> a score for each image; its settings and its stage are the generator's.

    A class or value is projected on the features (Miyato & Koyama 2018); maps are laid beside the image. group: items
    whose deviation it sees, see `with_deviation`; 1 for each by itself.
    """

    stage: Tensor

    def __init__(
        self, dims: int, size: tuple[int, ...], inputs: int, channels: tuple[int, ...], *,
        vectors: Sequence[nn.Module] = (), width: int = 0, maps: Sequence[Maps] = (), group: int = 4,
    ) -> None:  # fmt: skip
        super().__init__()
        self.maps, self.levels, self.group = tuple(maps), len(channels), group
        self.vectors = nn.ModuleList(vectors)
        seen = inputs + sum(one.channels for one in self.maps)
        pairs = list(zip(channels, (channels[0], *channels), strict=False))
        self.stems = nn.ModuleList(EqualisedConv(dims, seen, a, 1) for a in channels)
        last = [channels[0] + (group > 1), *channels[1:]]
        self.first = nn.ModuleList(EqualisedConv(dims, b, a, 3) for (a, _), b in zip(pairs, last, strict=True))
        self.second = nn.ModuleList(EqualisedConv(dims, a, b, 3) for a, b in pairs[1:])
        self.dense = EqualisedLinear(channels[0] * math.prod(start_size(size, self.levels)), channels[0])
        self.head = EqualisedLinear(channels[0], width if vectors else 1)
        self.register_buffer("stage", torch.tensor(float(self.levels - 1)))

    def forward(self, x: Float[Tensor, "b c *s"], given: Given, time: Tensor | None = None) -> Float[Tensor, "b 1"]:
        """The scores; time is not heard."""
        finest, share = parts(float(self.stage))
        seen = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        seen = halved(layers.padded_to_multiple(seen, 2 ** (self.levels - 1)), self.levels - 1 - finest)
        h = leaky(self.stems[finest](seen))
        for level in range(finest, 0, -1):
            h = halved(leaky(self.second[level - 1](leaky(self.first[level](h)))))
            if level == finest and share < 1:
                h = _between(leaky(self.stems[finest - 1](halved(seen))), h, share)
        if self.group > 1:
            h = with_deviation(h, self.group)
        features = leaky(self.dense(leaky(self.first[0](h)).flatten(1)))
        answer = self.head(features)
        if not len(self.vectors):
            return answer
        known = pixel_norm(torch.stack([vector(given, len(x)) for vector in self.vectors]).sum(0))
        return (answer * known).sum(1, keepdim=True) / math.sqrt(answer.shape[1])


def _between(coarse: Tensor, fine: Tensor, share: float) -> Tensor:
    return coarse + share * (fine - coarse)  # lerp refuses two precisions, which autocast may give


def _doubled(x: Tensor, times: int = 1) -> Tensor:
    return x if times == 0 else F.interpolate(x, scale_factor=2**times, mode="nearest")
