"""Montgomery County: chest radiographs with and without tuberculosis, left and right lung outlined."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells

_PATH = re.compile(r"/(?P<where>CXR_png|leftMask|rightMask)/(?P<case>MCUCXR_\d{4}_(?P<ill>[01]))\.png$")
_COLUMNS = {"CXR_png": "image.xray", "leftMask": "mask.left_lung", "rightMask": "mask.right_lung"}
_WHITE = LabelMap(((1, 1), (255, 1)), others="refuse")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of MontgomerySet; None when no picture has such a name."""
    readings = {path.stem: path for path in folder.rglob("MCUCXR_*.txt")}
    return fitted(
        folder, lambda found: _entries(place(folder, found), found, readings),
        "CXR_png/MCUCXR_0001_0.png and ManualMask/leftMask/MCUCXR_0001_0.png",
    )  # fmt: skip


def _entries(path: str, found: Found, readings: dict[str, Path]) -> list[Entry] | None:
    match = _PATH.search(path)
    if match is None:
        return None
    case, column = match["case"], _COLUMNS[match["where"]]
    if column.startswith("mask."):
        return [Entry(case, case, column, found, labels=_WHITE)]
    about = {"site": "Montgomery", "label.tuberculosis": match["ill"]}
    if case in readings:
        about |= _reading(readings[case].read_text(encoding="utf-8", errors="replace"))
    return [Entry(case, case, column, found), *cells(case, case, about)]


def _reading(text: str) -> dict[str, str]:
    """Sex, age and finding in a text such as "Patient's Sex: F", "Patient's Age: 025Y", "normal"."""
    sex, age = re.search(r"Sex:\s*([MF])", text), re.search(r"Age:\s*0*(\d+)", text)
    report = " ".join(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Patient's"))
    return {"label.sex": sex[1] if sex else "", "label.age": age[1] if age else "", "text.report": report}


LAYOUT = Layout(
    title="Montgomery County: tuberculosis on chest radiographs",
    looks_like="MontgomerySet/CXR_png/MCUCXR_0001_0.png, ManualMask/leftMask/MCUCXR_0001_0.png, ClinicalReadings/*.txt",
    licence="free for research; attribution to the National Library of Medicine",
    recognise=recognise,
    marks=r"/MCUCXR_\d{4}_[01]\.png$",
)
