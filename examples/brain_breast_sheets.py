"""Pictures of the brain's variants and of the breasts for the documentation: a row per patient."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from chest_sheets import HERE, Panel, draw

from radloom.data.inspect import display_slice
from radloom.phantom import load
from radloom.phantom.simulation import Request
from radloom.types import Case, Image

BREAST = (-350.0, 250.0)  # HU
CONTRASTS = ("t1", "t1c", "t2", "flair", "t2s", "dwi", "adc", "asl")
CONTRAST_ROWS = (("tumour", 4), ("metastases", 2), ("metastases", 4), ("ms", 0))
FOLLOWED = (0, 3, 4, 5)
MASKS = ("mask.metastasis", "mask.tumour", "mask.lesion", "mask.mass")


def main() -> None:
    """Writes brain-contrasts.png, brain-idh.png, brain-response.png, brain-ms-follow-up.png and breast-cbct.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "images" / "cohorts", help="folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows = [contrast_row(variant, made("brain", variant, index, CONTRASTS)[0]) for variant, index in CONTRAST_ROWS]
    draw(rows, out / "brain-contrasts.png")
    graded = sorted((made("brain", "idh", index, ("t1c", "flair"))[0] for index in range(10)), key=size_of)
    draw([[idh_panel(case, contrast) for case in graded[::2]] for contrast in ("t1c", "flair")], out / "brain-idh.png")
    courses = [made("brain", "response", index, ("t1c",)) for index in range(8)]
    draw([visit_row(cases) for cases in courses if len(cases) == 4][:3], out / "brain-response.png")
    draw([follow_up_row(index) for index in FOLLOWED], out / "brain-ms-follow-up.png")
    draw([breast_row(index) for index in (1, 4, 5, 0)], out / "breast-cbct.png")


def made(name: str, variant: str, index: int, images: Sequence[str]) -> Sequence[Case]:
    """The examinations of subject `index`, seed 3."""
    simulation = load(name)
    return simulation.begin(Request(3, simulation.shape, variant, tuple(images)))(index)


def contrast_row(variant: str, case: Case) -> list[Panel]:
    """Every contrast at the level with most of the disease."""
    cut = level(case)
    return [panel(f"{variant}, {one}" if one == "t1" else one, case.images[f"image.{one}"], cut) for one in CONTRASTS]


def idh_panel(case: Case, contrast: str) -> Panel:
    """One contrast at the tumour's level, titled by class and grades."""
    told = case.labels
    kind = "mutant" if told["label.idh"] else "wild type"
    title = f"{kind}, size {told['label.size']:.2f}, enh. {told['label.enhancement']:.2f}"
    return panel(title, case.images[f"image.{contrast}"], level(case))


def visit_row(cases: Sequence[Case]) -> list[Panel]:
    """T1 with agent at each visit, at the level of the last one's tumour."""
    end = cases[0].labels
    fate = f"{'died' if end['event.os'] else 'alive'} at {end['time.os']:.0f} months"
    titles = [f"month {case.labels['time.months']:.0f}, {case.labels['label.enhancing_cm3']:.1f} cm3" for case in cases]
    titles[0] = f"{titles[0]}; {fate}"
    return [panel(title, case.images["image.t1c"], level(cases[-1])) for title, case in zip(titles, cases, strict=True)]


def follow_up_row(index: int) -> list[Panel]:
    """FLAIR and DIR at both visits around the new lesions, in the slice with most of them, and where they are."""
    first, second = made("brain", "ms-follow-up", index, ("flair", "dir"))
    new = second.images["mask.new"].voxels > 0
    cut = int(np.argmax(new.sum((0, 1))))
    row = [panel(f"{key}, month {case.labels['time.months']:.0f}", case.images[f"image.{key}"], cut)
           for key in ("flair", "dir") for case in (first, second)]  # fmt: skip
    shown = 0.7 * (display_slice(new, 2, cut) > 0) + 0.3 * (display_slice(second.images["mask.lesion"].voxels, 2, cut))
    row.append(("new white, old grey", shown, (0.0, 1.0), row[0][3]))
    down, across = (int(np.clip(at - 20, 0, 56)) for at in np.argwhere(shown > 0.5).mean(0))
    near = (slice(down, down + 40), slice(across, across + 40))
    return [(title, picture[near], window, aspect) for title, picture, window, aspect in row]


def breast_row(index: int) -> list[Panel]:
    """The truth, three reconstructions, a cut along the axis, and one projection with a third of the views filled."""
    case = made("breast-cbct", "images", index, ("truth", "full", "half", "third"))[0]
    stack = made("breast-cbct", "projections", index, ("third",))[0].images["image.third"]
    cut = level(case)
    found = [(key, display_slice(case.images[f"image.{key}"].voxels, 2, cut), BREAST, 1.0)
             for key in ("truth", "full", "half", "third")]  # fmt: skip
    side = case.images["image.full"].voxels
    wide = np.pad(display_slice(side, 1, side.shape[1] // 2), ((12, 12), (0, 0)), constant_values=-1000)
    sinogram = np.asarray(stack.voxels[:, stack.shape[1] // 2, :64].T)
    return [*found, ("full, along the axis", wide, BREAST, 1.0), ("third, sinogram", sinogram, (0.0, 3.6), 1.0)]


def panel(title: str, image: Image, cut: int) -> Panel:
    """An axial slice between the 0.5 and 99.7 percentile of the brain."""
    inside = image.voxels[image.voxels != 0]
    low, high = np.percentile(inside, [0.5, 99.7])
    spacing = image.spacing_mm
    return title, display_slice(image.voxels, 2, cut), (min(0.0, low), high), spacing[1] / spacing[0]


def level(case: Case) -> int:
    """The slice with most of the disease, or the middle one."""
    mask = next(case.images[key].voxels for key in MASKS if key in case.images)
    return int(np.argmax((mask > 0).sum((0, 1)))) if mask.any() else mask.shape[2] // 2


def size_of(case: Case) -> float:
    """The grade of the tumour's size."""
    return float(case.labels["label.size"])


if __name__ == "__main__":
    main()
