"""The Brain Imaging Data Structure: anatomical images, masks among the derivatives, and participants.tsv."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from radloom.data.entries import Entry, Found, scan
from radloom.data.layout import Layout
from radloom.errors import RadloomError

_SUFFIXES = {"T1w": "image.t1", "T2w": "image.t2", "FLAIR": "image.flair", "PDw": "image.pd", "PD": "image.pd"}
_MASKS = ("mask", "dseg", "roi")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a BIDS folder; None when it has no folder sub-* with a file sub-*.

    Functional and diffusion images are left out.
    """
    if not any(path.is_dir() for path in folder.glob("sub-*")):
        return None
    found = [one for one in scan(folder) if not one.is_series and one.title.startswith("sub-")]
    entries = [entry for entry in map(_entry, found) if entry]
    if not found:
        return None  # such as DICOM series of patients called sub-*
    if not entries:
        raise RadloomError(
            f"{folder} has folders sub-* but no anatomical image",
            expected="files such as sub-01/anat/sub-01_T1w.nii.gz",
        )
    cases = dict.fromkeys((entry.case, entry.patient) for entry in entries)
    return entries + _participants(folder / "participants.tsv", list(cases))


def _entry(found: Found) -> Entry | None:
    *words, suffix = found.title.split("_")
    entities = dict(word.split("-", 1) for word in words if "-" in word)
    if "sub" not in entities:
        return None
    derived = found.parts[0] == "derivatives"
    column = _mask(entities, words, found) if suffix in _MASKS else None if derived else _SUFFIXES.get(suffix)
    if column == "image.t1" and "ce" in entities:
        column = "image.t1c"
    if column is None:
        return None
    patient = f"sub-{entities['sub']}"
    case = f"{patient}_ses-{entities['ses']}" if "ses" in entities else patient
    return Entry(case, patient, column, found)


def _mask(entities: dict[str, str], words: list[str], found: Found) -> str:
    """ "mask." and what the entities label- or desc- (or a plain word such as "lesion") say that it is."""
    named = [entities[key] for key in ("label", "desc") if key in entities] + [
        word for word in words if "-" not in word
    ]
    said = " ".join(named).lower()
    for word, column in {"tumo": "mask.tumour", "lesion": "mask.lesion", "brain": "mask.brain"}.items():
        if word in said:
            return column
    raise RadloomError(
        f"cannot tell what the mask {'/'.join(found.parts)} shows",
        expected="an entity such as label-tumour, label-lesion or desc-brain in its name",
        do="name it in a table pattern,column with --map",
    )


def _participants(path: Path, cases: list[tuple[str, str]]) -> list[Entry]:
    """Each column of participants.tsv as label.*; "n/a" is missing."""
    if not path.exists():
        return []
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if "participant_id" not in table.columns:
        raise RadloomError(f"{path} has no column participant_id", expected="a BIDS table of participants")
    known = table.set_index("participant_id")
    return [
        Entry(case, patient, "label." + re.sub(r"\W+", "_", column.strip().lower()), text=value)
        for case, patient in cases
        if patient in known.index
        for column, value in known.loc[patient].items()
        if value not in ("", "n/a")
    ]


LAYOUT = Layout(
    title="Brain Imaging Data Structure",
    looks_like="sub-01/anat/sub-01_T1w.nii.gz",
    licence="each data set's own",
    recognise=recognise,
    notes="functional and diffusion images are left out; participants.tsv becomes label.*",
)
