"""NIH Pancreas-CT: portal-venous abdominal CT as DICOM, the pancreas as NIfTI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from radloom.data.entries import Entry, Found
from radloom.data.layout import Layout, fitted, place
from radloom.data.slices import read_slices
from radloom.errors import RadloomError
from radloom.types import Image

_SERIES = re.compile(r"/(PANCREAS_(\d{4}))(/|$)")
_LABEL = re.compile(r"label(\d{4})")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a Pancreas-CT folder; None when no series lies below a folder PANCREAS_0001."""
    from radloom.data.entries import scan

    found = scan(folder)
    series = {match[2]: one for one in found if one.is_series and (match := _SERIES.search(place(folder, one)))}
    if not series:
        return None
    return fitted(
        folder, lambda one: _entries(folder, one, series), "PANCREAS_0001/**/*.dcm and label0001.nii.gz", found
    )


def _entries(folder: Path, found: Found, series: dict[str, Found]) -> list[Entry] | None:
    if match := _SERIES.search(place(folder, found)):
        return [Entry(match[1], match[1], "image.ct", found)] if found.is_series else None
    match = _LABEL.fullmatch(found.title)
    if match is None:
        return None
    if match[1] not in series:
        return []  # 0025 and 0070 were withdrawn, their labels stayed
    case = f"PANCREAS_{match[1]}"
    read = partial(read_label, found.path, series[match[1]].all_files)
    return [Entry(case, case, "mask.pancreas", Found(found.parts, found.path, found.title, read=read))]


def read_label(path: Path, files: Sequence[Path]) -> Image:
    """The pancreas on the grid of its series: 1 inside.

    The label's own header does not place it; its voxel (i, j, k) is column i, row j of the file of number k + 1.
    """
    from nibabel.filebasedimages import ImageFileError
    from nibabel.nifti1 import Nifti1Image

    from radloom.io.orient import LPS_TO_RAS, canonical
    from radloom.io.values import typed, unreadable

    try:
        voxels = np.asarray(Nifti1Image.from_filename(path).dataobj)
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise unreadable(path, error, "a complete NIfTI file") from error
    slices = read_slices(files)
    if voxels.ndim != 3 or voxels.shape[2] != len(slices):
        raise RadloomError(
            f"{path} has shape {voxels.shape}, its series has {len(slices)} files", expected="one file a slice"
        )
    affine = slices[0].affine.copy()
    if len(slices) > 1:
        affine[:3, 2] = (slices[-1].affine[:3, 3] - slices[0].affine[:3, 3]) / (len(slices) - 1)
    return canonical(Image(typed(voxels, "label", path), LPS_TO_RAS @ affine, kind="label"))


LAYOUT = Layout(
    title="NIH Pancreas-CT",
    looks_like="PANCREAS_0001/<study>/<series>/*.dcm, TCIA_pancreas_labels-02-05-2017/label0001.nii.gz",
    licence="CC BY 3.0",
    recognise=recognise,
    marks=r"/PANCREAS_\d{4}/",
    notes="the labels' NIfTI headers do not place them: they are laid on the slices by instance number; look at a few "
    "with `radloom data inspect --picture`",
)
