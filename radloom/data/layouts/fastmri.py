"""fastMRI knees and brains: HDF5 files with k-space and the reconstruction that is read here; fastMRI+ findings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, read_rows
from radloom.errors import RadloomError
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
_SPACE = "{http://www.ismrm.org/ISMRMRD}"


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a fastMRI folder; None when no singlecoil_* or multicoil_* folder holds an HDF5 file.

    The files of test and challenge have no reconstruction and are left out. The files are read when the cohort is
    built, which needs the package h5py.
    """
    found = [Found(path.relative_to(folder).parts, path, path.stem) for path in _files(folder)]
    findings = _findings(folder)
    return fitted(
        folder, lambda one: _entries(place(folder, one), one, findings),
        "multicoil_train/file_brain_AXT1_202_2020062.h5 or singlecoil_train/file1000001.h5", found,
    )  # fmt: skip


def _files(folder: Path) -> list[Path]:
    places = os.walk(folder, followlinks=True)
    return sorted(Path(root, name) for root, _, names in places for name in names
                  if name.endswith(".h5") and not name.startswith("."))  # fmt: skip


def _entries(path: str, found: Found, findings: dict[str, str]) -> list[Entry] | None:
    match = _PATH.search(path)
    brain = re.fullmatch(r"file_brain_([A-Z0-9]+)_\d+_\d+", found.title)
    column = _CONTRASTS.get(brain[1]) if brain else "image.pd" if re.fullmatch(r"file\d+", found.title) else None
    if match is None or column is None:
        return None
    if match["part"] in ("test", "challenge"):
        return []
    case = match["case"]
    image = Found(found.parts, found.path, found.title, read=partial(read_reconstruction, found.path))
    about = {"label.part": match["part"], "label.coils": match["coils"], "text.findings": findings.get(case, "")}
    return [Entry(case, case, column, image), *cells(case, case, {"site": "NYU", **about})]


def _findings(folder: Path) -> dict[str, str]:
    """What fastMRI+ (brain.csv, knee.csv) says of each file, each finding once."""
    found: dict[str, list[str]] = {}
    for path in sorted([*folder.rglob("brain.csv"), *folder.rglob("knee.csv")]):
        for row in read_rows(path, ["file", "label"]):
            said = found.setdefault(row["file"], [])
            said += [row["label"]] if row["label"] and row["label"] not in said else []
    return {file: "; ".join(said) for file, said in found.items()}


def read_reconstruction(path: Path) -> Image:
    """The reconstruction in a fastMRI file. Raises RadloomError without the package h5py."""
    try:
        import h5py  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RadloomError(
            f"{path} is an HDF5 file", expected="the package h5py, which reads it", do="pip install h5py"
        ) from error
    try:
        with h5py.File(path) as file:
            return image_of(file, path)
    except OSError as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a complete HDF5 file") from error


def image_of(file: Mapping[str, Any], path: Path) -> Image:
    """The image in the arrays of a fastMRI file, spacing from its ISMRMRD header.

    The file holds no position: columns run to the Left, rows to the Posterior, slices to the Superior by convention.
    """
    from radloom.io.orient import LPS_TO_RAS, canonical

    key = next((key for key in ("reconstruction_rss", "reconstruction_esc") if key in file), None)
    if key is None:
        raise RadloomError(
            f"{path} holds no reconstruction, only {', '.join(file)}", expected="reconstruction_rss or _esc"
        )
    slices = np.asarray(file[key][()], dtype=np.float32)
    if slices.ndim != 3:
        raise RadloomError(f"{path} has a reconstruction of shape {slices.shape}", expected="(slice, row, column)")
    affine = np.diag([*_spacing(file["ismrmrd_header"][()], path), 1.0])
    return canonical(Image(np.ascontiguousarray(slices.transpose(2, 1, 0)), LPS_TO_RAS @ affine))


def _spacing(header: bytes | str, path: Path) -> tuple[float, float, float]:
    """Field of view over matrix of the reconstructed space: along columns, rows and slices, mm."""
    try:
        space = ElementTree.fromstring(header).find(f"{_SPACE}encoding/{_SPACE}reconSpace")
        sizes = [[float(space.findtext(f"{_SPACE}{name}/{_SPACE}{axis}")) for axis in "xyz"]  # pyright: ignore
                 for name in ("fieldOfView_mm", "matrixSize")]  # fmt: skip
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise RadloomError(f"{path} has no readable header", expected="an ISMRMRD header with reconSpace") from error
    x, y, z = (view / count for view, count in zip(*sizes, strict=True))
    return x, y, z


LAYOUT = Layout(
    title="fastMRI knee and brain, with the findings of fastMRI+",
    looks_like="multicoil_train/file_brain_AXT1_202_2020062.h5, singlecoil_val/file1000000.h5",
    licence="NYU data use agreement; no redistribution",
    recognise=recognise,
    marks=r"/(singlecoil|multicoil)_(train|val|test|challenge)[^/]*/(.*/)?file[^/]*\.h5$",
    notes="reading needs h5py; the reconstruction is read, not the k-space; test and challenge are left out; position "
    "and direction are a convention, since the files hold none; the boxes of fastMRI+ are not read, its labels are "
    "text.findings",
)
