"""NIH ChestX-ray14: frontal chest radiographs with fourteen findings read from reports by a program."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.boxes import as_text, mask_of, names_as_text, of_picture, size_of_picture
from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells, find_file, read_rows, word
from radloom.errors import RadloomError

_NAME = re.compile(r"\d{8}_\d{3}")
_FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_PUBLISHED = 1024  # columns and rows of the pictures that the boxes were drawn on
Rectangle = tuple[str, float, float, float, float]  # finding, left, top, width and height, pixels of 1024 x 1024
_NEEDS = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position"]


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a ChestX-ray14 folder, one case for each picture; None without Data_Entry_2017*.csv.

    Each finding is 1 or 0. label.part is train or test where the official lists lie in the folder.
    With BBox_List_2017.csv the pictures that have boxes get mask.box, text.boxes and text.box_findings.
    """
    table = find_file(folder, "Data_Entry_2017*.csv")
    if table is None:
        return None
    rows = {row["Image Index"]: row for row in read_rows(table, _NEEDS)}
    parts = {**_listed(folder, "train_val_list*.txt", "train"), **_listed(folder, "test_list*.txt", "test")}

    boxes = _boxes(folder)

    def entries_of(found: Found) -> list[Entry] | None:
        row = rows.get(found.path.name)
        if row is None or not _NAME.fullmatch(found.title):
            return None
        return _entries(found, row, parts.get(found.path.name, "")) + _boxed(found, boxes.get(found.path.name, []))

    return fitted(folder, entries_of, f"pictures such as 00000001_000.png with a row in {table.name}")


def _entries(found: Found, row: dict[str, str], part: str) -> list[Entry]:
    case, patient = found.title, found.title.split("_")[0]
    said = row["Finding Labels"].split("|")
    findings = {f"label.{word(name)}": str(int(name in said)) for name in _FINDINGS}
    about = {"site": "NIH", "label.view": row["View Position"], "label.age": row["Patient Age"].strip("Y").lstrip("0")}
    about |= {"label.sex": row.get("Patient Gender") or row.get("Patient Sex", ""), "label.part": part}
    return [Entry(case, patient, "image.xray", found), *cells(case, patient, {**about, **findings})]


def _boxes(folder: Path) -> dict[str, list[Rectangle]]:
    """The rectangles of each picture; the table's header is torn at its commas: "Bbox [x", "y", "w", "h]"."""
    path = find_file(folder, "BBox_List_2017*.csv")
    found: dict[str, list[Rectangle]] = {}
    for row in read_rows(path, ["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"]) if path else []:
        try:
            left, top, width, height = (float(row[name]) for name in ("Bbox [x", "y", "w", "h]"))
        except ValueError as error:
            raise RadloomError(f"{path} has a box of {row['Image Index']} that is no box: {error}") from error
        found.setdefault(row["Image Index"], []).append((row["Finding Label"], left, top, width, height))
    return found


def _boxed(found: Found, drawn: list[Rectangle]) -> list[Entry]:
    """The entries of a picture's boxes, scaled where the picture is not of the published size."""
    from radloom import io

    if not drawn:
        return []
    case, patient = found.title, found.title.split("_")[0]
    columns, rows = size_of_picture(found.path)
    x, y = columns / _PUBLISHED, rows / _PUBLISHED
    boxes = [
        of_picture(
            left * x, top * y, wide * x, high * y, shape=(columns, rows), z=0, name=f'the box "{label}" of {case}'
        )
        for label, left, top, wide, high in drawn
    ]
    mask = Found(found.parts, found.path, found.title, read=lambda: mask_of(boxes, io.read(found.path)))
    told = {
        "text.boxes": as_text(dict(enumerate(boxes, 1))),
        "text.box_findings": names_as_text([label for label, *_ in drawn]),
    }
    return [Entry(case, patient, "mask.box", mask), *cells(case, patient, told)]


def _listed(folder: Path, pattern: str, part: str) -> dict[str, str]:
    path = find_file(folder, pattern)
    return dict.fromkeys(path.read_text(encoding="utf-8").split(), part) if path else {}


LAYOUT = Layout(
    title="NIH ChestX-ray14: chest radiographs, fourteen findings",
    looks_like="images/00000001_000.png, Data_Entry_2017_v2020.csv, train_val_list.txt",
    licence="no restriction on use; attribution to the NIH Clinical Center",
    recognise=recognise,
    marks=r"/Data_Entry_2017[^/]*\.csv$",
    notes="no finding is a 0 in all columns; the boxes of BBox_List_2017.csv become mask.box, "
    "text.boxes and text.box_findings",
)
