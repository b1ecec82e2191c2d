"""The diffusion family's own network: a residual U-Net on patches that hears the noise level and the condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import layers
from radloom.networks.conditions import Maps, sinusoids
from radloom.networks.memory import Run, kept
from radloom.networks.residual_unet import PositionNorm


class _Spade(nn.Module):
    """Gain and shift of each voxel from maps: x (1 + gain(m)) + shift(m) (Park et al. 2019)."""

    def __init__(self, dims: int, maps: int, channels: int) -> None:
        super().__init__()
        width = min(32, channels)
        self.read = nn.Sequential(layers.conv(dims, maps, width, 3), nn.SiLU())
        self.write = layers.conv(dims, width, 2 * channels, 3)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        gain, shift = self.write(self.read(maps)).chunk(2, dim=1)
        return x * (1 + gain) + shift


class _Block(nn.Module):
    """x + conv(silu(norm(conv(silu(modulated(norm(x))))))), modulated by the vector e and, with SPADE, by maps."""

    def __init__(self, dims: int, channels: int, hidden: int, maps: int) -> None:
        super().__init__()
        self.before, self.between = PositionNorm(channels), PositionNorm(channels)
        self.first, self.second = (layers.conv(dims, channels, channels, 3) for _ in range(2))
        self.modulation = nn.Linear(hidden, 2 * channels)
        self.spade = _Spade(dims, maps, channels) if maps else None

    def forward(self, x: Tensor, e: Tensor, maps: Tensor | None) -> Tensor:
        h = self.first(F.silu(self.before(x)))
        gain, shift = self.modulation(e).view(*e.shape[:1], -1, *(1,) * (x.ndim - 2)).chunk(2, dim=1)
        h = self.between(h) * (1 + gain) + shift
        if self.spade is not None and maps is not None:
            h = self.spade(h, maps)
        return x + self.second(F.silu(h))


class _Attention(nn.Module):
    """x + attention over all positions, in heads of 32 channels."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // 32)
        self.norm = PositionNorm(channels)
        self.read, self.write = layers.conv(dims, channels, 3 * channels, 1), layers.conv(dims, channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c = x.shape[:2]
        query, key, value = (
            part.reshape(b, self.heads, c // self.heads, -1).transpose(2, 3)
            for part in self.read(self.norm(x)).chunk(3, dim=1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.write(mixed.transpose(2, 3).reshape(x.shape))


class DiffusionUNet(nn.Module):
    """(x_t, noise, given) -> the answer (b, outputs, *s), for any spatial size.

    channels: width at each level, the first at 1/patch of the resolution, each next at half of the one before.
    blocks: per level and side. attention: whether positions of the lowest level attend to each other; then a tile no
    longer answers like the whole. vectors: modules (given, b) -> (b, hidden_width(channels)), added to the noise
    level's. maps: laid beside x. spade: maps that modulate every block instead. run: `memory.recomputed` trains larger
    volumes in the same memory, and slower.
    A voxel's own x also goes past the U-Net, through a matrix that noise and vectors set: the linear part of the
    answer, which patches carry badly, above all in 3D.
    """

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        channels: tuple[int, ...],
        *,
        blocks: int = 1,
        patch: int = 2,
        attention: bool = False,
        vectors: Sequence[nn.Module] = (),
        maps: Sequence[Maps] = (),
        spade: Maps | None = None,
        run: Run = kept,
    ) -> None:
        super().__init__()
        if attention and channels[-1] % max(1, channels[-1] // 32):
            raise RadloomError(
                f"attention over {channels[-1]} channels", expected="a multiple of the heads, one per 32"
            )
        self.patch, self.levels, self.maps, self.spade, self.run = patch, len(channels), tuple(maps), spade, run
        self.hidden, cells, spades = hidden_width(channels), patch**dims, spade.channels if spade else 0
        self.vectors = nn.ModuleList(vectors)
        self.embed = nn.Sequential(nn.Linear(self.hidden, self.hidden), nn.SiLU(), nn.Linear(self.hidden, self.hidden))
        seen = inputs + sum(one.channels for one in self.maps)
        self.stem = layers.conv(dims, seen * cells, channels[0], 3)
        self.past = nn.Linear(self.hidden, outputs * inputs)

        def level(width: int) -> nn.ModuleList:
            return nn.ModuleList(_Block(dims, width, self.hidden, spades * cells) for _ in range(blocks))

        self.encoder = nn.ModuleList(level(width) for width in channels)
        self.decoder = nn.ModuleList(level(width) for width in channels[:-1])
        self.attention = _Attention(dims, channels[-1]) if attention else nn.Identity()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for width, deeper in pairwise(channels):
            self.down.append(nn.Sequential(PositionNorm(width), layers.conv(dims, width, deeper, 3, stride=2)))
            up = (PositionNorm(deeper), nn.Upsample(scale_factor=2), layers.conv(dims, deeper, width, 3))
            self.up.append(nn.Sequential(*up))
        head = layers.conv(dims, channels[0], outputs * cells, 3)
        self.head = nn.Sequential(PositionNorm(channels[0]), nn.SiLU(), head)

    def forward(self, x: Float[Tensor, "b c *s"], noise: Float[Tensor, " b"], given: Given) -> Float[Tensor, "b k *s"]:
        """The answer; noise is ln(sigma / alpha) / 4."""
        shape, e = x.shape[2:], self._heard(x, noise, given)
        past = torch.einsum("bkc,bc...->bk...", self.past(e).view(len(x), -1, x.shape[1]), x)
        h = x
        for level in self._decoded(x, e, given):
            h = level
        return past + layers.cropped_to(layers.channels_to_patches(self.run(self.head, h), self.patch), shape)

    def features(self, x: Float[Tensor, "b c *s"], noise: Float[Tensor, " b"], given: Given) -> list[Tensor]:
        """What the way up holds at each level (b, channels, *t), the lowest first: behind its blocks and attention.

        A level of 1/k of the resolution holds position i of x at i // k.
        """
        return list(self._decoded(x, self._heard(x, noise, given), given))

    def _heard(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        """The vector of noise level and condition that every block hears (b, hidden)."""
        e = self.embed(sinusoids(2 * noise, self.hidden).to(x))
        for vector in self.vectors:
            e = e + vector(given, len(x))
        return F.silu(e)

    def _decoded(self, x: Tensor, e: Tensor, given: Given) -> Iterator[Tensor]:
        """The levels of the way up, from the lowest to the one that the head reads."""
        multiple = self.patch * 2 ** (self.levels - 1)
        spades = self._spade_levels(given, x, multiple)
        x = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        h = self.stem(layers.patches_to_channels(layers.padded_to_multiple(x, multiple), self.patch))
        aside: list[Tensor] = []
        for depth in range(self.levels):
            h = self._level(self.encoder[depth], h, e, spades[depth])
            if depth + 1 < self.levels:
                aside.append(h)
                h = self.run(self.down[depth], h)
        h = self.attention(h)
        yield h
        for depth in reversed(range(self.levels - 1)):
            h = self._level(self.decoder[depth], aside[depth] + self.run(self.up[depth], h), e, spades[depth])
            yield h

    def _level(self, blocks: nn.Module, h: Tensor, e: Tensor, maps: Tensor | None) -> Tensor:
        assert isinstance(blocks, nn.ModuleList)
        for block in blocks:
            h = self.run(block, h, e, maps)
        return h

    def _spade_levels(self, given: Given, x: Tensor, multiple: int) -> list[Tensor | None]:
        """The maps at each level's resolution."""
        if self.spade is None:
            return [None] * self.levels
        maps = layers.padded_to_multiple(self.spade.draw(given, x), multiple)
        found: list[Tensor | None] = [layers.patches_to_channels(maps, self.patch)]
        pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
        for _ in range(self.levels - 1):
            last = found[-1]
            assert last is not None
            found.append(pool(last, 2))
        return found


def hidden_width(channels: tuple[int, ...]) -> int:
    """The width of the vectors that a DiffusionUNet of these channels adds up."""
    return 4 * channels[0]
