"""Slices of images as pictures that a page can carry: windows, error colours, outlines; chooses no case.

Radiological display: the patient's right is on the viewer's left, anterior (or superior) is up.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from radloom.types import Image

_LONGEST = 320  # pixels of a tile's longer side: sharp on a telephone, small in the page
_MARGIN_MM = 4.0
_BAND = 0.08  # of the height


@dataclass(frozen=True)
class View:
    """Which slice is shown and which part of it: axis 0 (sagittal), 1 (coronal) or 2 (axial), index, rows, columns.

    band: empty rows above, so that the mark never covers anatomy.
    """

    axis: int
    index: int
    rows: slice
    columns: slice
    row_mm: float
    column_mm: float
    band: int

    def of(self, voxels: np.ndarray) -> np.ndarray:
        """The shown part of a volume, as (row, column) from the viewer's upper left."""
        shown = display(np.take(voxels, self.index, axis=self.axis))[self.rows, self.columns]
        return np.pad(shown, ((self.band, 0), (0, 0)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, with the band, and columns in voxels."""
        return self.band + self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width, mm."""
        return self.shape[0] * self.row_mm, self.shape[1] * self.column_mm

    @property
    def plane(self) -> str:
        """The name of the plane."""
        return ("sagittal", "coronal", "axial")[self.axis]

    @property
    def left(self) -> str:
        """The letter for the viewer's left side: R for the patient's right, A for anterior."""
        return "A" if self.axis == 0 else "R"


def display(plane: np.ndarray) -> np.ndarray:
    """A slice of a RAS+ volume as (row, column) in radiological convention: both axes reversed, then transposed."""
    return plane[::-1, ::-1].T


def slice_axis(image: Image) -> int:
    """The axis across which slices are shown: a one-voxel axis, else one that is clearly the coarsest, else z."""
    if 1 in image.shape:
        return 2 - image.shape[::-1].index(1)
    coarsest = int(np.argmax(image.spacing_mm))
    return coarsest if image.spacing_mm[coarsest] > 1.5 * image.spacing_mm[2] else 2


def view(image: Image, *, inside: Bool[np.ndarray, "x y z"], lesion: Bool[np.ndarray, "x y z"] | None) -> View:
    """The slice with most lesion, else with most of `inside`, cut to the box around `inside` in all slices."""
    axis = slice_axis(image)
    others = tuple(a for a in range(3) if a != axis)
    wanted = lesion if lesion is not None and lesion.any() else inside
    index = int(np.argmax(wanted.sum(axis=others))) if wanted.any() else image.shape[axis] // 2
    column_mm, row_mm = (image.spacing_mm[a] for a in others)
    shadow = display(np.any(inside, axis=axis))
    rows, columns = _box(np.any(shadow, axis=1), row_mm), _box(np.any(shadow, axis=0), column_mm)
    band = math.ceil(_BAND * (rows.stop - rows.start))
    return View(axis, index, rows, columns, row_mm, column_mm, band)


def _box(line: np.ndarray, mm: float) -> slice:
    """The range of True with a margin, or all of it when nothing is True."""
    found = np.flatnonzero(line)
    if not len(found):
        return slice(0, len(line))
    margin = round(_MARGIN_MM / mm)
    return slice(max(0, int(found[0]) - margin), min(len(line), int(found[-1]) + 1 + margin))


def window(values: Float[np.ndarray, "*shape"]) -> tuple[float, float]:
    """The display window: from zero, or from the 0.5th percentile where values are negative, to the 99.7th."""
    low, high = np.percentile(values, [0.5, 99.7]) if len(values) else (0.0, 1.0)
    low = min(float(low), 0.0)
    return low, max(float(high), low + 1e-6)


def grey(plane: np.ndarray, seen: View, limits: tuple[float, float], *, mark: str) -> str:
    """A data URI of the slice in grey between the limits, with `mark` burnt in so that it survives a copied picture."""
    low, high = limits
    scaled = np.clip((_resampled(plane, seen) - low) / (high - low), 0, 1)
    return _uri(_marked(np.uint8(np.rint(255 * scaled)), mark))  # pyright: ignore[reportArgumentType]


def signed(plane: np.ndarray, seen: View, limit: float) -> str:
    """A data URI of an error: blue where the synthetic image is darker, orange where brighter, black where equal."""
    t = np.clip(_resampled(plane, seen) / limit, -1, 1)[..., None]
    return _uri(np.uint8(np.rint(_colour(np.abs(t), t > 0))))  # pyright: ignore[reportArgumentType]


def legend_stops() -> str:
    """The error colours as stops of a CSS gradient, from -limit to +limit."""
    t = np.linspace(-1, 1, 13)[:, None]
    return ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in _colour(np.abs(t), t > 0))


_KNOTS = np.array([0.0, 0.5, 1.0])
_DARKER = np.array([[0, 0, 0], [30, 110, 220], [190, 235, 255]])
_BRIGHTER = np.array([[0, 0, 0], [225, 95, 20], [255, 230, 150]])


def _colour(size: np.ndarray, brighter: np.ndarray) -> np.ndarray:
    """RGB, 0 to 255, for an error of this size (0 to 1); the last axis has one entry."""
    up, down = (np.concatenate([np.interp(size, _KNOTS, knots[:, c]) for c in range(3)], axis=-1)
                for knots in (_BRIGHTER, _DARKER))  # fmt: skip
    return np.where(brighter, up, down)


def outline(mask: np.ndarray) -> str:
    """The border of a slice's mask as an SVG path in voxels, from the upper left."""
    from skimage.measure import find_contours

    parts = []
    for contour in find_contours(np.pad(mask.astype(float), 1), 0.5):
        points = "L".join(f"{x - 0.5:.4g} {y - 0.5:.4g}" for y, x in contour)
        parts.append(f"M{points}Z")
    return "".join(parts)


def _resampled(plane: np.ndarray, seen: View) -> np.ndarray:
    """The slice on square pixels, bicubic, its longer side _LONGEST pixels or the source's own if that is finer."""
    from PIL import Image as Pillow

    height, width = seen.size_mm
    per_mm = max(_LONGEST / max(height, width), max(seen.shape) / max(height, width))
    size = (max(1, round(width * per_mm)), max(1, round(height * per_mm)))
    return np.asarray(Pillow.fromarray(np.float32(plane), "F").resize(size, Pillow.Resampling.BICUBIC))  # pyright: ignore[reportArgumentType]


def _marked(pixels: np.ndarray, mark: str) -> np.ndarray:
    if not mark:
        return pixels
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    picture = Pillow.fromarray(pixels)
    size = max(9, round(0.7 * _BAND * pixels.shape[0]))
    font, draw = ImageFont.load_default(size), ImageDraw.Draw(picture)
    draw.text((size // 2, size // 4), mark, fill=255, font=font)
    return np.asarray(picture)


def _uri(pixels: np.ndarray) -> str:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, format="WEBP", lossless=True, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
