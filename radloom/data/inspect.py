"""A look at a cohort: a table of grids, spacings and intensities, and a sheet of pictures; audit.py judges it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from radloom.data.cohort import Cohort
from radloom.data.region import foreground
from radloom.data.transforms import resampled_like
from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.types import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#ff5c8a", "#ffd23f", "#3bceac", "#5ab0ff", "#c792ea")


def inspect(cohort: Cohort) -> pd.DataFrame:
    """One row per image column: how many are present and missing, grids, spacings, types and intensities.

    Intensities are "lowest to highest over the cases" of each case's 0.1 percentile, foreground median and 99.9
    percentile; for a mask, the labels.
    """
    rows = {}
    for column in cohort.image_columns:
        present = [case for case in cohort.ids if cohort.path(case, column)]
        facts = pd.DataFrame([_facts(cohort.image(case, column)) for case in present])
        rows[column] = {"present": len(present), "missing": len(cohort) - len(present)}
        if present:
            rows[column] |= {name: _counted(facts[name]) for name in ("grid", "spacing mm", "dtype", "unit")}
            rows[column] |= {name: _range(facts[name].to_numpy(float)) for name in ("p0.1", "median", "p99.9")}
            rows[column]["labels"] = ", ".join(sorted({label for labels in facts["labels"] for label in labels}))
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def picture_sheet(cohort: Cohort, path: Path, cases: int = 8) -> Path:
    """The path of a PNG: a row per case, a column per image, masks outlined; the patient's right is on the left.

    The slice is the one with most of the masks, else the middle of the foreground, across the thickest axis. Cases
    are taken evenly from the table.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [column for column in cohort.image_columns if column.startswith("image.")]
    if not columns or not len(cohort):
        raise RadloomError("the cohort has no image to show", expected="at least one case and one column image.*")
    shown = [cohort.ids[i] for i in np.unique(np.linspace(0, len(cohort) - 1, min(cases, len(cohort))).astype(int))]
    figure = Figure(figsize=(2.6 * len(columns), 2.9 * len(shown)), dpi=110, facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), len(columns), squeeze=False)
    for row, case in zip(axes, shown, strict=True):
        _draw_case(cohort, case, dict(zip(columns, row, strict=True)))
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def display_slice(voxels: np.ndarray, axis: int, index: int) -> np.ndarray:
    """A slice of RAS+ voxels as radiologists look at it, rows downwards.

    Axial and coronal: the patient's right on the left, anterior or superior on top. Sagittal: anterior on the left.
    """
    return np.take(voxels, index, axis)[::-1, ::-1].T


def _facts(image: Image) -> dict[str, object]:
    facts: dict[str, object] = {
        "grid": "x".join(map(str, image.shape)),
        "spacing mm": " x ".join(f"{mm:.3g}" for mm in image.spacing_mm),
        "dtype": str(image.voxels.dtype),
        "unit": image.unit,
        "labels": [],
        **dict.fromkeys(("p0.1", "median", "p99.9"), np.nan),
    }
    if image.kind == "label":
        return facts | {"labels": [f"{value:g}" for value in np.unique(image.voxels)]}
    finite = image.voxels[np.isfinite(image.voxels)]
    inside = image.voxels[_inside(image)]
    low, high = np.percentile(finite, [0.1, 99.9]) if finite.size else (np.nan, np.nan)
    return facts | {"p0.1": low, "median": np.median(inside) if inside.size else np.nan, "p99.9": high}


def _counted(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    shown = [value if len(counts) == 1 else f"{value} ({n})" for value, n in counts[:3]]
    return ", ".join(shown) + (f" and {len(counts) - 3} more" if counts[3:] else "")


def _range(values: np.ndarray) -> str:
    if np.isnan(values).all():
        return ""
    low, high = f"{np.nanmin(values):.4g}", f"{np.nanmax(values):.4g}"
    return low if low == high else f"{low} to {high}"


def _draw_case(cohort: Cohort, case: str, axes: dict[str, Axes]) -> None:
    present = [column for column in cohort.image_columns if cohort.path(case, column)]
    images = {column: cohort.image(case, column) for column in present}
    masks = {column: image for column, image in images.items() if image.kind == "label"}
    for i, (column, axis) in enumerate(axes.items()):
        axis.axis("off")
        title = f"{case}\n{column}" if i == 0 else f"\n{column}"
        axis.set_title(title, color="white", fontsize=8, loc="left")
        if column not in images:
            axis.text(0.5, 0.5, "missing", color="grey", ha="center", va="center", transform=axis.transAxes)
            continue
        _draw_image(axis, images[column], masks)


def _draw_image(axis: Axes, image: Image, masks: dict[str, Image]) -> None:
    outlines = {
        key: mask if mask.same_grid(image) else resampled_like(mask, image)
        for key, mask in masks.items()
        if key != "mask.brain"
    }
    across = _thick_axis(image)
    index = _best_slice(image, list(outlines.values()), across)
    inside = _inside(image)
    frame = _frame(display_slice(np.any(inside, axis=across, keepdims=True), across, 0))
    picture = display_slice(image.voxels.astype(np.float32), across, index)[frame]
    low, high = np.percentile(image.voxels[inside], [0.5, 99.5])
    columns_mm, rows_mm = (mm for i, mm in enumerate(image.spacing_mm) if i != across)
    axis.imshow(picture, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=rows_mm / columns_mm)
    for mask in outlines.values():
        values = display_slice(mask.voxels, across, index)[frame]
        for label in np.unique(values[values > 0]):
            colour = _COLOURS[(int(label) - 1) % len(_COLOURS)]
            axis.contour(values == label, levels=[0.5], colors=[colour], linewidths=0.7)
    spacing = " x ".join(f"{mm:.3g}" for mm in image.spacing_mm)
    note = f"{spacing} mm, slice {index + 1} of {image.shape[across]}"
    axis.text(0.01, 0.01, note, color="0.8", fontsize=6, transform=axis.transAxes, va="bottom")
    if across != 0:
        axis.text(0.01, 0.5, "R", color="0.8", fontsize=7, transform=axis.transAxes, va="center")


def _thick_axis(image: Image) -> int:
    """The axis across slices: the only voxel, or a spacing clearly above the others, else from foot to head."""
    if 1 in image.shape:
        return image.shape.index(1)
    thickest = int(np.argmax(image.spacing_mm))
    return thickest if image.spacing_mm[thickest] > 1.5 * min(image.spacing_mm) else 2


def _best_slice(image: Image, masks: Sequence[Image], across: int) -> int:
    rest = tuple(axis for axis in range(3) if axis != across)
    areas = sum((np.count_nonzero(mask.voxels, axis=rest) for mask in masks), np.zeros(image.shape[across]))
    if np.any(areas):
        return int(np.argmax(areas))
    filled = np.flatnonzero(_inside(image).any(axis=rest))
    return int(filled[len(filled) // 2])


def _inside(image: Image) -> np.ndarray:
    """The foreground, or what there is where no foreground can be found: the audit names such images."""
    finite = np.isfinite(image.voxels)
    found = foreground(image) if finite.all() else finite
    return found if found.any() else np.ones(image.shape, dtype=bool)


def _frame(shown: np.ndarray, margin: int = 4) -> tuple[slice, slice]:
    """The rows and columns around what is shown."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    return (
        slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
        slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
    )
