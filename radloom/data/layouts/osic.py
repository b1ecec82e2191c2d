"""OSIC pulmonary fibrosis: chest CT of one time point with forced vital capacity over weeks."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, find_file, read_rows

_PATH = re.compile(r"/(train|test)/(ID\d{23})(/|$)")
_NEEDS = ["Patient", "Weeks", "FVC", "Percent", "Age", "Sex", "SmokingStatus"]


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of an OSIC folder; None when no series lies in train/ or test/ID*.

    Labels are those of the measurement nearest in time to the CT, which is week 0. The few patients of the public
    test folder are in train, too: those folders are left out.
    """
    rows = _rows(folder)
    return fitted(
        folder, lambda found: _entries(place(folder, found), found, rows), "train/ID00007637202177411956430/1.dcm"
    )


def _entries(path: str, found: Found, rows: dict[str, dict[str, str]]) -> list[Entry] | None:
    match = _PATH.search(path)
    if match is None or not found.is_series:
        return None
    if match[1] == "test":
        return []
    patient = match[2]
    row = rows.get(patient, {})
    names = {
        "fvc": "FVC",
        "fvc_percent": "Percent",
        "fvc_week": "Weeks",
        "age": "Age",
        "sex": "Sex",
        "smoking": "SmokingStatus",
    }
    labels = {f"label.{name}": row.get(column, "") for name, column in names.items()}
    return [Entry(patient, patient, "image.ct", found), *cells(patient, patient, labels)]


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """The row of each patient that is nearest to week 0; empty without train.csv."""
    table = find_file(folder, "train.csv")
    nearest: dict[str, dict[str, str]] = {}
    for row in read_rows(table, _NEEDS) if table else []:
        best = nearest.setdefault(row["Patient"], row)
        if abs(int(row["Weeks"])) < abs(int(best["Weeks"])):
            nearest[row["Patient"]] = row
    return nearest


LAYOUT = Layout(
    title="OSIC: pulmonary fibrosis, CT and lung function",
    looks_like="train/ID00007637202177411956430/1.dcm, train.csv",
    licence="the competition's rules: non-commercial, academic research",
    recognise=recognise,
    marks=r"/train/ID\d{23}/",
    notes="label.fvc (ml) is the measurement nearest to the CT; the public test folder repeats training patients and "
    "is left out",
)
