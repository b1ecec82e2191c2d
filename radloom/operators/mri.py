"""What an MR scanner measures of a complex image: sampled or cropped k-space, with or without coils, slabs, noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.base import LinearOperator
from radloom.operators.image import FWHM_PER_SD, Separable


def fourier(x: Tensor, dims: int) -> Tensor:
    """The centred, orthonormal Fourier transform over the last `dims` axes: the centre n // 2 is the origin in both.

    >>> fourier(torch.ones(1, 1, 4), 1).real
    tensor([[[0., 0., 2., 0.]]])
    """
    axes = tuple(range(-dims, 0))
    return torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(x, axes), dim=axes, norm="ortho"), axes)


def inverse_fourier(y: Tensor, dims: int) -> Tensor:
    """The inverse, and the adjoint, of `fourier`.

    >>> inverse_fourier(torch.tensor([[[0.0, 0.0, 2.0, 0.0]]]), 1).real
    tensor([[[1., 1., 1., 1.]]])
    """
    axes = tuple(range(-dims, 0))
    return torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(y, axes), dim=axes, norm="ortho"), axes)


@dataclass(frozen=True, eq=False)
class SingleCoil(LinearOperator):
    """y = M F x: x (b, c, *s) real or complex, mask (1 or b, 1, *s) of 0 and 1, y complex, 0 where unsampled.

    A^+ is A^H, the zero-filled image.
    """

    mask: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        _check_grid(x, self.mask)
        return fourier(x, self.mask.ndim - 2) * self.mask.to(x.device)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        _check_grid(y, self.mask)
        return inverse_fourier(y * self.mask.to(y.device), self.mask.ndim - 2)

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return self.adjoint(y)


@dataclass(frozen=True, eq=False)
class MultiCoil(LinearOperator):
    """y_k = M F (S_k x): x (b, 1, *s) -> y (b, coils, *s); mask (1 or b, 1, *s), sensitivities (1 or b, coils, *s).

    A^+ is unregularised SENSE by conjugate gradients (Pruessmann et al., Magn Reson Med 2001;46:638-651).
    """

    mask: Tensor
    sensitivities: Tensor

    def __post_init__(self) -> None:
        _check_grid(self.sensitivities, self.mask)

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        _check_grid(x, self.mask)
        if x.shape[1] != 1:
            raise RadloomError(f"{x.shape[1]} channels before the coils", expected="one complex image (b, 1, *s)")
        return fourier(x * self._maps(x), self.mask.ndim - 2) * self.mask.to(x.device)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        _check_grid(y, self.mask)
        coils = inverse_fourier(y * self.mask.to(y.device), self.mask.ndim - 2)
        return (coils * self._maps(y).conj()).sum(1, keepdim=True)

    def _maps(self, x: Tensor) -> Tensor:
        return self.sensitivities.to(x.device, x.dtype.to_complex())


@dataclass(frozen=True, eq=False)
class KSpaceCrop(LinearOperator):
    """The image (b, c, *small) that the central `small` of the k-space of an image (b, c, *size) gives, complex.

    A constant keeps its value. A^+ fills k-space with zeros (sinc interpolation).
    """

    size: tuple[int, ...]
    small: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.size) != len(self.small) or any(not 0 < s <= n for n, s in zip(self.size, self.small, strict=True)):
            raise RadloomError(f"a k-space of {self.size} cropped to {self.small}", expected="1 to the full size")

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        if tuple(x.shape[2:]) != self.size:
            raise RadloomError(f"an image of {tuple(x.shape[2:])}", expected=f"the operator's grid {self.size}")
        k = fourier(x, len(self.size))
        for axis, (n, s) in enumerate(zip(self.size, self.small, strict=True), start=2):
            k = k.narrow(axis, n // 2 - s // 2, s)
        return self._scale() * inverse_fourier(k, len(self.size))

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        k, pads = fourier(y, len(self.size)), []
        for n, s in zip(reversed(self.size), reversed(self.small), strict=True):
            before = n // 2 - s // 2
            pads += [before, n - s - before]
        return self._scale() * inverse_fourier(torch.nn.functional.pad(k, pads), len(self.size))

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return self.adjoint(y) / self._scale() ** 2

    def _scale(self) -> float:
        ratio = 1.0
        for n, s in zip(self.size, self.small, strict=True):
            ratio *= s / n
        return ratio**0.5


@dataclass(frozen=True, eq=False)
class Paired(LinearOperator):
    """Real and imaginary part as two channels (b, 2c, *s) -> complex (b, c, *s): what a network draws becomes an image.

    Real-linear; the adjoint belongs to the real inner product Re <., .>.
    """

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        if x.shape[1] % 2:
            raise RadloomError(f"{x.shape[1]} channels", expected="pairs of a real and an imaginary part")
        real, imaginary = x.unflatten(1, (-1, 2)).unbind(2)
        return torch.complex(real, imaginary)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return torch.stack((y.real, y.imag), 2).flatten(1, 2)

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return self.adjoint(y)


def slab(size: tuple[int, ...], *, axis: int, voxels: int) -> Separable:
    """Slices of rectangular profile, `voxels` thick and end to end, along `axis`: means over the slab.

    >>> slab((4, 1), axis=0, voxels=2)(torch.tensor([[[[1.0], [3.0], [5.0], [7.0]]]])).flatten()
    tensor([2., 6.])
    """
    if voxels < 1 or size[axis] % voxels:
        raise RadloomError(f"{size[axis]} voxels in slabs of {voxels}", expected="a divisor of the size")
    eye = torch.eye(size[axis] // voxels, dtype=torch.float64)
    return _on_axis(eye.repeat_interleave(voxels, 1) / voxels, size, axis)


def gaussian_slices(size: tuple[int, ...], *, axis: int, fwhm_voxels: float, apart_voxels: int) -> Separable:
    """Slices of Gaussian profile, `fwhm_voxels` thick and `apart_voxels` from centre to centre, along `axis`.

    Each slice's weights sum to one, also at the ends of the volume.

    >>> A = gaussian_slices((8, 1), axis=0, fwhm_voxels=2.0, apart_voxels=4)
    >>> A(torch.ones(1, 1, 8, 1)).flatten()
    tensor([1.0000, 1.0000])
    """
    if not fwhm_voxels > 0 or apart_voxels < 1:
        raise RadloomError(f"slices {fwhm_voxels:g} thick and {apart_voxels} apart", expected="positive values")
    n = size[axis]
    centres = torch.arange((apart_voxels - 1) / 2, n, apart_voxels, dtype=torch.float64)
    apart = (torch.arange(n, dtype=torch.float64) - centres[:, None]) * FWHM_PER_SD / fwhm_voxels
    weights = torch.exp(-0.5 * apart**2)
    return _on_axis(weights / weights.sum(1, keepdim=True), size, axis)


def add_noise(y: Tensor, *, sd: float, mask: Tensor, rng: torch.Generator) -> Tensor:
    """k-space y (b, c, *s) with complex Gaussian noise, `sd` in each part, where `mask` (1 or b, 1, *s) is 1.

    The transform is orthonormal, so `sd` is also the noise of the fully sampled image. Blind to correlated coils.

    >>> mask = torch.tensor([[[1.0, 0.0]]])
    >>> y = add_noise(torch.zeros(1, 1, 2, dtype=torch.complex64), sd=1.0, mask=mask, rng=torch.Generator())
    >>> bool(y[..., 0] != 0), bool(y[..., 1] == 0)
    (True, True)
    """
    if not sd >= 0:
        raise RadloomError(f"the standard deviation of the noise is {sd:g}", expected="0 or more")
    noise = torch.randn(y.shape, generator=rng, device=rng.device, dtype=y.dtype.to_complex()).to(y.device)
    return y + sd * 2**0.5 * noise * mask.to(y.device)


def _on_axis(matrix: Tensor, size: tuple[int, ...], axis: int) -> Separable:
    return Separable(tuple(matrix if i == axis % len(size) else None for i in range(len(size))))


def _check_grid(x: Tensor, mask: Tensor) -> None:
    if x.shape[2:] != mask.shape[2:]:
        raise RadloomError(f"a grid of {tuple(x.shape[2:])}", expected=f"the sampling mask's, {tuple(mask.shape[2:])}")
