"""Folders become a cohort table; an image is copied only where its grid or its labels must change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from radloom import io
from radloom.data import layouts
from radloom.data.cohort import Cohort, check_one_grid
from radloom.data.entries import Entry, Found
from radloom.data.faults import FIXED, is_path_column
from radloom.data.layout import Layout, matching
from radloom.data.mapping import mapped, read_mapping
from radloom.data.provenance import carry_mark, origin
from radloom.data.transforms import resampled_like, resampled_to_spacing
from radloom.errors import RadloomError
from radloom.files import whole_folder
from radloom.types import Case, Image

GENERAL = ("bids", "plain")  # tried in this order, after the layouts of single data sets
_ORDER = ("t1", "t1c", "t2", "flair", "pd", "dir", "ct", "pet")


Grids = Literal["one", "own"]


@dataclass(frozen=True)
class Grid:
    """How the entries of a case come onto one grid.

    like: the entry whose grid it is; empty takes the image with the smallest voxels.
    spacing_mm: the distance between voxels over that entry's field of view; None keeps its own.
    """

    like: str = ""
    spacing_mm: tuple[float, float, float] | None = None


def chosen(grids: str) -> Grids:
    """The choice of this name. Raises RadloomError when there is none."""
    for choice in ("one", "own"):
        if grids == choice:
            return choice
    raise RadloomError(f"--grids {grids} is unknown", expected="one or own")


def build(
    folders: Sequence[Path],
    out: Path,
    *,
    layout: str | None = None,
    mapping: Path | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    like: str | None = None,
    grids: Grids = "one",
) -> Cohort:
    """The cohort of all cases in the folders, written to `out` (cohort.csv, cohort.json, images/) whole or not at all.

    layout: the name of the layout that the folders have (see `layouts`); without it the layout is recognised.
    mapping: a table of name patterns in place of the known layouts (see `mapping.py`).
    spacing_mm, like: bring all entries of a case onto one grid (see `Grid`); without both nothing is resampled and
    a case with different grids is refused. grids: "own" lets entries lie on grids of their own, for `register`.
    """
    _check_places(folders, out)
    folders = [folder.resolve() for folder in folders]  # the table's paths hold no ".."
    if mapping is not None and layout is not None:
        raise RadloomError("both a layout and a mapping were named", expected="--layout or --map", do="leave one out")
    rules = None if mapping is None else read_mapping(mapping)
    read = [
        (folder, *(("mapping", mapped(folder, rules)) if rules else _recognised(folder, layout))) for folder in folders
    ]
    cases = _by_case([(folder, entries) for folder, _, entries in read])
    grid = Grid(like or "", spacing_mm) if like or spacing_mm else None
    about: dict[str, Any] = {"built_from": {str(folder): layout for folder, layout, _ in read}}
    if licences := {name: layouts.load(name).licence for _, name, _ in read if name not in ("mapping", *GENERAL)}:
        about["licences"] = licences
    labels = {case: {e.column: str(e.labels) for e in entries if e.labels} for case, entries in cases.items()}
    if any(labels.values()):
        about["labels"] = {case: maps for case, maps in labels.items() if maps}
    if grid:
        about["resampled"] = {"like": like or "smallest voxels", "spacing_mm": spacing_mm, "entries": {}}
    with whole_folder(out) as temporary:
        rows = []
        for case, entries in cases.items():
            row, steps = _build_case(case, entries, grid, temporary, grids)
            rows.append(row)
            if grid:
                about["resampled"]["entries"][case] = steps
            _note_origins(about, case, entries, row)
        Cohort(_table(rows), temporary, about).write(temporary)
    return Cohort.read(out)


def _check_places(folders: Sequence[Path], out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RadloomError(f"{out} exists already", expected="a new folder", do="delete it or choose another --out")
    if not folders:
        raise RadloomError("no folder was named", expected="at least one folder of images")
    for folder in folders:
        if not folder.is_dir():
            raise RadloomError(f"there is no folder {folder}", expected="a folder of images")


def _recognised(folder: Path, layout: str | None) -> tuple[str, list[Entry]]:
    """The layout's name and the folder's entries; the layout that knows the folder unless one is named."""
    if layout is not None:
        entries = layouts.load(layout).recognise(folder)
        if not entries:
            raise RadloomError(
                f"{folder} does not look like {layouts.load(layout).title}",
                expected=f"files such as {layouts.load(layout).looks_like}",
                do="leave --layout out, or describe the names with --map",
            )
        return layout, entries
    for name in (*_marked(folder), *GENERAL):
        entries = layouts.load(name).recognise(folder)
        if entries:
            return name, entries
    raise RadloomError(
        f"{folder} holds no image",
        expected=f"DICOM series or files that end in {' '.join(io.NIFTI + io.ITK + io.RASTER + io.RAW)}",
    )


def _marked(folder: Path) -> list[str]:
    """The one data set whose marks the folder carries; none is [], several are refused."""
    known: dict[str, Layout] = {name: layouts.load(name) for name in layouts.names() if name not in GENERAL}
    found = matching(folder, known)
    if len(found) > 1:
        raise RadloomError(
            f"{folder} holds files of several data sets: {', '.join(found)}",
            expected="one data set in a folder",
            do=f"name the folder of one, or say which to take with --layout {found[0]}",
        )
    return found


def _by_case(read: Sequence[tuple[Path, list[Entry]]]) -> dict[str, list[Entry]]:
    """The entries of each case, by name; refuses two patients under one name and two files for one column."""
    cases: dict[str, list[Entry]] = {}
    home: dict[str, Path] = {}
    for folder, entries in read:
        for entry in entries:
            if home.setdefault(entry.case, folder) != folder:
                raise RadloomError(
                    f'case "{entry.case}" is in {home[entry.case]} and in {folder}',
                    expected="one name for one case, or two patients would become one",
                    do="rename one of the folders",
                )
            cases.setdefault(entry.case, []).append(entry)
    _check_patients([entry for _, entries in read for entry in entries])
    for case, entries in sorted(cases.items()):
        _check_case(case, entries)
    return dict(sorted(cases.items()))


def _check_patients(entries: Sequence[Entry]) -> None:
    ids: dict[str, set[str]] = {}
    for entry in entries:
        if entry.found and entry.found.dicom_patient:
            ids.setdefault(entry.patient, set()).add(entry.found.dicom_patient)
    for patient, found in ids.items():
        if len(found) > 1:
            raise RadloomError(
                f'patient "{patient}" has DICOM series of {len(found)} patients: {", ".join(sorted(found)[:4])}',
                expected="one patient under one name",
                do="put the series of each patient into a folder of its own",
            )


def _check_case(case: str, entries: Sequence[Entry]) -> None:
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.column, entry)
        if other is not entry and other.found and entry.found:
            raise RadloomError(
                f'case "{case}" has two entries for {entry.column}: {other.found.name} and {entry.found.name}',
                expected="one file or series per column, and a folder for each case",
                do="say which one to take in a table pattern,column with --map",
            )


def _build_case(
    case: str, entries: Sequence[Entry], grid: Grid | None, out: Path, grids: Grids
) -> tuple[dict[str, str], dict[str, Any]]:
    """The case's row, and for each resampled entry its source and steps; writes what is not as in the source."""
    originals = {entry.column: _read(entry.found, entry.column) for entry in entries if entry.found}
    images = {e.column: _with_labels(originals[e.column], e) for e in entries if e.found}
    if grid:
        images = _on_one_grid(case, images, grid)
    if grids == "one":
        check_one_grid(Case(case, entries[0].patient, images))
    vendors = sorted({entry.found.vendor for entry in entries if entry.found and entry.found.vendor})
    row, steps = {"case": case, "patient": entries[0].patient, "vendor": "+".join(vendors)}, {}
    for entry in entries:
        if entry.found is None:
            row[entry.column] = entry.text
            continue
        image = images[entry.column]
        source = str(entry.found.path)
        row[entry.column] = source
        if image is not originals[entry.column] or entry.found.files or entry.found.read:
            row[entry.column] = f"images/{case}/{entry.column}.nii.gz"
            (out / "images" / case).mkdir(parents=True, exist_ok=True)
            io.write(image, out / row[entry.column])
            _carry_mark(entry.found, out / row[entry.column])
        steps[entry.column] = {"source": source, "steps": [step.record() for step in image.history]}
    return row, steps


def _carry_mark(found: Found, copy: Path) -> None:
    carry_mark(found.files[0] if found.files else found.path, copy)


def _note_origins(about: dict[str, Any], case: str, entries: Sequence[Entry], row: Mapping[str, str]) -> None:
    """Adds to the cohort's notes which entries are synthetic, and the DICOM series that copies were made from."""
    for entry in entries:
        if entry.found is None:
            continue
        made = origin(entry.found.files[0] if entry.found.files else entry.found.path)
        if made is not None:
            about.setdefault("synthetic", {}).setdefault(case, {})[entry.column] = made.split_hash
        if entry.found.is_series and row[entry.column] != str(entry.found.path):
            series = {"folder": str(entry.found.path), "uid": entry.found.uid}
            about.setdefault("dicom", {}).setdefault(case, {})[entry.column] = series


def _read(found: Found, column: str) -> Image:
    kind = "label" if column.startswith("mask.") else "intensity"
    if found.read is not None:
        return found.read()
    if found.files:
        from radloom.io.dicom import read_series

        return read_series(list(found.files), kind=kind)
    return io.read(found.path, kind=kind)


def _with_labels(image: Image, entry: Entry) -> Image:
    """The mask with our labels; the very same image where the map changes nothing."""
    if entry.labels is None:
        return image
    mapped_mask = entry.labels.apply(image, f'{entry.column} of case "{entry.case}"')
    return image if (mapped_mask.voxels == image.voxels).all() else mapped_mask


def _on_one_grid(case: str, images: Mapping[str, Image], grid: Grid) -> dict[str, Image]:
    if grid.like and grid.like not in images:
        raise RadloomError(f'case "{case}" has no {grid.like} to take the grid from', expected=f"{', '.join(images)}")
    pictures = [image for column, image in images.items() if column.startswith("image.")] or list(images.values())
    reference = images[grid.like] if grid.like else min(pictures, key=lambda image: _voxel_mm3(image))
    if grid.spacing_mm:
        reference = resampled_to_spacing(reference, grid.spacing_mm)
    return {
        column: image if image.same_grid(reference) else resampled_like(image, reference)
        for column, image in images.items()
    }


def _voxel_mm3(image: Image) -> float:
    x, y, z = image.spacing_mm
    return round(x * y * z, 6)


def _table(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """The rows with the fixed columns first, then images in the usual order of contrasts, masks, and the rest."""
    columns = {column for row in rows for column in row} - set(FIXED)
    kinds = ("image", "mask", "label", "time", "event", "text")

    def place(column: str) -> tuple[int, int, str]:
        kind, name = column.split(".", 1)
        return kinds.index(kind), _ORDER.index(name) if name in _ORDER else len(_ORDER), column

    table = pd.DataFrame(list(rows), columns=[*FIXED, *sorted(columns, key=place)]).fillna("")
    if not any(map(is_path_column, table.columns)):
        raise RadloomError("no image was found", expected="at least one image")
    return table
