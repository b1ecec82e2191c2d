"""DICOM series -> Image: which volumes lie in a folder, and the voxels of one. Writing is in dicom_write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from radloom.errors import RadloomError
from radloom.io.orient import LPS_TO_RAS, canonical
from radloom.io.values import typed, unreadable
from radloom.types import Image, Kind

if TYPE_CHECKING:
    import pydicom


@dataclass(frozen=True)
class Series:
    """One volume's files: those of one SeriesInstanceUID that share grid, echo, b-value and time point."""

    uid: str
    study_uid: str
    patient: str
    description: str
    modality: str
    manufacturer: str
    model: str
    date: str
    files: tuple[Path, ...]
    shape: tuple[int, int, int]  # columns, rows, files (or frames of a multi-frame file)
    part: str  # what sets this volume apart from others of its UID: "EchoTime 30"; "" when it is the only one

    @property
    def name(self) -> str:
        """What a person calls it: description, modality, number of files, and which part of the series it is."""
        text = (
            f"{self.description or 'no description'!r} ({self.modality or 'unknown modality'}, {len(self.files)} files"
        )
        return text + (f", {self.part})" if self.part else ")")


def find_series(folder: Path) -> list[Series]:
    """The image volumes in a folder and its below, sorted by patient, date, series and part; the rest is passed over.

    A series that holds several volumes (orientations, echoes, b-values, time points) comes back as several Series.
    """
    from radloom.io.dicom_group import headers_in, volumes

    if not Path(folder).is_dir():
        raise RadloomError(f"no folder {folder}", expected="a folder with DICOM files")
    found = []
    for part, headers in volumes(headers_in(Path(folder))):
        paths, first = tuple(h.path for h in headers), headers[0].tags
        shape = (int(first.Columns), int(first.Rows), max(len(paths), int(first.get("NumberOfFrames") or 1)))
        found.append(
            Series(
                uid=_text(first, "SeriesInstanceUID"), study_uid=_text(first, "StudyInstanceUID"),
                patient=_text(first, "PatientID"), description=_text(first, "SeriesDescription"),
                modality=_text(first, "Modality"), manufacturer=_text(first, "Manufacturer"),
                model=_text(first, "ManufacturerModelName"),
                date=_text(first, "StudyDate") or _text(first, "SeriesDate"),
                files=paths, shape=shape, part=part,
            )
        )  # fmt: skip
    return sorted(found, key=lambda s: (s.patient, s.date, s.uid, s.part, s.files))


def read_series(series: Series | Sequence[Path], *, kind: Kind = "intensity") -> Image:
    """The image of one volume, RAS+ mm; unit "HU" for CT, as Units says for PET, else "1".

    Slices are ordered by position along their normal, never by name or number. Values are rescaled slice by slice.
    MONOCHROME1 is inverted within the stored bits, so that bigger is brighter, except where values are physical (HU,
    Bq/ml). A file without a position in the patient (a radiograph) follows the convention of `raster`.
    """
    from radloom.io.dicom_frames import Placed, frames
    from radloom.io.dicom_grid import stacked
    from radloom.io.dicom_pixels import unit
    from radloom.io.raster import picture

    files = series.files if isinstance(series, Series) else tuple(Path(path) for path in series)
    if not files:
        raise RadloomError("a DICOM series without files", expected="at least one file")
    placed: list[Placed] = []
    units: set[str] = set()
    for path in files:
        dataset = _dataset(path)
        units.add(unit(dataset))
        found = frames(dataset, path)
        if not isinstance(found, list):
            if len(files) > 1:
                raise RadloomError(
                    f"{path} has no ImagePositionPatient, so that {len(files)} files cannot be ordered",
                    expected="a position in every slice, or one file",
                )
            return picture(typed(found.rows, kind, path), found.spacing_mm, kind=kind, unit=found.unit)
        placed += found
    if len(units) > 1:
        raise RadloomError(f"{files[0].parent}: slices in different units ({', '.join(sorted(units))})", expected="one")
    voxels, affine = stacked(placed)
    return canonical(Image(typed(voxels, kind, files[0]), LPS_TO_RAS @ affine, kind=kind, unit=units.pop()))


def _dataset(path: Path) -> pydicom.Dataset:
    from radloom.io.dicom_group import READ_ERRORS, dicom_file

    try:
        dataset = dicom_file(path)
    except READ_ERRORS as error:
        raise unreadable(path, error, "a complete DICOM file") from error
    if dataset is None or "Rows" not in dataset or "Columns" not in dataset:
        raise RadloomError(f"{path} is no DICOM image", expected="a DICOM file with Rows, Columns and pixels")
    if dataset.get("Modality") == "SEG":
        raise RadloomError(
            f"{path} is a DICOM segmentation object, which radloom does not read",
            expected="an image series",
            do="convert the segmentation to NIfTI (dcmqi segimage2itkimage or highdicom)",
        )
    return dataset


def _text(dataset: pydicom.Dataset, name: str) -> str:
    value = dataset.get(name)
    return "" if value is None else str(value).strip()
