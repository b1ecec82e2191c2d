"""Deformable registration of two volumes, and smooth deformations that are known; nothing is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from radloom.errors import RadloomError

Similarity = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Registration:
    """How two images are registered. mesh_mm: between control points; coarse, fine: steps at half and full resolution.

    step_mm: Adam's learning rate. smoothness: weight of the mean squared difference of neighbouring control points, mm.
    """

    mesh_mm: float = 20.0
    coarse: int = 60
    fine: int = 20
    step_mm: float = 0.4
    smoothness: float = 0.002


def registered(
    fixed: Float[np.ndarray, "x y z"],
    moving: Float[np.ndarray, "x y z"],
    inside: Bool[np.ndarray, "x y z"],
    *,
    spacing_mm: Sequence[float],
    similarity: Similarity,
    how: Registration,
) -> Float[np.ndarray, "3 x y z"]:
    """Where each voxel of `fixed` lies in `moving`, as a displacement in mm along the axes.

    A free-form deformation (Rueckert et al., IEEE Trans Med Imaging 1999;18:712-721) whose control points are joined
    trilinearly, moved by Adam to raise the similarity over the voxels `inside`, first with 2 x 2 voxels of a slice
    averaged (slices are thick). similarity: `mutual_information` for two contrasts, `correlation` for one. Blind to
    motion finer than the mesh. Raises RadloomError on images of two shapes, an empty region or a constant image.
    """
    if not fixed.shape == moving.shape == inside.shape or not inside.any():
        raise RadloomError(f"images of shapes {fixed.shape} and {moving.shape}", expected="one grid and a region")
    if np.ptp(fixed[inside]) == 0 or np.ptp(moving[inside]) == 0:
        raise RadloomError("one of the images is constant", expected="two images to register")
    images = torch.from_numpy(np.stack([fixed, moving, inside]).astype(np.float32))[:, None]
    spacing = torch.tensor([float(mm) for mm in spacing_mm])
    mesh = [max(2, round(n * mm / how.mesh_mm) + 1) for n, mm in zip(fixed.shape, spacing_mm, strict=True)]
    control = torch.zeros(1, 3, *mesh, requires_grad=True)
    optimiser = torch.optim.Adam([control], how.step_mm)
    for cell, steps in ((2, how.coarse), (1, how.fine)):
        a, b, weight = (F.avg_pool3d(image, (cell, cell, 1)) for image in images)
        counted = weight[0] > 0.5
        size = spacing * torch.tensor([cell, cell, 1])
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            field = F.avg_pool3d(_joined(control, fixed.shape), (cell, cell, 1))
            loss = -similarity(a[0][counted], _moved(b[None], field, size)[0][counted])
            (loss + how.smoothness * _roughness(control)).backward()
            optimiser.step()
    with torch.no_grad():
        return _joined(control, fixed.shape)[0].double().numpy()


def mutual_information(a: Float[Tensor, " n"], b: Float[Tensor, " n"], *, bins: int = 32) -> Float[Tensor, ""]:
    """Mutual information in nats of two images' joint histogram, each value shared by its two nearest bins.

    I = sum p(a, b) ln(p(a, b) / (p(a) p(b))); the axis of each image reaches from its lowest to its highest value.
    (Viola and Wells, Int J Comput Vis 1997;24:137-154; Mattes et al., IEEE Trans Med Imaging 2003;22:120-128.)

    >>> a = torch.linspace(0, 1, 1000)
    >>> bool(mutual_information(a, 1 - a) > 2), round(float(mutual_information(a, a[torch.arange(1000) % 2])), 2)
    (True, 0.0)
    """
    joint = _shares(a, bins).T @ _shares(b, bins) / len(a)
    outer = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return (joint * ((joint + 1e-10) / (outer + 1e-10)).log()).sum()


def correlation(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The square of Pearson's correlation.

    >>> round(float(correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([5.0, 3.0, 1.0]))), 4)
    1.0
    """
    a, b = a - a.mean(), b - b.mean()
    return (a @ b).square() / ((a @ a) * (b @ b) + 1e-12)


def _shares(values: Tensor, bins: int) -> Float[Tensor, "n bins"]:
    """How much of each value falls to each bin: triangles of a bin's width."""
    low, high = values.detach().min(), values.detach().max()
    place = (values - low) / (high - low + 1e-12) * (bins - 1)
    return (1 - (place[:, None] - torch.arange(bins)).abs()).clamp_min(0)


def _joined(control: Tensor, shape: Sequence[int]) -> Tensor:
    return F.interpolate(control, size=tuple(shape), mode="trilinear", align_corners=True)


def _roughness(control: Tensor) -> Tensor:
    return torch.stack([control.diff(dim=axis).square().mean() for axis in (2, 3, 4)]).sum()


def _moved(image: Tensor, field: Tensor, spacing: Tensor) -> Tensor:
    """image(x + field(x)) of a batch of one; grid_sample names the axes from the last to the first."""
    shape = image.shape[2:]
    sizes = torch.tensor(shape)
    here = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij"))
    place = here[None] + field / spacing.view(1, 3, 1, 1, 1)
    scaled = 2 * place / (sizes - 1).clamp_min(1).view(1, 3, 1, 1, 1) - 1
    return F.grid_sample(image, scaled.flip(1).movedim(1, -1), align_corners=True, padding_mode="border")[:, 0]


def smooth_displacement(
    shape: Sequence[int], *, spacing_mm: Sequence[float], size_mm: float, smooth_mm: float, rng: np.random.Generator
) -> Float[np.ndarray, "3 x y z"]:
    """A random displacement in mm: Gaussian noise smoothed by smooth_mm, its root mean square length size_mm.

    It folds nowhere while size_mm stays well below smooth_mm.

    >>> u = smooth_displacement((16, 16, 8), spacing_mm=(2.0, 2.0, 5.0), size_mm=3.0, smooth_mm=15.0,
    ...                         rng=np.random.default_rng(0))
    >>> u.shape, round(float(np.sqrt((u ** 2).sum(0).mean())), 6)
    ((3, 16, 16, 8), 3.0)
    """
    window = [smooth_mm / mm for mm in spacing_mm]
    field = np.stack([ndimage.gaussian_filter(rng.standard_normal(tuple(shape)), window) for _ in range(3)])
    return field * size_mm / np.sqrt((field**2).sum(0).mean())


def inverse(
    displacement: Float[np.ndarray, "3 x y z"], *, spacing_mm: Sequence[float], rounds: int = 20
) -> Float[np.ndarray, "3 x y z"]:
    """The displacement w with y + w(y) = x where y = x + v(x): w = -v(y + w), by fixed-point iteration.

    Converges where v is a contraction, that is where it folds nothing (Chen et al., Med Phys 2008;35:81-88).
    """
    found = np.zeros_like(displacement)
    for _ in range(rounds):
        found = -np.stack([warped(one, found, spacing_mm=spacing_mm, order=1) for one in displacement])
    return found


def warped(
    image: Float[np.ndarray, "x y z"],
    displacement: Float[np.ndarray, "3 x y z"],
    *,
    spacing_mm: Sequence[float],
    order: int = 3,
) -> Float[np.ndarray, "x y z"]:
    """image(x + displacement(x)), splines of this order; beyond the grid its nearest voxel.

    >>> image, right = np.arange(5.0)[:, None, None] * np.ones((5, 3, 3)), np.zeros((3, 5, 3, 3))
    >>> right[0] = 2.0
    >>> warped(image, right, spacing_mm=(2.0, 2.0, 2.0), order=1)[:, 0, 0].tolist()
    [1.0, 2.0, 3.0, 4.0, 4.0]
    """
    steps = displacement / np.asarray(spacing_mm, dtype=float)[:, None, None, None]
    places = np.indices(image.shape) + steps
    return np.asarray(ndimage.map_coordinates(image.astype(float), places, order=order, mode="nearest"))
