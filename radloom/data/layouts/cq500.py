"""CQ500: head CT with three readers' findings of haemorrhage, fracture and mass effect."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, find_file, read_rows, word

_PATH = re.compile(r"/CQ500CT(\d+)[ _]CQ500CT\d+(/.*)?$")
_READERS = ("R1", "R2", "R3")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a CQ500 folder; None when no series lies below a folder "CQ500CT0 CQ500CT0".

    Each series is a case of its patient. A label is 1 where two of the three readers saw the finding.
    """
    labels = _labels(folder)
    return fitted(folder, lambda found: _entries(place(folder, found), found, labels), "series below CQ500CT0 CQ500CT0")


def _entries(path: str, found: Found, labels: dict[str, dict[str, str]]) -> list[Entry] | None:
    match = _PATH.search(path)
    if match is None or not found.is_series:
        return None
    patient = f"CQ500CT{match[1]}"
    series = re.sub(r"\W+", "_", found.parts[-1]).strip("_")
    case = f"{patient}_{series}"
    return [
        Entry(case, patient, "image.ct", found),
        *cells(case, patient, {"label.series": series, **labels.get(match[1], {})}),
    ]


def _labels(folder: Path) -> dict[str, dict[str, str]]:
    """The majority's findings by the study's number; empty without reads.csv."""
    table = find_file(folder, "reads.csv")
    found = {}
    for row in read_rows(table, ["name", "R1:ICH", "R2:ICH", "R3:ICH"]) if table else []:
        names = [column.split(":", 1)[1] for column in row if column.startswith("R1:")]
        votes = {name: [row.get(f"{reader}:{name}", "") for reader in _READERS] for name in names}
        labels = {f"label.{word(name)}": str(int(said.count("1") >= 2)) for name, said in votes.items()}
        found[row["name"].rsplit("-", 1)[-1]] = labels
    return found


LAYOUT = Layout(
    title="CQ500: head CT, haemorrhage and fracture",
    looks_like="CQ500CT0 CQ500CT0/Unknown Study/CT Plain/CT000000.dcm, reads.csv",
    licence="CC BY-NC-SA 4.0",
    recognise=recognise,
    marks=r"/CQ500CT\d+[ _]CQ500CT\d+/",
    notes="one case for each series (label.series); a label is what two of three readers saw; the boxes of BHX "
    "are not read",
)
