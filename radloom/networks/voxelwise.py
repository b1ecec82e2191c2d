"""The best polynomial map from voxel to voxel, in closed form: the baseline that sees no neighbourhood."""

from collections.abc import Iterable
from itertools import combinations_with_replacement

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class VoxelwisePolynomial(nn.Module):
    """y_k(v) = sum over monomials m of degree <= degree of w_km * m(x_1(v), ..., x_c(v)), fitted by least squares.

    Buffers, not parameters: nothing here is trained by gradient.
    """

    weights: Tensor
    deviation: Tensor  # (outputs,): root mean square of what the fit leaves over

    def __init__(self, inputs: int, outputs: int, degree: int) -> None:
        super().__init__()
        orders = range(degree + 1)
        self.monomials = tuple(m for order in orders for m in combinations_with_replacement(range(inputs), order))
        self.register_buffer("weights", torch.zeros(outputs, len(self.monomials)))
        self.register_buffer("deviation", torch.ones(outputs))

    def fit(
        self, pairs: Iterable[tuple[Float[Tensor, "b c *s"], Float[Tensor, "b k *s"], Bool[Tensor, "b 1 *s"]]]
    ) -> None:
        """Sets the weights from (input, target, region) batches, all voxels of the region weighing the same.

        Normal equations in float64 with a ridge of 1e-9 of their mean diagonal, so that a constant input has an answer.
        """
        gram, cross, squares, count = torch.zeros(()), torch.zeros(()), torch.zeros(()), 0
        for x, y, region in pairs:
            inside = region[:, 0]
            features = self._features(x.double()).movedim(1, -1)[inside]
            targets = y.double().movedim(1, -1)[inside]
            gram, cross = gram + features.T @ features, cross + features.T @ targets
            squares, count = squares + targets.square().sum(0), count + len(targets)
        ridge = 1e-9 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        solution = torch.linalg.solve(gram + ridge, cross)
        self.weights.copy_(solution.T.to(self.weights))
        self.deviation.copy_(((squares - (solution * cross).sum(0)) / count).clamp_min(1e-12).sqrt())

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The fitted map of x, in float32 whatever the autocast: a baseline must not lose digits."""
        with torch.autocast(x.device.type, enabled=False):
            return torch.einsum("km,bm...->bk...", self.weights, self._features(x.float()))

    def _features(self, x: Tensor) -> Tensor:
        channels = x.unbind(1)
        products: dict[tuple[int, ...], Tensor] = {(): torch.ones_like(channels[0])}
        for monomial in self.monomials[1:]:
            products[monomial] = products[monomial[:-1]] * channels[monomial[-1]]
        return torch.stack([products[monomial] for monomial in self.monomials], dim=1)
