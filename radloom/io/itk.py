"""NRRD and MetaImage files <-> Image, through SimpleITK; LPS on disk, RAS+ here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.io.orient import LPS_TO_RAS, canonical
from radloom.io.values import typed, unreadable, volume
from radloom.types import Image, Kind


def read(path: Path, *, kind: Kind = "intensity") -> Image:
    """The image in a .nrrd, .nhdr, .mha or .mhd file, RAS+ mm.

    A 2D file has no place in the patient: its x runs to the Left, its y to the Posterior, as for pictures.
    """
    import SimpleITK as sitk

    try:
        file = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise unreadable(path, error, "a complete NRRD or MetaImage file") from error
    channels = file.GetNumberOfComponentsPerPixel()
    if channels != 1:
        raise RadloomError(
            f"{path} has {channels} values per voxel", expected="one", do="write each channel to its own file"
        )
    voxels = volume(sitk.GetArrayFromImage(file).T, path)
    dims = min(file.GetDimension(), 3)
    direction = np.array(file.GetDirection()).reshape(file.GetDimension(), -1)[:dims, :dims]
    affine = np.eye(4)
    affine[:dims, :dims] = direction * np.array(file.GetSpacing()[:dims])
    affine[:dims, 3] = file.GetOrigin()[:dims]
    return canonical(Image(typed(voxels, kind, path), LPS_TO_RAS @ affine, kind=kind))


def write_itk(image: Image, path: Path, *, description: str = "") -> None:
    """Writes a compressed .nrrd or .mha file on the image's own grid; `description` becomes a header entry."""
    import SimpleITK as sitk

    if path.suffix.lower() not in (".nrrd", ".mha"):
        raise RadloomError(f"cannot write {path}: header and voxels in two files", do="write .nrrd or .mha instead")
    affine = LPS_TO_RAS @ image.affine
    spacing = np.array(image.spacing_mm)
    direction = affine[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-4:
        raise RadloomError(
            f"cannot write {path}: the grid is sheared", expected="orthogonal axes", do="write .nii.gz or resample"
        )
    voxels = image.voxels.astype(np.uint8) if image.voxels.dtype.kind == "b" else image.voxels
    file = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    file.SetSpacing(spacing.tolist())
    file.SetDirection(direction.ravel().tolist())
    file.SetOrigin(affine[:3, 3].tolist())
    if description:
        file.SetMetaData("description", description)
    with whole_file(path) as temporary:
        try:
            sitk.WriteImage(file, str(temporary), True)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise RadloomError(f"cannot write {path}: {reason}", expected="a writable place with free space") from error
