"""Wavelet: a model of the Haar bands of images as a model of images, for volumes that are too large whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model
from radloom.networks import layers
from radloom.networks.haar import haar, inverse_haar


@final
class Wavelet(Model):
    """p(x | given) by a model of x's Haar bands, at half the resolution along each axis (Friedrich et al. 2024).

    model: of (b, 2**dims c, *s / 2), in 3D eight bands; a diffusion model with predictions.image in the paper. Nothing
    is lost, so that fine texture stays where a trained autoencoder would smooth it. Bands enter as `bands` says: the
    coarse one as the mean of its voxels, in the image's own unit, which is the paper's division by about sqrt(8).
    A given image enters as its bands too, 2**dims times its channels; a mask as the cells that it touches. Outside
    given.mask the image is 0.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.turns = model.turns

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The inner model's loss on the bands of x."""
        return self.model.loss(bands(x), _seen(given), turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The image of the bands that the inner model draws."""
        halves = tuple(-(-length // 2) for length in shape[2:])
        z = self.model.sample(_seen(given), (shape[0], shape[1] * 2 ** len(halves), *halves), rng=rng)
        x = image(z, shape[2:])
        return x if given.mask is None else x * given.mask

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The inner model's."""
        return self.model.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The inner model's, on bands."""
        self.model.begin(lambda: (Batch(bands(b.x), _seen(b.given), _touched(b.region) > 0) for b in batches()))

    def after_step(self) -> None:
        """The inner model's."""
        self.model.after_step()


def bands(x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *t"]:
    """The Haar bands with the coarse ones over sqrt(2**dims): each is then the mean of its voxels.

    >>> bands(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
    [2.5, -1.0, -2.0, 0.0]
    """
    z = haar(x)
    return z * _gain(z)


def image(z: Float[Tensor, "b k *t"], size: tuple[int, ...]) -> Float[Tensor, "b c *s"]:
    """The images (b, c, *size) of `bands`."""
    return inverse_haar(z / _gain(z), size)


def _gain(z: Tensor) -> Tensor:
    """The factor of each band (k, 1, 1, ...)."""
    dims = z.ndim - 2
    coarse = torch.arange(z.shape[1], device=z.device) % 2**dims == 0
    return torch.where(coarse, 2 ** (-dims / 2), 1.0).to(z).view(-1, *(1,) * dims)


def _seen(given: Given) -> Given:
    if given.measured is not None:
        raise RadloomError("a measurement given to a model of wavelet bands", expected="image, mask, label or text",
                           do="guide a model of whole images instead")  # fmt: skip
    image, mask = given.image, given.mask
    return replace(given, image=None if image is None else bands(image), mask=None if mask is None else _touched(mask))


def _touched(mask: Tensor) -> Tensor:
    """1 for each cell of 2 voxels along each axis with a voxel inside the mask; NaN, which is unknown, stays."""
    pool = F.avg_pool2d if mask.ndim == 4 else F.avg_pool3d
    share = pool(layers.padded_to_multiple(mask.float(), 2), 2)
    return torch.where(share > 0, 1.0, share)
