"""Each image of a set reduced, in one pass, to what sets are compared by: features, spectra, histograms, thumbnails.

A volume is seen as axial slices, its patient as their cluster. No set is compared with another here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radloom.compare.appearance import histogram, spectrum
from radloom.compare.inputs import Item
from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.features_extractor import BATCH, Extractor
from radloom.types import Image

THUMBNAIL = 64  # pixels of a side: enough to tell one patient from another, small enough for all pairs
_SURVEYED = 4_000_000  # voxels for the percentiles of a set


@dataclass(frozen=True)
class Scale:
    """The intensities that both sets are seen with: window, data range of PSNR and SSIM, and where they come from."""

    low: float
    high: float
    data_range: float
    origin: str


@dataclass(frozen=True, eq=False)
class Plane:
    """One 2D image: whose it is, and where it lies in its volume."""

    item: Item
    axis: int
    index: int


@dataclass(frozen=True)
class FeatureRows:
    """Features (n, d) of some planes, by their numbers, or the reason why there are none."""

    extractor: str
    preprocessing: str
    values: np.ndarray
    rows: np.ndarray
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Described:
    """A set after its pass: one row per plane in every array.

    thumbnails (n, 64, 64), spectra (n, bins) log10 power, histograms (n, bins), hashes (n,) of the voxels of each
    plane's image, shapes and spacings (mm) that occur, content: a hash of all voxels with their case's names.
    """

    planes: tuple[Plane, ...]
    features: dict[str, FeatureRows]
    thumbnails: np.ndarray
    spectra: np.ndarray
    histograms: np.ndarray
    hashes: np.ndarray
    shapes: tuple[tuple[int, int, int], ...]
    spacings: tuple[tuple[float, float, float], ...]
    units: tuple[str, ...]
    content: str
    images: int

    @property
    def patients(self) -> np.ndarray:
        """The patient of each plane."""
        return np.array([plane.item.patient for plane in self.planes])

    @property
    def is_3d(self) -> bool:
        """Whether the images are volumes."""
        return 1 not in self.shapes[0]


def survey(items: Sequence[Item], window: tuple[Number, Number] | None, data_range: Number | None) -> Scale:
    """The scale given by the user, else by percentiles of the real voxels (every k-th): 0 or P0.1 to P99.9.

    Raises RadloomError when the real images are constant or the numbers are unfit.
    """
    if window is not None:
        low, high = float(window[0]), float(window[1])
        if not (np.isfinite([low, high]).all() and high > low):
            raise RadloomError(f"--window {low:g},{high:g}", expected="two finite numbers, the lower one first")
        origin = f"window {low:g} to {high:g} as given"
    else:
        each = max(200, _SURVEYED // len(items))
        values = np.concatenate([_some(item.image().voxels, each) for item in items])
        low, high = (float(v) for v in np.percentile(values, [0.1, 99.9]))
        low = min(low, 0.0)
        if high <= low:
            raise RadloomError("the real images are constant", expected="images with contrast", do="give --window")
        start = "0" if low == 0 else "the 0.1st"
        origin = f"window {low:g} to {high:g}: {start} to the 99.9th percentile of the real voxels"
    if data_range is None:
        return Scale(low, high, high - low, f"{origin}; data range {high - low:g}: the window's width")
    if not (np.isfinite(data_range) and data_range > 0):
        raise RadloomError(f"--data-range {data_range:g}", expected="a finite number above 0")
    return Scale(low, high, float(data_range), f"{origin}; data range {data_range:g} as given")


def describe(
    items: Sequence[Item], scale: Scale, extractors: Sequence[tuple[Extractor, int]], slices: int
) -> Described:
    """The set, read once. extractors: each with the most planes that it is shown (evenly chosen over the set).

    Raises RadloomError for fewer than 2 images, or volumes mixed with slices.
    """
    if len(items) < 2:
        raise RadloomError(f"a set has {len(items)} image", expected="2 or more; most metrics need 20 or more")
    planes: list[Plane] = []
    pixels: list[np.ndarray] = []
    rows, shapes, spacings, units, digests, lines = [], {}, {}, {}, [], []
    collect: list[_Collector] = []
    for item in items:
        image = item.image()
        if not collect:
            expected = len(items) * (1 if 1 in image.shape else slices)
            collect = [_Collector(extractor, max(1.0, expected / most)) for extractor, most in extractors]
        shapes[image.shape], spacings[tuple(round(s, 4) for s in image.spacing_mm)], units[image.unit] = (None,) * 3
        check_same_axes(item, image, next(iter(shapes)))
        digest = hashlib.sha256(np.ascontiguousarray(image.voxels, np.float64).tobytes()).hexdigest()
        lines.append(f"{item.case}\t{item.draw}\t{digest}")
        for axis, index, plane in cut(image, slices):
            planes.append(Plane(item, axis, index))
            digests.append(digest)
            rows.append((thumbnail(plane, scale), spectrum(plane, scale.high - scale.low),
                         histogram(plane, scale.low, scale.high)))  # fmt: skip
            pixels.append(np.asarray(plane, np.float64))
        if len(pixels) >= BATCH:
            _feed(collect, pixels, len(planes) - len(pixels))
            pixels = []
    _feed(collect, pixels, len(planes) - len(pixels))
    thumbnails, spectra, histograms = (np.stack(part) for part in zip(*rows, strict=True))
    return Described(
        tuple(planes), {one.extractor.name: one.finished() for one in collect}, thumbnails, spectra, histograms,
        np.array(digests), tuple(shapes), tuple(spacings), tuple(units),
        hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(), len(items),
    )  # fmt: skip


def check_same_axes(item: Item, image: Image, first: tuple[int, int, int]) -> None:
    """Raises RadloomError when an image is a slice and the first one of its set a volume, or the other way round."""
    if (1 in image.shape) != (1 in first):
        raise RadloomError(
            f"{item.place} has shape {image.shape} where the first image has {first}",
            expected="slices or volumes, not both",
            do="compare them one kind at a time",
        )


def cut(image: Image, slices: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """(axis, index, pixels) of a slice as it is, or of `slices` axial slices of a volume, evenly over those with
    contrast; of all with contrast when they are fewer."""
    if 1 in image.shape:
        axis = 2 - image.shape[::-1].index(1)
        yield axis, 0, np.take(image.voxels, 0, axis=axis)
        return
    lively = np.flatnonzero(np.ptp(image.voxels, axis=(0, 1)) > 0)
    if not len(lively):
        lively = np.arange(image.shape[2])
    wanted = np.unique(((np.arange(slices) + 0.5) / slices * len(lively)).astype(int))
    for index in lively[wanted]:
        yield 2, int(index), image.voxels[:, :, index]


def thumbnail(plane: np.ndarray, scale: Scale) -> np.ndarray:
    """The plane on 64 x 64 pixels by area means, in units of the window, not clipped."""
    from PIL import Image as Pillow

    values = ((np.asarray(plane, np.float64) - scale.low) / (scale.high - scale.low)).astype(np.float32)
    small = Pillow.fromarray(values).resize((THUMBNAIL, THUMBNAIL), Pillow.Resampling.BOX)
    return np.asarray(small)


def _some(voxels: np.ndarray, most: int) -> np.ndarray:
    """Evenly chosen voxels; a step that is no divisor of the rows would be better known, so positions are rounded."""
    flat = voxels.ravel()
    return flat if flat.size <= most else flat[np.linspace(0, flat.size - 1, most).astype(int)]


class _Collector:
    """Features of evenly chosen planes, gathered batch by batch; after a refusal, its reason."""

    def __init__(self, extractor: Extractor, step: float) -> None:
        self.extractor, self.reason, self.step = extractor, "", step
        self.values: list[np.ndarray] = []
        self.rows: list[int] = []

    def take(self, pixels: Sequence[np.ndarray], first: int) -> None:
        """Features of those planes whose turn it is; `first` is the number of the first."""
        place = np.floor((first - 1 + np.arange(len(pixels) + 1)) / self.step)
        turn = np.flatnonzero(np.diff(place))
        if self.reason or not len(turn):
            return
        try:
            self.values.append(self.extractor([pixels[int(i)] for i in turn]).values)
            self.rows += [first + int(i) for i in turn]
        except RadloomError as error:
            self.reason = str(error)

    def finished(self) -> FeatureRows:
        """All of them."""
        extractor = self.extractor
        if self.reason or not self.values:
            return FeatureRows(extractor.name, extractor.preprocessing, np.empty((0, 0)), np.empty(0, int), self.reason)
        return FeatureRows(extractor.name, extractor.preprocessing, np.concatenate(self.values), np.array(self.rows))


def _feed(collect: Sequence[_Collector], pixels: Sequence[np.ndarray], first: int) -> None:
    for one in collect:
        if len(pixels):
            one.take(pixels, first)
