"""Local mutual information: what a 3x3 patch of one image says of the best-matching patch of another, as a map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given

PATCH = 3


@dataclass(frozen=True)
class Histogram:
    """How grey values are counted: the window low..high clamped and laid out as 0..255, and Gaussian bins on it.

    bins: centres evenly spaced from 0 to 255. width: standard deviation of a value's Gaussian, in grey levels. A value
    counts 1 in all, shared among the bins. A noisy image leaves any window: what lies outside counts at its edge.
    """

    low: float = 0.0
    high: float = 1.0
    bins: int = 27
    width: float = 2.0

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.bins >= 2 and self.width > 0):
            raise RadloomError(f"a histogram of {self.bins} bins from {self.low} to {self.high}, width {self.width}",
                               expected="low < high, two bins or more, a width above 0")  # fmt: skip

    def shares(self, x: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b k h w"]:
        """Each voxel's share in each bin; they sum to 1."""
        grey = 255 * ((x - self.low) / (self.high - self.low)).clamp(0, 1)
        centres = torch.linspace(0, 255, self.bins, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
        return (-((grey - centres) ** 2) / (2 * self.width**2)).softmax(dim=1)


def local_mutual_information(source: Tensor, target: Tensor, histogram: Histogram) -> Float[Tensor, "b 1 h w"]:
    """The largest mutual information, in bits, of the source's patch and one of nine of the target (Wang et al. 2024).

    source, target: (b, 1, h, w). map(p) = max over q in the 3x3 around p of H(source at p) + H(target at q) - H(both),
    patches of 3x3 voxels paired by place. Edges are repeated. From 0, where either image is flat, to log2(9); the
    source with itself gives the entropy of its patch where values lie on the bins' centres, less between them. Blind
    to how contrast is drawn, inverted or not, and to flat regions: it hears edges and texture alone. No gradient.
    Raises RadloomError for images of several channels or of unequal shape.
    Wang Z, Yang Y, Chen Y, et al. IEEE Trans Med Imaging 2024;43:2825-2838.

    >>> edge = torch.zeros(1, 1, 3, 4)
    >>> edge[..., 2:] = 1
    >>> [round(v, 3) for v in local_mutual_information(edge, 1 - edge, Histogram()).flatten()[:4].tolist()]
    [0.0, 0.918, 0.918, 0.0]
    """
    if source.shape != target.shape or source.ndim != 4 or source.shape[1] != 1:
        raise RadloomError(f"local mutual information of {tuple(source.shape)} and {tuple(target.shape)}",
                           expected="slices (b, 1, h, w) of one channel, equal in shape")  # fmt: skip
    height, width = source.shape[2:]
    with torch.no_grad():
        of_source = histogram.shares(F.pad(source.float(), (1,) * 4, mode="replicate"))
        of_target = histogram.shares(F.pad(target.float(), (2,) * 4, mode="replicate"))
        single = _entropy(of_source)
        other = _entropy(of_target)  # one voxel more on every side: the patches that the search may choose
        best = torch.zeros_like(single)
        for i, j in product(range(PATCH), repeat=2):
            moved = of_target[:, :, i : i + height + 2, j : j + width + 2]
            both = _entropy((of_source[:, :, None] * moved[:, None]).flatten(1, 2))
            best = torch.maximum(best, single + other[:, :, i : i + height, j : j + width] - both)
    return best.to(source)


def _entropy(shares: Float[Tensor, "b k h w"]) -> Float[Tensor, "b 1 i j"]:
    """The entropy in bits of each patch's histogram."""
    counts = F.avg_pool2d(shares, PATCH, stride=1)
    return torch.special.entr(counts).sum(dim=1, keepdim=True) / torch.log(torch.tensor(2.0))


class Informed(nn.Module):
    """A denoising network that sees of given.image only what it says locally of x_t, and of itself (Wang et al. 2024).

    network: (x_t, noise, given) whose given.image has two channels, the maps of (given.image, x_t) and of (given.image,
    given.image). spread: of the data, as the model around it scales x_t. For variance-preserving paths, of slices.
    An image of another modality than the training images gives maps of the same kind: so the network translates what
    it has never seen. Raises RadloomError without a given image.
    """

    def __init__(self, network: nn.Module, histogram: Histogram, *, spread: float) -> None:
        super().__init__()
        self.network, self.histogram, self.spread = network, histogram, spread

    def forward(self, x: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], given: Given) -> Tensor:
        """The network's answer; noise is ln(sigma / alpha) / 4, x is scaled to unit variance."""
        if given.image is None:
            raise RadloomError("a denoiser by local mutual information has no image", expected="given.image")
        ratio = (4 * noise).exp().view(-1, 1, 1, 1).to(x)
        alpha = (1 + ratio**2).rsqrt()
        noisy = x * alpha * (ratio**2 + self.spread**2).sqrt()  # x_t itself
        maps = [local_mutual_information(given.image, image, self.histogram) for image in (noisy, given.image)]
        return self.network(x, noise, replace(given, image=torch.cat(maps, dim=1)))
