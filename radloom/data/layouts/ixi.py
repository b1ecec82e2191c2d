"""IXI: T1, T2, proton density and angiography of healthy brains from three London hospitals."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells, find_file, read_rows

_NAME = re.compile(r"(?P<case>IXI\d{3})-(?P<site>Guys|HH|IOP)-\d+-(?P<word>T1|T2|PD|MRA|DTI.*)")
_COLUMNS = {"T1": "image.t1", "T2": "image.t2", "PD": "image.pd", "MRA": "image.mra"}
_VENDORS = {"Guys": "Philips", "HH": "Philips", "IOP": "GE"}


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of an IXI folder; None when no file has such a name. Diffusion images are left out."""
    entries = fitted(folder, _entries, "nothing but names such as IXI002-Guys-0828-T1.nii.gz beside IXI")
    return entries and entries + _people(folder, {entry.case for entry in entries})


def _entries(found: Found) -> list[Entry] | None:
    match = _NAME.fullmatch(found.title)
    if match is None:
        return None
    case = match["case"]
    if match["word"] not in _COLUMNS:
        return []
    about = {"site": match["site"], "vendor": _VENDORS[match["site"]]}
    return [Entry(case, case, _COLUMNS[match["word"]], found), *cells(case, case, about)]


def _people(folder: Path, cases: set[str]) -> list[Entry]:
    """Age and sex from IXI.csv: the sheet IXI.xls, saved as CSV."""
    table = find_file(folder, "IXI.csv")
    entries = []
    for row in read_rows(table, ["IXI_ID", "AGE"]) if table else []:
        case = f"IXI{int(float(row['IXI_ID'])):03d}"
        sex = next((value for column, value in row.items() if column.startswith("SEX")), "")
        if case in cases:
            values = {"label.age": row["AGE"], "label.sex": {"1": "M", "2": "F"}.get(sex.split(".")[0], "")}
            entries += cells(case, case, values)
    return entries


LAYOUT = Layout(
    title="IXI: healthy brain MRI",
    looks_like="IXI-T1/IXI002-Guys-0828-T1.nii.gz",
    licence="CC BY-SA 3.0",
    recognise=recognise,
    marks=r"/IXI\d{3}-(Guys|HH|IOP)-\d+-(T1|T2|PD|MRA)\.nii(\.gz)?$",
    notes="T1 and T2 lie on different grids: build with --like or --spacing; DTI is left out; age and sex need IXI.xls "
    "saved as IXI.csv",
)
