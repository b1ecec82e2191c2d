"""SynDiff: adversarial diffusion between two kinds of images, learned without pairs (Ozbey et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.adversarial_diffusion import AdversarialDiffusion
from radloom.models.cyclegan import region_of
from radloom.models.losses import Game, l1, non_saturating
from radloom.models.model import Batch, Model


@final
class SynDiff(Model):
    """Two chains of few adversarial denoising steps, each given what the other kind's translator made of its image.

    Diffusion needs pairs and there are none. So two translators, the non-diffusive cycle, make a partner for every
    image: an image of unknown partner x is noised and drawn anew given to_image(x), and likewise the other way. Both
    parts learn together: the chains' gradients reach the translators through those partners. Only `draws_x` is used
    to draw, and then given a real image.
    draws_x, draws_image: see AdversarialDiffusion; their generators take what is given beside the noisy image.
    to_x, to_image: translators. of_x, of_image: their discriminators, in `game`. cycle: weight of |there and back -
    the same|. As with CycleGAN, x and given.image of a batch need not belong together; given.mask is the image's
    region, and that of x is where it is not 0. Blind to what CycleGAN is blind to: the translators decide what belongs
    together, and a map that both games like as well as the true one is learned with equal confidence.
    """

    turns = ("discriminator", "generator")

    def __init__(
        self,
        draws_x: AdversarialDiffusion,
        draws_image: AdversarialDiffusion,
        to_x: nn.Module,
        to_image: nn.Module,
        of_x: nn.Module,
        of_image: nn.Module,
        *,
        game: Game = non_saturating,
        cycle: float = 0.5,
    ) -> None:
        super().__init__()
        if not cycle >= 0:
            raise RadloomError(f"a cycle of weight {cycle}", expected="a number of at least 0")
        self.draws_x, self.draws_image = draws_x, draws_image
        self.to_x, self.to_image, self.of_x, self.of_image = to_x, to_image, of_x, of_image
        self.game, self.cycle = game, cycle

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Measures the spread of both kinds of images."""
        self.draws_x.begin(batches)
        self.draws_image.begin(lambda: (Batch(_image(b.given), b.given, b.region) for b in batches()))

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The games of both chains and both translators; for the generators with the chains' paired terms and cycles.

        In the discriminators' turn the partners are drawn without gradients; in the generators' turn with.
        """
        image = _image(given)
        here, there = region_of(x, given), Given(mask=given.mask)  # the regions of x and of the image
        with torch.set_grad_enabled(turn == "generator" and torch.is_grad_enabled()):
            fake_image, fake_x = _inside(self.to_image(x), here), _inside(self.to_x(image), there)
        chains = (
            self.draws_x.loss(x, Given(image=fake_image, mask=here.mask), turn=turn, rng=rng),
            self.draws_image.loss(image, Given(image=fake_x, mask=there.mask), turn=turn, rng=rng),
        )
        parts = {"x": chains[0]["total"], "image": chains[1]["total"]}
        if turn == "discriminator":
            judged = ((self.of_x, x, fake_x), (self.of_image, image, fake_image))
            games = [self.game.discriminator(of(real).float(), of(fake).float()) for of, real, fake in judged]
            return _summed({**parts, "translators": games[0] + games[1]})
        parts["translators"] = (
            self.game.generator_loss(self.of_x(fake_x).float(), lambda: self.of_x(x).float())
            + self.game.generator_loss(self.of_image(fake_image).float(), lambda: self.of_image(image).float())
        )  # fmt: skip
        parts["cycle"] = self.cycle * (
            l1(_inside(self.to_x(fake_image), here), x) + l1(_inside(self.to_image(fake_x), there), image)
        )
        return _summed(parts)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw given the image, by the chain alone; the translators have done their work."""
        return _inside(self.draws_x.sample(Given(image=_image(given), mask=given.mask), shape, rng=rng), given)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """All discriminators' or all generators' and translators' parameters."""
        players = (self.of_x, self.of_image) if turn == "discriminator" else (self.to_x, self.to_image)
        both = (self.draws_x.trainable(turn), self.draws_image.trainable(turn))
        return chain(*both, *(player.parameters() for player in players))

    def after_step(self) -> None:
        """Counts the chains' steps."""
        self.draws_x.after_step()
        self.draws_image.after_step()


def _summed(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"total": torch.stack(list(parts.values())).sum(), **{name: part.detach() for name, part in parts.items()}}


def _image(given: Given) -> Tensor:
    if given.image is None:
        raise RadloomError("SynDiff is given no image", expected="Given(image=...)")
    return given.image


def _inside(x: Tensor, given: Given) -> Tensor:
    return x if given.mask is None else x * given.mask
