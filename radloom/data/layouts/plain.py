"""A plain folder of cases, each with image files or DICOM series whose names say which contrast they are."""

from __future__ import annotations

import re
from pathlib import Path

from radloom.data.entries import Entry, Found, name_case, refuse_images, scan, stem_without
from radloom.data.layout import Layout

_WORDS = {
    "image.t1": {"t1", "t1w", "t1n", "mprage", "t1pre"},
    "image.t1c": {"t1c", "t1ce", "t1gd", "t1post", "t1ks", "t1km"},
    "image.t2": {"t2", "t2w"},
    "image.flair": {"flair", "fla", "t2f", "t2flair"},
    "image.pd": {"pd", "pdw"},
    "image.dir": {"dir"},
    "image.ct": {"ct"},
    "image.pet": {"pet"},
}
_ENHANCED = {"c", "ce", "gd", "gad", "gado", "gadolinium", "post", "km", "contrast"}
_MASK = {"seg", "mask", "label", "labels", "segmentation", "gold", "roi", "consensus"}
_MASKED = {
    "mask.tumour": {"tumour", "tumor", "glioma", "meningioma", "gbm"},
    "mask.lesion": {"lesion", "lesions", "ms", "wmh"},
    "mask.brain": {"brain", "bet", "brainmask"},
}
_OTHER = {"t2star", "t2s", "swi", "dwi", "adc", "dti", "localizer", "scout", "bold", "perfusion", "asl"}


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a folder that is a case or holds cases; None when it holds no image.

    Raises RadloomError that lists the images whose names do not decide what they are.
    """
    found = scan(folder)
    if not found:
        return None
    cases = _cases(found)
    unknown, entries = [], []
    for one, parts in zip(found, cases, strict=True):
        case, patient = name_case(folder, parts)
        column = column_named(stem_without(one.title, parts[-1] if parts else case))
        if column is None:
            unknown.append(one)
        else:
            entries.append(Entry(case, patient, column, one))
    if unknown:
        raise refuse_images(folder, unknown, "one word in each name such as t1, t1c, t2, flair, pd, ct, pet, seg")
    return entries


def column_named(title: str) -> str | None:
    """The column that the words of a name decide; None when they decide none or more than one.

    A mask whose words name neither tumour nor brain is a lesion's.
    """
    words = set(re.findall(r"[a-z0-9]+", title.lower()))
    if words & _MASK:
        said = [column for column, names in _MASKED.items() if words & names]
        return said[0] if len(said) == 1 else None if said else "mask.lesion"
    if words & _OTHER:
        return None
    said = {column for column, names in _WORDS.items() if words & names}
    if said == {"image.t2", "image.flair"}:
        return "image.flair"
    if said == {"image.t1"} and words & _ENHANCED:
        return "image.t1c"
    return said.pop() if len(said) == 1 else None


def _cases(found: list[Found]) -> list[tuple[str, ...]]:
    """The folder of each image's case, as parts.

    Files belong to their folder. Series folders beside each other are one case if they show one patient, else each
    is a case. A case inside a case belongs to the outer one.
    """
    patients: dict[tuple[str, ...], set[str]] = {}
    for one in found:
        if one.is_series and not one.files:
            patients.setdefault(one.parts[:-1], set()).add(one.dicom_patient)
    own = [
        one.parts if one.is_series and not one.files and len(patients[one.parts[:-1]]) > 1 else one.parts[:-1]
        for one in found
    ]
    places = set(own)
    return [next(parts[:n] for n in range(len(parts) + 1) if parts[:n] in places) for parts in own]


LAYOUT = Layout(
    title="a plain folder of cases",
    looks_like="patient1/t1.nii.gz",
    licence="your own",
    recognise=recognise,
    notes="the words of each name decide the column",
)
