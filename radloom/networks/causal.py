"""Networks whose output at a voxel depends only on voxels that come before it, row by row: PixelCNN's, 2D and 3D.

One stack per axis: stack k sees the voxels that share the first k coordinates and lie before along axis k, with any
later coordinates; together they see all that comes before, without a blind spot (van den Oord et al. 2016b).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.networks.layers import conv


class CausalConv(nn.Module):
    """A convolution for stack k: causal along axis k, centred along later ones, of one voxel along earlier ones.

    strict: 1 leaves out the voxels at the same place on axis k, 0 takes them in. The output at i depends on
    i - strict and before.
    """

    def __init__(
        self, dims: int, inputs: int, outputs: int, *, stack: int, strict: int, kernel: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        sizes = [1 if axis < stack else (kernel + 1) // 2 if axis == stack else kernel for axis in range(dims)]
        reach = (inputs * math.prod(sizes)) ** -0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *sizes).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.zeros(outputs))
        around = [(0, 0)] * stack + [(sizes[stack] - 1 + strict, -strict)] + [(kernel // 2,) * 2] * (dims - stack - 1)
        self.padding, self.stride = [width for pair in reversed(around) for width in pair], stride

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *t"]:
        """The features of what comes before."""
        convolve = F.conv2d if x.ndim == 4 else F.conv3d
        return convolve(F.pad(x, self.padding), self.weight, self.bias, self.stride)


class _GatedLayer(nn.Module):
    """x + conv1(tanh(a) sigmoid(b)), (a, b) from the causal convolution, from the stack before and from a vector."""

    def __init__(self, dims: int, channels: int, *, stack: int, kernel: int, vector: int) -> None:
        super().__init__()
        self.read = CausalConv(dims, channels, 2 * channels, stack=stack, strict=0, kernel=kernel)
        self.above = conv(dims, channels, 2 * channels, 1) if stack else None
        self.heard = nn.Linear(vector, 2 * channels, bias=False) if vector else None
        self.write = conv(dims, channels, channels, 1)

    def forward(self, x: Tensor, above: Tensor | None, vector: Tensor | None) -> Tensor:
        h = self.read(x)
        if self.above is not None:
            h = h + self.above(above)
        if self.heard is not None:
            h = h + self.heard(vector).view(*h.shape[:2], *(1,) * (h.ndim - 2))
        a, b = h.chunk(2, dim=1)
        return x + self.write(a.tanh() * b.sigmoid())


class GatedPixelCNN(nn.Module):
    """Features (b, channels, *s) of the voxels before each voxel, by gated layers in as many stacks as axes.

    layers: number of gated layers after the first. vector: width of the condition's vector, 0 for none.
    """

    def __init__(self, dims: int, inputs: int, channels: int, *, layers: int, kernel: int = 3, vector: int = 0) -> None:
        super().__init__()
        _check(kernel, layers)
        self.channels, self.stride = channels, 1
        reach = (kernel - 1) // 2
        self.reach = (reach + 1) + layers * reach  # voxels before and around, along every axis
        self.first = nn.ModuleList(
            CausalConv(dims, inputs, channels, stack=k, strict=1, kernel=kernel) for k in range(dims)
        )
        self.layers = nn.ModuleList(
            nn.ModuleList(
                _GatedLayer(dims, channels, stack=k, kernel=kernel, vector=vector) for k in range(dims)
            )
            for _ in range(layers)
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "b c *s"], vector: Tensor | None) -> Float[Tensor, "b k *s"]:
        """The features; those of the first voxel are constant."""
        stacks = [first(x) for first in self.first]
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            after: list[Tensor] = []
            for k, gated in enumerate(layer):
                after.append(gated(stacks[k], after[-1] if k else None, vector))
            stacks = after
        return stacks[-1]


class _ResNetLayer(nn.Module):
    """x + a sigmoid(b), by two causal convolutions with concatenated ELUs between (Salimans et al. 2017, section 2.4).

    aside: channels that come in beside: the stack before, and the short-cut from the way down.
    """

    def __init__(
        self, dims: int, channels: int, aside: int, *, stack: int, kernel: int, vector: int, dropout: float
    ) -> None:
        super().__init__()
        self.first = CausalConv(dims, 2 * channels, channels, stack=stack, strict=0, kernel=kernel)
        self.second = CausalConv(dims, 2 * channels, 2 * channels, stack=stack, strict=0, kernel=kernel)
        self.aside = conv(dims, 2 * aside, channels, 1) if aside else None
        self.heard = nn.Linear(vector, 2 * channels, bias=False) if vector else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, aside: list[Tensor], vector: Tensor | None) -> Tensor:
        h = self.first(_both_signs(x))
        if self.aside is not None:
            h = h + self.aside(_both_signs(torch.cat(aside, dim=1)))
        h = self.second(self.dropout(_both_signs(h)))
        if self.heard is not None:
            h = h + self.heard(vector).view(*h.shape[:2], *(1,) * (h.ndim - 2))
        a, b = h.chunk(2, dim=1)
        return x + a * b.sigmoid()


def _both_signs(x: Tensor) -> Tensor:
    return F.elu(torch.cat([x, -x], dim=1))


class PixelCNNPlusPlus(nn.Module):
    """The same by ResNet layers on `levels` resolutions with short-cuts (Salimans et al. 2017).

    blocks: layers per level and direction (5 in the paper, with 160 channels, 3 levels and dropout 0.5).
    """

    def __init__(
        self, dims: int, inputs: int, channels: int, *, levels: int = 3, blocks: int = 5, kernel: int = 3,
        vector: int = 0, dropout: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(kernel, min(levels, blocks))
        self.channels, self.levels, self.stride = channels, levels, 2 ** (levels - 1)
        half = (kernel - 1) // 2
        layers = 4 * blocks * (self.stride * 2 - 1) * half  # two convolutions, down and up, at strides 1, 2, 4, ...
        self.reach = half + 1 + layers + 4 * self.stride * (half + 1)
        self.first = nn.ModuleList(
            CausalConv(dims, inputs, channels, stack=k, strict=1, kernel=kernel) for k in range(dims)
        )

        def layer(stack: int, asides: int) -> nn.Module:
            aside = channels * (asides + (stack > 0))
            return _ResNetLayer(dims, channels, aside, stack=stack, kernel=kernel, vector=vector, dropout=dropout)

        def part(asides: int) -> nn.ModuleList:
            return nn.ModuleList(nn.ModuleList(layer(k, asides) for k in range(dims)) for _ in range(blocks))

        def resampled(stride: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.ModuleList(
                    CausalConv(dims, channels, channels, stack=k, strict=0, kernel=kernel, stride=stride)
                    for k in range(dims)
                )
                for _ in range(levels - 1)
            )

        self.down, self.up = (nn.ModuleList(part(asides) for _ in range(levels)) for asides in (0, 1))
        self.shrink, self.grow = resampled(2), resampled(1)

    def forward(self, x: Float[Tensor, "b c *s"], vector: Tensor | None) -> Float[Tensor, "b k *s"]:
        """The features; those of the first voxel are constant."""
        stacks, kept = [first(x) for first in self.first], []
        for level in range(self.levels):
            for block in _lists(self.down[level]):
                stacks = _run(block, stacks, None, vector)
                kept.append(stacks)
            if level + 1 < self.levels:
                stacks = [one(s) for one, s in zip(_lists(self.shrink[level]), stacks, strict=True)]
        for level in reversed(range(self.levels)):
            for block in _lists(self.up[level]):
                stacks = _run(block, stacks, kept.pop(), vector)
            if level:
                size = kept[-1][0].shape[2:]
                stacks = [one(_twice(s, size)) for one, s in zip(_lists(self.grow[level - 1]), stacks, strict=True)]
        return F.elu(stacks[-1])


def _check(kernel: int, layers: int) -> None:
    if kernel % 2 == 0 or layers < 1:
        raise RadloomError(f"a kernel of {kernel} and {layers} layers", expected="an odd kernel and at least one layer")


def _lists(parts: nn.Module) -> nn.ModuleList:
    assert isinstance(parts, nn.ModuleList)
    return parts


def _run(block: nn.Module, stacks: list[Tensor], kept: list[Tensor] | None, vector: Tensor | None) -> list[Tensor]:
    after: list[Tensor] = []
    for k, layer in enumerate(_lists(block)):
        aside = ([after[-1]] if k else []) + ([kept[k]] if kept is not None else [])
        after.append(layer(stacks[k], aside, vector))
    return after


def _twice(x: Tensor, size: torch.Size) -> Tensor:
    """Each voxel repeated along every axis, cropped: voxel i of the coarse grid has read no further than voxel 2 i."""
    for axis in range(2, x.ndim):
        x = x.repeat_interleave(2, dim=axis)
    return x[(..., *(slice(length) for length in size))]
