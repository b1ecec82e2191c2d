"""NIfTI files <-> Image. The sform gives the grid, else the qform; a file with neither is refused."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.io.orient import canonical
from radloom.io.values import typed, unreadable, volume
from radloom.types import Image, Kind

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_MM = {"meter": 1000.0, "micron": 0.001}  # the header's length unit in mm; "mm" and "unknown" are taken as mm
_UNITS = ("HU", "SUV", "Bq/ml", "counts", "grey")  # units that `write_nifti` keeps in intent_name and `read` takes back


def read(path: Path, *, kind: Kind = "intensity") -> Image:
    """The image in a .nii or .nii.gz file, RAS+ mm, with scl_slope and scl_inter applied.

    Without sform and qform nobody knows which side is left, and programs guess differently (nibabel and SPM flip x,
    ITK does not): such a file is refused. Values that are not finite are kept: the audit reports them.
    """
    from nibabel.filebasedimages import ImageFileError
    from nibabel.nifti1 import load
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        file = load(path)
        if file.ndim > 3 and int(np.prod(file.shape[3:])) > 1:
            volume(np.broadcast_to(np.uint8(0), file.shape), path)  # refuses before gigabytes are read
        voxels = np.asanyarray(file.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError, WrapStructError) as error:
        raise unreadable(path, error, "a complete NIfTI file") from error
    affine = _affine(file.header, path)
    unit = bytes(file.header["intent_name"].item()).decode("latin-1")
    return canonical(
        Image(typed(volume(voxels, path), kind, path), affine, kind=kind, unit=unit if unit in _UNITS else "1")
    )


def _affine(header: Nifti1Header, path: Path) -> np.ndarray:
    if int(header["sform_code"]) > 0:
        affine = header.get_sform()
    elif int(header["qform_code"]) > 0:
        affine = header.get_qform()
    else:
        raise RadloomError(
            f"{path} has neither sform nor qform, so that left and right are unknown",
            expected="a NIfTI header with sform_code or qform_code above 0",
            do="write the affine into the file with the program that made it (nibabel: set_sform(affine, code=1))",
        )
    length = _MM.get(str(header.get_xyzt_units()[0]), 1.0)
    return np.diag([length, length, length, 1.0]) @ np.asarray(affine, dtype=float)


def write_nifti(image: Image, path: Path, *, description: str = "") -> None:
    """Writes a .nii or .nii.gz file on the image's own grid: sform and qform, mm, `description` (79 bytes at most).

    A sheared grid is whole in the sform only; a qform cannot hold it. Values keep their type, without rescaling.
    """
    from nibabel.nifti1 import Nifti1Image

    if len(description.encode()) > 79:
        raise RadloomError(f"a NIfTI description of {len(description.encode())} bytes", expected="at most 79 bytes")
    file = Nifti1Image(_storable(image.voxels), image.affine)
    file.header.set_xyzt_units("mm")
    file.header["descrip"] = description.encode()
    if image.unit in _UNITS:
        file.header["intent_name"] = image.unit.encode()
    file.set_sform(image.affine, code=1)
    file.set_qform(image.affine, code=1, strip_shears=True)
    with whole_file(path) as temporary:
        file.to_filename(temporary)


def _storable(voxels: np.ndarray) -> np.ndarray:
    """The voxels in a type that every NIfTI reader knows: no bool, half or 64-bit integers."""
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float16:
        return voxels.astype(np.float32)
    if voxels.dtype.itemsize == 8 and voxels.dtype.kind in "iu":
        if voxels.min() < -(2**31) or voxels.max() >= 2**31:
            raise RadloomError("an image has integers beyond 32 bits", expected="values that NIfTI readers can hold")
        return voxels.astype(np.int32)
    return voxels
