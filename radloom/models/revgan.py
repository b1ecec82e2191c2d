"""RevGAN: p(x | image) and the way back by one reversible generator, with or without pairs (Lin et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.cyclegan import ImagePool, region_of
from radloom.models.losses import Game, l1, least_squares
from radloom.models.model import Model
from radloom.networks.reversible import ReversibleGenerator


@final
class RevGAN(Model):
    """One generator for both directions, against a discriminator of each kind of images.

    of_x, of_image: discriminators. shapes: of x and of the image, (c, *s) and (k, *s), in training. pixel: weight of
    |drawn - real| in both directions, for pairs; 0 for images that do not belong together. cycle: weight of
    |there and back - the same|. given.mask is the image's region, outside which a translation is 0; without pairs
    (pixel 0) that of x is where x is not 0. One answer, not a posterior. Blind to: what the image does not show; the
    discriminators reward a plausible invention.
    """

    turns = ("discriminator", "generator")

    def __init__(
        self, generator: ReversibleGenerator, of_x: nn.Module, of_image: nn.Module, *,
        shapes: tuple[tuple[int, ...], tuple[int, ...]], game: Game = least_squares, adversarial: float = 1.0,
        pixel: float = 100.0, cycle: float = 0.0, pool: int = 50,
    ) -> None:  # fmt: skip
        super().__init__()
        if not (adversarial >= 0 and pixel >= 0 and cycle >= 0):
            raise RadloomError(f"weights {adversarial}, {pixel} and {cycle}", expected="numbers of at least 0")
        if pixel == 0 and cycle == 0:
            raise RadloomError("a RevGAN with pixel 0 and cycle 0", expected="one of them above 0",
                               do="set pixel=100 for pairs, cycle=10 without")  # fmt: skip
        self.generator, self.of_x, self.of_image = generator, of_x, of_image
        self.game, self.adversarial, self.pixel, self.cycle = game, adversarial, pixel, cycle
        self.pool_x, self.pool_image = ImagePool(shapes[0], pool), ImagePool(shapes[1], pool)

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """Half the games of both discriminators, or the generator's games, pixels and cycles in both directions."""
        image, other = _image(given), given if self.pixel > 0 else region_of(x, given)
        if turn == "discriminator":
            with torch.no_grad():
                fake_x, fake_image = self._there(image, given), self._back(x, other)
            fake_x, fake_image = self.pool_x.mixed(fake_x, rng), self.pool_image.mixed(fake_image, rng)
            x_part = self.game.discriminator(self.of_x(x).float(), self.of_x(fake_x).float())
            image_part = self.game.discriminator(self.of_image(image).float(), self.of_image(fake_image).float())
            return {"total": (x_part + image_part) / 2, "x": x_part.detach(), "image": image_part.detach()}
        fake_x, fake_image = self._there(image, given), self._back(x, other)
        game_x = self.game.generator_loss(self.of_x(fake_x).float(), lambda: self.of_x(x).float())
        game_image = self.game.generator_loss(self.of_image(fake_image).float(), lambda: self.of_image(image).float())
        parts = {"adversarial": self.adversarial * (game_x + game_image)}
        if self.pixel > 0:
            parts["pixel"] = self.pixel * (l1(fake_x, x) + l1(fake_image, image))
        if self.cycle > 0:
            parts["cycle"] = self.cycle * (l1(self._back(fake_x, given), image) + l1(self._there(fake_image, other), x))
        return {"total": torch.stack(list(parts.values())).sum(), **{k: v.detach() for k, v in parts.items()}}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The image, translated to x; `rng` is not used."""
        return self._there(_image(given), given).float()

    def reversed_sample(self, x: Tensor, given: Given) -> Tensor:
        """x, translated back to the image, inside given.mask."""
        return self._back(x, given).float()

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """Both discriminators' or the generator's parameters."""
        if turn == "generator":
            return self.generator.parameters()
        return chain(self.of_x.parameters(), self.of_image.parameters())

    def after_step(self) -> None:
        """Fills the pools."""
        self.pool_x.after_step()
        self.pool_image.after_step()

    def _there(self, image: Tensor, given: Given) -> Tensor:
        return _inside(self.generator(image), given)

    def _back(self, x: Tensor, given: Given) -> Tensor:
        return _inside(self.generator.backward(x), given)


def _image(given: Given) -> Tensor:
    if given.image is None:
        raise RadloomError("a RevGAN without a given image", expected="given.image, the kind to translate from")
    return given.image


def _inside(x: Tensor, given: Given) -> Tensor:
    return x if given.mask is None else x * given.mask
