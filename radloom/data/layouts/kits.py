"""KiTS 2019, 2021 and 2023: CT of kidney tumours with the kidney, the tumour and cysts outlined."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells
from radloom.errors import RadloomError
from radloom.files import read_json

_PATH = re.compile(r"/(?P<case>case_\d{5})/(?P<word>imaging|segmentation|aggregated_MAJ_seg)\.nii(\.gz)?$")
_LEFT_OUT = re.compile(r"/case_\d{5}/(segmentations/|instances/|raw/|aggregated_(AND|OR)_seg\.)")
_LABELS = LabelMap(((1, 1), (2, 2), (3, 3)), others="refuse")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a KiTS folder; None when no case_* folder has an imaging file.

    Of KiTS 2021 the majority's segmentation is taken; single outlines and the other aggregates are left out.
    """
    entries = fitted(
        folder, lambda found: _entries(place(folder, found), found), "case_00000/imaging.nii.gz and segmentation.nii.gz"
    )
    return entries and entries + _clinical(folder, {entry.case for entry in entries})


def _entries(path: str, found: Found) -> list[Entry] | None:
    if _LEFT_OUT.search(path):
        return []
    match = _PATH.search(path)
    if match is None:
        return None
    case = match["case"]
    if match["word"] == "imaging":
        return [Entry(case, case, "image.ct", found)]
    return [Entry(case, case, "mask.kidney", found, labels=_LABELS)]


def _clinical(folder: Path, cases: set[str]) -> list[Entry]:
    """Age, sex, histology and survival (days after surgery) from kits.json, kits21.json or kits23.json."""
    tables = sorted({*folder.rglob("kits.json"), *folder.rglob("kits2?.json")})
    entries = []
    for person in read_json(tables[0]) if tables else []:
        if not isinstance(person, dict) or "case_id" not in person:
            raise RadloomError(f"{tables[0]} has an entry without case_id", expected="the challenge's own table")
        case = str(person["case_id"])
        if case in cases:
            entries += cells(case, case, _values({key: str(value) for key, value in person.items()}))
    return entries


def _values(person: dict[str, str]) -> dict[str, str]:
    dead = {"dead": "1", "censored": "0", "alive": "0"}.get(person.get("vital_status", ""), "")
    days = person.get("vital_days_after_surgery", "") if dead else ""
    labels = {
        "age": "age_at_nephrectomy",
        "sex": "gender",
        "malignant": "malignant",
        "histology": "tumor_histologic_subtype",
    }
    found = {f"label.{name}": person.get(key, "") for name, key in labels.items()}
    return {**found, "time.os": days, "event.os": dead}


LAYOUT = Layout(
    title="KiTS 2019 to 2023: kidney tumours on CT",
    looks_like="case_00000/imaging.nii.gz, case_00000/segmentation.nii.gz",
    licence="CC BY-NC-SA 4.0",
    recognise=recognise,
    marks=r"/case_\d{5}/imaging\.nii(\.gz)?$",
    notes="mask.kidney: 1 kidney, 2 tumour, 3 cyst; time.os in days after surgery",
)
