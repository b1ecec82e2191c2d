"""Open-I (Indiana University): chest radiographs with their reports as XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells
from radloom.errors import RadloomError

_SECTIONS = ("comparison", "indication", "findings", "impression")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of an Open-I folder, one case for each picture; None without reports in ecgen-radiology."""
    reports = [path for path in sorted(folder.rglob("*.xml")) if path.parent.name == "ecgen-radiology"]
    said = {picture: about for path in reports for picture, about in _read(path).items()}
    if not said:
        return None

    def entries_of(found: Found) -> list[Entry] | None:
        if found.title not in said:
            return None
        patient, about = said[found.title]
        return [Entry(found.title, patient, "image.xray", found), *cells(found.title, patient, about)]

    return fitted(
        folder, entries_of, "pictures that a report in ecgen-radiology names, such as CXR1_1_IM-0001-3001.png"
    )


def _read(path: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """For each picture of a report: its patient, and what the report says."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a complete XML file") from error
    number = root.find("uId")
    patient = "" if number is None else number.get("id", "")
    texts = {(e.get("Label") or "").lower(): " ".join((e.text or "").split()) for e in root.iter("AbstractText")}
    about = {f"text.{name}": texts.get(name, "") for name in _SECTIONS}
    about["text.report"] = " ".join(texts[name] for name in ("findings", "impression") if texts.get(name))
    terms = [(e.text or "").strip() for e in root.iter("major")]
    about["label.normal"] = str(int([term.lower() for term in terms] == ["normal"])) if terms else ""
    about["label.findings"] = "; ".join(terms)
    return {e.get("id", ""): (patient or path.stem, about) for e in root.iter("parentImage")}


LAYOUT = Layout(
    title="Open-I (Indiana University): chest radiographs with reports",
    looks_like="NLMCXR_png/CXR1_1_IM-0001-3001.png, ecgen-radiology/1.xml",
    licence="CC BY-NC-ND 4.0",
    recognise=recognise,
    marks=r"/ecgen-radiology/\d+\.xml$",
    notes="frontal and lateral pictures are not told apart by the source; a report is taken for a patient, since the "
    "set names none; text.report is findings and impression",
)
