"""Sample sheets: many planes at one grey window in one PNG, in radiological display; chooses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from radloom.errors import RadloomError
from radloom.files import whole_file

_TILE = 96  # pixels of a tile's longer side, at least
_GAP = 2
_BAND = 18  # rows above, for the mark


def sheet(
    planes: Sequence[Float[np.ndarray, "x y"]], window: tuple[float, float], *, columns: int, mark: str
) -> UInt8[np.ndarray, "rows columns"]:  # fmt: skip
    """The planes row by row, each enlarged by whole pixels; `mark` is written above. Planes have one shape.

    >>> sheet([np.zeros((4, 6)), np.ones((4, 6))], (0.0, 1.0), columns=2, mark="").shape
    (116, 132)
    """
    if not planes:
        raise RadloomError("a sheet of no images", expected="one image or more")
    low, high = window
    factor = max(1, round(_TILE / max(planes[0].shape)))
    tiles = [np.kron(_grey(plane, low, high)[::-1, ::-1].T, np.ones((factor, factor), np.uint8)) for plane in planes]
    height, width = tiles[0].shape
    rows = -(-len(tiles) // columns)
    page = np.zeros((_BAND + rows * (height + _GAP), columns * (width + _GAP)), np.uint8)
    for i, tile in enumerate(tiles):
        top, left = _BAND + (i // columns) * (height + _GAP), (i % columns) * (width + _GAP)
        page[top : top + height, left : left + width] = tile
    return _marked(page, mark)


def write_sheet(page: UInt8[np.ndarray, "rows columns"], path: Path) -> Path:
    """The path of the PNG, written whole or not at all."""
    from PIL import Image as Pillow

    with whole_file(path) as temporary:
        Pillow.fromarray(page).save(temporary, format="PNG", optimize=True)
    return path


def _grey(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.asarray(np.rint(255 * np.clip((plane - low) / (high - low), 0, 1)), np.uint8)


def _marked(page: np.ndarray, mark: str) -> np.ndarray:
    if not mark:
        return page
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    picture = Pillow.fromarray(page)
    ImageDraw.Draw(picture).text((4, 2), mark, fill=255, font=ImageFont.load_default(12))
    return np.asarray(picture)
