"""Models without gradients, the baselines that a generator must beat: zero, the training mean, voxel-wise maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from radloom.given import Given
from radloom.models.model import Batch, Model
from radloom.networks.voxelwise import VoxelwisePolynomial


@final
class Constant(Model):
    """The same number at every voxel: 0 for a zero-filled channel."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the constant."""
        return {"total": (x - self.value).square().mean()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The constant."""
        return torch.full(shape, self.value)


@final
class TrainingMean(Model):
    """The mean of the training images inside the region that counts, so that outlines do not darken the edges.

    Voxel by voxel where the training images and the one to draw share a grid's shape, else one number per channel.
    """

    level: Tensor
    mean: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(1, channels))
        self.register_buffer("mean", torch.zeros(1, channels))

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the mean."""
        return {"total": (x - self.sample(given, tuple(x.shape), rng=rng)).square().mean()}

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Averages the training images."""
        one_shape = len({batch.x.shape[2:] for batch in batches()}) == 1
        total, count = torch.zeros(()), torch.zeros(())
        for batch in batches():
            axes = (0,) if one_shape else (0, *range(2, batch.x.ndim))
            total = total + (batch.x * batch.region).double().sum(axes)
            count = count + batch.region.double().sum(axes)
        places = tuple(range(1, total.ndim))
        totals, counts = (total.sum(places), count.sum(places)) if places else (total, count)  # sum(()) sums all axes
        self.level = (totals / counts.clamp_min(1)).float()[None]
        self.mean = self.level.clone()
        if one_shape:  # voxels outside every training head get the level
            mean = torch.where(count > 0, total / count.clamp_min(1), self.level[0][(..., *(None,) * len(places))])
            self.mean = mean.float()[None]

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *rest: Any) -> None:
        """Takes the saved mean with the grid that it was fitted on, which an unfitted model cannot know."""
        saved = state_dict.get(f"{prefix}mean")
        if saved is not None and saved.shape[:2] == self.mean.shape[:2]:
            self.mean = self.mean.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The mean, inside given.mask."""
        fits = self.mean.shape[2:] == torch.Size(shape[2:])
        image = self.mean if fits else self.level[(..., *(None,) * (len(shape) - 2))]
        image = image.expand(shape)
        return image if given.mask is None else image * given.mask


@final
class Identity(Model):
    """The given image itself, its first channels posing as the targets."""

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the given image."""
        return {"total": (x - self.sample(given, tuple(x.shape), rng=rng)).square().mean()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The given image's channels, the last one repeated where there are more targets."""
        assert given.image is not None, "the identity is given an image"
        channels = [min(i, given.image.shape[1] - 1) for i in range(shape[1])]
        return given.image[:, channels]


@final
class Quantiles(Model):
    """The given image with its grey levels moved to those that the targets have: histogram matching, without pairs.

    A target's level at a quantile is the mean over the training images (Nyul & Udupa 1999, with every quantile a
    landmark); the image's own levels at the same quantiles are moved there, in between linearly.
    """

    levels: Tensor

    def __init__(self, targets: int, *, count: int = 101) -> None:
        super().__init__()
        self.register_buffer("levels", torch.zeros(targets, count))

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the matched image."""
        return {"total": (x - self.sample(given, tuple(x.shape), rng=rng)).square().mean()}

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Averages the targets' quantiles over the training images."""
        total, images = torch.zeros_like(self.levels, dtype=torch.float64), 0
        for batch in batches():
            for x, region in zip(batch.x, batch.region, strict=True):
                total += torch.stack([torch.from_numpy(self._own(channel, region[0])) for channel in x])
                images += 1
        self.levels = (total / max(images, 1)).float()

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The given image through its own curve of quantiles, inside given.mask."""
        assert given.image is not None, "histogram matching is given an image"
        matched = torch.zeros(shape)
        for place, image in enumerate(given.image):
            region = torch.ones_like(image[0]) if given.mask is None else given.mask[place, 0]
            for i in range(shape[1]):
                source = image[min(i, len(image) - 1)]
                curve = np.interp(source.numpy(), self._own(source, region), self.levels[i].numpy())
                matched[place, i] = torch.from_numpy(curve.astype(np.float32)) * region
        return matched

    def _own(self, image: Tensor, region: Tensor) -> np.ndarray:
        return np.quantile(image.numpy()[(region > 0.5).numpy()], np.linspace(0, 1, self.levels.shape[1]))


@final
class Voxelwise(Model):
    """The best polynomial of the given image at the same voxel, by least squares over the training patients."""

    def __init__(self, inputs: int, outputs: int, degree: int) -> None:
        super().__init__()
        self.map = VoxelwisePolynomial(inputs, outputs, degree)

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the fitted map."""
        return {"total": (x - self.sample(given, tuple(x.shape), rng=rng)).square().mean()}

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fits the map."""
        self.map.fit((batch.given.image, batch.x, batch.region) for batch in batches() if batch.given.image is not None)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The map of given.image, inside given.mask."""
        assert given.image is not None, "a voxel-wise map is given an image"
        image = self.map(given.image)
        return image if given.mask is None else image * given.mask
