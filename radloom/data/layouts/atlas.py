"""ATLAS v2: T1 after stroke with hand-drawn lesions, from many sites."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted
from radloom.data.tables import cells

_NAME = re.compile(
    r"(?P<case>(?P<patient>sub-(?P<site>r\d{3})s\d{3})_ses-\d+)_.*?(?P<word>T1w|T1lesion_mask)", re.IGNORECASE
)
_LESION = LabelMap(((1, 1),), others="refuse")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of an ATLAS v2 folder; None when no file has such a name. Test cases have no mask."""
    return fitted(folder, _entries, "names such as sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz")


def _entries(found: Found) -> list[Entry] | None:
    match = _NAME.fullmatch(found.title)
    if match is None:
        return None
    case, patient, is_image = match["case"], match["patient"], match["word"].lower() == "t1w"
    part = "test" if "Testing" in found.path.parts else "train"
    image = Entry(case, patient, "image.t1", found)
    mask = Entry(case, patient, "mask.lesion", found, labels=_LESION)
    about = {"site": match["site"], "label.part": part}
    return [image, *cells(case, patient, about)] if is_image else [mask]


LAYOUT = Layout(
    title="ATLAS v2: stroke lesions on T1",
    looks_like="Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz",
    licence="data use agreement; encrypted archive",
    recognise=recognise,
    marks=r"/sub-r\d{3}s\d{3}_ses-\d+_[^/]*T1w\.nii\.gz$",
)
