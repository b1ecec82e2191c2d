"""fastMRI knees and brains: reconstruction, complex image and k-space of HDF5 files; findings and boxes of fastMRI+."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from radloom.data.boxes import Box, as_text, names_as_text, of_picture, painted
from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, read_rows
from radloom.errors import RadloomError
from radloom.io.fastmri import About, read_about, read_complex, read_reconstruction, read_zero_filled
from radloom.io.orient import canonical
from radloom.types import Image

_PATH = re.compile(
    r"/(?P<coils>singlecoil|multicoil)_(?P<part>train|val|test|challenge)[^/]*/(.*/)?(?P<case>file[^/]*)\.h5$"
)
_CONTRASTS = {
    "AXT1": "image.t1",
    "AXT1PRE": "image.t1",
    "AXT1POST": "image.t1c",
    "AXT2": "image.t2",
    "AXFLAIR": "image.flair",
}
_BOX = ("x", "y", "width", "height")


@dataclass(frozen=True)
class Finding:
    """A row of fastMRI+: what was seen, in which slice, and around it x, y, width and height; None of a whole study."""

    label: str
    slice: int
    rectangle: tuple[float, float, float, float] | None


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a fastMRI folder; None when no singlecoil_* or multicoil_* folder holds an HDF5 file.

    Every file has text.kspace, its path, for `io.fastmri.read_kspace`. Files of train and val have the reconstruction
    and the complex image of their k-space, those of test and challenge the zero-filled image. Needs the package h5py.
    """
    found = [Found(path.relative_to(folder).parts, path, path.stem) for path in _files(folder)]
    both = _names(folder, found, "singlecoil") & _names(folder, found, "multicoil")
    findings = _findings(folder)
    latest = lru_cache(maxsize=1)(read_complex)  # one reading for the real and the imaginary part
    return fitted(
        folder, lambda one: _entries(place(folder, one), one, both, findings, latest),
        "multicoil_train/file_brain_AXT1_202_2020062.h5 or singlecoil_train/file1000001.h5", found,
    )  # fmt: skip


def _files(folder: Path) -> list[Path]:
    places = os.walk(folder, followlinks=True)
    return sorted(Path(root, name) for root, _, names in places for name in names
                  if name.endswith(".h5") and not name.startswith("."))  # fmt: skip


def _names(folder: Path, found: Sequence[Found], coils: str) -> set[str]:
    matches = (_PATH.search(place(folder, one)) for one in found)
    return {match["case"] for match in matches if match and match["coils"] == coils}


def _entries(
    path: str, found: Found, both: set[str], findings: dict[str, list[Finding]],
    complex_of: Callable[[Path], tuple[Image, Image]],
) -> list[Entry] | None:  # fmt: skip
    match = _PATH.search(path)
    brain = re.fullmatch(r"file_brain_([A-Z0-9]+)_\d+_\d+", found.title)
    column = _CONTRASTS.get(brain[1]) if brain else "image.pd" if re.fullmatch(r"file\d+", found.title) else None
    if match is None or column is None:
        return None
    about = read_about(found.path)
    file = match["case"]
    case, patient = f"{file}_{match['coils']}" if file in both else file, about.patient or file

    def made(column: str, read: Callable[[], Image]) -> Entry:
        return Entry(case, patient, column, Found(found.parts, found.path, found.title, vendor=about.vendor, read=read))

    said = {"label.part": match["part"], "label.coils": match["coils"], "text.kspace": str(found.path.resolve())}
    entries = cells(case, patient, {"site": "NYU", **_said(about), **said})
    if not about.reconstruction:
        return [made("image.zero_filled", partial(read_zero_filled, found.path)), *entries]
    images = [
        made(column, partial(read_reconstruction, found.path)),
        made("image.real", lambda: complex_of(found.path)[0]),
        made("image.imag", lambda: complex_of(found.path)[1]),
    ]
    own = findings.get(file, [])
    entries += cells(case, patient, {"text.findings": "; ".join(dict.fromkeys(one.label for one in own))})
    drawn = [one for one in own if one.rectangle]
    if drawn:
        boxes = [_box(one, about, file) for one in drawn]
        images.append(made("mask.box", partial(_painted, boxes, about)))
        told = {
            "text.boxes": as_text(dict(enumerate(boxes, 1))),
            "text.box_findings": names_as_text([one.label for one in drawn]),
        }
        entries += cells(case, patient, told)
    return [*images, *entries]


def _said(about: About) -> dict[str, str]:
    numbers = {"max": about.maximum, "norm": about.norm, "acceleration": about.acceleration}
    return {"label.acquisition": about.acquisition} | {
        f"label.{name}": f"{value:.9g}" for name, value in numbers.items() if value is not None
    }


def _findings(folder: Path) -> dict[str, list[Finding]]:
    """What fastMRI+ (brain.csv, knee.csv) says of each file, in the order of its rows."""
    found: dict[str, list[Finding]] = {}
    for path in sorted([*folder.rglob("brain.csv"), *folder.rglob("knee.csv")]):
        for row in read_rows(path, ["file", "slice", "study_level", *_BOX, "label"]):
            if row["label"]:
                found.setdefault(row["file"], []).append(_finding(row, path))
    return found


def _finding(row: dict[str, str], path: Path) -> Finding:
    try:
        if row["study_level"].lower() == "yes":
            return Finding(row["label"], 0, None)
        x, y, width, height = (float(row[name]) for name in _BOX)
        return Finding(row["label"], int(float(row["slice"])), (x, y, width, height))
    except ValueError as error:
        raise RadloomError(f"{path} has a row of {row['file']} without a box: {error}", expected="numbers") from error


def _box(one: Finding, about: About, file: str) -> Box:
    if not 0 <= one.slice < about.slices:
        raise RadloomError(
            f"fastMRI+ has a box in slice {one.slice} of {file}", expected=f"slices 0 to {about.slices - 1}"
        )
    assert one.rectangle is not None
    # The rectangles were drawn on pictures turned upside down, which is how the images stand here.
    return of_picture(*one.rectangle, shape=about.shape, z=one.slice, name=f'the box of "{one.label}" in {file}')


def _painted(boxes: Sequence[Box], about: About) -> Image:
    shape = (*about.shape, about.slices)
    empty = canonical(Image(painted([], shape), about.affine, kind="label"))
    return empty.with_voxels(painted(boxes, shape))


LAYOUT = Layout(
    title="fastMRI knee and brain, with the findings and boxes of fastMRI+",
    looks_like="multicoil_train/file_brain_AXT1_202_2020062.h5, singlecoil_val/file1000000.h5",
    licence="NYU data use agreement; no redistribution",
    recognise=recognise,
    marks=r"/(singlecoil|multicoil)_(train|val|test|challenge)[^/]*/(.*/)?file[^/]*\.h5$",
    notes="needs h5py; image.real and image.imag are the complex image of the k-space (coils combined), text.kspace "
    "the file for io.fastmri.read_kspace; test and challenge have image.zero_filled and no reconstruction; the "
    "acquired plane lies in x and y, also of the coronal knees, and direction is a convention, since the files hold "
    "none; patients by patient_id; a box of fastMRI+ for each slice in mask.box, text.boxes and text.box_findings",
)
