"""Pictures of forms of the embedded cohorts: chosen slices, projections and windows: cohort_forms.py [FILE ...].

Writes docs/images/cohorts/<file>.png. examples/cohort_sheets.py shows every cohort's usual form in one manner.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.inspect import display_slice
from radloom.files import whole_file
from radloom.phantom import load, write_cohort
from radloom.types import Image

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "cohorts"


@dataclass(frozen=True)
class Panel:
    """One column of a picture: an image, and where it is cut (share of the axis) or "max" for a projection.

    window: values shown black and white; without it the 1st and 99.7th percentile.
    """

    column: str
    cut: float | str
    axis: int = 2
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Form:
    """A cohort's variant, the rows (examinations) and columns of its picture."""

    cohort: str
    variant: str
    panels: tuple[Panel, ...]
    subjects: int = 4
    seed: int = 0
    rows: int = 4


FORMS = {
    "vessels-mra": Form("vessels-mra", "tof", (
        Panel("image.high", "max", window=(0, 900)), Panel("image.low", "max", window=(0, 900)),
        Panel("image.high", 0.33), Panel("image.low", 0.33), Panel("mask.aneurysm", "max", window=(0, 1)),
        Panel("mask.stenosis", "max", window=(0, 1))), seed=3, rows=3),
    "vessels-mra-coronary": Form("vessels-mra", "coronary", (
        Panel("image.high", 0.35), Panel("image.low", 0.35), Panel("image.high", 0.5), Panel("image.high", 0.52, 1),
        Panel("image.low", 0.52, 1), Panel("mask.vessel", "max", window=(0, 1))), rows=3),
    "brain-ct": Form("brain-ct", "emergency", (
        Panel("image.ct", 0.15, window=(0, 80)), Panel("image.ct", 0.42, window=(0, 80)),
        Panel("image.ct", 0.65, window=(0, 80)), Panel("image.ct", 0.42, window=(-500, 1300)),
        Panel("image.t1c", 0.42), Panel("image.ct", 0.5, 0, (0, 80))), subjects=6, seed=2, rows=6),
    "brain-pet": Form("brain-pet", "alzheimer", (
        Panel("image.t1", 0.35), Panel("image.pet", 0.35), Panel("image.t1", 0.62), Panel("image.pet", 0.62),
        Panel("image.pet", 0.47, 0), Panel("mask.focus", "max", window=(0, 1))), seed=1),
    "knee-mri": Form("knee-mri", "pd", (
        Panel("image.pd", 0.4), Panel("image.pd", 0.62), Panel("image.pd", 0.46, 1), Panel("image.pd", 0.36, 0),
        Panel("image.real", 0.62), Panel("mask.tear", "max", window=(0, 1))), subjects=3, rows=3, seed=1),
}  # fmt: skip


def picture(form: Form, path: Path) -> Path:
    """The path of the PNG of one form."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    simulation = load(form.cohort)
    keys = [panel.column.split(".", 1)[1] for panel in form.panels if panel.column.startswith("image.")]
    with tempfile.TemporaryDirectory() as folder:
        images = [key for key in simulation.images if key in keys]
        written = write_cohort(form.cohort, Path(folder) / "c", subjects=form.subjects, seed=form.seed,
                               variant=form.variant, images=images)  # fmt: skip
        cohort = Cohort.read(written)
        cases = cohort.ids[: form.rows]
        figure = Figure(figsize=(2.0 * len(form.panels), 2.0 * len(cases)), dpi=64, facecolor="black")
        FigureCanvasAgg(figure)
        figure.subplots_adjust(0, 0, 1, 0.96, 0.02, 0.02)
        grid = figure.subplots(len(cases), len(form.panels), squeeze=False)
        for row, case in zip(grid, cases, strict=True):
            for axis, panel in zip(row, form.panels, strict=True):
                axis.axis("off")
                image = cohort.image(case, panel.column)
                low, high = panel.window or np.percentile(image.voxels, [1, 99.7])
                x, y = [d for i, d in enumerate(image.spacing_mm) if i != panel.axis]
                axis.imshow(_flat(image, panel), cmap="gray", vmin=low, vmax=high, aspect=y / x)
                if case == cases[0]:
                    axis.set_title(panel.column, color="white", fontsize=7, pad=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="black")
    return path


def _flat(image: Image, panel: Panel) -> np.ndarray:
    if isinstance(panel.cut, str):
        return display_slice(image.voxels.max(panel.axis, keepdims=True), panel.axis, 0)
    return display_slice(image.voxels, panel.axis, int(panel.cut * (image.shape[panel.axis] - 1)))


if __name__ == "__main__":
    for file in sys.argv[1:] or FORMS:
        print(picture(FORMS[file], OUT / f"{file}.png"))
