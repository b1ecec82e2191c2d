"""CheXpert: chest radiographs with fourteen findings, each present, absent, uncertain or not mentioned."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, read_rows, word

_PATH = re.compile(r"/(?P<key>(?P<patient>patient\d{5})/study\d+/view\d+_(?P<side>frontal|lateral)\.(jpg|png))$")
_ABOUT = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
_PARTS = {"train": "train", "valid": "val", "test": "test", "test_labels": "test"}  # tables, of which part


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a CheXpert folder, one case for each picture; None when no file has such a name.

    label.* is 1 present, 0 absent, -1 uncertain, and missing where the report does not mention the finding.
    """
    rows = _rows(folder)

    def entries_of(found: Found) -> list[Entry] | None:
        match = _PATH.search(place(folder, found))
        row = match and rows.get(match["key"])
        if not match or (rows and not row):
            return None
        return _entries(match, found, row or {})

    return fitted(folder, entries_of, "pictures train/patient00001/study1/view1_frontal.jpg with a row in train.csv")


def _entries(match: re.Match[str], found: Found, row: dict[str, str]) -> list[Entry]:
    patient = match["patient"]
    case = re.sub(r"[/.](jpg|png)$", "", match["key"]).replace("/", "_")
    view = "lateral" if match["side"] == "lateral" else row.get("AP/PA") or "frontal"
    findings = {f"label.{word(name)}": value for name, value in row.items() if name not in (*_ABOUT, "part")}
    about = {"label.view": view, "label.sex": row.get("Sex", "")[:1], "label.age": row.get("Age", "")}
    about |= {"label.part": row.get("part", ""), "site": "Stanford"}
    return [Entry(case, patient, "image.xray", found), *cells(case, patient, {**about, **findings})]


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the tables by the picture's patient, study and view."""
    found: dict[str, dict[str, str]] = {}
    for name, part in _PARTS.items():
        for path in sorted(folder.rglob(f"{name}.csv")):
            for row in read_rows(path, ["Path"]):
                key = "/".join(row["Path"].split("/")[-3:])
                found[key] = {**row, "part": part}
    return found


LAYOUT = Layout(
    title="CheXpert: chest radiographs, fourteen findings",
    looks_like="CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg, train.csv",
    licence="Stanford research use agreement; no redistribution",
    recognise=recognise,
    marks=r"/patient\d{5}/study\d+/view\d+_(frontal|lateral)\.(jpg|png)$",
    notes="label.view: AP, PA, frontal or lateral; findings: 1, 0, -1 uncertain, missing when not mentioned",
)
