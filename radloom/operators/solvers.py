"""Images from measurements by least squares, plain, Tikhonov-regularised or sparse in wavelets; no physics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators import wavelets


@runtime_checkable
class Map(Protocol):
    """A linear map with its adjoint; every `LinearOperator` is one."""

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        ...

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        ...


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor], b: Tensor, *, iterations: int, tolerance: float = 0.0
) -> Tensor:
    """X with apply(x) = b, for a Hermitian, positive semi-definite `apply` and b (b, ...) in its range.

    Each item of the batch has its own steps and stops at |r| <= tolerance |b|, so a batch equals its singles.
    Hestenes and Stiefel, J Res Natl Bur Stand 1952;49:409-436. Starting from zero, the answer has no part in the
    null space. Blind to an `apply` that is not Hermitian: the answer is then wrong without a sign of it.

    >>> conjugate_gradient(lambda x: 4 * x, torch.tensor([[2.0, 8.0]]), iterations=2)
    tensor([[0.5000, 2.0000]])
    """
    _check_finite(b)
    x, r = torch.zeros_like(b), b
    p, rr = r, _dot(r, r)
    floor = torch.clamp(rr * tolerance**2, min=torch.finfo(rr.dtype).tiny)
    for _ in range(iterations):
        going = rr > floor
        if not bool(going.any()):
            break
        q = apply(p)
        curvature = _dot(p, q)
        going = going & (curvature > 0)
        step = torch.where(going, rr / torch.where(going, curvature, 1.0), 0.0)
        x = x + _like(step, p) * p
        r = r - _like(step, q) * q
        new = torch.where(going, _dot(r, r), rr)
        p = torch.where(_like(going, p), r + _like(new / torch.where(rr > 0, rr, 1.0), p) * p, p)
        rr = new
    return x


def least_squares(operator: Map, y: Tensor, *, iterations: int = 1000, tolerance: float | None = None) -> Tensor:
    """A^+ y for y (b, ...): the least-norm minimiser of |A x - y|^2, by conjugate gradients on the normal equations.

    `tolerance` is on A^H (A x - y) relative to A^H y; by default ten times the machine precision of y.

    >>> from radloom.operators.image import Mask
    >>> least_squares(Mask(torch.tensor([[[1.0, 0.0]]])), torch.tensor([[[3.0, 5.0]]]))
    tensor([[[3., 0.]]])
    """
    small = 10 * torch.finfo(y.dtype).eps if tolerance is None else tolerance
    return conjugate_gradient(
        lambda x: operator.adjoint(operator(x)), operator.adjoint(y), iterations=iterations, tolerance=small
    )


def tikhonov(operator: Map, y: Tensor, *, weight: float, iterations: int = 30) -> Tensor:
    """Argmin |A x - y|^2 + weight |x|^2 for y (b, ...), by conjugate gradients.

    With coils and a sampling mask this is iterative SENSE (Pruessmann et al., Magn Reson Med 2001;46:638-651).
    `weight` is in units of A^H A. Blind to structure: noise and image are shrunk alike.

    >>> from radloom.operators.image import Mask
    >>> tikhonov(Mask(torch.tensor([[[1.0, 0.0]]])), torch.tensor([[[3.0, 5.0]]]), weight=0.5)
    tensor([[[2., 0.]]])
    """
    _check_weight(weight)
    return conjugate_gradient(
        lambda x: operator.adjoint(operator(x)) + weight * x, operator.adjoint(y), iterations=iterations, tolerance=1e-7
    )


def wavelet_least_squares(
    operator: Map, y: Tensor, *, weight: float, levels: int = 3, iterations: int = 60, rng: torch.Generator
) -> Tensor:
    """Argmin 1/2 |A x - y|^2 + weight |W x|_1, W an orthonormal Daubechies-4 transform, by FISTA with random shifts.

    x has the shape of A^H y, (b, c, *s); coarse coefficients are not shrunk. `weight` is an amplitude of wavelet
    coefficients, in the unit of the image. The shift of the periodic transform is drawn anew in each iteration
    (Figueiredo and Nowak, IEEE Trans Image Process 2003;12:906-916), which removes block artefacts and makes the
    minimiser approximate; FISTA is Beck and Teboulle, SIAM J Imaging Sci 2009;2:183-202, and the use in MRI Lustig
    et al., Magn Reson Med 2007;58:1182-1195. Blind to texture finer than `weight`: it is smoothed away.

    >>> from radloom.operators.image import Mask
    >>> A = Mask(torch.ones(1, 1, 8, 8))
    >>> y = torch.full((1, 1, 8, 8), 2.0)
    >>> wavelet_least_squares(A, y, weight=0.1, levels=1, rng=torch.Generator()).mean()  # a constant is not shrunk
    tensor(2.0000)
    """
    _check_weight(weight)
    start = operator.adjoint(y)
    _check_finite(start)
    step = 1.0 / (1.02 * norm_squared(operator, start, rng=rng))
    x, z, t = torch.zeros_like(start), torch.zeros_like(start), 1.0
    for _ in range(iterations):
        moved = z - step * (operator.adjoint(operator(z)) - start)
        new = _shrunk(moved, step * weight, levels, rng=rng)
        t_new = 0.5 * (1 + (1 + 4 * t * t) ** 0.5)
        z, x, t = new + (t - 1) / t_new * (new - x), new, t_new
    return x


def norm_squared(operator: Map, like: Tensor, *, rng: torch.Generator, iterations: int = 20) -> float:
    """The largest eigenvalue of A^H A over the images shaped as `like`, (b, c, *s), by the power method.

    From below: with few iterations it is too small by some percent.

    >>> from radloom.operators.image import Mask
    >>> round(norm_squared(Mask(torch.tensor([[[3.0, 1.0]]])), torch.zeros(1, 1, 2), rng=torch.Generator()), 3)
    9.0
    """
    x = torch.randn(like.shape, generator=rng, device=rng.device, dtype=like.dtype).to(like.device)
    value = 0.0
    for _ in range(iterations):
        x = x / torch.linalg.vector_norm(x)
        x = operator.adjoint(operator(x))
        value = float(torch.linalg.vector_norm(x))
        if value == 0:
            raise RadloomError("the operator maps every image to zero", expected="a mask with at least one sample")
    return value


def _shrunk(x: Tensor, threshold: float, levels: int, *, rng: torch.Generator) -> Tensor:
    """The proximal step of the wavelet penalty on a grid padded to a multiple of 2^levels, at a random shift."""
    block = 2**levels
    pads = [-n % block for n in x.shape[2:]]
    shift = [int(torch.randint(block, (1,), generator=rng, device=rng.device)) for _ in pads]
    axes = tuple(range(2, x.ndim))
    padded = torch.nn.functional.pad(x, [side for pad in reversed(pads) for side in (0, pad)])
    coarse, details = wavelets.forward(torch.roll(padded, shift, axes), levels)
    details = [[_soft(one, threshold) for one in level] for level in details]
    back = torch.roll(wavelets.inverse(coarse, details), [-one for one in shift], axes)
    for axis, n in zip(axes, x.shape[2:], strict=True):
        back = back.narrow(axis, 0, n)
    return back


def _soft(x: Tensor, threshold: float) -> Tensor:
    size = x.abs()
    return x * (torch.clamp(size - threshold, min=0) / torch.clamp(size, min=torch.finfo(size.dtype).tiny))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).real.flatten(1).sum(1)


def _like(value: Tensor, x: Tensor) -> Tensor:
    return value.reshape(-1, *(1,) * (x.ndim - 1))


def _check_weight(weight: float) -> None:
    if not weight >= 0:
        raise RadloomError(f"the regularisation weight is {weight:g}", expected="0 or more")


def _check_finite(x: Tensor) -> None:
    if not bool(torch.isfinite(torch.view_as_real(x) if x.is_complex() else x).all()):
        raise RadloomError("the measurement holds NaN or infinite values", do="set unsampled values to 0")
