"""How a network sees a case: prepared volumes on disk, and axial slices or cubes cut from them for training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from radloom.data.cohort import check_one_grid
from radloom.data.region import foreground
from radloom.data.transforms import Rescale, network_scale
from radloom.errors import RadloomError
from radloom.files import read_json, whole_file, write_json
from radloom.types import Case, Image


@dataclass(frozen=True)
class Prepared:
    """A case as networks see it: images in units of their own median, or of water for HU; background 0.

    channels: by key, (x, y, z) float32; NaN for an input that the case lacks. region: voxels inside the head, found on
    the inputs alone.
    scales: by key, how to return to the source's intensities. grid: an image that carries the affine and history.
    """

    case: str
    patient: str
    channels: Mapping[str, Float[np.ndarray, "x y z"]]
    region: Bool[np.ndarray, "x y z"]
    scales: Mapping[str, Rescale]
    grid: Image

    def stack(self, keys: Sequence[str]) -> Float[np.ndarray, "c x y z"]:
        """The channels of these keys in this order."""
        return np.stack([self.channels[key] for key in keys])


def prepare(case: Case, inputs: Sequence[str], targets: Sequence[str], *, absent: Collection[str] = ()) -> Prepared:
    """The case as networks see it; targets that the case does not have are left out, `absent` inputs are NaN.

    Raises RadloomError when an input is missing, all are absent, or the images do not share one grid.
    """
    if not inputs:
        raise RadloomError(f"case {case.id} has none of {', '.join(sorted(absent))}", expected="at least one of them",
                           do="complete the case or leave it out of the cohort table")  # fmt: skip
    missing = [key for key in inputs if key not in case.images]
    if missing:
        raise RadloomError(f"case {case.id} has no {', '.join(missing)}", expected=f"all of {', '.join(inputs)}",
                           do="complete the case or leave it out of the cohort table")  # fmt: skip
    check_one_grid(case)
    region = np.logical_or.reduce([foreground(case.images[key]) for key in inputs])
    channels, scales = {}, {}
    for key in (*inputs, *targets):
        if key in case.images:
            scales[key] = network_scale(case.images[key], region)
            channels[key] = np.where(region, scales[key].apply(case.images[key]).voxels, 0).astype(np.float32)
    channels |= {key: np.full(region.shape, np.nan, np.float32) for key in absent}
    return Prepared(case.id, case.patient, channels, region, scales, case.images[inputs[0]])


@dataclass(frozen=True)
class Store:
    """Prepared cases on disk, one memory-mapped array (z, c + 1, x, y) a case, the region last; fast to cut from."""

    folder: Path
    keys: tuple[str, ...]

    def add(self, prepared: Prepared) -> None:
        """Writes a case, whole or not at all."""
        scales = {
            key: {"offset": step.offset, "scale": step.scale, "unit": step.source_unit or "1"}
            for key, step in prepared.scales.items()
        }
        write_json(self.path(prepared.case).with_suffix(".json"), scales)
        array = np.concatenate([prepared.stack(self.keys), prepared.region[None].astype(np.float32)])
        with whole_file(self.path(prepared.case)) as temporary, temporary.open("wb") as file:  # last: it marks the case
            np.save(file, np.ascontiguousarray(array.transpose(3, 0, 1, 2)))

    def scales(self, case: str) -> dict[str, dict[str, Any]]:
        """Offset, scale and unit of each key, in the source's intensities."""
        return read_json(self.path(case).with_suffix(".json"))

    def path(self, case: str) -> Path:
        """The file of a case."""
        return self.folder / f"{case}.npy"

    def volume(self, case: str) -> Float[np.ndarray, "z c x y"]:
        """A case as a read-only memory map."""
        return np.load(self.path(case), mmap_mode="r")


@runtime_checkable
class View(Protocol):
    """A way to cut training examples from stored cases."""

    def positions(self, store: Store, cases: Sequence[str]) -> list[tuple[str, int]]:
        """Every place where an example can be cut: (case, slice or repetition)."""
        ...

    def cut(self, store: Store, position: tuple[str, int], rng: np.random.Generator) -> Float[np.ndarray, "c *s"]:
        """The example at a position, of the view's patch size; smaller images are padded with 0."""
        ...

    def centre(self, store: Store, case: str) -> Float[np.ndarray, "c *s"]:
        """The middle of a case: what one looks at while training."""
        ...


@dataclass(frozen=True)
class AxialSlices:
    """Axial slices with more than `least` of their area inside the head, cropped at random to the patch (x, y).

    context: slices above and as many below whose first `inputs` channels follow the slice's own, nearest first; beyond
    the volume's ends its last slice again.
    """

    patch: tuple[int, int]
    least: float = 0.01
    context: int = 0
    inputs: int = 0

    def positions(self, store: Store, cases: Sequence[str]) -> list[tuple[str, int]]:
        """One for each slice that shows enough."""
        share = {case: store.volume(case)[:, -1].mean(axis=(1, 2)) for case in cases}
        return [(case, int(z)) for case in cases for z in np.flatnonzero(share[case] > self.least)]

    def cut(self, store: Store, position: tuple[str, int], rng: np.random.Generator) -> Float[np.ndarray, "c x y"]:
        """The slice's patch."""
        case, z = position
        return _random_crop(self._slab(store.volume(case), z), self.patch, rng)

    def centre(self, store: Store, case: str) -> Float[np.ndarray, "c x y"]:
        """The slice with most of the head."""
        volume = store.volume(case)
        return self._slab(volume, int(np.argmax(volume[:, -1].sum(axis=(1, 2)))))

    def _slab(self, volume: Float[np.ndarray, "z c x y"], z: int) -> Float[np.ndarray, "d x y"]:
        own = volume[z]
        if not self.context:
            return np.array(own)
        beside = [volume[at, : self.inputs] for at in neighbours(z, len(volume), self.context)]
        return np.concatenate([own[: self.inputs], *beside, own[self.inputs :]])


@dataclass(frozen=True)
class Cubes:
    """Cubes of the patch (x, y, z) at random places of a volume, `per_case` positions a case."""

    patch: tuple[int, int, int]
    per_case: int = 8

    def positions(self, store: Store, cases: Sequence[str]) -> list[tuple[str, int]]:
        """`per_case` for each case."""
        return [(case, i) for case in cases for i in range(self.per_case)]

    def cut(self, store: Store, position: tuple[str, int], rng: np.random.Generator) -> Float[np.ndarray, "c x y z"]:
        """A cube that shows some of the head."""
        volume = store.volume(position[0]).transpose(1, 2, 3, 0)
        for _ in range(8):  # a cube of background teaches nothing; eight throws miss a head once in thousands
            cube = _random_crop(volume, self.patch, rng)
            if cube[-1].mean() > 0.05:
                break
        return cube

    def centre(self, store: Store, case: str) -> Float[np.ndarray, "c x y z"]:
        """The cube in the middle."""
        return centred(store.volume(case).transpose(1, 2, 3, 0), self.patch)


def neighbours(z: int, depth: int, context: int) -> list[int]:
    """The slices around z in the order in which networks see them: z - 1, z + 1, z - 2, ..., kept inside the volume."""
    return [min(max(z + sign * k, 0), depth - 1) for k in range(1, context + 1) for sign in (-1, 1)]


def centred(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The middle of the last axes, cut to at most `shape`."""
    starts = [max(length - edge, 0) // 2 for length, edge in zip(array.shape[1:], shape, strict=True)]
    return array[(slice(None), *(slice(a, a + edge) for a, edge in zip(starts, shape, strict=True)))]


def _random_crop(array: np.ndarray, patch: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A random crop of the last axes to `patch`; axes that are shorter are padded evenly with 0."""
    cut: list[slice] = [slice(None)]
    pad: list[tuple[int, int]] = [(0, 0)]
    for length, edge in zip(array.shape[1:], patch, strict=True):
        start = int(rng.integers(0, max(length - edge, 0) + 1))
        cut.append(slice(start, start + min(edge, length)))
        short = max(edge - length, 0)
        pad.append((short // 2, short - short // 2))
    return np.pad(array[tuple(cut)], pad)
