"""Filtered back-projection of parallel beams and FDK of fan and cone beams, with four kernels; no iteration."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.ct import Cone, Fan, Parallel, centred, frame

Kernel = Callable[[Tensor], Tensor]  # W(f / Nyquist), 1 at 0


def smooth(f: Tensor) -> Tensor:
    """A Hann window that ends at 0.6 of the Nyquist frequency; f in units of it.

    >>> smooth(torch.tensor([0.0, 0.3, 0.6]))
    tensor([1.0000, 0.5000, 0.0000])
    """
    return torch.where(f < 0.6, 0.5 + 0.5 * torch.cos(math.pi * f / 0.6), 0.0)


def standard(f: Tensor) -> Tensor:
    """A Hann window that ends at the Nyquist frequency; f in units of it.

    >>> standard(torch.tensor([0.0, 0.5]))
    tensor([1.0000, 0.5000])
    """
    return 0.5 + 0.5 * torch.cos(math.pi * f)


def bone(f: Tensor) -> Tensor:
    """No window: the ramp alone.

    >>> bone(torch.tensor([0.0, 1.0]))
    tensor([1., 1.])
    """
    return torch.ones_like(f)


def sharp(f: Tensor) -> Tensor:
    """(1 + 3 f^2), an edge-enhancing gain, under a cosine taper from 0.6 to 0.9 of the Nyquist frequency.

    >>> sharp(torch.tensor([0.0, 0.5, 0.95]))
    tensor([1.0000, 1.7500, 0.0000])
    """
    taper = 0.5 + 0.5 * torch.cos(math.pi * torch.clamp((f - 0.6) / 0.3, 0, 1))
    return (1 + 3 * f**2) * taper


def fbp(y: Tensor, geometry: Parallel, *, kernel: Kernel = standard) -> Tensor:
    """Attenuation (b, c, n1, n2[, z]) in 1/mm from parallel line integrals y (b, c, views, cells[, z]).

    Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, ch. 3: the ramp is sampled in space, so that
    the mean is right. The angles must be equally spaced over 180 or 360 degrees. Blind to noise statistics.

    >>> from radloom.operators.ct import half_circle
    >>> fbp(torch.zeros(1, 1, 4, 8), Parallel((6, 6), 1.0, half_circle(4), 8, 1.0)).shape
    torch.Size([1, 1, 6, 6])
    """
    _check(y, geometry)
    filtered = ramp_filtered(y.movedim(3, -1), geometry.cell_mm, kernel)
    x1, x2 = _plane(geometry, y)
    rows = filtered.movedim(2, 0)  # (views, b, c, [z,] cells)
    total = torch.zeros(*rows.shape[1:-1], *geometry.size, dtype=y.dtype, device=y.device)
    for row, along in zip(rows, frame(_angles(geometry, y), 2)[0], strict=True):
        u = x1 * along[0] + x2 * along[1]
        total = total + _at(row, u / geometry.cell_mm + (geometry.cells - 1) / 2)
    total = total * (math.pi / len(geometry.angles))
    return total.movedim(2, -1) if y.ndim == 5 else total


def fdk(y: Tensor, geometry: Fan | Cone, *, kernel: Kernel = standard) -> Tensor:
    """Attenuation (b, c, *s) in 1/mm from a full circle of fan (b, c, views, cells) or cone (..., rows) projections.

    Feldkamp, Davis and Kress, J Opt Soc Am A 1984;1:612-619; exact for a fan and in the cone's central plane. The
    angles must be equally spaced over 360 degrees. Blind to what a circular orbit does not see: the density falls
    off the further a slice lies from the central plane.

    >>> from radloom.operators.ct import full_circle
    >>> fdk(torch.zeros(1, 1, 4, 8), Fan((6, 6), 1.0, full_circle(4), 8, 2.0, 50.0, 100.0)).shape
    torch.Size([1, 1, 6, 6])
    """
    _check(y, geometry)
    if y.ndim == 5 and isinstance(geometry, Fan):
        return torch.stack([fdk(one, geometry, kernel=kernel) for one in y.unbind(-1)], -1)
    scale = geometry.source_mm / geometry.detector_mm  # to the virtual detector at the isocentre
    u = centred(geometry.cells, geometry.cell_mm * scale, y)
    squared = u**2
    if isinstance(geometry, Cone):
        squared = squared[:, None] + centred(geometry.rows, geometry.row_mm * scale, y) ** 2
    y = y * (geometry.source_mm / torch.sqrt(geometry.source_mm**2 + squared))
    filtered = ramp_filtered(y.movedim(3, -1), geometry.cell_mm * scale, kernel)
    rows = filtered.movedim(2, 0)  # (views, b, c, [rows,] cells)
    x1, x2 = _plane(geometry, y)
    total = torch.zeros(*y.shape[:2], *geometry.size, dtype=y.dtype, device=y.device)
    for row, along, ray in zip(rows, *frame(_angles(geometry, y), 2), strict=True):
        magnified = geometry.source_mm / (geometry.source_mm + x1 * ray[0] + x2 * ray[1])
        position = (x1 * along[0] + x2 * along[1]) * magnified / (geometry.cell_mm * scale) + (geometry.cells - 1) / 2
        if isinstance(geometry, Cone):
            total = total + magnified[..., None] ** 2 * _at_height(row, position, magnified, geometry, scale)
        else:
            total = total + magnified**2 * _at(row, position)
    return total * (math.pi / len(geometry.angles))


def ramp_filtered(y: Tensor, cell_mm: float, kernel: Kernel) -> Tensor:
    """Y (..., cells) convolved with the ramp under `kernel`, in units of y / mm.

    >>> y = torch.zeros(9); y[4] = 1
    >>> [round(abs(one), 4) for one in ramp_filtered(y, 1.0, bone)[4:7].tolist()]  # 1/4, 1/pi^2, 0
    [0.25, 0.1013, 0.0]
    """
    n = y.shape[-1]
    length = 2 ** math.ceil(math.log2(2 * n))
    k = torch.arange(length, device=y.device)
    k = torch.minimum(k, length - k).to(torch.float64)
    ramp = torch.where(k % 2 == 1, -1 / (math.pi * torch.clamp(k, min=1) * cell_mm) ** 2, 0.0)
    ramp[0] = 1 / (4 * cell_mm**2)
    response = torch.fft.rfft(ramp).real
    frequency = torch.arange(len(response), dtype=torch.float64, device=y.device) / (length / 2)
    response = (response * kernel(frequency) * cell_mm).to(y.dtype)
    return torch.fft.irfft(torch.fft.rfft(y, length) * response, length)[..., :n]


def _at(rows: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation of rows (..., cells) at `position` (*s), in cells; 0 beyond the detector."""
    cells = rows.shape[-1]
    flat = position.flatten()
    low = torch.clamp(flat.floor(), 0, cells - 2)
    part = flat - low
    inside = (flat >= 0) & (flat <= cells - 1)
    index = low.long()
    values = torch.lerp(rows[..., index], rows[..., index + 1], part) * inside
    return values.reshape(*rows.shape[:-1], *position.shape)


def _at_height(row: Tensor, position: Tensor, magnified: Tensor, geometry: Cone, scale: float) -> Tensor:
    """The filtered view (b, c, rows, cells) where each voxel's ray meets it: (b, c, n1, n2, n3)."""
    z = centred(geometry.size[2], geometry.spacing_mm, row)
    v = z * magnified[..., None] / (geometry.row_mm * scale)
    u = (position - (geometry.cells - 1) / 2)[..., None].expand_as(v)
    half = torch.tensor([(geometry.cells - 1) / 2, (geometry.rows - 1) / 2], dtype=row.dtype, device=row.device)
    grid = torch.stack((u, v), -1) / torch.clamp(half, min=0.5)
    flat = torch.nn.functional.grid_sample(
        row.flatten(0, 1)[None], grid.flatten(0, 1)[None], align_corners=True, padding_mode="zeros"
    )
    return flat.reshape(*row.shape[:2], *v.shape)


def _plane(geometry: Parallel | Fan | Cone, like: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of the voxel centres in the plane of rotation, mm."""
    x1, x2 = (centred(n, geometry.spacing_mm, like) for n in geometry.size[:2])
    return x1[:, None].expand(-1, len(x2)), x2[None].expand(len(x1), -1)


def _angles(geometry: Parallel | Fan | Cone, like: Tensor) -> Tensor:
    return torch.tensor(geometry.angles, dtype=torch.float64).to(like.device, like.dtype)


def _check(y: Tensor, geometry: Parallel | Fan | Cone) -> None:
    given = (len(geometry.angles), *geometry.detector)
    if tuple(y.shape[2 : 2 + len(given)]) != given or y.ndim not in (2 + len(given), 5):
        raise RadloomError(f"a sinogram of shape {tuple(y.shape)}", expected=f"(b, c) and {given}")
    if not bool(torch.isfinite(y).all()):
        raise RadloomError("the sinogram holds NaN or infinite values", do="repair the dead cells first")
