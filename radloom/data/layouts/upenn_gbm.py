"""UPENN-GBM: glioblastoma MRI with tumour masks, markers and survival."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells, find_file, read_rows

_NAME = re.compile(r"(?P<case>(?P<patient>UPENN-GBM-\d{5})_\d\d)_(?P<word>.+)")
_COLUMNS = {
    "T1": "image.t1", "T1GD": "image.t1c", "T2": "image.t2", "FLAIR": "image.flair", "segm": "mask.tumour",
    "automated_approx_segm": "mask.tumour_automatic",
}  # fmt: skip
_LABELS = LabelMap(((1, 1), (2, 2), (4, 3)), others="refuse")
_EVENTS = {"deceased": "1", "deceased - uncertain date of death": "1", "alive": "0", "lost to follow-up": "0"}


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a UPENN-GBM folder; None when no file has such a name.

    _11 is the examination before surgery, other numbers are later ones of the same patient. Diffusion, perfusion and
    unstripped images are left out.
    """
    entries = fitted(folder, _entries, "nothing but names such as UPENN-GBM-00001_11_T1GD.nii.gz")
    return entries and entries + _clinical(folder, {entry.case for entry in entries})


def _entries(found: Found) -> list[Entry] | None:
    match = _NAME.fullmatch(found.title)
    if match is None:
        return None
    column = _COLUMNS.get(match["word"])
    if column is None:
        return []
    case, patient = match["case"], match["patient"]
    labels = _LABELS if column.startswith("mask.") else None
    return [Entry(case, patient, column, found, labels=labels), *cells(case, patient, {"site": "UPenn"})]


def _clinical(folder: Path, cases: set[str]) -> list[Entry]:
    table = find_file(folder, "UPENN-GBM_clinical_info*.csv")
    entries = []
    for row in read_rows(table, ["ID"]) if table else []:
        if row["ID"] in cases:
            entries += cells(row["ID"], row["ID"].rsplit("_", 1)[0], _values(row))
    return entries


def _values(row: dict[str, str]) -> dict[str, str]:
    days = next((row[key] for key in row if key.startswith("Survival_from_surgery_days")), "")
    dead = _EVENTS.get(row.get("Survival_Status", "").lower(), "")
    both = bool(re.fullmatch(r"[\d.]+", days) and dead)
    idh = {"wildtype": "wildtype", "mutated": "mutant"}.get(row.get("IDH1", "").lower(), "")
    return {
        "label.sex": row.get("Gender", ""), "label.age": row.get("Age_at_scan_years", ""), "label.idh": idh,
        "label.mgmt": row.get("MGMT", ""), "label.kps": row.get("KPS", ""),
        "label.resection_over_90": row.get("GTR_over90percent", ""),
        "time.os": days if both else "", "event.os": dead if both else "",
    }  # fmt: skip


LAYOUT = Layout(
    title="UPENN-GBM: glioblastoma MRI",
    looks_like="images_structural/UPENN-GBM-00001_11/UPENN-GBM-00001_11_T1GD.nii.gz, images_segm/..._segm.nii.gz",
    licence="CC BY 4.0",
    recognise=recognise,
    marks=r"/UPENN-GBM-\d{5}_\d\d_(T1|T1GD|T2|FLAIR|segm|automated_approx_segm)\.nii(\.gz)?$",
    notes="labels 1, 2, 4 become 1, 2, 3; the automatic masks are mask.tumour_automatic; time.os in days after surgery",
)
