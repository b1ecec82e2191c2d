"""What every linear operator can do, how two are chained, and what was measured with one; no physics, no noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from radloom.operators.solvers import least_squares


class LinearOperator(ABC):
    """A linear map A from images (b, c, *s) to measurements (b, ...); subclasses are final.

    Device and dtype of the answer follow the input. `A @ B` applies B first.
    """

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """A x: what an ideal, noise-free device measures of x."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y, the map with <A x, y> = <x, A^H y>."""

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y: among the images that fit y best, the one of least norm; by conjugate gradients from zero.

        Where A^+ has a closed form the subclass gives it. Ill-posed operators answer slowly and, with noise in y,
        badly: for a picture use `solvers.tikhonov` or `solvers.wavelet_least_squares`.
        """
        return least_squares(self, y)

    def __matmul__(self, first: LinearOperator) -> LinearOperator:
        """The operator x -> A(first(x))."""
        return Chain(self, first)


@dataclass(frozen=True, eq=False)
class Chain(LinearOperator):
    """`second` after `first`."""

    second: LinearOperator
    first: LinearOperator

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        return self.second(self.first(x))

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return self.first.adjoint(self.second.adjoint(y))


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured, y (b, ...), and the operator that describes how."""

    y: Tensor
    operator: LinearOperator
