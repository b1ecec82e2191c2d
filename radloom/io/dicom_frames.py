"""A DICOM file -> its slices with their places in the patient: single slices, multi-frame files, Siemens mosaics."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radloom.errors import RadloomError
from radloom.io.dicom_pixels import rescaled, stored, unit
from radloom.io.raster import UNIT as UNKNOWN_SPACING

if TYPE_CHECKING:
    import pydicom


@dataclass(frozen=True, eq=False)
class Placed:
    """A slice in the patient (LPS+, mm)."""

    rows: np.ndarray  # (row, column)
    position: np.ndarray  # (3,) centre of the first voxel
    along_row: np.ndarray  # (3,) unit vector, the way in which the column index grows
    along_column: np.ndarray  # (3,) unit vector, the way in which the row index grows
    spacing_mm: tuple[float, float]  # between rows, between columns
    thickness_mm: float  # distance to a next slice when this one is alone
    where: str  # file and frame, for messages


@dataclass(frozen=True, eq=False)
class Unplaced:
    """A picture without a place in the patient: a radiograph."""

    rows: np.ndarray
    spacing_mm: tuple[float, float]
    unit: str


def frames(dataset: pydicom.Dataset, path: Path) -> list[Placed] | Unplaced:
    """The slices of a file in the order in which it holds them, or its one picture when it has no position."""
    pixels = stored(dataset, path)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return _enhanced(dataset, pixels, path)
    if len(pixels) > 1:
        raise RadloomError(
            f"{path} holds {len(pixels)} frames without positions in the patient",
            expected="one slice, or per-frame functional groups",
            do="convert the frames to NIfTI with the scanner maker's tool or dcm2niix",
        )
    values = rescaled(
        dataset, pixels[0], _number(dataset, "RescaleSlope", 1.0), _number(dataset, "RescaleIntercept", 0.0)
    )
    if not dataset.get("ImagePositionPatient") or not dataset.get("ImageOrientationPatient"):
        return _unplaced(dataset, values)
    single = _placed(values, _classic(dataset), path, path.name)
    return _mosaic(dataset, single, path) if "MOSAIC" in (dataset.get("ImageType") or ()) else [single]


def _unplaced(dataset: pydicom.Dataset, values: np.ndarray) -> Unplaced:
    """The picture with the spacing that the file states: in the patient, at the detector, of the film; else 1 mm."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = dataset.get(name)
        if spacing and len(spacing) == 2 and min(map(float, spacing)) > 0:
            return Unplaced(values, (float(spacing[0]), float(spacing[1])), unit(dataset))
    return Unplaced(values, (1.0, 1.0), UNKNOWN_SPACING)


def _classic(dataset: pydicom.Dataset) -> dict[str, Any]:
    names = (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SpacingBetweenSlices",
        "SliceThickness",
    )
    return {name: dataset.get(name) for name in names}


def _enhanced(dataset: pydicom.Dataset, pixels: np.ndarray, path: Path) -> list[Placed]:
    """The frames of an enhanced multi-frame file; what is not stated per frame is taken from the shared group."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if len(groups) != len(pixels):
        raise RadloomError(
            f"{path} has {len(pixels)} frames and {len(groups)} frame headers", expected="as many of both"
        )

    def of(frame: Any, sequence: str, name: str) -> Any:
        for group in (frame, shared):
            if group is not None and group.get(sequence) and name in group[sequence].value[0]:
                return group[sequence].value[0][name].value
        return dataset.get(name)

    result = []
    for i, (frame, rows) in enumerate(zip(groups, pixels, strict=True)):
        geometry = {
            "ImagePositionPatient": of(frame, "PlanePositionSequence", "ImagePositionPatient"),
            "ImageOrientationPatient": of(frame, "PlaneOrientationSequence", "ImageOrientationPatient"),
            "PixelSpacing": of(frame, "PixelMeasuresSequence", "PixelSpacing"),
            "SpacingBetweenSlices": of(frame, "PixelMeasuresSequence", "SpacingBetweenSlices"),
            "SliceThickness": of(frame, "PixelMeasuresSequence", "SliceThickness"),
        }
        slope = of(frame, "PixelValueTransformationSequence", "RescaleSlope")
        intercept = of(frame, "PixelValueTransformationSequence", "RescaleIntercept")
        values = rescaled(dataset, rows, float(1.0 if slope is None else slope), float(intercept or 0.0))
        result.append(_placed(values, geometry, path, f"{path.name} frame {i + 1}"))
    return result


def _placed(values: np.ndarray, geometry: dict[str, Any], path: Path, where: str) -> Placed:
    """The slice at the place that its header states; RadloomError when the header does not say where that is."""
    position = [float(v) for v in geometry["ImagePositionPatient"] or ()]
    direction = [float(v) for v in geometry["ImageOrientationPatient"] or ()]
    spacing = [float(v) for v in geometry["PixelSpacing"] or ()]
    if len(position) != 3 or len(direction) != 6 or len(spacing) != 2 or min(spacing) <= 0:
        raise RadloomError(
            f"{path} ({where}) does not say where its slice lies (position {position}, directions {direction}, "
            f"spacing {spacing})",
            expected="ImagePositionPatient, ImageOrientationPatient and PixelSpacing above 0 mm",
        )
    row, column = np.array(direction[:3]), np.array(direction[3:])
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(row @ column) > 1e-2:
        raise RadloomError(f"{path} ({where}) has directions {direction}", expected="two orthogonal unit vectors")
    stated = [abs(float(geometry[name])) for name in ("SpacingBetweenSlices", "SliceThickness") if geometry[name]]
    thickness = next((value for value in stated if value > 0), 1.0)  # nothing stated: one voxel thick, as a picture
    return Placed(
        values, np.array(position), row / lengths[0], column / lengths[1], (spacing[0], spacing[1]), thickness, where
    )


def _mosaic(dataset: pydicom.Dataset, whole: Placed, path: Path) -> list[Placed]:
    """The slices of a Siemens mosaic: tiles row by row, along the slice normal of the private CSA header.

    The header's position is that of a single slice as large as the mosaic, with the same centre: half the difference
    of the two sizes leads to the true corner.
    """
    count, normal = _mosaic_header(dataset)
    gap = _number(dataset, "SpacingBetweenSlices", 0.0)
    if count < 1 or normal is None or gap <= 0:
        raise RadloomError(
            f"{path} is a Siemens mosaic whose private header does not say how its slices lie",
            expected="NumberOfImagesInMosaic, SliceNormalVector and SpacingBetweenSlices",
            do="convert it with dcm2niix, or export it from the scanner as single slices",
        )
    side = math.ceil(math.sqrt(count))
    height, width = (size // side for size in whole.rows.shape)
    corner = (
        whole.position
        + whole.along_row * whole.spacing_mm[1] * (whole.rows.shape[1] - width) / 2
        + whole.along_column * whole.spacing_mm[0] * (whole.rows.shape[0] - height) / 2
    )
    result = []
    for i in range(count):
        top, left = i // side * height, i % side * width
        tile = whole.rows[top : top + height, left : left + width]
        result.append(
            Placed(tile, corner + normal * gap * i, whole.along_row, whole.along_column, whole.spacing_mm, gap,
                   f"{path.name} tile {i + 1}")
        )  # fmt: skip
    return result


def _mosaic_header(dataset: pydicom.Dataset) -> tuple[int, np.ndarray | None]:
    """The number of slices and their unit normal (LPS+) from the private header; 0 and None where it does not say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM code experimental; mosaics are tested here
        from nibabel.nicom import csareader

    try:
        header = csareader.get_csa_header(dataset, "image")
        normal = csareader.get_slice_normal(header) if header else None
        count = csareader.get_n_mosaic(header) if header else None
    except (csareader.CSAReadError, ValueError, KeyError):
        return 0, None
    if normal is None or not 0.9 < np.linalg.norm(normal) < 1.1:
        return 0, None
    private = dataset.get((0x0019, 0x100A))
    stated = int(private.value) if private is not None and str(private.value).isdigit() else 0
    return int(count or stated), np.asarray(normal, float) / np.linalg.norm(normal)


def _number(dataset: pydicom.Dataset, name: str, default: float) -> float:
    value = dataset.get(name)
    return default if value is None or value == "" else float(value)
