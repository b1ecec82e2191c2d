"""The pictures of a run that draws from nothing: sheets of drawn, real and baseline images, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radloom.compare.arms import Sets
from radloom.compare.inputs import Item
from radloom.compare.likeness import Nearest
from radloom.compare.measures import SYNTHETIC
from radloom.compare.planes import Plane
from radloom.compare.sheets import sheet, write_sheet

COLUMNS = 8
_SHOWN = 32
MARK = "SYNTHETIC"


def write_sheets(folder: Path, sets: Sets, near: Nearest | None) -> None:
    """Writes synthetic, real, baseline and nearest sheets of the target as PNG, all at the training images' window.

    nearest: drawn images most like a training image in the first row, each above the image that it is most like.
    """
    window = (sets.scale.low, sets.scale.high)
    name = sets.key.partition(".")[2]
    real = [_middle(item) for item in spread(sets.test, _SHOWN)]
    write_sheet(sheet(real, window, columns=COLUMNS, mark="real, test patients"), folder / f"{name}.real.png")
    for arm in sets.arms:
        planes = [_middle(item) for item in spread(arm.items, _SHOWN)]
        mark = f"{MARK}" if arm.name == SYNTHETIC else arm.name
        place = folder / f"{name}.{arm.name.replace(' ', '_')}.png"
        write_sheet(sheet(planes, window, columns=COLUMNS, mark=mark), place)
    for arm in sets.conditions:
        planes = [_middle(item) for item in spread(arm.items, _SHOWN // 2)]
        place = folder / f"{name}.{arm.name.replace(', ', '.').replace(' ', '_')}.png"
        write_sheet(sheet(planes, window, columns=COLUMNS, mark=f"{MARK}: {arm.name.partition(', ')[2]}"), place)
    if near is not None:
        pairs = near.neighbours[:COLUMNS]
        planes = [_plane(one.synthetic) for one in pairs] + [_plane(one.real) for one in pairs]
        mark = f"{MARK} above, nearest training image below"
        write_sheet(sheet(planes, window, columns=len(pairs), mark=mark), folder / f"{name}.nearest.png")


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, evenly over all."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int))]


def _middle(item: Item) -> np.ndarray:
    voxels = item.image().voxels
    return voxels[:, :, voxels.shape[2] // 2]


def _plane(plane: Plane) -> np.ndarray:
    return np.take(plane.item.image().voxels, plane.index, axis=plane.axis)
