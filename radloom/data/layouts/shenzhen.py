"""Shenzhen: chest radiographs with and without tuberculosis; the lung masks are a release of their own."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells

_NAME = re.compile(r"(?P<case>CHNCXR_\d{4}_(?P<ill>[01]))(?P<mask>_mask)?")
_WHITE = LabelMap(((1, 1), (255, 1)), others="refuse")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of ChinaSet_AllFiles; None when no picture has such a name."""
    readings = {path.stem: path for path in folder.rglob("CHNCXR_*.txt")}
    return fitted(
        folder, lambda found: _entries(found, readings), "CXR_png/CHNCXR_0001_0.png, mask/CHNCXR_0001_0_mask.png"
    )


def _entries(found: Found, readings: dict[str, Path]) -> list[Entry] | None:
    match = _NAME.fullmatch(found.title)
    if match is None:
        return None
    case = match["case"]
    if match["mask"]:
        return [Entry(case, case, "mask.lungs", found, labels=_WHITE)]
    about = {"site": "Shenzhen", "label.tuberculosis": match["ill"]}
    if case in readings:
        about |= _reading(readings[case].read_text(encoding="utf-8", errors="replace"))
    return [Entry(case, case, "image.xray", found), *cells(case, case, about)]


def _reading(text: str) -> dict[str, str]:
    """Sex, age in years and finding in a text such as "male 45yrs" and, below it, "normal"."""
    first, _, rest = text.strip().partition("\n")
    sex, age = re.search(r"\b(female|male)", first.lower()), re.search(r"(\d+)\s*y", first.lower())
    return {
        "label.sex": sex[1][0].upper() if sex else "", "label.age": age[1] if age else "",
        "text.report": " ".join(rest.split()),
    }  # fmt: skip


LAYOUT = Layout(
    title="Shenzhen: tuberculosis on chest radiographs",
    looks_like="ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png, mask/CHNCXR_0001_0_mask.png, ClinicalReadings/*.txt",
    licence="free for research; attribution to the National Library of Medicine",
    recognise=recognise,
    marks=r"/CHNCXR_\d{4}_[01](_mask)?\.png$",
    notes="pictures whose colour channels differ are refused by name",
)
