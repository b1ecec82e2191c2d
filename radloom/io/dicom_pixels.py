"""The values of a DICOM file's frames: decoding, rescaling, MONOCHROME1 and the unit. No geometry."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radloom.errors import RadloomError
from radloom.io.values import unreadable

if TYPE_CHECKING:
    import pydicom

_PET_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "SUV"}
_DECODE_ERRORS = (RuntimeError, ValueError, NotImplementedError, AttributeError, TypeError, OSError, KeyError)


def unit(dataset: pydicom.Dataset) -> str:
    """ "HU" for CT with a rescale to HU, the unit that Units names for PET, else "1"."""
    modality = dataset.get("Modality")
    if modality == "CT":
        transform = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0].get("PixelValueTransformationSequence")
        kind = (transform[0] if transform else dataset).get("RescaleType")
        rescaled = "RescaleSlope" in dataset or "PerFrameFunctionalGroupsSequence" in dataset
        return "HU" if rescaled and kind in (None, "", "HU") else "1"
    if modality == "PT":
        return _PET_UNITS.get(str(dataset.get("Units")), "1")
    return "1"


def stored(dataset: pydicom.Dataset, path: Path) -> np.ndarray:
    """The stored values as (frame, row, column), decoded when the file is compressed.

    pydicom decodes with its own code, Pillow or pyjpegls; what these cannot, SimpleITK's GDCM can. The plugin
    pylibjpeg is left out: its libjpeg part is GPL.
    """
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise RadloomError(f"{path} is a colour DICOM image", expected="grey values (SamplesPerPixel 1)")
    if "PixelData" not in dataset and "FloatPixelData" not in dataset:
        raise RadloomError(f"{path} holds no pixels", expected="a DICOM image", do="it may be truncated: copy it again")
    try:
        pixels = _decoded(dataset)
    except _DECODE_ERRORS as error:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise unreadable(path, error, f"complete pixel data ({syntax})") from error
    return pixels.reshape(-1, int(dataset.Rows), int(dataset.Columns))


def _decoded(dataset: pydicom.Dataset) -> np.ndarray:
    from pydicom.pixels import get_decoder, pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return pixel_array(dataset)
    for plugin in get_decoder(syntax).available_plugins:
        if plugin == "pylibjpeg":
            continue
        try:
            return pixel_array(dataset, decoding_plugin=plugin)
        except _DECODE_ERRORS:
            continue  # the next decoder may know this variant; SimpleITK's error is the one that is reported
    return _decoded_by_gdcm(dataset)


def _decoded_by_gdcm(dataset: pydicom.Dataset) -> np.ndarray:
    """The stored values through SimpleITK, from a copy without what ITK would apply: rescale, MONOCHROME1."""
    import pydicom
    import SimpleITK as sitk
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    bare = pydicom.Dataset()
    for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames"):
        if name in dataset:
            setattr(bare, name, dataset[name].value)
    bare.SamplesPerPixel, bare.PhotometricInterpretation = 1, "MONOCHROME2"
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    bare.add(dataset["PixelData"])
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pixels.dcm"
        pydicom.dcmwrite(copy, bare, enforce_file_format=True)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(copy)))


def rescaled(dataset: pydicom.Dataset, frame: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """The frame's values in its unit: integers when the rescale keeps them whole, else float32."""
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1" and unit(dataset) == "1":
        frame = _inverted(dataset, frame)
    if "ModalityLUTSequence" in dataset:
        from pydicom.pixels import apply_modality_lut

        return np.asarray(apply_modality_lut(frame, dataset))
    if frame.dtype.kind == "f" or slope != 1.0 or intercept != round(intercept):
        return (frame * np.float64(slope) + intercept).astype(np.float32)
    values = frame.astype(np.int64) + round(intercept)
    low, high = values.min(), values.max()
    return values.astype(np.int16 if low >= -(2**15) and high < 2**15 else np.int32)


def _inverted(dataset: pydicom.Dataset, frame: np.ndarray) -> np.ndarray:
    """The frame with the stored range turned over: white on screen becomes the biggest value."""
    if frame.dtype.kind == "f":
        return frame.max() + frame.min() - frame
    bits = int(dataset.BitsStored)
    ends = -1 if int(dataset.PixelRepresentation) else 2**bits - 1  # lowest + highest stored value
    return ends - frame.astype(np.int64)
