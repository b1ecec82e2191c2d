"""The task of drawing images from nothing, or from a label: what is drawn, on which grid, in which intensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from radloom.data.cohort import Cohort
from radloom.data.condition import Condition, label_text
from radloom.data.region import foreground
from radloom.data.transforms import Resample, Rescale, brain_median_scale
from radloom.data.views import Prepared
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.types import Image

Scaling = Literal["auto", "median", "window"]
LEAST = 0.1  # of a slice inside the head or body: emptier slices are neither learned nor judged
_VOXELS = 50_000  # of each training image, for the window


@dataclass(frozen=True)
class Synthesis:
    """Draws the entries `target` together, given the columns of `condition`, on a grid of the training patch's size.

    Slices: every axial slice of a volume with more than LEAST of its area inside the head or body; a picture is its
    own slice. Grid: each image is resampled, its field of view kept, to square pixels. scaling: "median" divides by
    the median of the head (MR in arbitrary units), "window" takes intensities as they are (HU, radiographs), "auto" is
    "window" where the files name a unit. window: by target, the intensities that become -1 and 1: at most 0 or the
    0.1st percentile, and the 99.9th percentile of the training images. Brighter voxels are cut there. condition: labels
    of the case; or a mask, and then whether the slice shows any of it. without: a mask; slices that show any of it are
    neither learned nor judged, so that a model of healthy anatomy needs no healthy patients. Or a label and its value
    ("label.finding=abnormal"), and then the cases that have it.
    """

    target: tuple[str, ...]
    condition: tuple[Condition, ...] = ()
    scaling: Scaling = "auto"
    grid: tuple[int, ...] = ()
    window: tuple[tuple[float, float], ...] = ()
    without: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """No image is given."""
        return ()

    @property
    def least(self) -> float:
        """The share of a slice that must lie inside the head or body."""
        return LEAST

    @property
    def keys(self) -> tuple[str, ...]:
        """Targets, then columns of the condition: the channels of a stored case."""
        return (*self.target, *(one.column for one in self.condition))

    def changed(self, changes: Mapping[str, Any]) -> tuple[Synthesis, dict[str, Any]]:
        """The task with target, condition, scaling and without as named in the changes, and the changes left."""
        rest = dict(changes)
        target = named_columns(rest.pop("target", self.target), "image.")
        condition = named_columns(rest.pop("condition", tuple(one.column for one in self.condition)), "label.", "mask.")
        without = named_columns(rest.pop("without", self.without), "mask.", "label.")
        if len(without) > 1:
            raise RadloomError(f"--set without={','.join(without)} names {len(without)} columns", expected="one")
        for one in without:
            if one.startswith("label.") != ("=" in one):
                raise RadloomError(f"--set without={one} cannot be read",
                                   expected="mask.NAME, or label.NAME=VALUE of the cases to leave out")  # fmt: skip
        scaling = rest.pop("scaling", self.scaling)
        if scaling not in ("auto", "median", "window"):
            raise RadloomError(f"--set scaling={scaling} is unknown", expected="auto, median or window")
        conditions = tuple(map(Condition, condition))
        return replace(self, target=target, condition=conditions, scaling=scaling, without="".join(without)), rest

    def choices(self) -> dict[str, str]:
        """What `changed` takes, as it stands."""
        return {"target": ",".join(self.target), "condition": ",".join(self.keys[len(self.target) :]),
                "scaling": self.scaling, "without": self.without}  # fmt: skip

    def on_grid(self, patch: tuple[int, ...]) -> Synthesis:
        """The task on a grid of this size."""
        return replace(self, grid=patch)

    def fitted(self, cohort: Cohort) -> Synthesis:
        """The task with classes and window of the cohort's training cases."""
        training = cohort.where("train")
        absent = [key for key in self.target if key not in cohort.image_columns]
        if absent:
            found = [column for column in cohort.image_columns if column.startswith("image.")]
            raise RadloomError(f"the cohort has no column {absent[0]}", expected=f"one of {', '.join(found)}",
                               do=f"name what to draw: --set target={found[0] if found else 'image.NAME'}")  # fmt: skip
        if self.without:
            self._check_without(training)
        condition = tuple(one.fitted(training) for one in self.condition)
        scaling = self.scaling
        if scaling == "auto":
            scaling = "median" if cohort.image(training.ids[0], self.target[0]).unit == "1" else "window"
        window = tuple(_window(training, key, scaling) for key in self.target)
        return replace(self, condition=condition, scaling=scaling, window=window)

    def _check_without(self, training: Cohort) -> None:
        column, _, value = self.without.partition("=")
        training.require([column])
        if value and all(label_text(one) == value for one in training.table[column]):
            raise RadloomError(f"all training cases have {column} {value}", expected="cases to learn from")

    def read(self, cohort: Cohort, case: str) -> Prepared:
        """A case as it is learned and judged: `seen`, the region empty on slices that show what `without` masks."""
        prepared = self.seen(cohort, case)
        if not self.without:
            return prepared
        column, _, value = self.without.partition("=")
        out = label_text(cohort.case(case, []).labels[column]) == value if value else self._shows(cohort, case, column)
        return replace(prepared, region=prepared.region & ~np.asarray(out))

    def seen(self, cohort: Cohort, case: str) -> Prepared:
        """A case on the grid, its intensities from -1 to 1, with a channel for each label, constant on a slice."""
        channels: dict[str, np.ndarray] = {}
        scales: dict[str, Rescale] = {}
        images = {key: self._on_grid(cohort.image(case, key)) for key in self.target}
        shapes = {image.shape for image in images.values()}
        if len(shapes) > 1:
            raise RadloomError(f"the images of case {case} have {len(shapes)} sizes", expected="one grid for all")
        region = np.logical_or.reduce([_region(image, self.scaling) for image in images.values()])
        for (key, image), (low, high) in zip(images.items(), self.window, strict=True):
            own = _own_scale(image, self.scaling)
            half = own.scale * (high - low) / 2
            scales[key] = Rescale(own.offset + own.scale * (low + high) / 2, half)
            channels[key] = np.clip(scales[key].apply(image).voxels, -1, 1).astype(np.float32)
        first = next(iter(images.values()))
        for one in self.condition:
            if one.of_slices:
                label = self._shows(cohort, case, one.column).astype(np.float32)
            else:
                label = np.float32(one.code(cohort.case(case, []).labels[one.column]))
            channels[one.column] = np.broadcast_to(label, first.shape).copy()
        return Prepared(case, cohort.patient(case), channels, region, scales, replace(first, history=()))

    def mask(self, cohort: Cohort, case: str, column: str) -> np.ndarray:
        """Where a mask of the case is, on the task's grid (x, y, z), bool."""
        return self._on_grid(cohort.image(case, column)).voxels > 0

    def _shows(self, cohort: Cohort, case: str, column: str) -> np.ndarray:
        """Whether each slice shows any of the mask (1, 1, z); in 2D on the mask's own grid, where no voxel is lost."""
        image = cohort.image(case, column)
        voxels = image.voxels if len(self.grid) == 2 else self._on_grid(image).voxels
        return np.asarray((voxels > 0).any(axis=(0, 1), keepdims=True))

    def examples(self, cut: np.ndarray | torch.Tensor) -> tuple[torch.Tensor, Given]:
        """(x, given) from a batch of stored cuts (b, targets + labels + region, *s)."""
        cut = torch.as_tensor(cut)
        x, labels, region = cut.split([len(self.target), len(self.condition), 1], dim=1)
        label = labels.flatten(2)[..., 0] if self.condition else None
        return x, Given(label=label, mask=region > 0.5)

    def made_up(self, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
        """Cuts (b, targets + labels + region, *s) for a rehearsal, with labels that there may be; shape: (b, *s)."""
        cut = torch.rand((shape[0], len(self.keys) + 1, *shape[1:]), generator=rng)
        for i, one in enumerate(self.condition, start=len(self.target)):
            choices = len(one.classes) or 2  # before the cohort is known, two
            cut[:, i] = torch.randint(choices, (shape[0], *(1,) * (len(shape) - 1)), generator=rng)
        return cut

    def intensity(self, x: np.ndarray, key: str) -> np.ndarray:
        """Drawn values (-1 to 1) in brain medians, or in the files' own intensities where scaling is "window"."""
        low, high = self.window[self.target.index(key)]
        return (x + 1) / 2 * (high - low) + low

    def told(self, codes: Sequence[Sequence[float]]) -> Given:
        """What is given to images of these conditions."""
        return Given(label=torch.tensor(codes, dtype=torch.float32) if self.condition else None)

    def heard(self, width: int) -> list[nn.Module]:
        """Modules (given, b) -> (b, width), one for each column of the condition."""
        from radloom.networks.conditions import Class, Value

        return [Class(len(one.classes), width, column=i) if one.classes
                else Value(width, column=i, centre=one.centre, scale=one.scale)
                for i, one in enumerate(self.condition)]  # fmt: skip

    def classes(self) -> int:
        """The classes of the only column, 0 without a condition: for models that hear none, one for each class.

        Raises RadloomError for a continuous value or several columns, which take a model that hears them.
        """
        if not self.condition:
            return 0
        found = [one.classes for one in self.condition]
        if len(found) > 1 or (self.window and not all(found)):
            columns = ", ".join(one.column for one in self.condition)
            raise RadloomError(f"{columns} cannot be split into a model for each class",
                               expected="one column of classes", do="take a diffusion system")  # fmt: skip
        return sum(map(len, found)) or 2  # before the cohort is known, a rehearsal takes two

    def parts(self) -> dict[str, Any]:
        """What a model is built for."""
        return {"task": self}

    def record(self) -> dict[str, Any]:
        """JSON-ready; beside target and inputs in run.json."""
        return {"condition": [one.record() for one in self.condition], "scaling": self.scaling,
                "grid": list(self.grid), "window": [list(pair) for pair in self.window],
                "without": self.without}  # fmt: skip

    def restored(self, record: Mapping[str, Any]) -> Synthesis:
        """The task that run.json describes."""
        return Synthesis(
            tuple(record["target"]), tuple(map(Condition.from_record, record["condition"])), record["scaling"],
            tuple(record["grid"]), tuple((float(low), float(high)) for low, high in record["window"]),
            record.get("without", ""),
        )  # fmt: skip

    def _on_grid(self, image: Image) -> Image:
        """The image on the task's grid: pixels in plane square, the field of view kept; in 3D the z axis by itself."""
        shape = (self.grid[0], self.grid[1], self.grid[2] if len(self.grid) == 3 else image.shape[2])
        old = np.array(image.spacing_mm)
        extent = old * image.shape
        new = np.array([max(extent[0] / shape[0], extent[1] / shape[1])] * 2 + [extent[2] / shape[2]])
        if shape == image.shape and np.allclose(new, old, rtol=1e-4):
            return image
        axes = image.affine[:3, :3] / old * new
        centre = image.affine[:3, :3] @ ((np.array(image.shape) - 1) / 2) + image.affine[:3, 3]
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = axes, centre - axes @ ((np.array(shape) - 1) / 2)
        return Resample(affine, shape).apply(image)


def named_columns(value: str | tuple[str, ...], *starts: str) -> tuple[str, ...]:
    """Columns of the cohort table from "image.t1,image.t2". Raises RadloomError where one starts otherwise."""
    names = tuple(filter(None, value.split(","))) if isinstance(value, str) else value
    wrong = [name for name in names if not name.startswith(starts)]
    if wrong or (starts == ("image.",) and not names):
        raise RadloomError(f'"{wrong[0] if wrong else ""}" is no column to set', do="join several by commas",
                           expected=" or ".join(f"{start}NAME" for start in starts))  # fmt: skip
    return names


def _own_scale(image: Image, scaling: Scaling) -> Rescale:
    return brain_median_scale(image) if scaling == "median" else Rescale(0.0, 1.0)


def _region(image: Image, scaling: Scaling) -> np.ndarray:
    """Where the head or body is; all of a picture whose intensities are taken as they are."""
    return np.ones(image.shape, bool) if scaling == "window" and image.shape[2] == 1 else foreground(image)


def _window(training: Cohort, key: str, scaling: Scaling) -> tuple[float, float]:
    found = []
    for case in training.ids:
        image = training.image(case, key)
        flat = _own_scale(image, scaling).apply(image).voxels.ravel()
        found.append(flat[np.linspace(0, flat.size - 1, min(flat.size, _VOXELS)).astype(int)])
    low, high = (float(v) for v in np.percentile(np.concatenate(found), [0.1, 99.9]))
    low = min(low, 0.0)
    if not high > low:
        raise RadloomError(f"all training images of {key} are constant", expected="images with contrast",
                           do="run `radloom data audit` to find them")  # fmt: skip
    return low, high
