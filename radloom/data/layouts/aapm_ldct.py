"""AAPM and Mayo low-dose CT: the same scan at full and at reduced dose, from the challenge or from TCIA."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells

_CHALLENGE = re.compile(r"(?P<patient>[LCN]\d{3})_(?P<dose>FD|QD)_(?P<kind>\d(?:_SHARP)?)_\d+\.CT\.")
_TCIA = re.compile(r"/(?P<patient>[LCN]\d{3})/.*?(?P<dose>full|low) dose (?P<what>images|projections)", re.IGNORECASE)
_COLUMNS = {"fd": "image.ct", "full": "image.ct", "qd": "image.ct_low", "low": "image.ct_low"}
_REGIONS = {"L": "abdomen", "C": "chest", "N": "head"}


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of the low-dose CT challenge or of LDCT-and-Projection-data; None when neither's names are there.

    Projections are left out. A case of the challenge is a patient at one slice thickness and kernel.
    """
    return fitted(
        folder, lambda found: _entries(place(folder, found), found),
        "L067_FD_3_1.CT.0004.0001.*.IMA, or L067/<study>/1.000000-Full dose images-*",
    )  # fmt: skip


def _entries(path: str, found: Found) -> list[Entry] | None:
    if not found.is_series:
        return None
    if match := _TCIA.search(path):
        if match["what"].lower() == "projections":
            return []
        case = match["patient"]
    elif re.search(r"DICOM-CT-PD|(full|quarter)dose", path, re.IGNORECASE):
        return []  # the challenge's projections
    elif match := _CHALLENGE.match(found.all_files[0].name):
        case = f"{match['patient']}_{match['kind'].replace('_', '')}mm".replace("SHARPmm", "mm_sharp")
    else:
        return None
    patient = match["patient"]
    entry = Entry(case, patient, _COLUMNS[match["dose"].lower()], found)
    return [entry, *cells(case, patient, {"site": "Mayo", "label.region": _REGIONS[patient[0]]})]


LAYOUT = Layout(
    title="AAPM-Mayo low-dose CT",
    looks_like="L067/full_3mm/L067_FD_3_1.CT.0004.0001.*.IMA, L067/<study>/1.000000-Full dose images-64525/1-001.dcm",
    licence="TCIA's limited-access terms; the challenge's agreement",
    recognise=recognise,
    marks=r"(?i)/[LCN]\d{3}_(FD|QD)_\d(_SHARP)?_\d+\.CT\.|/[LCN]\d{3}/[^/]+/[^/]*(full|low) dose images[^/]*/",
    notes="image.ct full dose, image.ct_low a quarter (abdomen, head) or a tenth (chest); projections are left out",
)
