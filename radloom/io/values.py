"""The number types that voxels have after reading, and the refusal of what is not one grey volume. No file access."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from radloom.errors import RadloomError
from radloom.types import Kind


def volume(voxels: np.ndarray, path: Path) -> np.ndarray:
    """The array with three axes: one axis joins a 2D picture, trailing axes of length one go."""
    while voxels.ndim > 3 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim > 3:
        raise RadloomError(
            f"{path} holds {int(np.prod(voxels.shape[3:]))} volumes (shape {voxels.shape})",
            expected="one volume with three axes",
            do="write each volume (time point, echo, direction) to a file of its own",
        )
    if voxels.ndim < 2 or 0 in voxels.shape:
        raise RadloomError(f"{path} holds an array of shape {voxels.shape}", expected="an image with 2 or 3 axes")
    return voxels[:, :, None] if voxels.ndim == 2 else voxels


def typed(voxels: np.ndarray, kind: Kind, path: Path) -> np.ndarray:
    """The voxels as float32 or as integers in the machine's byte order; labels as the smallest integers that hold them.

    Integers stay integers. Values that are not finite stay as they are in an intensity image: the audit reports them.
    """
    if voxels.dtype.fields or voxels.dtype.kind not in "buif":
        raise RadloomError(
            f"{path} has voxels of type {voxels.dtype}",
            expected="one real number per voxel (no colour, no complex values)",
            do="convert it to a grey or magnitude image first",
        )
    if kind == "label":
        return _labels(voxels, path)
    if voxels.dtype.kind == "f":
        return voxels.astype(np.float32)
    return voxels.astype(np.uint8 if voxels.dtype.kind == "b" else voxels.dtype.newbyteorder("="))


def _labels(voxels: np.ndarray, path: Path) -> np.ndarray:
    if voxels.dtype.kind == "f":
        whole = np.isfinite(voxels) & (voxels == np.rint(voxels))
        if not whole.all():
            raise RadloomError(
                f"{path} is read as labels but {int((~whole).sum())} voxels are not whole numbers",
                expected="one integer label per voxel",
                do="read it as an image.* column or resample the mask by nearest neighbour",
            )
    low, high = int(voxels.min()), int(voxels.max())
    for dtype in (np.uint8, np.int16, np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return voxels.astype(dtype)
    raise RadloomError(f"{path} has labels up to {high}", expected="labels within 64-bit integers")


def unreadable(path: Path, error: Exception, expected: str) -> RadloomError:
    """The user's error for a file that its library could not read."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    return RadloomError(
        f"cannot read {path}: {reason}", expected=expected, do="it may be truncated or corrupt: copy or export it again"
    )
