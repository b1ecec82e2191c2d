"""Where the slices of a DICOM series lie in the patient, for outlines that are given in pixels of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radloom.errors import RadloomError


@dataclass(frozen=True, eq=False)
class Slice:
    """One file of a series. affine: (4, 4), (column, row, 0) -> mm to the Left, Posterior and Superior."""

    uid: str
    instance: int
    modality: str
    affine: np.ndarray


def read_slices(files: Sequence[Path]) -> list[Slice]:
    """The slices of a series by instance number. Raises RadloomError for a file without a position."""
    import pydicom

    slices = []
    for path in files:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "ImagePositionPatient" not in header or "ImageOrientationPatient" not in header:
            raise RadloomError(f"{path} has no position in the patient", expected="a slice of a CT or MR series")
        along_row, along_column = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
        row_mm, column_mm = (float(value) for value in header.PixelSpacing)
        affine = np.eye(4)
        affine[:3, 0] = along_row * column_mm
        affine[:3, 1] = along_column * row_mm
        affine[:3, 2] = np.cross(along_row, along_column)
        affine[:3, 3] = np.array(header.ImagePositionPatient, dtype=float)
        uid, instance = str(header.SOPInstanceUID), int(header.get("InstanceNumber") or 0)
        slices.append(Slice(uid, instance, str(header.get("Modality", "")), affine))
    return sorted(slices, key=lambda one: one.instance)


def first_modality(files: Sequence[Path]) -> str:
    """The Modality of the first file: "CT", "MR", "DX", ..."""
    import pydicom

    return str(pydicom.dcmread(files[0], stop_before_pixels=True, specific_tags=["Modality"]).get("Modality", ""))
