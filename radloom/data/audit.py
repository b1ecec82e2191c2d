"""What is wrong with a cohort, said before training; nothing is corrected here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom import io
from radloom.data.cohort import Cohort, check_one_grid
from radloom.data.faults import SPLITS, table_faults
from radloom.data.provenance import synthetic_entries
from radloom.errors import RadloomError
from radloom.types import Case, Image

_SPACING_MM = (0.1, 20.0)
_ANISOTROPY = 20.0
_MANY_CASES = 12


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where (empty = the whole cohort), what, and what to do about it.

    An error makes training or its evaluation wrong; a warning needs a look.
    """

    severity: Literal["error", "warning"]
    case: str
    column: str
    what: str
    do: str

    def __str__(self) -> str:
        where = " ".join(part for part in (self.case, self.column) if part)
        return f"{self.severity}: {where + ': ' if where else ''}{self.what}; {self.do}."


def audit(cohort: Cohort) -> list[Finding]:
    """Everything that is wrong with the cohort (read with `Cohort.read_unchecked`), errors first."""
    faults = [Finding("error", "", "", str(fault).rstrip("."), "correct the table") for fault in _faults(cohort)]
    if {"case", "patient"} - set(cohort.table.columns):
        return faults
    found = [*faults, *_missing(cohort), *_patients(cohort), *_synthetic(cohort)]
    seen: dict[str, tuple[str, str, str]] = {}
    for case in dict.fromkeys(cohort.ids):
        images, unreadable = _open(cohort, case)
        found += unreadable
        for column, image in images.items():
            found += _image_findings(case, column, image)
            found += _duplicate(seen, cohort, case, column, image)
        found += _grid_findings(case, images)
    return sorted(found, key=lambda finding: finding.severity)


def _faults(cohort: Cohort) -> Iterator[RadloomError]:
    return table_faults(cohort.table, cohort.root)


def _missing(cohort: Cohort) -> Iterator[Finding]:
    for column in cohort.image_columns:
        cases = list(cohort.table["case"][cohort.table[column] == ""])
        if cases:
            names = ", ".join(cases[:5]) + (f" and {len(cases) - 5} more" if cases[5:] else "")
            yield Finding(
                "warning", "", column, f"{len(cases)} of {len(cohort)} cases have none: {names}",
                "complete them, or leave them out of jobs that need it",
            )  # fmt: skip


def _synthetic(cohort: Cohort) -> Iterator[Finding]:
    """A finding for each column's synthetic images of one generator: an error when it knows patients of val or test."""
    if set(cohort.table["split"]) - {*SPLITS, ""}:
        return  # a fault of the table, which is said on its own
    alike: dict[tuple[str, str], list[str]] = {}
    leaks: set[tuple[str, str]] = set()
    for entry in synthetic_entries(cohort):
        alike.setdefault((entry.column, entry.what), []).append(entry.case)
        leaks |= {(entry.column, entry.what)} if entry.leaked else set()
    for (column, what), cases in alike.items():
        names = ", ".join(cases[:4]) + (f" and {len(cases) - 4} more" if cases[4:] else "")
        if (column, what) in leaks:
            yield Finding("error", names, column, what, "take these patients out of val and test")
        else:
            yield Finding("warning", names, column, what, "train on it only if its generator never saw val and test")


def _patients(cohort: Cohort) -> Iterator[Finding]:
    """Findings where one patient's name may stand for several: DICOM PatientIDs that differ, or very many cases."""
    from radloom.io.dicom import find_series

    for patient, rows in cohort.table.groupby("patient", sort=False):
        if len(rows) > _MANY_CASES:
            yield Finding(
                "warning", "", "", f'patient "{patient}" has {len(rows)} cases',
                "correct the column patient if this is a group of people, such as a folder HGG",
            )  # fmt: skip
        paths = {cohort.root / text for column in cohort.image_columns for text in rows[column] if text}
        folders = sorted(path for path in paths if path.is_dir() and io.is_image(path))
        ids = sorted({series.patient for folder in folders for series in find_series(folder) if series.patient})
        if len(ids) > 1:
            yield Finding(
                "error", ", ".join(rows["case"]), "",
                f'patient "{patient}" has DICOM files of {len(ids)} patients: {", ".join(ids[:4])}',
                "give each patient a name of its own in the table",
            )  # fmt: skip


def _open(cohort: Cohort, case: str) -> tuple[dict[str, Image], list[Finding]]:
    """The images of a case that open, and a finding for each that does not; absent paths are the table's faults."""
    images, findings = {}, []
    for column in cohort.image_columns:
        path = cohort.path(case, column)
        if path is None or not path.exists():
            continue
        try:
            images[column] = cohort.image(case, column)
        except RadloomError as error:
            findings.append(
                Finding("error", case, column, f"does not open: {str(error).rstrip('.')}", "replace the file")
            )
    return images, findings


def _image_findings(case: str, column: str, image: Image) -> Iterator[Finding]:
    voxels = image.voxels
    if not np.isfinite(voxels).all():
        count = int(np.sum(~np.isfinite(voxels)))
        yield Finding(
            "error", case, column, f"{count} of {voxels.size} voxels are NaN or infinite", "export the image again"
        )
    elif image.kind == "label" and not np.equal(voxels, np.round(voxels)).all():
        yield Finding(
            "error", case, column, "the mask has values that are not whole numbers",
            "resample masks by nearest neighbour, or name the column image.*",
        )  # fmt: skip
    elif image.kind == "label" and not voxels.any():
        yield Finding("warning", case, column, "the mask is empty", "make sure that there is nothing to outline")
    elif voxels.min() == voxels.max() and image.kind == "intensity":
        yield Finding(
            "error", case, column, f"every voxel is {voxels.flat[0]:g}", "export the image again or leave it out"
        )
    spacing = image.spacing_mm
    shown = " x ".join(f"{mm:.4g}" for mm in spacing)
    if min(spacing) < _SPACING_MM[0] or max(spacing) > _SPACING_MM[1]:
        yield Finding(
            "error", case, column, f"the spacing is {shown} mm, outside {_SPACING_MM[0]:g} to {_SPACING_MM[1]:g} mm",
            "check the header's unit",
        )  # fmt: skip
    elif max(spacing) / min(spacing) > _ANISOTROPY:
        yield Finding(
            "error", case, column,
            f"the spacing is {shown} mm, {max(spacing) / min(spacing):.0f} times longer along one axis",
            "check the distance between slices in the header",
        )  # fmt: skip


def _grid_findings(case: str, images: dict[str, Image]) -> Iterator[Finding]:
    """One finding for each entry that does not lie on the grid of the case's first image."""
    first = next((column for column in images if column.startswith("image.")), next(iter(images), ""))
    for column, image in images.items():
        try:
            check_one_grid(Case(case, "", {first: images[first], column: image}))
        except RadloomError as error:
            yield Finding(
                "error", case, column, str(error).split(";")[0],
                f"build the cohort again with --like {first} or --spacing 1,1,1",
            )  # fmt: skip


def _duplicate(
    seen: dict[str, tuple[str, str, str]], cohort: Cohort, case: str, column: str, image: Image
) -> Iterator[Finding]:
    """A finding when another entry has the same voxels: an error across patients, whose splits would then leak."""
    if image.kind == "label" or image.voxels.min() == image.voxels.max():
        return
    patient = cohort.patient(case)
    voxels = np.ascontiguousarray(image.voxels)
    digest = hashlib.sha256(f"{voxels.shape}{voxels.dtype}".encode() + voxels.tobytes()).hexdigest()
    other = seen.setdefault(digest, (case, column, patient))
    if other != (case, column, patient):
        yield Finding(
            "error" if other[2] != patient or other[0] == case else "warning", case, column,
            f"has the same voxels as {other[0]} {other[1]}"
            + (f" of another patient ({other[2]})" if other[2] != patient else ""),
            "remove one of them, or correct the path",
        )  # fmt: skip
