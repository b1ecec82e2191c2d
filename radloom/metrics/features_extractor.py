"""What every feature extractor is: a contract with its input, a name, a licence and a hash; no extractor itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Voxels, as_real

Window = tuple[Number, Number]
Compute = Callable[[list[np.ndarray]], np.ndarray]
BATCH = 16


def window_of(window: Window) -> tuple[float, float]:
    """The window's bounds as floats. Raises RadloomError unless both are finite and the lower one comes first.

    >>> window_of((0, 255))
    (0.0, 255.0)
    """
    low, high = float(window[0]), float(window[1])
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        raise RadloomError(f"the window is {low:g} to {high:g}", expected="finite bounds, the lower one first")
    return low, high


@dataclass(frozen=True)
class Contract:
    """What an extractor does to an image before it looks at it.

    axes: 2 or 3, or 0 for either. channels: 1, or 3 for a grey image repeated. bit_depth: "8 bit" is a window cut and
    rounded to 256 levels, "any" keeps all. size: pixels after resizing, or None. window: the intensities that become 0
    and the top of the scale, the same for all sets; None where the intensities are used as they are.
    """

    axes: Literal[0, 2, 3]
    channels: Literal[1, 3]
    bit_depth: Literal["8 bit", "any"]
    size: int | None
    resize: str
    normalisation: str
    window: Window | None

    def __post_init__(self) -> None:
        if self.window is not None:  # as floats, so that 0 and 0.0 have one hash
            object.__setattr__(self, "window", window_of(self.window))


@dataclass(frozen=True)
class Features:
    """One row of features for each image, with the name and the preprocessing hash that every number must carry."""

    values: np.ndarray
    extractor: str
    preprocessing: str


@dataclass(frozen=True)
class Extractor:
    """A feature extractor: call it on images to get `Features`. `weights` is the hash of the file, "" without one."""

    name: str
    licence: str
    dim: int
    contract: Contract
    compute: Compute
    weights: str = ""

    @property
    def preprocessing(self) -> str:
        """12 hexadecimal digits of a SHA-256 of name, weights, width and contract."""
        text = json.dumps([self.name, self.weights, self.dim, asdict(self.contract)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __call__(self, images: Iterable[Voxels]) -> Features:
        """Features of each image, float64 (n, dim); images are read one batch of 16 at a time.

        Raises RadloomError for no images, NaN, or another number of axes than the contract's.
        """
        waiting, rows, seen = iter(images), [], 0
        while batch := list(islice(waiting, BATCH)):
            rows.append(self._rows(batch, seen))
            seen += len(batch)
        if not rows:
            raise RadloomError("no images", expected="at least one image")
        return Features(np.concatenate(rows), self.name, self.preprocessing)

    def _rows(self, batch: Sequence[Voxels], start: int) -> np.ndarray:
        checked = [as_real(image, f"image {start + i}") for i, image in enumerate(batch)]
        for i, image in enumerate(checked):
            if image.ndim < 2 or (self.contract.axes and image.ndim != self.contract.axes):
                raise RadloomError(
                    f"image {start + i} has shape {image.shape}",
                    expected=f"{self.contract.axes or '2 or 3'} axes for {self.name}",
                    do="pass slices one by one to a 2D extractor",
                )
        found = np.asarray(self.compute(checked), np.float64)
        if found.shape != (len(checked), self.dim) or not np.isfinite(found).all():
            raise RadloomError(
                f"{self.name} gave features of shape {found.shape}, {np.count_nonzero(~np.isfinite(found))} not finite",
                expected=f"{(len(checked), self.dim)} finite numbers",
            )
        return found
