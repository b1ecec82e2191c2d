"""NumPy files <-> Image: npz with `voxels` and `affine`, npy with a bare array. Nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.io.orient import canonical
from radloom.io.values import typed, unreadable, volume
from radloom.types import Image, Kind


def read(path: Path, *, kind: Kind = "intensity") -> Image:
    """The image in a .npz (arrays `voxels`, `affine`, optional `unit`) or .npy file (RAS+ axes, 1 mm)."""
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"voxels": loaded, "affine": np.eye(4)} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise unreadable(path, error, "a complete .npz or .npy file of plain arrays") from error
    missing = [name for name in ("voxels", "affine") if name not in arrays]
    if missing:
        raise RadloomError(
            f"{path} has no array {' and no array '.join(missing)}, only {', '.join(sorted(arrays)) or 'nothing'}",
            expected="arrays voxels (x, y, z) and affine (4, 4) in RAS+ mm",
            do="save it with numpy.savez(path, voxels=..., affine=...)",
        )
    voxels = typed(volume(arrays["voxels"], path), kind, path)
    unit = str(arrays["unit"]) if "unit" in arrays else "1"
    return canonical(Image(voxels, arrays["affine"].astype(float), kind=kind, unit=unit))


def write_raw(image: Image, path: Path, *, description: str = "") -> None:
    """Writes .npz (with affine, unit and description), or .npy where the affine is the identity."""
    suffix = path.suffix.lower()
    if suffix == ".npy" and not np.array_equal(image.affine, np.eye(4)):
        raise RadloomError(
            f"cannot write {path}: .npy holds no affine", expected="the identity", do="write .npz instead"
        )
    with whole_file(path) as temporary, temporary.open("wb") as file:
        if suffix == ".npy":
            np.save(file, image.voxels, allow_pickle=False)
        else:
            np.savez_compressed(
                file, voxels=image.voxels, affine=image.affine, unit=np.array(image.unit),
                description=np.array(description),
            )  # fmt: skip
