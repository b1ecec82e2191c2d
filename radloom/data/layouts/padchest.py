"""PadChest: chest radiographs of Alicante with reports and 174 findings."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells, find_file, read_rows

_NEEDS = ["ImageID", "PatientID", "Projection", "Report", "Labels"]
_MORE = ["StudyDate_DICOM", "PatientBirth", "PatientSex_DICOM", "Manufacturer_DICOM", "MethodLabel"]


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a PadChest folder, one case for each picture; None without its table of labels.

    label.findings lists the findings; label.normal is 1 where the only one is normal.
    """
    table = find_file(folder, "PADCHEST_chest_x_ray_images_labels_160K*.csv*")
    if table is None:
        return None
    rows = {row["ImageID"]: row for row in read_rows(table, _NEEDS, keep=_MORE)}

    def entries_of(found: Found) -> list[Entry] | None:
        row = rows.get(found.path.name)
        return None if row is None else _entries(found, row)

    return fitted(folder, entries_of, f"pictures with a row in {table.name}")


def _entries(found: Found, row: dict[str, str]) -> list[Entry]:
    case, patient = found.title, row["PatientID"]
    findings = [said.strip() for said in re.findall(r"'([^']+)'", row["Labels"])]
    about = {
        "site": "Alicante", "vendor": row.get("Manufacturer_DICOM", ""), "label.view": row["Projection"],
        "label.sex": row.get("PatientSex_DICOM", ""), "label.age": _age(row),
        "label.method": row.get("MethodLabel", ""),
        "label.normal": str(int(findings == ["normal"])) if findings else "", "label.findings": "; ".join(findings),
        "text.report": row["Report"],
    }  # fmt: skip
    return [Entry(case, patient, "image.xray", found), *cells(case, patient, about)]


def _age(row: dict[str, str]) -> str:
    study, birth = row.get("StudyDate_DICOM", "")[:4], row.get("PatientBirth", "")[:4]
    return str(int(study) - int(birth)) if study.isdigit() and birth.isdigit() else ""


LAYOUT = Layout(
    title="PadChest: chest radiographs with Spanish reports",
    looks_like="0/20536686640136348236148679891455886468_k6ga29.png, PADCHEST_chest_x_ray_images_labels_160K_*.csv",
    licence="research use agreement; no redistribution",
    recognise=recognise,
    marks=r"/PADCHEST_chest_x_ray_images_labels_160K[^/]*\.csv(\.gz)?$",
    notes="text.report is the report without accents and stop words, in Spanish, as published; age is the "
    "difference of years",
)
