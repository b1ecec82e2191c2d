"""The attributes of a derived DICOM slice, group by group: patient, series, pixels, derivation, modality. No axes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radloom.errors import RadloomError

if TYPE_CHECKING:
    from pydicom import Dataset

    from radloom.io.dicom import Series
    from radloom.io.dicom_write import Provenance, Stored
    from radloom.types import Image

SOP_CLASSES = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1",  # written as Computed Radiography
}
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge",
            "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod")  # fmt: skip
_STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
          "StudyDescription")  # fmt: skip
_PLACE = ("PatientPosition", "PatientOrientation", "Laterality", "PositionReferenceIndicator")
_EMPTY_IF_UNKNOWN = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
                     "ReferringPhysicianName", "StudyID", "AccessionNumber")  # fmt: skip
_PET_UNITS = {"Bq/ml": "BQML", "counts": "CNTS", "SUV": "GML", "1": "NONE"}


def source_headers(source: Series | None) -> list[Dataset]:
    """The headers of the source's files, without pixels; [] without a source."""
    from radloom.io.dicom_group import READ_ERRORS, dicom_file
    from radloom.io.values import unreadable

    headers = []
    for path in source.files if source else ():
        try:
            header = dicom_file(path, (*_PATIENT, *_STUDY, "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID",
                                       "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient",
                                       "PixelSpacing", "Rows", "Columns", *_PLACE,
                                       "BurnedInAnnotation", "SeriesNumber"))  # fmt: skip
        except READ_ERRORS as error:
            raise unreadable(path, error, "the DICOM file that the image was computed from") from error
        if header is None:
            raise RadloomError(f"{path} is no DICOM file any more", expected="the source of the image")
        headers.append(header)
    return headers


def series_module(
    mark: str, modality: str, description: str, salt: list[str], study: list[str], originals: list[Dataset]
) -> Dataset:
    """What all slices share: patient and study of the source (else clearly made up ones), series, equipment.

    salt: what the series' UID is made from. study: what study and frame of reference are made from without a source.
    """
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    shared = Dataset()
    shared.SpecificCharacterSet = "ISO_IR 192"
    if originals:
        for name in (*_PATIENT, *_STUDY, *_PLACE):
            if name in originals[0]:
                _copy_element(originals[0], shared, name)
    else:
        shared.PatientName, shared.PatientID = f"{mark}^{salt[0][:40]}", f"{mark}-{salt[3][:40]}"
        shared.StudyInstanceUID = generate_uid(entropy_srcs=[*study, "study"])
        shared.StudyDescription = f"{mark}: no patient"
    for name in _EMPTY_IF_UNKNOWN:
        if name not in shared:
            setattr(shared, name, None)
    shared.SOPClassUID = SOP_CLASSES[modality]
    shared.Modality = "CR" if modality == "DX" else modality
    shared.SeriesInstanceUID = generate_uid(entropy_srcs=[*salt, "series"])
    shared.SeriesNumber = 9000 + int(originals[0].get("SeriesNumber") or 0) % 1000 if originals else 9000
    shared.SeriesDescription = f"{mark} {description or salt[0]}"[:64]
    shared.Manufacturer, shared.ManufacturerModelName, shared.SoftwareVersions = "radloom", salt[0][:64], salt[1][:64]
    if modality in ("CR", "DX"):
        shared.BodyPartExamined, shared.ViewPosition = "", ""
        if "PatientOrientation" not in shared:
            shared.PatientOrientation = ""  # a picture's own convention says nothing about the patient
    else:
        shared.pop("PatientOrientation", None)  # the slice's position and directions say it better
        known = originals[0].get("FrameOfReferenceUID") if originals else None
        shared.FrameOfReferenceUID = known or generate_uid(entropy_srcs=[*study, "frame of reference"])
        for name in ("PatientPosition", "PositionReferenceIndicator"):
            if name not in shared:
                setattr(shared, name, "HFS" if name == "PatientPosition" else "")
    if "Laterality" not in shared:
        shared.Laterality = ""  # empty, for unknown: the validator misses it otherwise
    # The standard asks whether the annotation identifies the patient: our own mark does not, the source's may.
    shared.BurnedInAnnotation = "YES" if any(o.get("BurnedInAnnotation") == "YES" for o in originals) else "NO"
    return shared


def _copy_element(original: Dataset, shared: Dataset, name: str) -> None:
    """Copies an element; one that breaks the standard's rules (an age of "42") is left out where it is optional."""
    from pydicom.config import RAISE
    from pydicom.valuerep import validate_value

    element = original[name]
    if name not in _EMPTY_IF_UNKNOWN and name != "StudyInstanceUID":
        try:
            for value in element.value if element.VM > 1 else [element.value]:
                validate_value(element.VR, str(value), RAISE)
        except ValueError:
            return
    setattr(shared, name, element.value)


def copied(dataset: Dataset) -> Dataset:
    """A copy that shares no element with the original."""
    return copy.deepcopy(dataset)


def add_pixels(dataset: Dataset, stored: Stored, k: int, modality: str) -> None:
    """Adds the int16 values of slice k, their rescale and the window of the whole series."""
    rows = stored.values[:, :, k].T
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    if modality != "MR" or (stored.slope, stored.intercept) != (1.0, 0.0):  # the MR module knows no rescale
        dataset.RescaleIntercept, dataset.RescaleSlope = decimals([stored.intercept, stored.slope])
        if modality != "PT":
            dataset.RescaleType = "HU" if stored.unit == "HU" else "US"
    dataset.WindowCenter, dataset.WindowWidth = decimals(stored.window)
    dataset.LossyImageCompression = "00"
    dataset.PixelData = np.ascontiguousarray(rows, "<i2").tobytes()


def add_derivation(
    dataset: Dataset, provenance: Provenance, originals: list[Dataset], position: np.ndarray, image: Image
) -> None:
    """Adds what the image is, what made it and which images it was computed from."""
    pet = dataset.Modality == "PT"  # PET's module allows PRIMARY only
    dataset.ImageType = ["DERIVED", "PRIMARY" if pet else "SECONDARY", "OTHER"]
    dataset.SyntheticData = "YES" if provenance.synthetic else "NO"
    dataset.DerivationDescription = provenance.sentence
    meaning = "Image drawn by a generative model" if provenance.synthetic else "Image computed by a model"
    dataset.DerivationCodeSequence = [_code("GENERATED" if provenance.synthetic else "COMPUTED", "99RADLOOM", meaning)]
    equipment = copied(type(dataset)())
    equipment.PurposeOfReferenceCodeSequence = [_code("109100", "DCM", "Synthesizing Equipment")]
    equipment.Manufacturer, equipment.ManufacturerModelName = "radloom", provenance.system[:64]
    equipment.SoftwareVersions = provenance.version[:64]
    equipment.ContributionDescription = provenance.sentence
    dataset.ContributingEquipmentSequence = [equipment]
    if originals:
        at_same_place = [o for o in originals if same_plane(o, position, image)]
        preserved = "YES" if at_same_place else "NO"
        dataset.SourceImageSequence = [_source(o, preserved) for o in at_same_place or originals]


def same_plane(original: Dataset, position: np.ndarray, image: Image) -> bool:
    """Whether a source slice has the voxels of the slice at `position` (LPS+ mm): corner, directions, spacing, size."""
    if not original.get("ImagePositionPatient") or not original.get("PixelSpacing"):
        return False
    if (original.Columns, original.Rows) != image.shape[:2]:
        return False
    theirs = np.array([float(v) for v in original.ImagePositionPatient])
    direction = np.array([float(v) for v in original.ImageOrientationPatient])
    spacing = np.array(image.spacing_mm)
    ours = (image.affine[:3, :2] / spacing[:2] * np.array([[-1.0], [-1.0], [1.0]])).T.ravel()
    step = np.array([float(v) for v in original.PixelSpacing])
    return bool(
        np.abs(theirs - position).max() < 0.05
        and np.abs(direction - ours).max() < 1e-3
        and np.allclose(step, spacing[[1, 0]], rtol=1e-3)
    )


def _source(original: Dataset, preserved: str) -> Dataset:
    item = type(_code("", "", ""))()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = original.SOPClassUID, original.SOPInstanceUID
    item.SpatialLocationsPreserved = preserved
    item.PurposeOfReferenceCodeSequence = [_code("121322", "DCM", "Source image for image processing operation")]
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def add_modality(dataset: Dataset, modality: str, unit: str, slices: int, k: int) -> None:
    """Adds what the SOP class requires. Acquisition parameters stay empty: there was no acquisition."""
    if modality == "MR":
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "RM", "NONE", ""
        dataset.MRAcquisitionType, dataset.EchoTime, dataset.EchoTrainLength = "", None, None
        dataset.RepetitionTime = None
    elif modality == "CT":
        dataset.KVP, dataset.AcquisitionNumber = None, None
    elif modality == "PT":
        dataset.Units, dataset.DecayCorrection, dataset.CorrectedImage = _PET_UNITS[unit], "NONE", ""
        dataset.SeriesType, dataset.CountsSource = ["STATIC", "IMAGE"], "EMISSION"
        # PET's module demands dates; one that nobody takes for real stands where the study has none
        dataset.SeriesDate, dataset.SeriesTime = dataset.StudyDate or "19000101", dataset.StudyTime or "000000"
        dataset.NumberOfSlices, dataset.ImageIndex = slices, k + 1
        dataset.CollimatorType, dataset.FrameReferenceTime, dataset.ActualFrameDuration = "NONE", 0, 0
        dataset.AcquisitionDate, dataset.AcquisitionTime = dataset.SeriesDate, dataset.SeriesTime
        dataset.RadiopharmaceuticalInformationSequence = []
        dataset.pop("PatientPosition", None)  # the code sequences replace it
        dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []


def with_text(values: np.ndarray, text: str) -> np.ndarray:
    """(column, row, slice) values with the text in the top left corner of each slice, as bright as its maximum."""
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont

    columns, rows, _ = values.shape
    font = ImageFont.load_default(size=max(8, min(rows, columns) // 16))
    left, top, right, bottom = font.getbbox(text)
    picture = Picture.new("1", (columns, rows))
    margin = max(1, min(rows, columns) // 64)
    if right - left + 2 * margin > columns or bottom - top + 2 * margin > rows:
        raise RadloomError(
            f"the mark {text!r} does not fit into slices of {columns} x {rows}", expected="a shorter text"
        )
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, fill=1, font=font)
    letters = np.asarray(picture).T
    marked = values.copy()
    marked[: int(right - left + 2 * margin), : int(bottom - top + 2 * margin)] = values.min()
    marked[letters] = values.max()
    return marked


def save(dataset: Dataset, path: Path, salt: list[str], k: int) -> None:
    """Writes the slice as explicit little endian with a UID of its own."""
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[*salt, "slice", str(k)])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, dataset, enforce_file_format=True)


def decimals(numbers: Iterable[float]) -> list[str]:
    """The numbers in at most 16 characters, DICOM's decimal string."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(number)) for number in numbers]
