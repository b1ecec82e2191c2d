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
    base: a closed-form map of the image, fitted on the training patients before the first step. The generator then has
    2k outputs: a correction, in units of the base's root mean square error, and an estimate from scratch, which is
    judged by the same terms and then thrown away. The easy contrast between tissues lies in the base; without the
    estimate nothing would teach the features that the correction needs, and training stalls (ours).
    The discriminator's turn judges what the generator's turn before it drew, as pix2pix does: one pass less a step.
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
        self.turns = ("generator",) if discriminator is None else ("generator", "discriminator")
        self._drawn: Tensor | None = None  # by the generator's turn, for the discriminator's

    def translate(self, given: Given) -> tuple[Tensor, Tensor | None]:
        """The generated image (b, k, *s), and with a base the estimate from scratch."""
        image = _image(given)
        answer = self.generator(image).float()
        if self.base is None:
            return _inside(answer, given), None
        correction, estimate = answer.chunk(2, dim=1)
        unit = self.base.deviation.view(1, -1, *(1,) * (image.ndim - 2))
        return _inside(self.base(image) + unit * correction, given), _inside(estimate, given)

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The turn's objective; see Game and Term."""
        if turn == "discriminator":
            fake = self._for_the_discriminator(given)
            return {"total": self.game.discriminator(self._scores(x, given), self._scores(fake, given))}
        fake, estimate = self.translate(given)
        self._drawn = None if self.discriminator is None else fake.detach()
        parts = {term.name: term.weight * term.distance(fake, x) for term in self.terms}
        if estimate is not None:
            parts["estimate"] = torch.stack([term.weight * term.distance(estimate, x) for term in self.terms]).sum()
        if self.discriminator is not None:
            judged = self.game.generator_loss(self._scores(fake, given), lambda: self._scores(x, given))
            parts["adversarial"] = self.adversarial_weight * judged
        return {"total": torch.stack(list(parts.values())).sum(), **parts}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The generator's answer; `rng` is not used."""
        return self.translate(given)[0]

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The generator's or the discriminator's parameters."""
        player = self.discriminator if turn == "discriminator" else self.generator
        assert player is not None
        return player.parameters()

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fits the closed-form base on the training patients."""
        if self.base is not None:
            self.base.fit((_image(batch.given), batch.x, batch.region) for batch in batches())

    def _for_the_discriminator(self, given: Given) -> Tensor:
        """What the generator's turn drew, once; anew where no such turn went before."""
        fake, self._drawn = self._drawn, None
        if fake is None:
            with torch.no_grad():
                fake, _ = self.translate(given)
        return fake

    def _scores(self, x: Tensor, given: Given) -> Tensor:
        assert self.discriminator is not None
        return self.discriminator(torch.cat([_image(given), x], dim=1)).float()


def _image(given: Given) -> Tensor:
    assert given.image is not None, "a paired GAN is given an image"
    return given.image


def _inside(x: Tensor, given: Given) -> Tensor:
    return x if given.mask is None else x * given.mask
