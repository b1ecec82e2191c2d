"""Layers of the GANs of Karras et al.: equalised learning rate, pixel norm, minibatch deviation, smooth resampling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_CONVOLVE = {2: F.conv2d, 3: F.conv3d}
_POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}
_LINEAR = {2: "bilinear", 3: "trilinear"}


def convolved(
    x: Float[Tensor, "b c *s"], weight: Tensor, bias: Tensor | None = None
) -> Float[Tensor, "b k *s"]:  # fmt: skip
    """Convolves x at stride 1, zero-padded to its own size; kernels have odd edges.

    A weight of fewer input channels than x has works on as many groups of channels as there are.
    """
    edge, dims, groups = weight.shape[-1], x.ndim - 2, x.shape[1] // weight.shape[1]
    if min(x.shape[2:]) >= edge:
        return _CONVOLVE[dims](x, weight, bias, padding=edge // 2, groups=groups)
    # shorter than the kernel: pad first, see layers._Conv2d
    return _CONVOLVE[dims](F.pad(x, [edge // 2] * 2 * dims), weight, bias, groups=groups)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 times sqrt 2, which keeps the variance of a standard normal x within 4 % of 1."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class EqualisedConv(nn.Module):
    """A convolution whose weights are N(0, 1) and are scaled by 1 / sqrt(fan in) in use (Karras et al. 2018, 4.1).

    Adam's steps have one size for all weights; so every layer learns at a speed in proportion to its own scale.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *(kernel,) * dims))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs * kernel**dims)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The convolution at stride 1, of x's size."""
        return convolved(x, self.weight * self.scale, self.bias)


class EqualisedLinear(nn.Module):
    """A linear layer likewise. rate: how fast it learns beside the others (0.01 in StyleGAN's mapping)."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b k"]:
        """The layer's answer."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


def pixel_norm(x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
    """Divides x by the root mean square of its channels, position by position (Karras et al. 2018, 4.2)."""
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x)


def with_deviation(x: Float[Tensor, "b c *s"], group: int) -> Float[Tensor, "b d *s"]:
    """Adds one channel to x: the standard deviation over a group of items, averaged over channels and positions.

    A discriminator sees by it that a generator draws too little variety (Karras et al. 2018, 3). The groups have at
    most `group` items, and as many as divide the batch.
    """
    b = len(x)
    size = max(n for n in range(1, min(group, b) + 1) if b % n == 0)
    grouped = x.float().reshape(size, b // size, -1)
    spread = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean(1)  # (b / size,)
    channel = spread.repeat(size).view(b, 1, *(1,) * (x.ndim - 2)).expand(b, 1, *x.shape[2:])
    return torch.cat([x, channel.to(x)], dim=1)


def smoothly_doubled(x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *t"]:
    """Doubles the resolution of x by the filter (1, 3, 3, 1) / 4 along each axis (linear interpolation)."""
    return F.interpolate(x, scale_factor=2, mode=_LINEAR[x.ndim - 2], align_corners=False)


def smoothly_halved(x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *t"]:
    """Halves the resolution of x by the filter (1, 3, 3, 1) / 8 along each axis: what aliases is dimmed first."""
    dims = x.ndim - 2
    pool = _POOL[dims]
    blurred = pool(pool(x, 2, 1, padding=1), 2, 1)  # (1, 2, 1) / 4: three means of two neighbours with the one below
    return pool(blurred, 2)


def halved(x: Float[Tensor, "b c *s"], times: int = 1) -> Float[Tensor, "b c *t"]:
    """Means of blocks of 2**times voxels along each axis."""
    return x if times == 0 else _POOL[x.ndim - 2](x, 2**times)


def start_size(size: tuple[int, ...], levels: int) -> tuple[int, ...]:
    """The coarsest grid of a pyramid of `levels` grids, each twice the one before, the finest at least `size`.

    >>> start_size((64, 60), 5)
    (4, 4)
    """
    return tuple(-(-length // 2 ** (levels - 1)) for length in size)
