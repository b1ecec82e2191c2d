"""ADNI as its archive hands it out: T1, T2, FLAIR and PET of patients with and without Alzheimer's disease."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, read_rows

_PATH = re.compile(
    r"/(?P<patient>\d{3}_S_\d{4,5})/(?P<about>[^/]+)/(?P<date>\d{4}-\d\d-\d\d)_[^/]*/(?P<id>[IS]?\d+)(/|$)"
)
_WORDS = (
    ("image.pet", r"pet|fdg|av45|florbetapir|coreg|co-registered|uniform"),
    ("image.flair", r"flair"),
    ("image.t1", r"mp-?rage|^mpr|spgr|_mt1_|^mt1|(^|_)t1(_|w|$)"),
    ("image.t2", r"(^|_)t2(_|w|$)(?!star)"),
)


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of an ADNI folder; None when no path has a subject, a description, a date and an image number.

    With the collection's CSV file in the folder a case is a visit (012_S_0001_m06), without it a day.
    """
    rows = _collection(folder)
    return fitted(
        folder, lambda found: _entries(place(folder, found), found, rows),
        "descriptions such as MP-RAGE, FLAIR or Coreg,_Avg,_Std_Img_and_Vox_Siz,_Uniform_Resolution",
    )  # fmt: skip


def _entries(path: str, found: Found, rows: dict[str, dict[str, str]]) -> list[Entry] | None:
    match = _PATH.search(path)
    column = match and _column(match["about"])
    if not match or not column:
        return None
    row = rows.get(match["id"].lstrip("IS"), {})
    patient = match["patient"]
    case = f"{patient}_{row.get('Visit') or match['date']}"
    labels = {f"label.{name.lower()}": row.get(name, "") for name in ("Group", "Sex", "Age")}
    return [Entry(case, patient, column, found), *cells(case, patient, {"site": patient[:3], **labels})]


def _column(about: str) -> str | None:
    return next((column for column, words in _WORDS if re.search(words, about.lower())), None)


def _collection(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the collection's table by image number; empty when the folder holds no such table."""
    for path in sorted(folder.rglob("*.csv")):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
        if "Image Data ID" in header and "Subject" in header:
            return {row["Image Data ID"].lstrip("IDS"): row for row in read_rows(path, ["Image Data ID", "Visit"])}
    return {}


LAYOUT = Layout(
    title="ADNI: Alzheimer's disease, MRI and PET",
    looks_like="ADNI/011_S_0002/MP-RAGE/2005-08-26_08_08_07.0/I7054/*.dcm",
    licence="data use agreement; no redistribution",
    recognise=recognise,
    marks=r"/\d{3}_S_\d{4,5}/[^/]+/\d{4}-\d\d-\d\d_[^/]*/[IS]?\d+/",
    notes="MRI and PET of a visit meet in one case when the collection's CSV lies in the folder; two T1 of one visit "
    "are refused: keep one",
)
