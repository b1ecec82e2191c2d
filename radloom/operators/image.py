"""Operators in image space: masks, crops, and blur or resampling along the axes; no noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.base import LinearOperator

FWHM_PER_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True, eq=False)
class Mask(LinearOperator):
    """x -> weight * x with a real weight that broadcasts to (b, c, *s): 1 known, 0 to be painted in, or a fraction."""

    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        return x * _to(self.weight, x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return y * _to(self.weight, y)

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        weight = _to(self.weight, y)
        return torch.where(weight != 0, y / torch.where(weight != 0, weight, 1), 0)


@dataclass(frozen=True, eq=False)
class Separable(LinearOperator):
    """One real matrix (m_i, n_i) for each spatial axis, or None for an axis left alone: blur, resampling, slabs.

    x (b, c, n_1, n_2[, n_3]) -> (b, c, m_1, m_2[, m_3]); A^+ is exact, the matrices' own pseudo-inverses.
    """

    matrices: tuple[Tensor | None, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        return _along(x, self.matrices)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return _along(y, tuple(one if one is None else one.T for one in self.matrices))

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return _along(y, tuple(one if one is None else torch.linalg.pinv(one.double()) for one in self.matrices))


def gaussian_blur(size: tuple[int, ...], *, fwhm_mm: float, spacing_mm: tuple[float, ...]) -> Separable:
    """A Gaussian point spread of full width `fwhm_mm` at half maximum on a grid of `size`; zero outside the grid.

    The kernel sums to one; images fade within a kernel's width of the border. Blind to a spread that varies in space.

    >>> A = gaussian_blur((9, 9), fwhm_mm=2.0, spacing_mm=(1.0, 1.0))
    >>> x = torch.zeros(1, 1, 9, 9); x[..., 4, 4] = 1
    >>> y = A(x)[0, 0]
    >>> round(float(y[4, 5] / y[4, 4]), 3)  # half the maximum at half the width
    0.5
    """
    _check_axes(size, spacing_mm)
    if not fwhm_mm > 0:
        raise RadloomError(f"the full width at half maximum is {fwhm_mm:g} mm", expected="more than 0")
    matrices = []
    for n, spacing in zip(size, spacing_mm, strict=True):
        sd = fwhm_mm / FWHM_PER_SD / spacing
        reach = torch.arange(-math.ceil(6 * sd), math.ceil(6 * sd) + 1, dtype=torch.float64)
        total = torch.exp(-0.5 * (reach / sd) ** 2).sum()
        apart = torch.arange(n, dtype=torch.float64)[:, None] - torch.arange(n, dtype=torch.float64)
        matrices.append(torch.exp(-0.5 * (apart / sd) ** 2) / total)
    return Separable(tuple(matrices))


def downsample(size: tuple[int, ...], factors: tuple[int, ...]) -> Separable:
    """Means of blocks of `factors` voxels; each size must be a multiple of its factor.

    >>> downsample((4,), (2,))(torch.tensor([[[1.0, 3.0, 5.0, 7.0]]]))
    tensor([[[2., 6.]]])
    """
    _check_axes(size, factors)
    matrices: list[Tensor | None] = []
    for n, factor in zip(size, factors, strict=True):
        if factor < 1 or n % factor:
            raise RadloomError(
                f"a side of {n} voxels cannot be cut into blocks of {factor}", expected="a divisor of the side"
            )
        eye = torch.eye(n // factor, dtype=torch.float64)
        matrices.append(None if factor == 1 else eye.repeat_interleave(factor, 1) / factor)
    return Separable(tuple(matrices))


def inpainting(missing: Tensor) -> Mask:
    """Keeps what is not `missing`, a boolean mask that broadcasts to (b, c, *s).

    >>> inpainting(torch.tensor([[[True, False]]]))(torch.tensor([[[3.0, 4.0]]]))
    tensor([[[0., 4.]]])
    """
    if missing.dtype != torch.bool:
        raise RadloomError(f"the mask of missing voxels is {missing.dtype}", expected="torch.bool")
    return Mask((~missing).double())


def add_noise(y: Tensor, *, sd: float, rng: torch.Generator) -> Tensor:
    """Y with independent Gaussian noise of standard deviation `sd` in the unit of y; in each part if y is complex.

    >>> y = add_noise(torch.zeros(10000), sd=2.0, rng=torch.Generator().manual_seed(0))
    >>> round(float(y.std()), 1)
    2.0
    """
    if not sd >= 0:
        raise RadloomError(f"the standard deviation of the noise is {sd:g}", expected="0 or more")
    noise = torch.randn(y.shape, generator=rng, device=rng.device, dtype=y.dtype).to(y.device)
    return y + (sd * math.sqrt(2.0) if y.is_complex() else sd) * noise


def _along(x: Tensor, matrices: tuple[Tensor | None, ...]) -> Tensor:
    if x.ndim != len(matrices) + 2:
        raise RadloomError(f"an image of shape {tuple(x.shape)}", expected=f"(b, c) and {len(matrices)} spatial axes")
    for axis, matrix in enumerate(matrices, start=2):
        if matrix is None:
            continue
        if x.shape[axis] != matrix.shape[1]:
            raise RadloomError(
                f"axis {axis - 2} has {x.shape[axis]} voxels", expected=f"{matrix.shape[1]}, as the operator was built"
            )
        x = (x.movedim(axis, -1) @ matrix.to(x.device, x.dtype).T).movedim(-1, axis)
    return x


def _to(weight: Tensor, x: Tensor) -> Tensor:
    return weight.to(x.device, x.real.dtype if x.is_complex() else x.dtype)


def _check_axes(size: tuple[int, ...], other: tuple[float, ...] | tuple[int, ...]) -> None:
    if len(size) != len(other) or min(size, default=0) < 1:
        raise RadloomError(f"a grid of {size} with {other}", expected="one value for each axis, and no empty axis")
