"""Paired conditional GAN: p(x | image) by one pass through a generator, trained with pairs (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import final

import torch
from torch import Tensor, nn

from radloom.given import Given
from radloom.models.losses import Game, Term
from radloom.models.model import Batch, Model
from radloom.networks.voxelwise import VoxelwisePolynomial


@final
class PairedGAN(Model):
    """A generator against a discriminator that sees (condition, image), plus paired terms.

    generator: (b, c, *s) -> (b, k, *s). discriminator: (b, c + k, *s) -> scores, or None for no game.
    base: a closed-form map of the image, fitted on the training patients before the first step; the generator then
    sees the image with the base beside it (c + k channels) and predicts what is missing, in units of the base's
    root mean square error: a network whose answers are of order one trains at the usual learning rates.
    Outside given.mask the image is 0. The draw is deterministic: one answer, not a posterior.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        *,
        game: Game,
        adversarial_weight: float,
        terms: tuple[Term, ...],
        base: VoxelwisePolynomial | None = None,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator, self.base = generator, discriminator, base
        self.game, self.adversarial_weight, self.terms = game, adversarial_weight, terms
        self.turns = ("generator",) if discriminator is None else ("discriminator", "generator")

    def translate(self, given: Given) -> Tensor:
        """The generated image (b, k, *s)."""
        image = _image(given)
        if self.base is None:
            drawn = self.generator(image).float()
        else:
            start = self.base(image)
            correction = self.generator(torch.cat([image, start], dim=1)).float()
            drawn = start + correction * self.base.deviation.view(1, -1, *(1,) * (image.ndim - 2))
        return drawn if given.mask is None else drawn * given.mask

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The turn's objective; see Game and Term."""
        if turn == "discriminator":
            with torch.no_grad():
                fake = self.translate(given)
            return {"total": self.game.discriminator(self._scores(x, given), self._scores(fake, given))}
        fake = self.translate(given)
        parts = {term.name: term.weight * term.distance(fake, x) for term in self.terms}
        if self.discriminator is not None:
            parts["adversarial"] = self.adversarial_weight * self.game.generator(self._scores(fake, given))
        return {"total": torch.stack(list(parts.values())).sum(), **parts}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The generator's answer; `rng` is not used."""
        return self.translate(given)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The generator's or the discriminator's parameters."""
        player = self.discriminator if turn == "discriminator" else self.generator
        assert player is not None
        return player.parameters()

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fits the closed-form base on the training patients."""
        if self.base is not None:
            self.base.fit((_image(batch.given), batch.x, batch.region) for batch in batches())

    def _scores(self, x: Tensor, given: Given) -> Tensor:
        assert self.discriminator is not None
        return self.discriminator(torch.cat([_image(given), x], dim=1)).float()


def _image(given: Given) -> Tensor:
    assert given.image is not None, "a paired GAN is given an image"
    return given.image
