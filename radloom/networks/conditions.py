"""What a network hears: vectors (class, value, text) and maps (image, mask, boxes, measurement); one dropout policy.

What is unknown is NaN (text: an empty string) or absent, for one item or for all; every part says "unknown" in a way
of its own, never by a value that could be known.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.operators.base import Measurement

ENTRIES = ("image", "mask", "label", "text", "measured")


@dataclass(frozen=True)
class Dropout:
    """Entries of what is given that training hides from an item: each by itself, and all of them together."""

    entries: tuple[str, ...]
    each: float = 0.1
    jointly: float = 0.05

    def __post_init__(self) -> None:
        unknown = set(self.entries) - set(ENTRIES)
        if unknown:
            raise RadloomError(f"dropout of {', '.join(sorted(unknown))}", expected=f"some of {', '.join(ENTRIES)}")
        if not (0 <= self.each <= 1 and 0 <= self.jointly <= 1):
            raise RadloomError(f"dropout with chances {self.each} and {self.jointly}", expected="shares from 0 to 1")


never = Dropout(())


def dropped(given: Given, count: int, policy: Dropout, rng: torch.Generator) -> Given:
    """What is given to `count` items, with the policy's entries hidden at random, item by item."""
    if not policy.entries:
        return given
    together = torch.rand(count, generator=rng, device=rng.device) < policy.jointly
    hidden = {}
    for name in policy.entries:
        lost = together | (torch.rand(count, generator=rng, device=rng.device) < policy.each)
        hidden[name] = _hide(getattr(given, name), lost)
    return replace(given, **hidden)


_Entry = Tensor | tuple[str, ...] | Measurement | None


def _hide(entry: _Entry, lost: Tensor) -> _Entry:
    if entry is None:
        return None
    if isinstance(entry, Measurement):
        y = _hide(entry.y, lost)
        assert isinstance(y, Tensor)
        return replace(entry, y=y)
    if isinstance(entry, tuple):
        return tuple("" if gone else text for text, gone in zip(entry, lost.tolist(), strict=True))
    values = entry if entry.is_floating_point() or entry.is_complex() else entry.float()
    return values.masked_fill(lost.to(values.device).view(-1, *(1,) * (values.ndim - 1)), float("nan"))


class Class(nn.Module):
    """A learned vector for each class in a column of given.label (0, 1, ...), and one for an unknown class."""

    def __init__(self, classes: int, width: int, *, column: int = 0) -> None:
        super().__init__()
        self.classes, self.column = classes, column
        self.table = nn.Embedding(classes + 1, width)

    def forward(self, given: Given, count: int) -> Float[Tensor, "b w"]:
        """The classes' vectors."""
        label = _column(given, count, self.column, self.table.weight)
        unknown = label.isnan()
        index = label.nan_to_num(0).round().long()
        if ((index < 0) | (index >= self.classes)).any():
            raise RadloomError(f"class {int(index.max())} in column {self.column} of the label",
                               expected=f"0 to {self.classes - 1}, or NaN where it is unknown")  # fmt: skip
        return self.table(index.masked_fill(unknown, self.classes))


class Value(nn.Module):
    """A continuous value in a column of given.label, by sines of (value - centre) / scale and two layers."""

    def __init__(self, width: int, *, column: int = 0, centre: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        if not scale > 0:
            raise RadloomError(f"a value with scale {scale}", expected="a number above 0")
        self.column, self.centre, self.scale = column, centre, scale
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.unknown = nn.Parameter(torch.randn(width))

    def forward(self, given: Given, count: int) -> Float[Tensor, "b w"]:
        """The values' vectors."""
        label = _column(given, count, self.column, self.unknown)
        known = (label.nan_to_num(self.centre) - self.centre) / self.scale
        vector = self.layers(sinusoids(known, len(self.unknown)))
        return torch.where(label.isnan()[:, None], self.unknown.to(vector), vector)


class Words(nn.Module):
    """The mean of learned vectors of a text's words, case and punctuation aside; an empty text is unknown.

    Words share `buckets` vectors by a hash that is the same everywhere. Blind to the order of words: a negation counts
    for the whole text. For sentences hand a language model's vectors in by a module with the same call.
    """

    def __init__(self, width: int, *, buckets: int = 4096) -> None:
        super().__init__()
        self.buckets = buckets
        self.table = nn.EmbeddingBag(buckets, width, mode="mean")
        self.unknown = nn.Parameter(torch.randn(width))

    def forward(self, given: Given, count: int) -> Float[Tensor, "b w"]:
        """The texts' vectors."""
        texts = given.text or ("",) * count
        words = [_words(text) for text in texts]
        hashed = [[zlib.crc32(word.encode()) % self.buckets for word in one] for one in words]
        starts = torch.tensor([0, *(len(one) for one in hashed)][:-1]).cumsum(0)
        flat = torch.tensor([index for one in hashed for index in one], dtype=torch.long)
        vectors = self.table(flat.to(self.unknown.device), starts.to(self.unknown.device))
        empty = torch.tensor([not one for one in words], device=self.unknown.device)
        return torch.where(empty[:, None], self.unknown.to(vectors), vectors)


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def _column(given: Given, count: int, column: int, like: Tensor) -> Tensor:
    if given.label is None:
        return torch.full((count,), float("nan"), dtype=like.dtype, device=like.device)
    if given.label.ndim != 2 or column >= given.label.shape[1]:
        raise RadloomError(f"a label of shape {tuple(given.label.shape)}", expected=f"(b, {column + 1}) or wider")
    return given.label[:, column].to(like)


def sinusoids(values: Float[Tensor, " b"], width: int) -> Float[Tensor, "b w"]:
    """Sines and cosines of the values at `width` / 2 angular frequencies from 0.5 to 64, geometric; width is even."""
    frequencies = torch.logspace(-1, 6, width // 2, base=2.0, device=values.device)
    angles = values[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@dataclass(frozen=True)
class Maps:
    """Channels to lay beside x: draw(given, x) -> (b, channels, *s)."""

    channels: int
    draw: Callable[[Given, Tensor], Tensor]


def image_maps(channels: int) -> Maps:
    """The channels of given.image, and for each of them one that is 1 where it is known and 0 where it is NaN."""
    return Maps(2 * channels, lambda given, x: _with_presence(given.image, channels, x, "image"))


def position_maps(dims: int) -> Maps:
    """Where each voxel lies, from -1 to 1 along each axis: convolutions alone do not know (Liu et al. 2018, CoordConv).

    For images of one field of view, where anatomy has its place; a tile would not know its own.
    """

    def draw(given: Given, x: Tensor) -> Tensor:
        axes = [torch.linspace(-1, 1, length, dtype=x.dtype, device=x.device) for length in x.shape[2:]]
        return torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(x), dims, *x.shape[2:])

    return Maps(dims, draw)


def mask_maps(channels: int) -> Maps:
    """The channels of given.mask likewise."""
    return Maps(2 * channels, lambda given, x: _with_presence(given.mask, channels, x, "mask"))


def measured_maps(channels: int) -> Maps:
    """The image A^+ y of what was measured, of so many channels, and one that is 1 where y is known and 0 where not.

    One NaN in an item's y makes all of it unknown. A network may learn from this what the measurement says; that its
    answer agrees with it is the work of samplers.guidance.data_consistency. A^+ is worked out each time: operators
    without a closed form make it the dearest part of a step.
    """

    def draw(given: Given, x: Tensor) -> Tensor:
        if given.measured is None:
            return x.new_zeros(len(x), channels + 1, *x.shape[2:])
        y, lost = given.measured.y, given.measured.y.isnan()
        picture = given.measured.operator.pinv(y.masked_fill(lost, 0)).to(x)
        if picture.shape != (len(x), channels, *x.shape[2:]):
            raise RadloomError(f"a measurement of images {tuple(picture.shape)}",
                               expected=f"{(len(x), channels, *x.shape[2:])}")  # fmt: skip
        known = (~lost.flatten(1).any(1)).to(x).view(-1, *(1,) * (x.ndim - 1))
        return torch.cat([picture * known, known.expand(len(x), 1, *x.shape[2:])], dim=1)

    return Maps(channels + 1, draw)


def box_map(dims: int, boxes: int, *, first: int = 0) -> Maps:
    """The union of boxes painted as 1, from columns of given.label on; see `painted`. NaN is no box."""
    columns = slice(first, first + 2 * dims * boxes)

    def draw(given: Given, x: Tensor) -> Tensor:
        if given.label is None:
            return x.new_zeros(len(x), 1, *x.shape[2:])
        corners = given.label[:, columns].to(x)
        if corners.shape[1] != 2 * dims * boxes:
            raise RadloomError(f"a label of {given.label.shape[1]} columns",
                               expected=f"{2 * dims} corners of {boxes} boxes from column {first} on")  # fmt: skip
        return painted(corners.reshape(len(x), boxes, 2 * dims), x.shape[2:])

    return Maps(1, draw)


def painted(corners: Float[Tensor, "b n k"], shape: Sequence[int]) -> Float[Tensor, "b 1 *s"]:
    """The share of each voxel that the largest of the boxes covers; corners (lows, highs) in voxels, NaN is no box.

    >>> painted(torch.tensor([[[1.0, 2.5]]]), (4,)).tolist()
    [[[0.0, 1.0, 0.5, 0.0]]]
    """
    lows, highs = corners.chunk(2, dim=2)
    cover = corners.new_ones(*corners.shape[:2], *(1,) * len(shape))
    for axis, length in enumerate(shape):
        start = torch.arange(length, device=corners.device)
        low, high = lows[..., axis, None], highs[..., axis, None]
        along = (torch.minimum(start + 1, high) - torch.maximum(start.to(corners), low)).clamp(0, 1).nan_to_num(0)
        size = [1] * len(shape)
        size[axis] = length
        cover = cover * along.reshape(*along.shape[:2], *size)
    return cover.amax(1, keepdim=True)


def _with_presence(entry: Tensor | None, channels: int, x: Tensor, name: str) -> Tensor:
    """The entry with 0 for NaN, and for each of its channels 1 where it is known and 0 where not."""
    if entry is None:
        return x.new_zeros(len(x), 2 * channels, *x.shape[2:])
    if entry.shape != (len(x), channels, *x.shape[2:]):
        raise RadloomError(f"a given {name} of shape {tuple(entry.shape)}",
                           expected=f"{(len(x), channels, *x.shape[2:])}")  # fmt: skip
    values = entry.to(x)
    unknown = values.isnan()
    return torch.cat([values.masked_fill(unknown, 0), (~unknown).to(x)], dim=1)
