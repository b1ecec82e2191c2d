"""R3GAN's two players, 2D and 3D: residual networks of grouped convolutions without any normalisation (Huang 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import layers
from radloom.networks.conditions import Maps
from radloom.networks.equalised import convolved, smoothly_doubled, smoothly_halved, start_size
from radloom.networks.stylegan import Noise

_GAIN = math.sqrt(2 / (1 + 0.2**2))  # keeps the variance through a leaky ReLU of slope 0.2 (He et al. 2015)


class _Block(nn.Module):
    """x + W3 leaky(W2 leaky(W1 x)): 1x1 to `expansion` times the channels, 3x3 in groups, 1x1 back; W3 begins at 0.

    The first two weights begin smaller by blocks**-0.25, blocks being all of the network's (Zhang et al. 2019, fix-up:
    blocks**(-1 / (2 m - 2)) for m = 3 layers): each block then adds as little at first, and nothing needs a norm.
    """

    def __init__(self, dims: int, channels: int, *, expansion: int, group: int, blocks: int) -> None:
        super().__init__()
        wide, scale = expansion * channels, _GAIN * blocks**-0.25
        self.widen = nn.Parameter(_normal((wide, channels, *(1,) * dims), scale))
        self.mix = nn.Parameter(_normal((wide, group, *(3,) * dims), scale))
        self.narrow = nn.Parameter(torch.zeros(channels, wide, *(1,) * dims))
        self.first, self.second = nn.Parameter(torch.zeros(wide)), nn.Parameter(torch.zeros(wide))

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(convolved(x, self.widen, self.first), 0.2)
        h = F.leaky_relu(convolved(h, self.mix, self.second), 0.2)
        return x + convolved(h, self.narrow)


class _Pointwise(nn.Module):
    """A 1x1 convolution without bias that keeps the variance."""

    def __init__(self, dims: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(_normal((outputs, inputs, *(1,) * dims), 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return convolved(x, self.weight)


class R3Generator(nn.Module):
    """(z, given) -> images: a learned coarse image times a linear map of z, then blocks at each resolution.

    size: of the images. channels: width at each resolution from coarse to fine, each a multiple of group / expansion.
    blocks: per resolution. group: channels that a 3x3 convolution mixes. vectors: modules (given, b) -> (b, width)
    whose sum is laid beside z. patch: voxels of an edge that the finest resolution holds as channels.
    """

    def __init__(
        self, dims: int, size: tuple[int, ...], outputs: int, channels: tuple[int, ...], *, latent: int,
        blocks: int = 2, group: int = 16, expansion: int = 2, vectors: Sequence[nn.Module] = (), width: int = 0,
        patch: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(channels, group, expansion)
        self.latent, self.shape, self.patch = latent, (outputs, *size), patch
        self.vectors = nn.ModuleList(vectors)
        start = start_size(tuple(-(-length // patch) for length in size), len(channels))
        self.basis = nn.Parameter(torch.randn(channels[0], *start))
        self.read = nn.Parameter(_normal((channels[0], latent + (width if vectors else 0)), 1.0))
        total = blocks * len(channels)
        self.levels = nn.ModuleList(
            _blocks(dims, one, blocks, expansion=expansion, group=group, total=total) for one in channels
        )
        self.across = nn.ModuleList(_Pointwise(dims, a, b) for a, b in pairwise(channels))
        # the voxels of a patch begin alike, or a checkerboard would have to be unlearned first
        head = _normal((outputs, channels[-1], *(1,) * dims), 1.0)
        self.head = nn.Parameter(head.repeat_interleave(patch**dims, 0))

    def forward(self, z: Float[Tensor, "b l"], given: Given, noise: Noise) -> Float[Tensor, "b k *s"]:
        """The images of z; noise is not heard."""
        if len(self.vectors):
            z = torch.cat([z, torch.stack([vector(given, len(z)) for vector in self.vectors]).sum(0)], dim=1)
        scale = F.linear(z, self.read)
        h = self.basis * scale.view(*scale.shape, *(1,) * (self.basis.ndim - 1))
        for level, blocks in enumerate(self.levels):
            if level:
                h = smoothly_doubled(self.across[level - 1](h))  # the same as after doubling, at a quarter of the cost
            h = blocks(h)
        image = layers.channels_to_patches(convolved(h, self.head), self.patch)
        return layers.cropped_to(image, torch.Size(self.shape[1:]))


class R3Discriminator(nn.Module):
    """(x, given) -> a score for each image; the generator's mirror image, its settings are the generator's.

    A condition is projected on the features (Miyato & Koyama 2018). Nothing in it compares items of a batch.
    """

    def __init__(
        self, dims: int, size: tuple[int, ...], inputs: int, channels: tuple[int, ...], *, blocks: int = 2,
        group: int = 16, expansion: int = 2, vectors: Sequence[nn.Module] = (), width: int = 0,
        maps: Sequence[Maps] = (), patch: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(channels, group, expansion)
        self.maps, self.patch, self.multiple = tuple(maps), patch, patch * 2 ** (len(channels) - 1)
        self.vectors = nn.ModuleList(vectors)
        seen, fine, total = inputs + sum(one.channels for one in self.maps), channels[::-1], blocks * len(channels)
        self.stem = _Pointwise(dims, seen * patch**dims, fine[0])
        self.levels = nn.ModuleList(
            _blocks(dims, one, blocks, expansion=expansion, group=group, total=total) for one in fine
        )
        self.across = nn.ModuleList(_Pointwise(dims, a, b) for a, b in pairwise(fine))
        start = start_size(tuple(-(-length // patch) for length in size), len(channels))
        self.basis = nn.Parameter(torch.randn(channels[0], *start) / math.sqrt(math.prod(start)))
        self.head = nn.Parameter(_normal((width if vectors else 1, channels[0]), 1.0))

    def forward(self, x: Float[Tensor, "b c *s"], given: Given, time: Tensor | None = None) -> Float[Tensor, "b 1"]:
        """The scores; time is not heard."""
        seen = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        seen = layers.padded_to_multiple(seen, self.multiple)
        h = self.stem(layers.patches_to_channels(seen, self.patch))
        for level, blocks in enumerate(self.levels):
            h = blocks(h)
            if level < len(self.across):
                h = self.across[level](smoothly_halved(h))
        answer = F.linear((h * self.basis).flatten(2).sum(2), self.head)
        if not len(self.vectors):
            return answer
        known = torch.stack([vector(given, len(x)) for vector in self.vectors]).sum(0)
        return (answer * known).sum(1, keepdim=True) / math.sqrt(answer.shape[1])


def _blocks(dims: int, channels: int, count: int, *, expansion: int, group: int, total: int) -> nn.Sequential:
    return nn.Sequential(
        *(_Block(dims, channels, expansion=expansion, group=group, blocks=total) for _ in range(count))
    )


def _normal(shape: tuple[int, ...], gain: float) -> Tensor:
    """Normal weights (outputs, inputs, ...) of deviation gain / sqrt(fan in)."""
    return torch.randn(shape) * gain / math.sqrt(math.prod(shape[1:]))


def _check(channels: tuple[int, ...], group: int, expansion: int) -> None:
    wrong = [one for one in channels if expansion * one % group]
    if wrong:
        raise RadloomError(f"R3GAN of {wrong[0]} channels, {expansion} times that in groups of {group}",
                           expected=f"multiples of {group // math.gcd(group, expansion)} channels")  # fmt: skip
