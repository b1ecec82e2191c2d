"""What the stages hand each other: Image and Case. NumPy only, so that reading scans loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from radloom.errors import RadloomError

Kind = Literal["intensity", "label"]


@runtime_checkable
class Transform(Protocol):
    """An invertible step from one image to another; `apply` adds the step to the image's history."""

    def apply(self, image: Image) -> Image:
        """The changed image, this step last in its history."""
        ...

    def inverse(self, image: Image) -> Image:
        """The image on the grid and in the unit before `apply`; does not touch the history."""
        ...

    def record(self) -> dict[str, Any]:
        """JSON-ready name and parameters."""
        ...


@dataclass(frozen=True, eq=False)
class Image:
    """Voxels on a grid in the patient: three spatial axes always (a 2D picture is one voxel thick).

    voxels: array (x, y, z), axes pointing to the patient's Right, Anterior, Superior (RAS+).
    affine: (4, 4), voxel index -> RAS+ position in mm.
    kind: "intensity" is interpolated linearly or better, "label" by nearest neighbour.
    unit: "HU", "SUV", "1" (no unit), ...
    history: the invertible transforms applied since the file was read, oldest first.
    """

    voxels: np.ndarray
    affine: np.ndarray
    kind: Kind = "intensity"
    unit: str = "1"
    history: tuple[Transform, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or 0 in self.voxels.shape:
            raise RadloomError(f"an image has shape {self.voxels.shape}", expected="three non-empty axes (x, y, z)")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise RadloomError("an image's affine is not a finite 4x4 matrix", expected="voxel index -> mm")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-12:
            raise RadloomError("an image's affine has no volume", expected="three independent axes with spacing > 0 mm")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        x, y, z = self.voxels.shape
        return (x, y, z)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along each axis, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(x), float(y), float(z))

    def same_grid(self, other: Image, *, tolerance_mm: float = 1e-3) -> bool:
        """Whether every voxel of both lies at the same place."""
        if self.shape != other.shape:
            return False
        corners = np.array([[i * (self.shape[0] - 1), j * (self.shape[1] - 1), k * (self.shape[2] - 1), 1.0]
                            for i in (0, 1) for j in (0, 1) for k in (0, 1)])  # fmt: skip
        return bool(np.abs(corners @ (self.affine - other.affine).T).max() <= tolerance_mm)

    def with_voxels(self, voxels: np.ndarray) -> Image:
        """The same grid, kind, unit and history with other values."""
        return replace(self, voxels=voxels)

    def on_source_grid(self) -> Image:
        """The image with its history undone: on the grid and in the unit of the file that it came from."""
        image = self
        for step in reversed(self.history):
            image = replace(step.inverse(image), history=())
        return replace(image, history=())


@dataclass(frozen=True)
class Case:
    """One examination of one patient. Keys are the cohort table's columns: "image.t1", "mask.tumour", "label.idh"."""

    id: str
    patient: str
    images: Mapping[str, Image] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)
    site: str = ""
    vendor: str = ""
    split: str = ""
