"""What a folder holds, before anybody decides what it means: image files and DICOM series, and entries of a cohort."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from radloom import io
from radloom.data.labels import LabelMap
from radloom.errors import RadloomError
from radloom.types import Image


@dataclass(frozen=True)
class Found:
    """An image file, or a DICOM series, below a folder.

    parts: its path from that folder; a series that shares its folder with others ends in its description.
    path: the file or the series' folder. files: the series' files where the folder holds several series.
    title: the words that may say what it is: the file's name, or the series' folder and description.
    dicom_patient, vendor, uid: the DICOM PatientID, Manufacturer and SeriesInstanceUID.
    read: makes the image where `io` cannot read it from the file as it is; the cohort then holds a copy.
    """

    parts: tuple[str, ...]
    path: Path
    title: str
    files: tuple[Path, ...] = ()
    is_series: bool = False
    dicom_patient: str = ""
    vendor: str = ""
    uid: str = ""
    read: Callable[[], Image] | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """What a person finds it by."""
        return f"{self.path} ({self.title})" if self.files else str(self.path)

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The image file, or every file of the series."""
        if self.files or not self.is_series:
            return self.files or (self.path,)
        inside = (file for file in self.path.rglob("*") if file.is_file() and not file.name.startswith("."))
        return tuple(sorted(file for file in inside if io.extension(file) in ("", *io.DICOM) and io.is_image(file)))


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of the cohort table to be: an image that was found, or a word (`text`), also of site and vendor.

    labels: what the mask's values mean; None keeps them.
    """

    case: str
    patient: str
    column: str
    found: Found | None = None
    text: str = ""
    labels: LabelMap | None = None


def scan(folder: Path) -> list[Found]:
    """Every image file and DICOM series below the folder, in the order of names; hidden files are left out."""
    found: list[Found] = []
    tops: set[Path] = set()
    files = (Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names)
    for file in sorted(files):
        parts = file.relative_to(folder).parts
        if any(part.startswith(".") for part in parts):
            continue
        extension = io.extension(file)
        if extension and extension not in io.DICOM:
            found.append(Found(parts, file, file.name[: -len(extension)]))
        elif io.is_image(file):
            tops.add(folder / parts[0] if parts[1:] else folder)
    # One folder at a time, so that a series that was copied into two patients' folders is found twice.
    for top in [folder] if folder in tops else sorted(tops):
        found += _series(folder, top)
    return found


def stem_without(title: str, case: str) -> str:
    """The title without the case's name in front of it, so that a patient called T2 decides nothing."""
    return title[len(case) :] if title.lower().startswith(case.lower()) else title


def name_case(folder: Path, parts: tuple[str, ...]) -> tuple[str, str]:
    """The case and its patient: A/B is case A_B of patient A; the folder itself is a case by its own name."""
    if not parts:
        name = folder.resolve().name
        return name, name
    return "_".join(parts), "_".join(parts[:-1]) or parts[0]


def refuse_images(folder: Path, found: list[Found], expected: str) -> RadloomError:
    """The error for images whose names decide nothing."""
    names = ", ".join("/".join(one.parts) for one in found[:6]) + (f" and {len(found) - 6} more" if found[6:] else "")
    return RadloomError(
        f"cannot tell what these images in {folder} are: {names}",
        expected=expected,
        do="write a table with the columns pattern,column (such as *_t1_bet.nii.gz,image.t1) and name it with --map",
    )


def _series(folder: Path, top: Path) -> list[Found]:
    from radloom.io.dicom import find_series

    found = []
    series = find_series(top)
    for one in series:
        place = Path(os.path.commonpath([file.parent for file in one.files]))
        others = (file for other in series if other is not one for file in other.files)
        alone = not any(file.is_relative_to(place) for file in others)
        parts = place.relative_to(folder).parts
        words = " ".join(word for word in (one.description, one.part) if word) or one.uid
        about = (one.patient, one.manufacturer, one.uid)
        if alone:
            found.append(Found(parts or (words,), place, f"{place.name} {words}", (), True, *about))
        else:
            found.append(Found((*parts, words), place, words, one.files, True, *about))
    return found
