"""What a PET scanner records of an uptake image: point spread, attenuated line integrals and counts; no OSEM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.base import LinearOperator
from radloom.operators.image import Separable, gaussian_blur


def point_spread(size: tuple[int, ...], *, fwhm_mm: float, spacing_mm: tuple[float, ...]) -> Separable:
    """The scanner's Gaussian point spread, 6-8 mm wide at half maximum in clinical brain images.

    >>> y = point_spread((33, 33), fwhm_mm=8.0, spacing_mm=(2.0, 2.0))(torch.ones(1, 1, 33, 33))
    >>> round(float(y[0, 0, 16, 16]), 3)
    1.0
    """
    return gaussian_blur(size, fwhm_mm=fwhm_mm, spacing_mm=spacing_mm)


@dataclass(frozen=True, eq=False)
class Attenuation(LinearOperator):
    """Multiplies the sinogram of the activity by exp(-line integrals), the share of photon pairs that leave the body.

    `integrals` without unit, of attenuation at 511 keV (water 0.0096 /mm), broadcast to (b, c, views, cells).
    """

    integrals: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        return x * self._survival(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return y * self._survival(y)

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return y / self._survival(y)

    def _survival(self, x: Tensor) -> Tensor:
        return torch.exp(-self.integrals.to(x.device, x.dtype))


def counted(y: Tensor, *, counts: float, rng: torch.Generator) -> Tensor:
    """The sinogram y (b, c, ...) >= 0 with Poisson noise, as if each item had `counts` detected events; in y's unit.

    >>> y = counted(torch.ones(1, 1, 100, 100), counts=1e6, rng=torch.Generator().manual_seed(0))
    >>> round(float(y.std()), 2)  # 100 events a cell
    0.1
    """
    if not counts > 0:
        raise RadloomError(f"{counts:g} counts", expected="more than 0")
    total = y.flatten(1).double().sum(1)
    if not bool(torch.isfinite(y).all()) or bool((y < 0).any()) or bool((total <= 0).any()):
        raise RadloomError("the sinogram is empty, negative or not finite", expected="activity of 0 or more")
    scale = (counts / total).reshape(-1, *(1,) * (y.ndim - 1))
    drawn = torch.poisson((y.double() * scale).to(rng.device), generator=rng).to(y.device)
    return (drawn / scale).to(y.dtype)
