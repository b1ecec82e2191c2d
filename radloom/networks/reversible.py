"""RevGAN's generator: one exactly invertible core that translates both ways, between stems and heads of each way."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.networks import layers
from radloom.networks.memory import Run, kept


class _Residue(nn.Module):
    """norm, convolution, norm, ReLU, convolution; the last one begins at 0, so that the block begins as identity."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        last = layers.conv(dims, channels, channels, 3)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.Sequential(
            layers.instance_norm(dims, channels), layers.conv(dims, channels, channels, 3),
            layers.instance_norm(dims, channels), nn.ReLU(), last,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Coupling(nn.Module):
    """y1 = x1 + F(x2), y2 = x2 + G(y1) on the halves of the channels (Gomez et al. 2017, eq. 6); `inverse` undoes it.

    Identity at first.
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        if channels % 2:
            raise RadloomError(f"a coupling of {channels} channels", expected="an even number")
        self.first, self.second = _Residue(dims, channels // 2), _Residue(dims, channels // 2)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The coupled channels."""
        one, two = x.chunk(2, dim=1)
        one = one + self.first(two)
        return torch.cat([one, two + self.second(one)], dim=1)

    def inverse(self, y: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The x whose coupling is y."""
        one, two = y.chunk(2, dim=1)
        two = two - self.second(one)
        return torch.cat([one - self.first(two), two], dim=1)


class ReversibleGenerator(nn.Module):
    """Two generators that share one core, run forwards from a to b and backwards from b to a (Lin et al. 2021).

    way(a) = head_b(core(stem_a(a))), back(b) = head_a(core^-1(stem_b(b))). A stem is a 5^d convolution and one of
    stride 2, a head resizes and ends in a 5^d convolution; the core is `depth` couplings of 2 `width` channels. The
    core alone is exactly invertible, not stems and heads: back(way(a)) is as near to a as training makes it.
    inputs, outputs: channels of a and of b. run: `memory.recomputed` trains deeper cores in the same memory.
    """

    def __init__(
        self, dims: int, inputs: int, outputs: int, *, width: int = 32, depth: int = 4, run: Run = kept
    ) -> None:  # fmt: skip
        super().__init__()
        if depth < 1:
            raise RadloomError(f"a reversible core of {depth} couplings", expected="at least 1")
        self.run = run
        self.stem_a, self.stem_b = (_stem(dims, count, width) for count in (inputs, outputs))
        self.core = nn.ModuleList(Coupling(dims, 2 * width) for _ in range(depth))
        self.head_a, self.head_b = (_head(dims, count, width) for count in (inputs, outputs))

    def forward(self, a: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The b translated from a. Raises RadloomError when an axis has fewer than 4 positions."""
        h = self._stemmed(self.stem_a, a)
        return layers.cropped_to(self.head_b(self.through(h)), a.shape[2:])

    def backward(self, b: Float[Tensor, "b k *s"]) -> Float[Tensor, "b c *s"]:
        """The a translated from b, by the same core run the other way."""
        h = self._stemmed(self.stem_b, b)
        return layers.cropped_to(self.head_a(self.back(h)), b.shape[2:])

    def through(self, h: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The core."""
        for block in self._couplings():
            h = self.run(block, h)
        return h

    def back(self, h: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The core's inverse."""
        for block in reversed(list(self._couplings())):
            h = self.run(block.inverse, h)
        return h

    def _stemmed(self, stem: nn.Module, x: Tensor) -> Tensor:
        layers.check_size(x, 4, "a reversible generator")
        return stem(layers.padded_to_multiple(x, 2))

    def _couplings(self) -> Iterator[Coupling]:
        for block in self.core:
            assert isinstance(block, Coupling)
            yield block


def _stem(dims: int, inputs: int, width: int) -> nn.Module:
    return nn.Sequential(
        layers.conv(dims, inputs, width, 5), layers.instance_norm(dims, width), nn.ReLU(),
        layers.conv(dims, width, 2 * width, 3, stride=2), layers.instance_norm(dims, 2 * width), nn.ReLU(),
    )  # fmt: skip


def _head(dims: int, outputs: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), layers.conv(dims, 2 * width, width, 3), layers.instance_norm(dims, width),
        nn.ReLU(), layers.conv(dims, width, outputs, 5),
    )  # fmt: skip
