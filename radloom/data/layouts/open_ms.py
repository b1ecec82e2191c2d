"""The open MS data of Ljubljana: four contrasts with lesions by consensus, and pairs of visits with new lesions."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells
from radloom.errors import RadloomError

_PATH = re.compile(
    r"/((?P<version>[^/]+)/)?(?P<patient>patient\d\d)/(study(?P<study>[12])_)?(?P<word>[^/]+)\.nii(\.gz)?$"
)
_COLUMNS = {
    "T1W": "image.t1", "T1": "image.t1", "T1WKS": "image.t1c", "T1POST": "image.t1c", "T2W": "image.t2",
    "T2": "image.t2", "FLAIR": "image.flair", "CONSENSUS": "mask.lesion", "GOLD": "mask.lesion",
    "GT": "mask.new_lesion", "BRAINMASK": "mask.brain",
}  # fmt: skip
_ONE = LabelMap(((1, 1),), others="refuse")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of the cross-sectional or the longitudinal data; None when no patient has such files.

    The source holds each patient up to four times (raw, coregistered, ...): one version must be named.
    """
    versions: set[str] = set()

    def entries_of(found: Found) -> list[Entry] | None:
        match = _PATH.search(place(folder, found))
        column = match and _COLUMNS.get(re.split(r"[_\W]", match["word"])[0].upper())
        if not match or not column:
            return None
        versions.add("/".join(found.path.parent.parent.parts[-2:]))
        return _entries(match, column, found)

    entries = fitted(folder, entries_of, "names such as patient01/T1W.nii.gz, T1WKS, T2W, FLAIR and consensus_gt")
    if entries and len(versions) > 1:
        raise RadloomError(
            f"{folder} holds the same patients in {len(versions)} versions: {', '.join(sorted(versions))}",
            expected="one version", do="name the folder of one, such as cross_sectional/coregistered",
        )  # fmt: skip
    return entries


def _entries(match: re.Match[str], column: str, found: Found) -> list[Entry]:
    labels = _ONE if column.startswith("mask.") else None
    long = match["study"] is not None or _is_longitudinal(found.path)
    if not long:
        return [Entry(match["patient"], match["patient"], column, found, labels=labels)]
    patient = f"longitudinal_{match['patient']}"  # another person than the cross-sectional patient of this number
    if match["study"]:
        case = f"{patient}_study{match['study']}"
        return [Entry(case, patient, column, found), *cells(case, patient, {"label.study": match["study"]})]
    if column == "mask.brain":
        return [Entry(f"{patient}_study{study}", patient, column, found, labels=labels) for study in "12"]
    return [Entry(f"{patient}_study2", patient, column, found, labels=labels)]


def _is_longitudinal(path: Path) -> bool:
    return any(path.parent.glob("study1_*"))


LAYOUT = Layout(
    title="Open MS data (Ljubljana): multiple sclerosis MRI",
    looks_like="cross_sectional/coregistered/patient01/{T1W,T1WKS,T2W,FLAIR,consensus_gt,brainmask}.nii.gz",
    licence="CC BY",
    recognise=recognise,
    marks=r"/patient\d\d/(study[12]_\w+|T1WKS|consensus_gt|GOLD_STANDARD_N4[^/]*)\.nii(\.gz)?$",
    notes="longitudinal: mask.new_lesion belongs to study2; raw images have several grids",
)
