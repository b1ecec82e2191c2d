"""Small files as public data sets have them: volumes, pictures, DICOM series and texts.

Puts this folder on the path, so that the tests of layouts find what they share (`layout_cases`).
"""

import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

sys.path.insert(0, str(Path(__file__).parent))

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="session")
def volume() -> Callable:
    """A function that writes a NIfTI volume; with labels, a mask that holds them first and 0 elsewhere."""

    def write(path: Path, labels: list[int] | None = None, *, shape=(5, 4, 3), spacing=(1.0, 1.0, 2.0)) -> Path:
        voxels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        if labels is not None:
            voxels = np.zeros(shape, np.uint8)
            voxels.ravel()[: len(labels)] = labels
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.nifti1.Nifti1Image(voxels, np.diag([*spacing, 1])).to_filename(path)
        return path

    return write


@pytest.fixture(scope="session")
def film() -> Callable:
    """A function that writes a grey picture of 6 rows and 8 columns, or these rows."""

    def write(path: Path, rows: np.ndarray | None = None) -> Path:
        import PIL.Image

        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) if rows is None else rows).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def text() -> Callable:
    """A function that writes a text file."""

    def write(path: Path, content: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def series() -> Callable:
    """A function that writes a CT series: slices of 3 mm, pixels of 0.5 mm, first pixel at (-10, -20, 100) mm.

    Slice k holds 100 k + 10 row + column; its SOPInstanceUID is the series' with ".k", its InstanceNumber is k + 1.
    """

    def write(
        folder: Path, *, patient: str, uid: str, names: list[str] | None = None, slices: int = 3, rows: int = 6,
        columns: int = 7, modality: str = "CT", description: str = "", maker: str = "SIEMENS", step_mm: float = 3.0,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        for k in range(slices):
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
                pydicom.uid.UID(CT),
                pydicom.uid.UID(f"{uid}.{k}"),
            )
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
            one.SOPClassUID, one.SOPInstanceUID, one.Modality, one.PatientID = CT, f"{uid}.{k}", modality, patient
            one.SeriesInstanceUID, one.StudyInstanceUID = uid, f"{uid}.9"
            one.SeriesDescription, one.Manufacturer, one.InstanceNumber = description, maker, k + 1
            one.Rows, one.Columns, one.PixelSpacing = rows, columns, [0.5, 0.5]
            one.ImageOrientationPatient, one.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-10, -20, 100 + k * step_mm]
            one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
            one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
            one.RescaleSlope, one.RescaleIntercept = 1, 0
            grid = 100 * k + 10 * np.arange(rows)[:, None] + np.arange(columns)[None]
            one.PixelData = grid.astype("<i2").tobytes()
            one.save_as(folder / (names[k] if names else f"{k + 1}.dcm"), enforce_file_format=True)

    return write
