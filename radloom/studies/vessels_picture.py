"""The picture of the vessel study: native CT, real, drawn and mapped angiograms of one slice, with what was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from radloom.files import whole_file

_COLOURS = {1: (230, 60, 60), 2: (90, 140, 255), 3: (255, 220, 60), 4: (80, 220, 120)}
_WINDOW = (-100.0, 500.0)  # HU
_ZOOM = 2


def picture(
    path: Path,
    native: Float[np.ndarray, "x y z"],
    shown: Mapping[str, tuple[Float[np.ndarray, "x y z"], Integer[np.ndarray, "x y z"]]],
    truth: Integer[np.ndarray, "x y z"],
) -> None:
    """Writes one row of tiles with outlines' fill below each: native CT and truth, then each image and its reading.

    The slice is the one with most plaque, or where there is none with most lumen; images in units of water.
    """
    from PIL import Image as Picture

    plaque = np.isin(truth, (3, 4)).sum((0, 1))
    counted = plaque if plaque.any() else (truth == 1).sum((0, 1))
    z = int(np.argmax(counted))
    above = [_grey(native[:, :, z]), *(_grey(image[:, :, z]) for image, _ in shown.values())]
    readings = [truth, *(read for _, read in shown.values())]
    below = [_painted(tile, read[:, :, z]) for tile, read in zip(above, readings, strict=True)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in (above, below)], axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    large = sheet.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        Picture.fromarray(large).save(file, format="PNG")


def _grey(tile: Float[np.ndarray, "x y"]) -> np.ndarray:
    """RGB bytes in the window, the patient's right on the viewer's left, anterior up."""
    low, high = _WINDOW
    grey = np.clip(((tile - 1) * 1000 - low) / (high - low), 0, 1)
    return np.repeat((255 * grey[::-1, ::-1].T).astype(np.uint8)[..., None], 3, axis=2)


def _painted(tile: np.ndarray, labels: Integer[np.ndarray, "x y"]) -> np.ndarray:
    painted = tile.copy()
    turned = labels[::-1, ::-1].T
    for value, colour in _COLOURS.items():
        painted[turned == value] = colour
    return painted
