"""One picture of a task of families.py: a line of images of every system beside the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from radloom.files import whole_file

_BAND, _TILE, _EACH = 18, 130, 8  # the sheets' mark above, the step from image to image, images in a line


def write_overview(lines: Mapping[str, Path], out: Path) -> None:
    """Writes the first line of each sheet under its title, two side by side, as a PNG; grey values as on the sheets."""
    import matplotlib.pyplot as plt

    rows = -(-len(lines) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(15, 1.13 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, path) in zip(axes.T.flat, lines.items(), strict=False):
        sheet = np.asarray(Image.open(path).convert("L"))[_BAND : _BAND + _TILE, : _EACH * _TILE]
        axis.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9, loc="left", pad=2)
    figure.tight_layout(pad=0.4, h_pad=0.5)
    with whole_file(out) as temporary:
        figure.savefig(temporary, dpi=80, format="png")
    plt.close(figure)
