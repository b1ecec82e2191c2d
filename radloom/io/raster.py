"""Grey pictures (PNG, JPEG, TIFF) <-> Image. A picture has no place in the patient: a convention stands in for it.

The convention is that of an axial slice on a radiologist's screen: the picture's right is the patient's Left, its
bottom the patient's Posterior, one voxel thick, 1 mm in each direction. The unit "grey" says that spacing and values
are nominal. A frontal chest film has the patient's left on the right, too; its height is called y all the same.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.io.orient import LPS_TO_RAS, canonical, oriented
from radloom.io.values import typed, unreadable
from radloom.types import Image, Kind

if TYPE_CHECKING:
    import PIL.Image

UNIT = "grey"


def picture(rows: np.ndarray, spacing_mm: tuple[float, float], *, kind: Kind = "intensity", unit: str = UNIT) -> Image:
    """The RAS+ image of a picture (row, column) under the convention above; `spacing_mm` is (row, column)."""
    affine = LPS_TO_RAS @ np.diag([spacing_mm[1], spacing_mm[0], 1.0, 1.0])
    return canonical(Image(np.ascontiguousarray(rows.T[:, :, None]), affine, kind=kind, unit=unit))


def read(path: Path, *, kind: Kind = "intensity") -> Image:
    """The image in a grey picture of 1, 8, 16 or 32 bits; colour is accepted only when all channels are equal."""
    import PIL.Image
    import PIL.ImageOps

    try:
        with PIL.Image.open(path) as file:
            frames = getattr(file, "n_frames", 1)
            if frames > 1:
                raise RadloomError(f"{path} holds {frames} pictures", expected="one", do="write each to its own file")
            rows = np.asarray(_without_colour_table(PIL.ImageOps.exif_transpose(file)))
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, PIL.Image.DecompressionBombError) as error:
        raise unreadable(path, error, "a complete PNG, JPEG or TIFF picture") from error
    return picture(typed(_grey(rows, path), kind, path), (1.0, 1.0), kind=kind)


def _without_colour_table(file: PIL.Image.Image) -> PIL.Image.Image:
    if file.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        return file.convert("RGBA" if "transparency" in file.info or file.mode == "PA" else "RGB")
    return file


def _grey(rows: np.ndarray, path: Path) -> np.ndarray:
    if rows.ndim == 2:
        return rows
    colours = rows[..., :-1] if rows.shape[-1] in (2, 4) else rows
    if rows.shape[-1] in (2, 4) and (rows[..., -1] != np.iinfo(rows.dtype).max).any():
        raise RadloomError(f"{path} is partly transparent", expected="an opaque grey picture", do="flatten it first")
    if (colours != colours[..., :1]).any():
        raise RadloomError(
            f"{path} is a colour picture (its channels differ)",
            expected="a grey picture, or colour channels that are equal",
            do="convert it to grey with a weighting of your choice",
        )
    return colours[..., 0]


def write_raster(image: Image, path: Path, *, description: str = "") -> None:
    """Writes a one-slice image as PNG or TIFF of 8 or 16 bits; the picture does not hold spacing or position.

    Values must be whole numbers in 0..65535 already: a scale is the caller's decision.
    """
    import PIL.Image
    import PIL.PngImagePlugin

    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise RadloomError(f"cannot write {path}: JPEG changes the values", do="write .png instead")
    image = oriented(image, "LPS")
    if image.shape[2] != 1:
        raise RadloomError(
            f"cannot write an image of shape {image.shape} to {path}",
            expected="one slice, (x, y, 1)",
            do="write .nii.gz, or choose a slice",
        )
    values = image.voxels[:, :, 0].T
    if not (
        np.isfinite(values).all() and (values == np.rint(values)).all() and 0 <= values.min() <= 65535 >= values.max()
    ):
        raise RadloomError(
            f"cannot write values from {values.min():g} to {values.max():g} to {path}",
            expected="whole numbers from 0 to 65535",
            do="scale and round the image first, or write .nii.gz",
        )
    picture = PIL.Image.fromarray(np.ascontiguousarray(values, np.uint8 if values.max() <= 255 else np.uint16))
    about = PIL.PngImagePlugin.PngInfo()
    if description:
        about.add_text("Description", description)
    with whole_file(path) as temporary:
        if path.suffix.lower() == ".png":
            picture.save(temporary, format="PNG", pnginfo=about)
        else:
            picture.save(temporary, format="TIFF", description=description)
