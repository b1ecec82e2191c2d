"""A small 3D classifier of two classes, with one branch for each image; trained on real volumes and then frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.networks import layers
from radloom.random import derived_seed, numpy_stream


@dataclass(frozen=True)
class ClassifierSettings:
    """How the classifier is built and trained."""

    steps: int
    batch: int
    width: int
    learning_rate: float


class Classifier(nn.Module):
    """The log odds of class 1 from a volume: a branch of convolutions for each image, their means side by side."""

    def __init__(self, images: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_branch(width) for _ in range(images))
        self.head = nn.Linear(4 * width * images, 1)

    def forward(self, x: Float[Tensor, "b c x y z"]) -> Float[Tensor, " b"]:
        """The log odds."""
        seen = [branch(x[:, i : i + 1]).flatten(2) for i, branch in enumerate(self.branches)]
        return self.head(torch.cat([part.mean(2) for part in seen], dim=1))[:, 0]

    def read(self, volume: Float[np.ndarray, "c x y z"]) -> float:
        """The log odds of one volume, the mean of it and its mirror image left to right."""
        x = torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32))[None]
        with torch.no_grad():
            return float((self(x) + self(x.flip(2))).mean() / 2)


def _branch(width: int) -> nn.Module:
    parts: list[nn.Module] = []
    before = 1
    for factor in (1, 2, 4):
        after = factor * width
        parts += [layers.conv(3, before, after, 3, stride=2), nn.GroupNorm(1, after), nn.ReLU()]
        before = after
    return nn.Sequential(*parts, layers.conv(3, before, before, 3), nn.ReLU())


def train_classifier(
    volumes: Sequence[Float[np.ndarray, "c x y z"]], labels: Sequence[int], *, settings: ClassifierSettings, seed: int
) -> Classifier:
    """A classifier trained on these volumes of one shape by binary cross-entropy, half of every batch of each class.

    Volumes are mirrored left to right at random and their brightness varies by 5 %. Raises RadloomError when a class
    is empty or shapes differ.
    """
    known = np.asarray(labels)
    classes = [np.flatnonzero(known == value) for value in (0, 1)]
    if not len(classes[0]) or not len(classes[1]):
        raise RadloomError(f"{len(classes[0])} and {len(classes[1])} patients of the two classes",
                           expected="patients of both")  # fmt: skip
    shapes = {volume.shape for volume in volumes}
    if len(shapes) != 1:
        raise RadloomError(f"volumes of shapes {sorted(shapes)}", expected="one shape",
                           do="resample the cohort to one grid")  # fmt: skip
    torch.manual_seed(derived_seed(seed, "classifier"))
    classifier = Classifier(volumes[0].shape[0], settings.width).train()
    optimiser = torch.optim.AdamW(classifier.parameters(), settings.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=settings.steps)
    for step in range(settings.steps):
        rng = numpy_stream(seed, "classifier", step)
        chosen = [int(rng.choice(classes[i % 2])) for i in range(settings.batch)]
        x = torch.from_numpy(np.stack([_varied(volumes[i], rng) for i in chosen]))
        optimiser.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(classifier(x), torch.from_numpy(known[chosen]).float()).backward()
        optimiser.step()
        schedule.step()
    return classifier.eval().requires_grad_(False)


def _varied(volume: Float[np.ndarray, "c x y z"], rng: np.random.Generator) -> Float[np.ndarray, "c x y z"]:
    turned = volume[:, ::-1] if rng.random() < 0.5 else volume
    gain = rng.uniform(0.95, 1.05, size=(len(volume), 1, 1, 1))
    return (turned * gain).astype(np.float32)
