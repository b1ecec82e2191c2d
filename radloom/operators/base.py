"""What every linear operator can do, and what was measured with one; no physics, no noise, no solver settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor


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

    @abstractmethod
    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y: among the images that fit y best, the one of least norm."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured, y (b, ...), and the operator that describes how."""

    y: Tensor
    operator: LinearOperator
