"""Invertible layers with their log-determinants: planar, affine and spline coupling, and Glow's parts; no base."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.networks import layers
from radloom.networks.splines import spline, spline_inverse


class Planar(nn.Module):
    """z = x + u tanh(w x + b) on all numbers of an image at once, one size only (Rezende & Mohamed 2015, eq. 10).

    u is bent so that w u > -1 and an inverse exists (appendix A.1); there is no formula for it, so that
    `inverse` solves one equation in w x for each item: bisection to the last digit, one Newton step for gradients.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(numbers) / math.sqrt(numbers))
        self.u = nn.Parameter(torch.randn(numbers) / math.sqrt(numbers))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The z of x's shape, and ln |det dz/dx| (b,)."""
        u, slope = self._bent()
        bend = (self._flat(x) @ self.w + self.b).tanh()
        z = self._flat(x) + bend[:, None] * u
        return z.view(x.shape), (slope * (1 - bend**2)).log1p()

    def inverse(self, z: Tensor) -> Tensor:
        """The x of z."""
        u, slope = self._bent()
        target = self._flat(z) @ self.w
        with torch.no_grad():  # along + slope tanh(along + b) = target rises in `along`
            low, high = target - slope.abs(), target + slope.abs()
            for _ in range(80):
                middle = (low + high) / 2
                above = middle + slope * (middle + self.b).tanh() > target
                low, high = torch.where(above, low, middle), torch.where(above, middle, high)
            along = (low + high) / 2
        bend = (along + self.b).tanh()
        along = along - (along + slope * bend - target) / (1 + slope.detach() * (1 - bend.detach() ** 2))
        return (self._flat(z) - (along + self.b).tanh()[:, None] * u).view(z.shape)

    def _bent(self) -> tuple[Tensor, Tensor]:
        slope = self.w @ self.u
        bent = F.softplus(slope) - 1
        return self.u + (bent - slope) * self.w / self.w.square().sum(), bent

    def _flat(self, x: Tensor) -> Tensor:
        if x[0].numel() != len(self.w):
            raise RadloomError(f"an image of {x[0].numel()} numbers for a planar flow", expected=f"{len(self.w)}")
        return x.flatten(1)


class ActNorm(nn.Module):
    """A gain and a shift per channel, set by the first batch to zero mean and unit variance (Kingma & Dhariwal 2018).

    `fit` sets them from data; until then the layer is the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_gain, self.shift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def fit(self, x: Tensor) -> None:
        """Sets gain and shift by the mean and deviation of x."""
        by_channel = x.detach().movedim(1, 0).flatten(1)
        self.log_gain.data = -by_channel.std(1).clamp_min(1e-3).log()
        self.shift.data = -by_channel.mean(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The z, and ln |det dz/dx| (b,)."""
        z = (x + _per_channel(self.shift, x)) * _per_channel(self.log_gain.exp(), x)
        return z, (self.log_gain.sum() * math.prod(x.shape[2:])).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """The x of z."""
        return z * _per_channel((-self.log_gain).exp(), z) - _per_channel(self.shift, z)


class Mix(nn.Module):
    """An invertible matrix over channels at every voxel, W = P L (U + diag(s)) (Kingma & Dhariwal 2018, section 3.2).

    The determinant is the product of s, whose signs stay as they began.
    """

    order: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        turn = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))[0]
        order, lower, upper = torch.linalg.lu(turn)
        diagonal = upper.diagonal()
        self.register_buffer("order", order.float())
        self.register_buffer("signs", diagonal.sign().float())
        self.lower, self.upper = nn.Parameter(lower.tril(-1).float()), nn.Parameter(upper.triu(1).float())
        self.log_size = nn.Parameter(diagonal.abs().log().float())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The z, and ln |det dz/dx| (b,)."""
        z = torch.einsum("ij,bj...->bi...", self._matrix(), x)
        return z, (self.log_size.sum() * math.prod(x.shape[2:])).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """The x of z."""
        return torch.einsum("ij,bj...->bi...", torch.linalg.inv(self._matrix().double()).to(z), z)

    def _matrix(self) -> Tensor:
        one = torch.eye(len(self.signs), dtype=self.lower.dtype, device=self.lower.device)
        upper = self.upper.triu(1) + torch.diag(self.signs * self.log_size.exp())
        return self.order.to(upper) @ (self.lower.tril(-1) + one) @ upper


class Affine:
    """z = (x + shift) sigmoid(scale + 2), as Glow has it: never far from the identity at the start."""

    outputs = 2

    def __call__(self, x: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """The z and ln dz/dx."""
        shift, scale = answer.chunk(2, dim=1)
        return (x + shift) * (scale + 2).sigmoid(), F.logsigmoid(scale + 2)

    def inverse(self, z: Tensor, answer: Tensor) -> Tensor:
        """The x of z."""
        shift, scale = answer.chunk(2, dim=1)
        return z / (scale + 2).sigmoid() - shift


class Spline:
    """A rational-quadratic spline of `bins` pieces on [-bound, bound], the identity outside (Durkan et al. 2019)."""

    def __init__(self, bins: int = 8, bound: float = 4.0) -> None:
        self.bins, self.bound, self.outputs = bins, bound, 3 * bins - 1

    def __call__(self, x: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """The z and ln dz/dx."""
        return spline(x, self._by_number(x, answer), self.bound)

    def inverse(self, z: Tensor, answer: Tensor) -> Tensor:
        """The x of z."""
        return spline_inverse(z, self._by_number(z, answer), self.bound)

    def _by_number(self, x: Tensor, answer: Tensor) -> Tensor:
        return answer.reshape(len(x), self.outputs, *x.shape[1:]).movedim(1, -1)


class Coupling(nn.Module):
    """Half of the channels, transformed as a network says of the other half (Dinh et al. 2017, eq. 7-8).

    The last channels change: with one channel there is nothing to see, which raises RadloomError. kernel: 3 looks at
    neighbours, 1 at the voxel alone.
    """

    def __init__(self, dims: int, channels: int, width: int, transform: Affine | Spline, *, kernel: int = 3) -> None:
        super().__init__()
        if channels < 2:
            raise RadloomError("a coupling of one channel", expected="two or more", do="squeeze patches into channels")
        self.seen, self.transform = channels // 2, transform
        last = layers.conv(dims, width, (channels - self.seen) * transform.outputs, kernel)
        self.network = nn.Sequential(
            layers.conv(dims, self.seen, width, kernel), nn.SiLU(), layers.conv(dims, width, width, 1), nn.SiLU(), last
        )
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The z, and ln |det dz/dx| (b,)."""
        seen, rest = x[:, : self.seen], x[:, self.seen :]
        rest, slopes = self.transform(rest, self.network(seen))
        return torch.cat([seen, rest], dim=1), slopes.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """The x of z."""
        seen, rest = z[:, : self.seen], z[:, self.seen :]
        return torch.cat([seen, self.transform.inverse(rest, self.network(seen))], dim=1)


class Chain(nn.Module):
    """Layers one after the other."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.factor = 1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The z, and ln |det dz/dx| (b,)."""
        total = x.new_zeros(len(x))
        for part in self.parts:
            x, change = part(x)
            total = total + change
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        """The x of z."""
        for part in reversed(self.parts):
            z = part.inverse(z)  # pyright: ignore[reportCallIssue]
        return z

    def invert(self, z: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The x (b, *shape) of z (b, numbers)."""
        return self.inverse(z.view(len(z), *shape))

    def fit(self, x: Tensor) -> Tensor:
        """Sets every ActNorm by the data as they arrive there; returns z."""
        for part in self.parts:
            if isinstance(part, ActNorm):
                part.fit(x)
            x = part(x)[0]
        return x


def coupling_chain(
    dims: int, channels: int, width: int, steps: int, transform: Affine | Spline, *, kernel: int = 3
) -> Chain:
    """`steps` times Glow's step: activation norm, channel mix, coupling."""
    step = [lambda: ActNorm(channels), lambda: Mix(channels),
            lambda: Coupling(dims, channels, width, transform, kernel=kernel)]  # fmt: skip
    return Chain([make() for _ in range(steps) for make in step])


class Glow(nn.Module):
    """Levels of squeeze, steps, and split, on which half of the channels leaves (Kingma & Dhariwal 2018, figure 2).

    z is flat (b, numbers), the coarsest level first. Axes must be multiples of 2**levels.
    """

    def __init__(
        self, dims: int, channels: int, width: int, *, levels: int, steps: int, transform: Affine | Spline,
        kernel: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.factor, self.cells = 2**levels, 2**dims
        self.widths = [channels * self.cells]
        for _ in range(levels - 1):
            self.widths.append((self.widths[-1] - self.widths[-1] // 2) * self.cells)
        self.levels = nn.ModuleList(
            coupling_chain(dims, count, width, steps, transform, kernel=kernel) for count in self.widths
        )

    def forward(self, x: Float[Tensor, "b c *s"]) -> tuple[Tensor, Tensor]:
        """The z (b, numbers), and ln |det dz/dx| (b,)."""
        self._check(x)
        left: list[Tensor] = []
        total = x.new_zeros(len(x))
        for level, chain in enumerate(self.levels):
            x, change = chain(layers.patches_to_channels(x, 2))
            total = total + change
            if level + 1 < len(self.levels):
                leaves, x = x.split([x.shape[1] // 2, x.shape[1] - x.shape[1] // 2], dim=1)
                left.append(leaves.flatten(1))
        return torch.cat([x.flatten(1), *reversed(left)], dim=1), total

    def invert(self, z: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The x (b, *shape) of z."""
        size = [length // self.factor for length in shape[1:]]
        start = self.widths[-1] * math.prod(size)
        x = z[:, :start].view(len(z), self.widths[-1], *size)
        for level in reversed(range(len(self.levels))):
            if level + 1 < len(self.levels):
                count = self.widths[level] // 2
                end = start + count * math.prod(size)
                x = torch.cat([z[:, start:end].view(len(z), count, *size), x], dim=1)
                start = end
            chain = self.levels[level]
            assert isinstance(chain, Chain)
            x, size = layers.channels_to_patches(chain.inverse(x), 2), [2 * length for length in size]
        return x

    def fit(self, x: Tensor) -> None:
        """Sets every ActNorm by the data as they arrive there."""
        for chain in self.levels:
            assert isinstance(chain, Chain)
            x = chain.fit(layers.patches_to_channels(x, 2))
            x = x[:, x.shape[1] // 2 :]

    def _check(self, x: Tensor) -> None:
        if any(length % self.factor for length in x.shape[2:]):
            axes = "x".join(map(str, x.shape[2:]))
            raise RadloomError(f"an image of {axes} for a flow of {len(self.levels)} levels",
                               expected=f"multiples of {self.factor}", do="pad the image")  # fmt: skip


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.view(1, -1, *(1,) * (x.ndim - 2))
