"""X-ray line integrals in parallel, fan and circular cone beams, by Joseph's method with its exact transpose."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.base import LinearOperator

SAMPLES = 1_500_000  # in one piece of work: larger only needs more memory


@runtime_checkable
class Geometry(Protocol):
    """Where the rays run; `size` is the grid in which they are told, two or three axes, `spacing_mm` its voxels."""

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        ...

    @property
    def spacing_mm(self) -> float:
        """Side of the cubic voxels."""
        ...

    @property
    def angles(self) -> tuple[float, ...]:
        """Radians, one for each view."""
        ...

    @property
    def detector(self) -> tuple[int, ...]:
        """Cells of one view along each axis of the detector."""
        ...

    def rays(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        """A point on each ray and its direction, both (views, cells, axes), mm from the isocentre."""
        ...


@dataclass(frozen=True)
class Parallel:
    """Parallel rays in the plane of the first two axes; cell k lies (k - (cells - 1) / 2) cell_mm from the isocentre.

    `angles` in radians; at 0 the detector runs along the first axis and the rays along the second.
    """

    size: tuple[int, int]
    spacing_mm: float
    angles: tuple[float, ...]
    cells: int
    cell_mm: float

    @property
    def detector(self) -> tuple[int, ...]:
        """Cells of one view along each axis of the detector."""
        return (self.cells,)

    def rays(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        """A point on each ray and its direction; see `Geometry`."""
        along, ray = frame(angles, 2)
        u = centred(self.cells, self.cell_mm, angles)
        origin = u[None, :, None] * along[:, None]
        return origin, ray[:, None].expand_as(origin)


@dataclass(frozen=True)
class Fan:
    """A point source `source_mm` from the isocentre and a flat detector `detector_mm` from it; see `Parallel`."""

    size: tuple[int, int]
    spacing_mm: float
    angles: tuple[float, ...]
    cells: int
    cell_mm: float
    source_mm: float
    detector_mm: float

    @property
    def detector(self) -> tuple[int, ...]:
        """Cells of one view along each axis of the detector."""
        return (self.cells,)

    def rays(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        """A point on each ray and its direction; see `Geometry`."""
        along, ray = frame(angles, 2)
        u = centred(self.cells, self.cell_mm, angles)
        direction = self.detector_mm * ray[:, None] + u[None, :, None] * along[:, None]
        return (-self.source_mm * ray[:, None]).expand_as(direction), direction


@dataclass(frozen=True)
class Cone:
    """As `Fan`, in three axes: the source runs round the third, the detector has `rows` of height row_mm along it."""

    size: tuple[int, int, int]
    spacing_mm: float
    angles: tuple[float, ...]
    cells: int
    cell_mm: float
    rows: int
    row_mm: float
    source_mm: float
    detector_mm: float

    @property
    def detector(self) -> tuple[int, ...]:
        """Cells of one view along each axis of the detector."""
        return (self.cells, self.rows)

    def rays(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        """A point on each ray and its direction; see `Geometry`."""
        along, ray = frame(angles, 3)
        u, v = centred(self.cells, self.cell_mm, angles), centred(self.rows, self.row_mm, angles)
        axis = torch.tensor([0.0, 0.0, 1.0], dtype=angles.dtype, device=angles.device)
        flat = self.detector_mm * ray[:, None] + u[None, :, None] * along[:, None]
        direction = (flat[:, :, None] + v[:, None] * axis).flatten(1, 2)
        return (-self.source_mm * ray[:, None]).expand_as(direction), direction


Beam = TypeVar("Beam", Parallel, Fan, Cone)


def full_circle(views: int) -> tuple[float, ...]:
    """`views` angles in radians, equally spaced over 360 degrees from 0.

    >>> [round(one, 4) for one in full_circle(4)]
    [0.0, 1.5708, 3.1416, 4.7124]
    """
    return tuple(2 * math.pi * k / views for k in range(views))


def half_circle(views: int) -> tuple[float, ...]:
    """`views` angles in radians, equally spaced over 180 degrees from 0; enough for parallel rays.

    >>> [round(one, 4) for one in half_circle(2)]
    [0.0, 1.5708]
    """
    return tuple(math.pi * k / views for k in range(views))


def sparse(geometry: Beam, every: int) -> Beam:
    """The geometry with every `every`-th view; its measurement is y[:, :, ::every].

    >>> sparse(Parallel((8, 8), 1.0, half_circle(6), 8, 1.0), 3).angles == half_circle(2)
    True
    """
    if every < 1:
        raise RadloomError(f"every {every}-th view", expected="1 or more")
    return replace(geometry, angles=geometry.angles[::every])


@dataclass(frozen=True, eq=False)
class Projector(LinearOperator):
    """Line integrals of attenuation: x (b, c, *s) in 1/mm -> y (b, c, views, cells) without unit.

    In two-axis geometries x may have a third axis, (b, c, n1, n2, z): every slice is projected, y (b, c, views, cells,
    z). A cone beam gives y (b, c, views, cells, rows). Joseph, IEEE Trans Med Imaging 1982;1:192-196: a ray is sampled
    where it crosses the planes of the axis that it follows most. The adjoint is the exact transpose; both are
    differentiable to any order. Blind to the width of focus, cell and voxel.
    """

    geometry: Geometry

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        g = self.geometry
        dims = len(g.size)
        if tuple(x.shape[2 : 2 + dims]) != g.size or x.ndim not in (2 + dims, 5):
            raise RadloomError(f"an image of shape {tuple(x.shape)}", expected=f"(b, c) and the grid {g.size}")
        slices = x.movedim(-1, 2) if x.ndim == 5 and dims == 2 else x
        y = cast(Tensor, _Project.apply(slices.reshape(-1, *g.size), g))
        y = y.reshape(*slices.shape[:-dims], len(g.angles), *g.detector)
        return y.movedim(2, -1) if slices.ndim == 5 and dims == 2 else y

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        g = self.geometry
        flat = len(g.size) == 2
        given = (len(g.angles), *g.detector)
        if tuple(y.shape[2 : 2 + len(given)]) != given or y.ndim not in (2 + len(given), 5):
            raise RadloomError(f"a sinogram of shape {tuple(y.shape)}", expected=f"(b, c) and {given}")
        slices = y.movedim(-1, 2) if y.ndim == 5 and flat else y
        x = cast(Tensor, _Backproject.apply(slices.reshape(-1, *given), g))
        x = x.reshape(*slices.shape[: -len(given)], *g.size)
        return x.movedim(2, -1) if slices.ndim == 5 and flat else x


def frame(angles: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Unit vectors (views, dims) along the detector and along the central ray.

    >>> [one.tolist() for one in frame(torch.zeros(1), 2)]
    [[[1.0, 0.0]], [[-0.0, 1.0]]]
    """
    rest = [torch.zeros_like(angles)] * (dims - 2)
    c, s = torch.cos(angles), torch.sin(angles)
    return torch.stack([c, s, *rest], -1), torch.stack([-s, c, *rest], -1)


def centred(n: int, step: float, like: Tensor) -> Tensor:
    """N positions `step` apart and centred on 0, with the dtype and device of `like`.

    >>> centred(3, 2.0, torch.zeros(1))
    tensor([-2.,  0.,  2.])
    """
    return (torch.arange(n, dtype=like.dtype, device=like.device) - (n - 1) / 2) * step


def _points(g: Geometry, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (rays, planes, axes) in voxels of the grid scaled to [-1, 1], and each ray's step in mm (rays)."""
    origin, direction = (one.flatten(0, 1) / g.spacing_mm for one in g.rays(angles))
    lead = direction[:, :2].abs().argmax(1, keepdim=True)  # no ray follows the axis of rotation most
    slope = direction / direction.gather(1, lead)
    start = origin - slope * origin.gather(1, lead)
    n = max(g.size[:2])
    planes = torch.arange(n, dtype=angles.dtype, device=angles.device) - (n - 1) / 2
    size = torch.tensor(g.size, dtype=angles.dtype, device=angles.device)
    if g.size[0] != g.size[1]:  # the planes must run through voxel centres of either axis
        half = torch.where(size[lead] % 2 == n % 2, 0.0, 0.5)
        planes = planes + half
    else:
        planes = planes.expand(len(lead), n)
    scale = 2 / torch.clamp(size - 1, min=1)
    points = torch.addcmul((start * scale)[:, None], planes[..., None], (slope * scale)[:, None])
    return points.flip(-1), torch.linalg.vector_norm(slope, dim=1) * g.spacing_mm


def _pieces(g: Geometry, like: Tensor) -> list[tuple[int, Tensor]]:
    """The angles in pieces of a bounded number of samples, each with the index of its first view."""
    angles = torch.tensor(g.angles, dtype=torch.float64).to(like.device, like.dtype)
    views = max(1, SAMPLES // (math.prod(g.detector) * max(g.size[:2]) * len(like)))
    return [(first, angles[first : first + views]) for first in range(0, len(angles), views)]


class _Project(torch.autograd.Function):
    """(n, *size) -> (n, views, *detector)."""

    @staticmethod
    def forward(ctx, x: Tensor, g: Geometry) -> Tensor:
        ctx.geometry = g
        y = []
        for _, angles in _pieces(g, x):
            points, step = _points(g, angles)
            grid = points[(None,) * (1 if len(g.size) == 2 else 2)]
            values = torch.nn.functional.grid_sample(x[None], grid, align_corners=True)
            y.append((values.sum(-1) * step).reshape(len(x), len(angles), *g.detector))
        return torch.cat(y, 1)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        return cast(Tensor, _Backproject.apply(grads[0], ctx.geometry)), None


class _Backproject(torch.autograd.Function):
    """The transpose of `_Project`."""

    @staticmethod
    def forward(ctx, y: Tensor, g: Geometry) -> Tensor:
        ctx.geometry = g
        x = torch.zeros(1, len(y), *g.size, dtype=y.dtype, device=y.device)
        total = torch.zeros_like(x)
        flat = len(g.size) == 2
        transpose = torch.ops.aten.grid_sampler_2d_backward if flat else torch.ops.aten.grid_sampler_3d_backward
        for first, angles in _pieces(g, y):
            points, step = _points(g, angles)
            grid = points[(None,) * (1 if flat else 2)]
            given = y[:, first : first + len(angles)].reshape(1, len(y), *(() if flat else (1,)), -1) * step
            given = given[..., None].expand(*given.shape, points.shape[1])
            total += transpose(given, x, grid, 0, 0, True, [True, False])[0]
        return total[0]

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        return cast(Tensor, _Project.apply(grads[0], ctx.geometry)), None
