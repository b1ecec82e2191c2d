"""The orthonormal, periodic Daubechies-4 wavelet transform over all spatial axes, real or complex; no penalty."""

from __future__ import annotations

import torch
from torch import Tensor

from radloom.errors import RadloomError

# Daubechies, Commun Pure Appl Math 1988;41:909-996, N = 4: eight taps, four vanishing moments.
SCALING = (
    0.2303778133088965,
    0.7148465705529157,
    0.6308807679298589,
    -0.0279837694168599,
    -0.1870348117190930,
    0.0308413818355607,
    0.0328830116668852,
    -0.0105974017850690,
)


def forward(x: Tensor, levels: int) -> tuple[Tensor, list[list[Tensor]]]:
    """The coarse image and, from fine to coarse, the 2^d - 1 detail images of each level of x (b, c, *s).

    Every size must be a multiple of 2^levels. The sum of squares is kept.

    >>> coarse, details = forward(torch.ones(1, 1, 8, 8), 1)
    >>> coarse.shape, len(details[0]), round(float(coarse.square().sum()), 3)
    (torch.Size([1, 1, 4, 4]), 3, 64.0)
    """
    for n in x.shape[2:]:
        if n % 2**levels:
            raise RadloomError(
                f"a side of {n} cannot be halved {levels} times", expected=f"a multiple of {2**levels}", do="pad it"
            )
    details = []
    for _ in range(levels):
        bands = [x]
        for axis in range(2, x.ndim):
            bands = [half for band in bands for half in _split(band, axis)]
        x = bands[0]
        details.append(bands[1:])
    return x, details


def inverse(coarse: Tensor, details: list[list[Tensor]]) -> Tensor:
    """The image (b, c, *s) of which `forward` gives `coarse` and `details`.

    >>> x = torch.arange(64.0).reshape(1, 1, 8, 8)
    >>> bool(torch.allclose(inverse(*forward(x, 2)), x, atol=1e-4))
    True
    """
    x = coarse
    for level in reversed(details):
        bands = [x, *level]
        for axis in reversed(range(2, x.ndim)):
            bands = [_join(low, high, axis) for low, high in zip(bands[::2], bands[1::2], strict=True)]
        x = bands[0]
    return x


def _wavelet() -> tuple[float, ...]:
    return tuple((-1) ** k * tap for k, tap in enumerate(reversed(SCALING)))  # quadrature mirror


def _split(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Low and high half band: y[n] = sum_k h[k] x[2n + k], the index taken round the axis."""
    half = x.shape[axis] // 2
    even, odd = x.unflatten(axis, (half, 2)).unbind(axis + 1)
    low, high = torch.zeros_like(even), torch.zeros_like(even)
    for k, (h, g) in enumerate(zip(SCALING, _wavelet(), strict=True)):
        tap = torch.roll((even, odd)[k % 2], -(k // 2), axis)
        low, high = low + h * tap, high + g * tap
    return low, high


def _join(low: Tensor, high: Tensor, axis: int) -> Tensor:
    """The transpose of `_split`."""
    phases = [torch.zeros_like(low), torch.zeros_like(low)]
    for k, (h, g) in enumerate(zip(SCALING, _wavelet(), strict=True)):
        phases[k % 2] = phases[k % 2] + torch.roll(h * low + g * high, k // 2, axis)
    return torch.stack(phases, axis + 1).flatten(axis, axis + 1)
