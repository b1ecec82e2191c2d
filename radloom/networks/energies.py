"""Networks from an image to one number, its energy, 2D and 3D; sampling from them lies in models.energy."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from radloom.errors import RadloomError
from radloom.networks import layers


class _UnitNorm(nn.Module):
    """The weight over its largest singular value, found anew each time: no state that a step would have to keep."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight / torch.linalg.matrix_norm(weight.flatten(1).float(), ord=2).to(weight)


class ConvEnergy(nn.Module):
    """E(x) = sum over positions of a network's answer, its slope bounded by spectral norms (Miyato et al. 2018).

    channels: width at each level, the first at half of the resolution. reference: standard deviation of a Gaussian to
    which the network's answer is a correction, E = |x|**2 / (2 reference**2) - f(x) (Xie et al. 2016, eq. 2): f grows
    at most linearly, so that exp(-E) has an integral. None for none.
    """

    def __init__(self, dims: int, inputs: int, channels: tuple[int, ...], *, reference: float | None = None) -> None:
        super().__init__()
        if reference is not None and not reference > 0:
            raise RadloomError(f"a reference of {reference}", expected="a standard deviation above 0")
        self.reference, self.factor = reference, 2 ** len(channels)
        widths = (inputs, *channels)
        self.layers = nn.ModuleList(
            layers.conv(dims, widths[i] * 2**dims, widths[i + 1], 3) for i in range(len(channels))
        )
        for layer in self.layers:
            register_parametrization(layer, "weight", _UnitNorm())
        self.head = layers.conv(dims, channels[-1], 1, 1)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, " b"]:
        """The energy of each image."""
        h = layers.padded_to_multiple(x, self.factor)
        for layer in self.layers:
            h = F.silu(layer(layers.patches_to_channels(h, 2)))
        answer = self.head(h).float().flatten(1).sum(1)
        if self.reference is None:
            return answer
        return x.square().flatten(1).sum(1) / (2 * self.reference**2) - answer


class VectorEnergy(nn.Module):
    """E(x) of a few numbers, by layers of `width`: for points in the plane, and for an answer beside its question.

    scale: what the numbers are multiplied by first, `bend`: between the layers. The defaults are smooth; narrow modes
    need about 1 / their width, and torch.tanh: on eight modes of deviation 0.15 on a circle of radius 1, no training
    of the defaults came below a divergence of 0.25, with scale 4 and tanh it came to 0.03 (ours).
    """

    def __init__(
        self, numbers: int, width: int, *, depth: int = 2, scale: float = 1.0,
        bend: Callable[[Tensor], Tensor] = F.silu,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 0 < scale < float("inf"):
            raise RadloomError(f"an energy of numbers scaled by {scale}", expected="a number above 0")
        widths = [numbers, *[width] * depth]
        self.layers = nn.ModuleList(nn.Linear(widths[i], widths[i + 1]) for i in range(depth))
        self.head = nn.Linear(width, 1)
        self.scale, self.bend = scale, bend

    def forward(self, x: Tensor) -> Float[Tensor, " b"]:
        """The energy of each item, all its numbers in one row."""
        h = self.scale * x.flatten(1)
        for layer in self.layers:
            h = self.bend(layer(h))
        return self.head(h)[:, 0]
