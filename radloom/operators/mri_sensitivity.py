"""Coil sensitivities: simulated loops around the head, and maps estimated from the centre of k-space (ESPIRiT)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from radloom.errors import RadloomError


def loops(size: tuple[int, ...], *, coils: int, turns: float = 0.3) -> Tensor:
    """Smooth maps (1, coils, *s) of `coils` on a circle around the centre, root sum of squares 1, complex64.

    Gaussians of width 0.6 of the field of view, centred 1.2 radii out, each with a phase ramp of `turns` cycles
    across the field of view towards its coil. A model, not a solution of Maxwell's equations.

    >>> maps = loops((16, 16), coils=4)
    >>> bool(torch.allclose(maps.abs().square().sum(1), torch.ones(1, 16, 16)))
    True
    """
    if coils < 1:
        raise RadloomError(f"{coils} coils", expected="1 or more")
    axes = [(torch.arange(n, dtype=torch.float64) - n // 2) / n for n in size]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    maps = []
    for k in range(coils):
        angle = 2 * math.pi * k / coils
        where = torch.zeros(len(size), dtype=torch.float64)
        where[0], where[1] = math.cos(angle), math.sin(angle)
        where = where.reshape(-1, *(1,) * len(size))
        size_ = torch.exp(-((grid - 0.6 * where) ** 2).sum(0) / (2 * 0.6**2))
        maps.append(torch.polar(size_, angle + 2 * math.pi * turns * (grid * where).sum(0)))
    stacked = torch.stack(maps)
    return (stacked / stacked.abs().square().sum(0).sqrt())[None].to(torch.complex64)


def espirit(
    y: Tensor, *, centre: tuple[int, ...], kernel: int = 6, threshold: float = 0.02, keep: float = 0.9
) -> Tensor:
    """Sensitivities (b, coils, *s) from k-space y (b, coils, *s) whose central block `centre` is fully sampled.

    Uecker et al., Magn Reson Med 2014;71:990-1001: the calibration matrix's row space, of windows `kernel` wide and
    singular values above `threshold` of the largest, is turned into one Hermitian operator for each voxel; its
    eigenvector of the eigenvalue nearest 1 is the map. Maps have root sum of squares 1 and coil 0 real; they are 0
    where the eigenvalue is below `keep` (no signal). Blind to a second set of maps, as where the field of view folds.

    >>> y = torch.ones(1, 1, 12, 12, dtype=torch.complex64)
    >>> round(float(espirit(y, centre=(8, 8), kernel=3).abs().max()), 3)  # one coil: nothing to tell apart
    1.0
    """
    size = tuple(y.shape[2:])
    if len(centre) != len(size) or any(not kernel <= c <= n for c, n in zip(centre, size, strict=True)):
        raise RadloomError(
            f"a calibration block of {centre} in a k-space of {size}", expected=f"at least {kernel} and at most k-space"
        )
    block = y
    for axis, (n, c) in enumerate(zip(size, centre, strict=True), start=2):
        block = block.narrow(axis, n // 2 - c // 2, c)
    if bool((block == 0).all(1).any()):
        raise RadloomError("the calibration block has unsampled points", do="give a smaller centre")
    return torch.stack([_maps(one, size, kernel, threshold, keep) for one in block])


def _maps(block: Tensor, size: tuple[int, ...], kernel: int, threshold: float, keep: float) -> Tensor:
    """Maps (coils, *s) of one examination from its calibration block (coils, *c)."""
    coils, dims = block.shape[0], block.ndim - 1
    windows = block
    for axis in range(1, dims + 1):
        windows = windows.unfold(axis, kernel, 1)
    rows = windows.movedim(0, dims).reshape(-1, coils * kernel**dims)
    values, vectors = torch.linalg.eigh(rows.mH @ rows)  # a Gram matrix: squares of the singular values
    space = vectors[:, values > threshold**2 * values[-1]].conj()
    kernels = space.T.reshape(-1, coils, *(kernel,) * dims)
    gram = torch.zeros(*size, coils, coils, dtype=block.dtype, device=block.device)
    axes = tuple(range(-dims, 0))
    for one in kernels:  # the eigenproblem of the normal operator, a convolution, is one small matrix for each voxel
        g = torch.fft.fftshift(torch.fft.ifftn(one, s=size, dim=axes, norm="forward"), axes).movedim(0, -1)
        gram += g[..., :, None] * g[..., None, :].conj()
    values, vectors = torch.linalg.eigh(gram / kernel**dims)
    best = vectors[..., -1]
    best = best * torch.polar(torch.ones_like(best[..., :1].real), -best[..., :1].angle())
    return (best * (values[..., -1:] > keep)).movedim(-1, 0)
