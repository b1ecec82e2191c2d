"""The only place where axes are swapped or flipped: to RAS+ and to any other order. Resampling is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from radloom.types import Image

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM and ITK count towards Left and Posterior; left-multiply an affine


@dataclass(frozen=True)
class Reorient:
    """A permutation and flips of axes, both exact: axis i of the result is axis `axes[i]` of the source.

    Axis i runs backwards where `flipped[i]`. The affine keeps its rotation, so an oblique scan stays oblique.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def apply(self, image: Image) -> Image:
        """The image with its axes in the new order."""
        voxels = self._flip(np.transpose(image.voxels, self.axes))
        affine = image.affine @ self._index_matrix(voxels.shape)
        return replace(image, voxels=voxels, affine=affine, history=(*image.history, self))

    def inverse(self, image: Image) -> Image:
        """The image with its axes in the order before `apply`."""
        affine = image.affine @ np.linalg.inv(self._index_matrix(image.voxels.shape))
        back = np.argsort(self.axes)
        voxels = np.ascontiguousarray(np.transpose(self._flip(image.voxels), back))
        return replace(image, voxels=voxels, affine=affine)

    def record(self) -> dict[str, Any]:
        """JSON-ready name and parameters."""
        return {"name": "reorient", "axes": list(self.axes), "flipped": list(self.flipped)}

    def _flip(self, voxels: np.ndarray) -> np.ndarray:
        backwards = tuple(i for i in range(3) if self.flipped[i])
        return np.ascontiguousarray(np.flip(voxels, backwards))

    def _index_matrix(self, shape: tuple[int, ...]) -> np.ndarray:
        """(4, 4), index in the result -> index in the source; `shape` is the result's."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1.0
        for i, axis in enumerate(self.axes):
            matrix[axis, i] = -1.0 if self.flipped[i] else 1.0
            matrix[axis, 3] = shape[i] - 1.0 if self.flipped[i] else 0.0
        return matrix


def canonical(image: Image) -> Image:
    """The image with axes closest to Right, Anterior, Superior; a step joins the history only when axes change."""
    return oriented(image, "RAS")


def oriented(image: Image, codes: str) -> Image:
    """The image with axes that run closest to `codes`, such as "RAS" or "LPS"; unchanged when they already do."""
    step = reorientation(image.affine, codes)
    identity = Reorient((0, 1, 2), (False, False, False))
    return image if step == identity else step.apply(image)


def reorientation(affine: np.ndarray, codes: str) -> Reorient:
    """The step that brings the axes of `affine` closest to `codes`."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    change = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    axes, flipped = [0, 0, 0], [False, False, False]
    for source, (target, sign) in enumerate(change.astype(int)):
        axes[target] = source
        flipped[target] = bool(sign < 0)
    return Reorient((axes[0], axes[1], axes[2]), (flipped[0], flipped[1], flipped[2]))


def codes(affine: np.ndarray) -> str:
    """The directions in which the three axes run, such as "LPS"."""
    from nibabel.orientations import aff2axcodes

    return "".join(aff2axcodes(affine))
