"""Files <-> Image: `read`, `write`, `is_image`. Each format's library is imported when a file of it is met."""

from __future__ import annotations

from pathlib import Path

from radloom.errors import RadloomError
from radloom.types import Image, Kind

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
RASTER = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
RAW = (".npz", ".npy")
DICOM = (".dcm", ".dicom", ".ima")
EXTENSIONS = NIFTI + ITK + RASTER + RAW + DICOM


def extension(path: str | Path) -> str:
    """The extension that names the format, in lower case: ".nii.gz", ".png"; "" when it is none of EXTENSIONS."""
    name = Path(path).name.lower()
    return next((e for e in sorted(EXTENSIONS, key=len, reverse=True) if name.endswith(e)), "")


def is_image(path: str | Path) -> bool:
    """Whether `read` knows what to do with it: an image's extension, a DICOM file, or a folder with DICOM files in it.

    A folder counts when DICOM files lie directly in it. The content is not checked beyond DICOM's magic word.
    """
    path = Path(path)
    if path.is_dir():
        return any(_is_dicom(file) for file in sorted(path.iterdir()) if not file.name.startswith("."))
    return path.is_file() and (bool(extension(path)) or _is_dicom(path))


def read(path: str | Path, *, kind: Kind = "intensity") -> Image:
    """The image in a file, or in a folder that holds exactly one DICOM series; RAS+ mm."""
    path = Path(path)
    if not path.exists():
        raise RadloomError(f"no file or folder {path}", expected="an image or a folder with one DICOM series")
    if path.is_dir():
        return _read_folder(path, kind)
    found = extension(path)
    if found in NIFTI:
        from radloom.io import nifti as reader
    elif found in ITK:
        from radloom.io import itk as reader
    elif found in RASTER:
        from radloom.io import raster as reader
    elif found in RAW:
        from radloom.io import raw as reader
    elif found in DICOM or _is_dicom(path):
        from radloom.io.dicom import read_series

        return read_series([path], kind=kind)
    else:
        raise RadloomError(f"{path} is no image that radloom knows", expected=f"DICOM or one of {' '.join(EXTENSIONS)}")
    return reader.read(path, kind=kind)


def write(image: Image, path: str | Path, *, description: str = "") -> None:
    """Writes the image on its own grid, format by extension; `description` goes where the format has room for it."""
    path = Path(path)
    found = extension(path)
    if found in NIFTI:
        from radloom.io.nifti import write_nifti as writer
    elif found in ITK:
        from radloom.io.itk import write_itk as writer
    elif found in RASTER:
        from radloom.io.raster import write_raster as writer
    elif found in RAW:
        from radloom.io.raw import write_raw as writer
    elif found in DICOM:
        raise RadloomError(
            f"cannot write {path}: DICOM needs to know where the image comes from",
            do="use radloom export (in Python: radloom.io.dicom_write.write_series)",
        )
    else:
        known = " ".join(NIFTI + ITK + RASTER + RAW)
        raise RadloomError(f"cannot write {path}: unknown format", expected=f"one of {known}")
    writer(image, path, description=description)


def _read_folder(folder: Path, kind: Kind) -> Image:
    from radloom.io.dicom import find_series, read_series

    found = find_series(folder)
    if not found:
        images = [file.name for file in sorted(folder.iterdir()) if is_image(file)]
        here = f"{len(images)} image files, such as {images[0]}" if images else "no image"
        raise RadloomError(
            f"{folder} holds no DICOM series ({here})",
            expected="a folder with one DICOM series, or an image file",
            do="name the file" if images else "",
        )
    if len(found) > 1:
        names = "; ".join(series.name for series in found[:6]) + (
            f"; and {len(found) - 6} more" if len(found) > 6 else ""
        )
        raise RadloomError(
            f"{folder} holds {len(found)} DICOM volumes: {names}",
            expected="one series with one volume",
            do="put the files of each volume into a folder of its own and name that folder",
        )
    return read_series(found[0], kind=kind)


def _is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's magic word after its preamble."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
