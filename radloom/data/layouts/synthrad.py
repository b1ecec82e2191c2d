"""SynthRAD 2023 and 2025: MR and CT, or cone-beam CT and CT, of one patient on one grid."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells

_PATH = re.compile(
    r"/(?P<case>[12](?P<region>AB|HN|TH|B|P)(?P<site>[A-Z])\d{3})/(?P<word>mr|ct|cbct|mask)\.(nii|nii\.gz|mha)$"
)
_COLUMNS = {"mr": "image.mr", "ct": "image.ct", "cbct": "image.cbct", "mask": "mask.body"}
_REGIONS = {"B": "brain", "P": "pelvis", "AB": "abdomen", "HN": "head-neck", "TH": "thorax"}
_BODY = LabelMap(((1, 1),), others="refuse")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a SynthRAD folder; None when no case has such a name. Overview pictures are left out."""
    return fitted(folder, lambda one: _entries(place(folder, one), one), "Task1/brain/1BA001/mr.nii.gz, ct and mask")


def _entries(path: str, found: Found) -> list[Entry] | None:
    if "/overview" in path.lower():
        return []
    match = _PATH.search(path)
    if match is None:
        return None
    case, word = match["case"], match["word"]
    about = {"site": match["site"], "label.region": _REGIONS[match["region"]]}
    entry = Entry(case, case, _COLUMNS[word], found, labels=_BODY if word == "mask" else None)
    return [entry, *cells(case, case, about)]


LAYOUT = Layout(
    title="SynthRAD 2023 and 2025: MR or cone-beam CT with CT",
    looks_like="Task1/brain/1BA001/{mr,ct,mask}.nii.gz, Task2/AB/2ABA001/{cbct,ct,mask}.mha",
    licence="CC BY-NC 4.0",
    recognise=recognise,
    marks=r"/[12](AB|HN|TH|B|P)[A-Z]\d{3}/(mr|ct|cbct)\.(nii|nii\.gz|mha)$",
    notes="site is the letter of the centre; whether a patient is in both tasks is not published: build one task at a "
    "time",
)
