"""UCSF-PDGM: glioma MRI with tumour masks, molecular markers and survival."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells, find_file, read_rows

_NAME = re.compile(r"UCSF-PDGM-(?P<number>\d{3,4})(?P<visit>_FU\d+d)?_(?P<word>.+)")
_COLUMNS = {
    "T1": "image.t1", "T1c": "image.t1c", "T2": "image.t2", "FLAIR": "image.flair", "SWI": "image.swi",
    "ADC": "image.adc", "ASL": "image.asl", "tumor_segmentation": "mask.tumour", "brain_segmentation": "mask.brain",
}  # fmt: skip
_LABELS = LabelMap(((1, 1), (2, 2), (4, 3)), others="refuse")
_SAME_PERSON = {"0315": "0433", "0278": "0431", "0175": "0396", "0138": "0429", "0181": "0409", "0289": "0391"}


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a UCSF-PDGM folder; None when no file has such a name.

    Bias-corrected copies, diffusion series and the parenchyma's mask are left out.
    """
    entries = fitted(folder, _entries, "nothing but names such as UCSF-PDGM-0004_T1c.nii.gz")
    return entries and entries + _clinical(folder, {entry.case for entry in entries})


def _entries(found: Found) -> list[Entry] | None:
    match = _NAME.fullmatch(found.title)
    if match is None:
        return None
    case, patient = _names(match["number"], match["visit"] or "")
    column = _COLUMNS.get(match["word"])
    if column is None:
        return []
    entry = Entry(case, patient, column, found, labels=_LABELS if column == "mask.tumour" else None)
    return [entry, *cells(case, patient, {"site": "UCSF", "vendor": "GE"})]


def _names(number: str, visit: str) -> tuple[str, str]:
    """Case and patient. Six numbers of the first releases are later visits of other numbers."""
    number = number.zfill(4)
    return f"UCSF-PDGM-{number}{visit}", f"UCSF-PDGM-{_SAME_PERSON.get(number, number)}"


def _clinical(folder: Path, cases: set[str]) -> list[Entry]:
    table = find_file(folder, "UCSF-PDGM-metadata*.csv")
    entries = []
    for row in read_rows(table, ["ID", "IDH"]) if table else []:
        match = re.fullmatch(r"UCSF-PDGM-(\d{3,4})(_FU\d+d)?", row["ID"])
        case, patient = _names(match[1], match[2] or "") if match else ("", "")
        if case in cases:
            entries += cells(case, patient, _values(row))
    return entries


def _values(row: dict[str, str]) -> dict[str, str]:
    said = row["IDH"].lower()
    days, dead = row.get("OS", ""), row.get("1-dead 0-alive", "")
    both = bool(days and dead)
    return {
        "label.idh": said if said in ("wildtype", "", "unknown") else "mutant", "label.idh_variant": row["IDH"],
        "label.sex": row.get("Sex", ""), "label.age": row.get("Age at MRI", ""),
        "label.grade": row.get("WHO CNS Grade", ""), "label.mgmt": row.get("MGMT status", ""),
        "label.1p_19q": row.get("1p/19q", ""), "label.resection": row.get("EOR", ""),
        "label.diagnosis": next((row[key] for key in row if key.startswith("Final pathologic diagnosis")), ""),
        "time.os": days if both else "", "event.os": dead if both else "",
    }  # fmt: skip


LAYOUT = Layout(
    title="UCSF-PDGM: preoperative diffuse glioma MRI",
    looks_like="UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_{T1,T1c,T2,FLAIR,tumor_segmentation}.nii.gz",
    licence="CC BY 4.0",
    recognise=recognise,
    marks=r"/UCSF-PDGM-\d{4}(_FU\d+d)?_(T1|T1c|T2|FLAIR|tumor_segmentation)\.nii(\.gz)?$",
    notes="labels 1, 2, 4 become 1, 2, 3; every IDH variant is mutant; follow-ups belong to their patient, also under "
    "the numbers of the first releases; many patients are in BraTS 2021, too",
)
