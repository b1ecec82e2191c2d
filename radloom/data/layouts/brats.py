"""The BraTS challenges' naming, 2017 to 2023; their labels become 1 core, 2 oedema, 3 enhancing rim."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found, refuse_images, scan
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout
from radloom.errors import RadloomError

_UNTIL_2021 = re.compile(
    r"(?P<case>(?:brats1[789]|brats20)_.+|brats2021_\d+)_(?P<word>t1ce|t1|t2|flair|seg)\.nii(?:\.gz)?", re.IGNORECASE
)
_SINCE_2023 = re.compile(
    r"(?P<case>brats-(?P<challenge>[a-z]+)-\d+-\d+)-(?P<word>t1c|t1n|t2w|t2f|seg)\.nii(?:\.gz)?", re.IGNORECASE
)
_COLUMNS = {
    "t1": "image.t1", "t1ce": "image.t1c", "t2": "image.t2", "flair": "image.flair", "seg": "mask.tumour",
    "t1n": "image.t1", "t1c": "image.t1c", "t2w": "image.t2", "t2f": "image.flair",
}  # fmt: skip
_LABELS_UNTIL_2021 = LabelMap(((1, 1), (2, 2), (4, 3)), others="refuse")
_LABELS_SINCE_2023 = LabelMap(((1, 1), (2, 2), (3, 3)), others="refuse")
_SAME_LABELS = ("GLI", "MEN", "MET", "SSA")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a BraTS folder at any depth; None when no file has such a name."""
    found = scan(folder)
    entries = [_entry(one) for one in found]
    if not any(entries):
        return None
    strangers = [one for one, entry in zip(found, entries, strict=True) if entry is None]
    if strangers:
        raise refuse_images(folder, strangers, "nothing but names such as BraTS2021_00000_t1ce.nii.gz beside BraTS")
    return [entry for entry in entries if entry]


def _entry(found: Found) -> Entry | None:
    name = found.path.name
    if match := _UNTIL_2021.fullmatch(name):
        case, word = match["case"], match["word"].lower()
        # In 2017 to 2019 the last number counts the examinations of one patient.
        patient = re.sub(r"_\d+$", "", case) if re.match("brats1[789]", case, re.IGNORECASE) else case
        return Entry(case, patient, _COLUMNS[word], found, labels=_LABELS_UNTIL_2021 if word == "seg" else None)
    if match := _SINCE_2023.fullmatch(name):
        case, word = match["case"], match["word"].lower()
        if word == "seg" and match["challenge"].upper() not in _SAME_LABELS:
            raise RadloomError(
                f"{name}: the labels of BraTS-{match['challenge'].upper()} changed from year to year",
                expected=f"one of BraTS-{', BraTS-'.join(_SAME_LABELS)}",
                do="say what they mean in a table pattern,column,labels with --map",
            )
        labels = _LABELS_SINCE_2023 if word == "seg" else None
        return Entry(case, case.rsplit("-", 1)[0], _COLUMNS[word], found, labels=labels)
    return None


LAYOUT = Layout(
    title="BraTS 2017 to 2023: glioma MRI",
    looks_like="BraTS2021_00000/BraTS2021_00000_t1ce.nii.gz, BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1c.nii.gz",
    licence="registration at Synapse or CBICA; research use",
    recognise=recognise,
    marks=r"(?i)/(brats1[789]_|brats20_|brats2021_|brats-[a-z]+-\d)[^/]*\.nii(\.gz)?$",
    notes="labels 1, 2, 4 become 1, 2, 3",
)
