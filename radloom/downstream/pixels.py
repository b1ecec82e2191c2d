"""Pixels labelled by the features of a frozen network: kept features, a small head for them, and how it is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.random import derived_seed, torch_stream

_HIDDEN = (128, 32)  # (Rosnati et al. 2023, public code)
_WATCHED = 4096  # pixels of the validation images on which a head is watched


@dataclass(frozen=True)
class HeadSettings:
    """How a head is trained. pixels: of a step. checks: how often the validation loss is looked at."""

    steps: int
    pixels: int
    learning_rate: float
    checks: int = 10


@dataclass(frozen=True, eq=False)
class Features:
    """Features of n images at some noise steps, each level at its own resolution.

    levels: of the network, each (n, steps, h, w, channels) in half precision. strides: pixels of the image along one
    position of each level. shape: of the images.
    """

    levels: tuple[Float[Tensor, "n s _ _ _"], ...]
    strides: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.levels[0])

    def width(self, group: Sequence[int]) -> int:
        """How many numbers describe a pixel at these steps joined."""
        return len(group) * sum(level.shape[-1] for level in self.levels)

    def rows(
        self, image: Integer[Tensor, " p"], pixel: Integer[Tensor, " p"], group: Sequence[int]
    ) -> Float[Tensor, "p c"]:
        """What describes each pixel of each image: all levels at all steps of the group, the nearest position's.

        pixel: counted along the rows of the image. Raises RadloomError for a step that is not kept.
        """
        unknown = [step for step in group if step not in self.steps]
        if unknown:
            raise RadloomError(f"no features at noise step {unknown[0]}", expected=f"one of {self.steps}")
        i, j = pixel // self.shape[1], pixel % self.shape[1]
        return torch.cat([level[image, self.steps.index(step), i // stride, j // stride]
                          for step in group for level, stride in zip(self.levels, self.strides, strict=True)],
                         dim=1).float()  # fmt: skip

    def of(self, chosen: Sequence[int]) -> Features:
        """The features of some of the images."""
        return Features(tuple(level[list(chosen)] for level in self.levels), self.strides, self.steps, self.shape)


@final
class PixelHead(nn.Module):
    """The logit of one pixel's features (p, c) -> (p,): two hidden layers, each with ReLU and then BatchNorm.

    The same as convolutions of 1 x 1 over upsampled features (Rosnati et al. 2023).
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *_HIDDEN), _HIDDEN, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.BatchNorm1d(after)]
        self.layers = nn.Sequential(*layers, nn.Linear(_HIDDEN[-1], 1))

    def forward(self, rows: Float[Tensor, "p c"]) -> Float[Tensor, " p"]:
        """Logits."""
        return self.layers(rows)[:, 0]


def train_head(
    features: Features,
    masks: Bool[np.ndarray, "n h w"],
    watched: tuple[Features, Bool[np.ndarray, "m _ _"]],
    reading: Sequence[Sequence[int]],
    *,
    settings: HeadSettings,
    seed: int,
) -> PixelHead:
    """A head trained by cross-entropy on random pixels of all images, as it was at its lowest validation loss.

    reading: the noise steps that are read joined, by group; each pixel is shown once for every group, with the same
    label. watched: features and masks of validation images. Raises RadloomError when masks and features do not fit.
    """
    for one, truth in ((features, masks), watched):
        if truth.shape != (len(one), *one.shape) or not len(one):
            raise RadloomError(f"masks of shape {truth.shape} for {len(one)} images of {one.shape}",
                               expected="a mask for each image")  # fmt: skip
    torch.manual_seed(derived_seed(seed, "head"))
    head, size = PixelHead(features.width(reading[0])), features.shape[0] * features.shape[1]
    truth, truth_watched = (torch.from_numpy(one.reshape(len(one), -1)).float() for one in (masks, watched[1]))

    def loss(of: Features, labels: Tensor, pixels: int, rng: torch.Generator) -> Tensor:
        image = torch.randint(len(of), (pixels,), generator=rng)
        pixel = torch.randint(size, (pixels,), generator=rng)
        rows = torch.cat([of.rows(image, pixel, group) for group in reading])
        return F.binary_cross_entropy_with_logits(head(rows), labels[image, pixel].repeat(len(reading)))

    train_best(
        head,
        lambda step: loss(features, truth, settings.pixels, torch_stream(seed, "head", step)),
        lambda: float(loss(watched[0], truth_watched, _WATCHED, torch_stream(seed, "watched"))),
        steps=settings.steps, checks=settings.checks, learning_rate=settings.learning_rate,
    )  # fmt: skip
    return head


def read_pixels(
    head: PixelHead, features: Features, reading: Sequence[Sequence[int]]
) -> Float[np.ndarray, "n g h w"]:  # fmt: skip
    """The probability of every pixel of every image by group; their mean over groups is the method's answer."""
    size = features.shape[0] * features.shape[1]
    pixel = torch.arange(size)
    with torch.no_grad():
        found = [torch.stack([head(features.rows(torch.full((size,), n), pixel, group)) for group in reading])
                 for n in range(len(features))]  # fmt: skip
    return torch.stack(found).sigmoid().view(len(features), len(reading), *features.shape).numpy()


def train_best(
    network: nn.Module, loss: Callable[[int], Tensor], watched: Callable[[], float], *, steps: int, checks: int,
    learning_rate: float,
) -> None:  # fmt: skip
    """Lowers loss(step) by Adam; the network is left frozen, with the weights of its lowest `watched()`.

    watched() is called in evaluation mode and without gradients, `checks` times, the last time after the last step.
    """
    optimiser = torch.optim.Adam(network.parameters(), learning_rate)
    best, kept = float("inf"), copy.deepcopy(network.state_dict())
    looked_at = {round(steps * (i + 1) / checks) - 1 for i in range(checks)}
    for step in range(steps):
        network.train()
        optimiser.zero_grad(set_to_none=True)
        loss(step).backward()
        optimiser.step()
        if step in looked_at:
            network.eval()
            with torch.no_grad():
                now = watched()
            if now < best:
                best, kept = now, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    network.eval().requires_grad_(False)
