"""Pictures of the embedded cohorts for the documentation: one sheet a cohort, a row per subject, a column per image."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.inspect import display_slice
from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.phantom import load, names, write_cohort

HERE = Path(__file__).resolve().parent
SUBJECTS = 3
# Display windows, HU: level +- half width, as on a workstation. What has none is shown from its 0.5 to 99.8 percentile.
WINDOWS = {"abdomen-ct": (-140.0, 220.0), "pelvis": (-160.0, 260.0), "neck-cta": (-100.0, 400.0)}


def main() -> None:
    """Writes docs/images/cohorts/<name>.png for each cohort that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohorts", nargs="*", help="names of cohorts (all)")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "images" / "cohorts", help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.cohorts or names():
        try:
            print(sheet(name, options.out / f"{name}.png"))
        except RadloomError as error:
            raise SystemExit(str(error)) from None


def sheet(name: str, path: Path) -> Path:
    """The path of the sheet of cohort `name`: for each subject and image slices at a third and two thirds of z."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    load(name)
    with tempfile.TemporaryDirectory() as folder:
        cohort = Cohort.read(write_cohort(name, Path(folder) / "cohort", subjects=SUBJECTS))
        keys = [key for key in cohort.image_columns if key.startswith("image.")]
        cases = cohort.ids[:SUBJECTS]
        depth = cohort.image(cases[0], keys[0]).shape[2]
        cuts = [depth // 2] if depth == 1 else [round(0.42 * (depth - 1)), round(0.68 * (depth - 1))]
        columns = [(key, cut) for key in keys for cut in cuts]
        side = min(2.5, 10.5 / len(columns))  # inches; a wide sheet stays under 250 KB
        figure = Figure(figsize=(side * len(columns), side * len(cases)), dpi=80, facecolor="black")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(cases), len(columns), squeeze=False)
        figure.subplots_adjust(0, 0, 1, 0.95, 0.02, 0.02)
        for row, case in zip(axes, cases, strict=True):
            for axis, (key, cut) in zip(row, columns, strict=True):
                image = cohort.image(case, key)
                low, high = _window(name, image.unit, image.voxels)
                axis.imshow(display_slice(image.voxels, 2, cut), cmap="gray", vmin=low, vmax=high,
                            aspect=image.spacing_mm[1] / image.spacing_mm[0])  # fmt: skip
                axis.set_axis_off()
                if case == cases[0]:
                    axis.set_title(key.removeprefix("image."), color="white", fontsize=8, pad=2)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="black")
    return path


def _window(name: str, unit: str, voxels: np.ndarray) -> Sequence[float]:
    if unit == "HU" and name in WINDOWS:
        return WINDOWS[name]
    return [float(one) for one in np.percentile(voxels, [0.5, 99.8])]


if __name__ == "__main__":
    main()
