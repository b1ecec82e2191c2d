"""CycleGAN: p(x | image) learned from images of both kinds that need not belong together (Zhu et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.losses import Game, l1, least_squares
from radloom.models.model import Model


@final
class ImagePool(nn.Module):
    """Earlier draws, so that a discriminator does not forget what once deceived it (Shrivastava et al. 2017).

    shape: (c, *s) of an image. size: how many it keeps; 0 for none.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, shape: tuple[int, ...], size: int = 50) -> None:
        super().__init__()
        if size < 0:
            raise RadloomError(f"a pool of {size} images", expected="0 or more")
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._new: tuple[Tensor, Tensor] | None = None

    def mixed(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """The fakes, half of them exchanged for kept ones once the pool is full; `after_step` keeps what came."""
        size, count = len(self.images), len(fakes)
        if size == 0:
            return fakes
        if fakes.shape[1:] != self.images.shape[1:]:
            raise RadloomError(f"a pool of images of {tuple(self.images.shape[2:])} was shown {tuple(fakes.shape[2:])}",
                               expected="one shape in all of training",
                               do="set pooled to the patch, or pool=0")  # fmt: skip
        places = torch.randint(size, (count,), generator=rng, device=rng.device).to(fakes.device)
        swapped = torch.rand(count, generator=rng, device=rng.device).to(fakes.device) < 0.5
        ends = self.filled + torch.arange(count, device=fakes.device)
        free = ends < size
        places = torch.where(free, ends, places)
        keep = free | swapped
        self._new = places[keep], fakes[keep].detach()
        old = (swapped & ~free).view(-1, *(1,) * (fakes.ndim - 1))
        return torch.where(old, self.images[places].to(fakes), fakes)

    def after_step(self) -> None:
        """Puts the step's images in their places."""
        if self._new is None:
            return
        places, images = self._new
        for place, image in zip(places.tolist(), images, strict=True):  # in order: two may have drawn one place
            self.images[place] = image
        if len(places):
            self.filled.copy_(torch.maximum(self.filled, places.max() + 1))
        self._new = None


@final
class CycleGAN(Model):
    """Two generators that undo each other, each against a discriminator of its own kind of images.

    to_x: (b, k, *s) -> (b, c, *s), the one that draws; to_image: back. of_x, of_image: discriminators. No term compares
    x with the given image, so pairs teach nothing and none are needed: a batch may hold any x beside any image.
    shapes: of x and of the image, (c, *s) and (k, *s), in training. cycle: weight of |there and back - the same|.
    identity: weight, in units of `cycle`, of |to_x(x) - x| and the like, which keeps what needs no change; 0 where the
    channels differ. given.mask is the image's region, outside which its translation is 0; that of x, which may be
    another patient's, is where x is not 0. One answer, not a posterior. Blind to: a lesion that one kind of
    images has more often than the other is drawn or wiped away at the discriminators' wish (Cohen et al. 2018).
    """

    turns = ("discriminator", "generator")

    def __init__(
        self,
        to_x: nn.Module,
        to_image: nn.Module,
        of_x: nn.Module,
        of_image: nn.Module,
        *,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        game: Game = least_squares,
        cycle: float = 10.0,
        identity: float = 0.5,
        pool: int = 50,
    ) -> None:
        super().__init__()
        if not (cycle >= 0 and identity >= 0):
            raise RadloomError(f"weights {cycle} and {identity}", expected="numbers of at least 0")
        if identity > 0 and shapes[0] != shapes[1]:
            raise RadloomError(f"an identity loss between {shapes[0]} and {shapes[1]}", expected="equal shapes",
                               do="set identity=0")  # fmt: skip
        self.to_x, self.to_image, self.of_x, self.of_image = to_x, to_image, of_x, of_image
        self.game, self.cycle, self.identity = game, cycle, identity
        self.pool_x, self.pool_image = ImagePool(shapes[0], pool), ImagePool(shapes[1], pool)

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """Half the games of both discriminators, or the generators' games, cycles and identities."""
        image, other = _image(given), region_of(x, given)
        if turn == "discriminator":
            with torch.no_grad():
                fake_x, fake_image = _inside(self.to_x(image), given), _inside(self.to_image(x), other)
            fake_x, fake_image = self.pool_x.mixed(fake_x, rng), self.pool_image.mixed(fake_image, rng)
            x_part = self.game.discriminator(self.of_x(x).float(), self.of_x(fake_x).float())
            image_part = self.game.discriminator(self.of_image(image).float(), self.of_image(fake_image).float())
            return {"total": (x_part + image_part) / 2, "x": x_part.detach(), "image": image_part.detach()}
        fake_x, fake_image = _inside(self.to_x(image), given), _inside(self.to_image(x), other)
        there_x = self.game.generator_loss(self.of_x(fake_x).float(), lambda: self.of_x(x).float())
        there_image = self.game.generator_loss(self.of_image(fake_image).float(), lambda: self.of_image(image).float())
        parts = {
            "adversarial": there_x + there_image,
            "cycle": self.cycle * (l1(_inside(self.to_image(fake_x), given), image)
                                   + l1(_inside(self.to_x(fake_image), other), x)),
        }  # fmt: skip
        if self.identity > 0:
            same = l1(_inside(self.to_x(x), other), x) + l1(_inside(self.to_image(image), given), image)
            parts["identity"] = self.identity * self.cycle * same
        return {"total": torch.stack(list(parts.values())).sum(), **{k: v.detach() for k, v in parts.items()}}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The image, translated; `rng` is not used."""
        return _inside(self.to_x(_image(given)), given).float()

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """Both discriminators' or both generators' parameters."""
        players = (self.of_x, self.of_image) if turn == "discriminator" else (self.to_x, self.to_image)
        return chain.from_iterable(player.parameters() for player in players)

    def after_step(self) -> None:
        """Fills the pools."""
        self.pool_x.after_step()
        self.pool_image.after_step()


def region_of(x: Tensor, given: Given) -> Given:
    """The region of an x that need not belong to what is given: where it is not the exact background, 0.

    Nothing where what is given has no region either.
    """
    return Given(mask=None if given.mask is None else (x != 0).any(dim=1, keepdim=True))


def _image(given: Given) -> Tensor:
    if given.image is None:
        raise RadloomError("a CycleGAN without a given image", expected="given.image, the kind to translate from")
    return given.image


def _inside(x: Tensor, given: Given) -> Tensor:
    return x if given.mask is None else x * given.mask
