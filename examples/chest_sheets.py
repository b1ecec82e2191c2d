"""Pictures of the chest cohorts for the documentation: a row per subject, slices and films as readers see them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radloom.data.inspect import display_slice
from radloom.files import whole_file
from radloom.phantom import load
from radloom.phantom.simulation import Request
from radloom.types import Case

HERE = Path(__file__).resolve().parent
LUNG, SOFT, FILM = (-1150.0, 250.0), (-160.0, 240.0), (0.0, 4095.0)  # HU, HU, stored values
CT_ROWS = (("nodules", 1), ("nodules", 5), ("ild", 3), ("ild", 9), ("ild", 12))
FILM_ROWS = (("nodules", 2), ("effusion", 1), ("failure", 3), ("none", 4))
Panel = tuple[str, np.ndarray, tuple[float, float], float]  # title, picture, window, height over width of a pixel


def main() -> None:
    """Writes docs/images/cohorts/chest-ct.png and chest-xray.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "images" / "cohorts", help="folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    draw([ct_row(made("chest-ct", *row)) for row in CT_ROWS], out / "chest-ct.png")
    draw([film_row(made("chest-xray", *row)) for row in FILM_ROWS], out / "chest-xray.png")


def made(name: str, variant: str, index: int) -> Case:
    """Subject `index` of a variant with all its images, seed 0."""
    simulation = load(name)
    return simulation.begin(Request(0, simulation.shape, variant, simulation.images))(index)[0]


def ct_row(case: Case) -> list[Panel]:
    """Two levels in the lung window, the same as group 1 would scan it, without disease, and the soft-tissue window."""
    image = case.images["image.ct"]
    mask = next(case.images[key].voxels for key in ("mask.nodule", "mask.pattern") if key in case.images)
    area = np.count_nonzero(mask, axis=(0, 1))
    cut = int(np.argmax(area)) if area.any() else image.shape[2] // 2
    other = cut // 2 if cut > image.shape[2] // 2 else (cut + image.shape[2]) // 2
    aspect = image.spacing_mm[1] / image.spacing_mm[0]
    found = [(case.site, "image.ct", other, LUNG), ("the disease", "image.ct", cut, LUNG),
             ("by group 1", "image.reference", cut, LUNG), ("without disease", "image.healthy", cut, LUNG),
             ("soft tissue", "image.ct", cut, SOFT)]  # fmt: skip
    return [(title, display_slice(case.images[key].voxels, 2, at), window, aspect) for title, key, at, window in found]


def film_row(case: Case) -> list[Panel]:
    """Film, dual-energy soft-tissue and bone image, the truth without bone, the other vendor, the healthy twin."""
    titles = {"cxr": f"vendor {case.vendor}", "soft": "soft, measured", "bone": "bone, measured",
              "boneless": "without bone", "other": "other vendor", "healthy": "without disease"}  # fmt: skip
    return [
        (title, display_slice(case.images[f"image.{key}"].voxels, 2, 0), FILM, 1.0) for key, title in titles.items()
    ]


def draw(rows: Sequence[Sequence[Panel]], path: Path) -> None:
    """Saves the panels as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image as Picture

    height, width = rows[0][0][1].shape
    side = 8.6 / len(rows[0])
    figure = Figure(figsize=(8.6, (side * height / width + 0.16) * len(rows)), dpi=80, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    figure.subplots_adjust(0, 0, 1, 0.975, 0.02, 0.1)
    for line, row in zip(axes, rows, strict=True):
        for axis, (title, picture, (low, high), aspect) in zip(line, row, strict=True):
            axis.imshow(picture, cmap="gray", vmin=low, vmax=high, aspect=aspect)
            axis.set_axis_off()
            axis.set_title(title, color="white", fontsize=7, pad=2)
    canvas.draw()
    grey = Picture.fromarray(np.asarray(canvas.buffer_rgba())[..., 0]).quantize(40)  # for pages of less than 250 KB
    with whole_file(path) as temporary:
        grey.save(temporary, format="png", optimize=True)
    print(path)


if __name__ == "__main__":
    main()
