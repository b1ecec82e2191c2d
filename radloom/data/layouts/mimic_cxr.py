"""MIMIC-CXR-JPG: chest radiographs with fourteen findings, and the reports of MIMIC-CXR beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, find_file, read_rows, word

_PATH = re.compile(r"/p\d\d/p(?P<patient>\d{8})/s(?P<study>\d{8})/(?P<picture>[0-9a-f-]{44})\.jpg$")
_PARTS = {"train": "train", "validate": "val", "test": "test"}


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a MIMIC-CXR-JPG folder, one case for each picture; None when no picture has such a path.

    label.* is 1 present, 0 absent, -1 uncertain, and missing where the report does not mention the finding.
    """
    views = _table(folder, "metadata", ["dicom_id"], ["ViewPosition"])
    parts = _table(folder, "split", ["dicom_id", "split"], [])
    findings = _table(folder, "chexpert", ["study_id"], None)

    def entries_of(found: Found) -> list[Entry] | None:
        match = _PATH.search(place(folder, found))
        if match is None:
            return None
        said = {f"label.{word(name)}": value for name, value in findings.get(match["study"], {}).items()}
        about = {
            "label.view": views.get(match["picture"], {}).get("ViewPosition", ""),
            "label.part": _PARTS.get(parts.get(match["picture"], {}).get("split", ""), ""),
            "label.study": f"s{match['study']}",
        }
        return _entries(match, found, {**about, **said, **_report(found.path)})

    return fitted(folder, entries_of, "pictures such as files/p10/p10000032/s50414267/<44 letters>.jpg")


def _entries(match: re.Match[str], found: Found, about: dict[str, str]) -> list[Entry]:
    case, patient = f"s{match['study']}_{match['picture']}", f"p{match['patient']}"
    return [Entry(case, patient, "image.xray", found), *cells(case, patient, {"site": "Beth Israel", **about})]


def _table(folder: Path, name: str, needs: list[str], keep: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """The rows of one of the set's tables by their first column needed; empty when the table is not there."""
    path = find_file(folder, f"mimic-cxr-2*-{name}.csv*")
    rows = read_rows(path, needs, keep=keep) if path else []
    return {row[needs[0]]: {key: value for key, value in row.items() if not key.endswith("_id")} for row in rows}


def _report(picture: Path) -> dict[str, str]:
    """The report beside the study's folder as a whole, and its findings and impression."""
    path = picture.parent.with_suffix(".txt")
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    pieces = re.split(r"\b([A-Z][A-Z /()]{3,}):", text)
    sections = dict(zip(pieces[1::2], (" ".join(piece.split()) for piece in pieces[2::2]), strict=True))
    found = {f"text.{name.lower()}": sections.get(name, "") for name in ("FINDINGS", "IMPRESSION")}
    return {"text.report": " ".join(text.split()), **found}


LAYOUT = Layout(
    title="MIMIC-CXR-JPG: chest radiographs, fourteen findings, reports",
    looks_like="files/p10/p10000032/s50414267/<44 letters>.jpg, files/p10/p10000032/s50414267.txt",
    licence="PhysioNet credentialed access; no redistribution",
    recognise=recognise,
    marks=r"/p\d\d/p\d{8}/s\d{8}/[0-9a-f-]{44}\.jpg$",
    notes="the reports of MIMIC-CXR are unpacked into the same tree; findings: 1, 0, -1 uncertain, missing when not "
    "mentioned",
)
