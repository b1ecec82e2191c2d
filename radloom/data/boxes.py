"""Boxes that somebody drew around findings, as a cohort holds them: painted in `mask.box`, told in text.boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from radloom.errors import RadloomError
from radloom.types import Image

Box = tuple[int, int, int, int, int, int]  # x0, y0, z0, x1, y1, z1: half-open ranges of voxels


def of_picture(
    left: float, top: float, width: float, height: float, *, shape: tuple[int, int], z: int, name: str
) -> Box:
    """The box of a rectangle in a picture as it is seen: from its upper left corner, to the right and down, in pixels.

    shape: columns and rows of the picture, whose right is the patient's Left and whose top is the voxels' last y
    (see `io.raster`). Parts outside of the picture are cut off. Raises RadloomError, which says `name`, for a
    rectangle without area or outside.

    >>> of_picture(1.0, 0.0, 3.0, 2.0, shape=(10, 8), z=5, name="a box")
    (6, 6, 5, 9, 8, 6)
    """
    columns, rows = shape
    ends = np.array([columns - (left + width), rows - (top + height), columns - left, rows - top])
    if not (np.isfinite(ends).all() and width > 0 and height > 0):
        raise RadloomError(f"{name} is {width:g} wide and {height:g} high", expected="a rectangle with an area")
    x0, y0, x1, y1 = (int(one) for one in np.clip(np.rint(ends), 0, [columns, rows, columns, rows]))
    if not (x0 < x1 and y0 < y1):
        raise RadloomError(f"{name} lies outside of its picture of {columns} x {rows}", expected="pixels of it")
    return x0, y0, z, x1, y1, z + 1


def painted(boxes: Sequence[Box], shape: tuple[int, int, int]) -> np.ndarray:
    """uint16: the boxes filled with their numbers from 1, smaller ones over larger ones.

    >>> painted([(0, 0, 0, 3, 1, 1), (1, 0, 0, 2, 1, 1)], (4, 1, 1)).ravel().tolist()
    [1, 2, 1, 0]
    """
    out = np.zeros(shape, np.uint16)
    volume = [(b[3] - b[0]) * (b[4] - b[1]) * (b[5] - b[2]) for b in boxes]
    for i in sorted(range(len(boxes)), key=lambda i: -volume[i]):
        x0, y0, z0, x1, y1, z1 = boxes[i]
        out[x0:x1, y0:y1, z0:z1] = i + 1
    return out


def mask_of(boxes: Sequence[Box], image: Image) -> Image:
    """The boxes painted on the grid of an image."""
    return Image(painted(boxes, image.shape), image.affine, kind="label")


def size_of_picture(path: Path) -> tuple[int, int]:
    """Columns and rows of a picture file; its pixels are not read."""
    import PIL.Image

    from radloom.io.values import unreadable

    try:
        with PIL.Image.open(path) as file:
            return file.size
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, error, "a complete picture") from error


def of_numbers(mask: np.ndarray) -> dict[int, Box]:
    """The tightest box around each number of a mask of numbered findings; a number without a voxel has none.

    >>> of_numbers(np.array([0, 2, 2, 0, 5]).reshape(5, 1, 1))
    {2: (1, 0, 0, 3, 1, 1), 5: (4, 0, 0, 5, 1, 1)}
    """
    from scipy import ndimage

    found = enumerate(ndimage.find_objects(mask), 1)
    return {
        number: (x.start, y.start, z.start, x.stop, y.stop, z.stop)
        for number, (x, y, z) in ((number, place) for number, place in found if place is not None)
    }


def as_text(boxes: Mapping[int, Box]) -> str:
    """The boxes by their numbers as text.boxes tells them.

    >>> as_text({1: (0, 0, 0, 3, 1, 1), 2: (1, 0, 0, 2, 1, 1)})
    '1:0,0,0,3,1,1 2:1,0,0,2,1,1'
    """
    return " ".join(f"{number}:{','.join(map(str, box))}" for number, box in boxes.items())


def names_as_text(names: Sequence[str]) -> str:
    """What each box is around, as text.box_findings tells it.

    >>> names_as_text(["Meniscus Tear", "Joint Effusion"])
    '1:Meniscus Tear; 2:Joint Effusion'
    """
    return "; ".join(f"{number}:{name}" for number, name in enumerate(names, 1))
