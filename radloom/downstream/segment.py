"""A segmenter of axial slices: trained on real volumes, frozen, then asked to read volumes with synthetic channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from radloom.errors import RadloomError
from radloom.networks import layers
from radloom.networks.monai import dice_and_cross_entropy, segmentation_unet
from radloom.networks.precision import channels_last, has_fast_bfloat16, in_channels_last
from radloom.random import derived_seed, numpy_stream


@dataclass(frozen=True)
class SegmenterSettings:
    """How the segmenter is built and trained. patch: edge of the square crops that it learns from, voxels."""

    channels: tuple[int, ...]
    steps: int
    batch: int
    patch: int
    learning_rate: float = 2e-3


@final
class Segmenter(torch.nn.Module):
    """Maps a volume of channels to labels, slice by slice. channels: width of the five levels of the network."""

    def __init__(self, inputs: int, classes: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.network = segmentation_unet(2, inputs, classes, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits by class."""
        smallest = 64 if max(x.shape[2:]) <= 32 else 32  # one position left at the bottom could not be normalised
        padded = layers.padded_to_multiple(x, smallest)
        return layers.cropped_to(self.network(padded), x.shape[2:])

    def read(self, volume: Float[np.ndarray, "c x y z"], *, chunk: int = 16) -> Integer[np.ndarray, "x y z"]:
        """The label of every voxel."""
        self.eval()
        slices = torch.from_numpy(np.ascontiguousarray(volume.transpose(3, 0, 1, 2)))
        with torch.no_grad():
            labels = torch.cat([self(part).argmax(1) for part in slices.split(chunk)])
        return labels.numpy().transpose(1, 2, 0).astype(np.uint8)


def train_segmenter(
    volumes: Sequence[Float[np.ndarray, "z c x y"]],
    labels: Sequence[Integer[np.ndarray, "x y z"]],
    *,
    classes: int,
    settings: SegmenterSettings,
    seed: int,
) -> Segmenter:
    """A segmenter trained on these real volumes; half of every batch shows a labelled structure.

    Raises RadloomError when no training volume has a label.
    """
    with_label = [(i, int(z)) for i, label in enumerate(labels) for z in np.flatnonzero((label > 0).any(axis=(0, 1)))]
    every = [(i, z) for i, volume in enumerate(volumes) for z in range(len(volume))]
    if not with_label:
        raise RadloomError(
            "every training mask is empty", expected="masks to learn from", do="run `radloom data audit`"
        )
    torch.manual_seed(derived_seed(seed, "segmenter"))
    segmenter = in_channels_last(Segmenter(volumes[0].shape[1], classes, settings.channels).train())
    optimiser = torch.optim.AdamW(segmenter.parameters(), settings.learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=settings.steps)
    loss = dice_and_cross_entropy()
    for x, y in _batches(volumes, labels, with_label, every, settings, seed):
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16("cpu")):
            logits = segmenter(channels_last(x)).float()
        loss(logits, y).backward()
        torch.nn.utils.clip_grad_norm_(segmenter.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return segmenter.eval().requires_grad_(False)


def _batches(
    volumes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    with_label: list[tuple[int, int]],
    every: list[tuple[int, int]],
    settings: SegmenterSettings,
    seed: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    for step in range(settings.steps):
        rng = numpy_stream(seed, "segmenter", step)
        crops = []
        for item in range(settings.batch):
            pool = with_label if item % 2 == 0 else every
            case, z = pool[int(rng.integers(len(pool)))]
            image = np.asarray(volumes[case][z])
            both = np.concatenate([image, labels[case][:, :, z][None].astype(np.float32)])
            crops.append(_crop(both, settings.patch, rng))
        batch = torch.from_numpy(np.stack(crops))
        yield batch[:, :-1], batch[:, -1:]


def _crop(array: np.ndarray, edge: int, rng: np.random.Generator) -> np.ndarray:
    """A random square crop, padded with 0 where the slice is smaller, each channel's brightness varied by 10 %."""
    cut: list[slice] = [slice(None)]
    for length in array.shape[1:]:
        start = int(rng.integers(0, max(length - edge, 0) + 1))
        cut.append(slice(start, start + edge))
    crop = array[tuple(cut)]
    crop = np.pad(crop, [(0, 0), *((0, edge - length) for length in crop.shape[1:])])
    gain = rng.uniform(0.9, 1.1, size=(len(crop) - 1, 1, 1))
    crop[:-1] *= gain.astype(np.float32)
    return crop
