"""RSNA 2019 haemorrhage challenge: head CT slices in one folder, labels for each slice."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, find_file
from radloom.errors import RadloomError

_FOLDER = re.compile(r"/(stage_[12]_(train|test))(_images)?(/|$)")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of the challenge's folder; None when stage_2_train or its like holds no series.

    The slices are put together to series; a series' label is 1 where one of its slices has the finding.
    """
    labels = _labels(folder)
    return fitted(folder, lambda found: _entries(place(folder, found), found, labels), "stage_2_train/ID_000012eaf.dcm")


def _entries(path: str, found: Found, labels: dict[str, dict[str, int]]) -> list[Entry] | None:
    match = _FOLDER.search(path)
    if match is None or not found.is_series:
        return None
    case, patient = re.sub(r"[^\w.-]", "_", found.uid), found.dicom_patient or found.uid
    slices = [labels.get(file.stem, {}) for file in found.all_files]
    findings = sorted({finding for one in slices for finding in one})
    values = {f"label.{finding}": str(max(one.get(finding, 0) for one in slices)) for finding in findings}
    return [Entry(case, patient, "image.ct", found), *cells(case, patient, {"label.part": match[2], **values})]


def _labels(folder: Path) -> dict[str, dict[str, int]]:
    """The findings of each slice by the file's name; empty without stage_2_train.csv."""
    import pandas as pd

    path = find_file(folder, "stage_[12]_train.csv")
    if path is None:
        return {}
    try:
        table = pd.read_csv(path, usecols=["ID", "Label"])  # millions of rows
    except ValueError as error:
        raise RadloomError(f"cannot read the table {path}: {error}", expected="columns ID,Label") from error
    found: dict[str, dict[str, int]] = {}
    for name, label in zip(table["ID"], table["Label"], strict=True):
        image, finding = str(name).rsplit("_", 1)
        found.setdefault(image, {})[finding] = int(label)
    return found


LAYOUT = Layout(
    title="RSNA 2019: intracranial haemorrhage on head CT",
    looks_like="stage_2_train/ID_000012eaf.dcm, stage_2_train.csv",
    licence="the competition's rules: non-commercial, academic research",
    recognise=recognise,
    marks=r"/stage_[12]_(train|test)(_images)?/ID_[0-9a-f]+\.dcm$",
    notes="slices become series by their SeriesInstanceUID, patients are the PatientID; the labels of single slices "
    "are summed up to the series",
)
