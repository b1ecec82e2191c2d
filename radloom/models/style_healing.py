"""Pseudo-healthy CT by a GAN of normal slices: its image nearest to the slice, and what reconstructions agree on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.ct_windows import Windows, inside_skull
from radloom.models.latent_search import Whitening, noise_steps, style_steps, unbent, unlikeness
from radloom.models.model import Batch, Model
from radloom.models.noise_gan import GAN
from radloom.models.penalties import Shown
from radloom.models.voting import Tally, begun, voted
from radloom.networks.style_encoder import StyleEncoder
from radloom.networks.stylegan import StyleGenerator
from radloom.samplers.denoiser import streams
from radloom.samplers.healing import Healed

_ALONE = 5 / 70  # of the encoder's stage, before it plays against the discriminator


@dataclass(frozen=True)
class Search:
    """How a slice is searched for at heal time: Adam steps and their highest rates; how reconstructions vote.

    limit: HU from which a difference votes. width: of the median, in pixels. rim: pixels left out beside the skull.
    """

    style_steps: int
    style_rate: float
    noise_steps: int
    noise_rate: float
    limit: float
    width: int
    rim: int

    def __post_init__(self) -> None:
        if min(self.style_steps, self.noise_steps) < 1:
            raise RadloomError(f"a search of {self.style_steps} and {self.noise_steps} steps", expected="1 or more")


@final
class StyleHealing(Model):
    """A GAN of normal slices in several windows, then an encoder to its styles; heals by searching its images.

    The GAN's turns train in the first `first` steps; `mean`, the moving average of its generator (`ema`), is what the
    encoder learns to invert in the `second` steps after, while the discriminator goes on against its reconstructions.
    Over the last `known` of them the encoder's styles of the training slices are summed up: what normal is. heal
    expects the slices of one case in their order, as those beside have a say.
    """

    turns = ("discriminator", "generator", "encoder")
    finished: Tensor
    count: Tensor
    total: Tensor
    products: Tensor

    def __init__(
        self, gan: GAN, encoder: StyleEncoder, windows: Windows, search: Search, *, first: int, second: int, known: int,
        ema: float, adversarial: float = 0.05, erased: float = 0.25,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(gan.generator, StyleGenerator):
            raise RadloomError("a generator without styles to encode to", expected="a StyleGenerator")
        if first < 1 or not 1 <= known <= second:
            raise RadloomError(f"a GAN of {first} steps and an encoder of {second} that is known over {known}",
                               expected="1 step or more of each, known at most the encoder's")  # fmt: skip
        self.gan, self.encoder, self.windows, self.search = gan, encoder, windows, search
        self.mean: StyleGenerator = copy.deepcopy(gan.generator).eval().requires_grad_(False)
        self.first, self.second, self.known, self.ema = first, second, known, ema
        self.adversarial, self.erased = adversarial, erased
        n, w = encoder.styles, encoder.width
        for name, shape in (("finished", ()), ("count", ()), ("total", (n, w)), ("products", (n, w, w))):
            self.register_buffer(name, torch.zeros(shape))
        self._codes: Tensor | None = None

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The GAN's losses, then the encoder's; a player that rests has a loss that nothing hears."""
        seen, stage = self.windows.split(x), int(self.finished) - self.first
        alone = stage < _ALONE * self.second
        at_rest = {"discriminator": stage >= 0 and alone, "generator": stage >= 0, "encoder": stage < 0}
        if at_rest[turn]:
            return {"total": torch.zeros((), device=x.device, requires_grad=True)}
        if stage < 0:
            return self.gan.loss(seen, given, turn=turn, rng=rng)
        if turn == "discriminator":
            return self._judged(seen, given, rng)
        return self._encoded(seen, given, 0.0 if alone else self.adversarial, rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A normal slice of the averaged generator, its HU those that the windows can show."""
        noise = streams(rng, shape[0]).normal
        z = noise(torch.empty(shape[0], self.mean.latent, device=rng.device))
        return self.windows.image(self.windows.joined(self.mean(z, given, noise).float()))

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The encoder's, or those of the GAN's player."""
        return self.encoder.parameters() if turn == "encoder" else self.gan.trainable(turn)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The GAN's."""
        self.gan.begin(batches)

    def after_step(self) -> None:
        """The stage's own: the generator's average, or the sums over the encoder's styles."""
        done = int(self.finished)
        if done < self.first:
            self.gan.after_step()
            ours: list[Tensor] = list(self.mean.parameters())
            theirs: list[Tensor] = list(self.gan.generator.parameters())
            with torch.no_grad():
                torch._foreach_lerp_(ours, theirs, 1 - min(self.ema, (1 + done) / (10 + done)))
        if self._codes is not None:
            v = unbent(self._codes)
            self.count += len(v)
            self.total += v.sum(0)
            self.products += torch.einsum("bnw,bnk->nwk", v, v)
        self._codes = None
        self.finished += 1

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """The nearest image of normal slices inside the skull, and the map of votes times |difference| in HU.

        What lies outside the skull's inside stays the input's, with a map of 0. Nothing is random.
        """
        healthy, tally, brain = self.searched(x, given)
        return Healed(self.windows.image(torch.where(brain, healthy, self.windows.hu(x))), tally.map * brain)

    def searched(self, x: Tensor, given: Given) -> tuple[Tensor, Tally, Tensor]:
        """The last reconstruction in HU, the tally, and where the inside of the skull is."""
        head = torch.ones_like(x, dtype=torch.bool) if given.mask is None else given.mask > 0
        hu = self.windows.hu(x)
        brain, shown = inside_skull(hu, head, rim=self.search.rim), self._clipped(hu)
        seen, search, synthesis = self.windows.split(x), self.search, self.mean.synthesis
        known = Whitening.of(self.count, self.total, self.products)
        with torch.no_grad():
            start = known.whitened(self.encoder(seen))
        tally, found = begun(x), (known.styles(start), seen)
        for found in style_steps(synthesis, seen, known, start, steps=search.style_steps,
                                         highest=search.style_rate):  # fmt: skip
            tally = self._voted(tally, shown, found[1], brain)
        styles, first = found
        y = first

        def target() -> Tensor:  # what is suspect is not to be painted back by noise
            return torch.where(tally.suspect, first, seen)

        for y in noise_steps(synthesis, styles, target, steps=search.noise_steps, highest=search.noise_rate):
            tally = self._voted(tally, shown, y, brain)
        return self.windows.joined(y), tally, brain

    def _voted(self, tally: Tally, shown: Tensor, y: Tensor, brain: Tensor) -> Tally:
        return voted(tally, shown, self.windows.joined(y), brain, limit=self.search.limit, width=self.search.width)

    def _clipped(self, hu: Tensor) -> Tensor:
        """HU cut to the widest window, beyond which reconstructions see nothing."""
        low, high = self.windows.pairs[-1]
        return hu.clamp(low, high)

    def _judged(self, seen: Tensor, given: Given, rng: torch.Generator) -> dict[str, Tensor]:
        """The discriminator's loss on slices and their reconstructions, undisguised."""
        with torch.no_grad():
            fake = self._reconstructed(self.encoder(seen), rng)

        def score(x: Tensor) -> Tensor:
            return self.gan.discriminator(x, given)

        shown = Shown(seen, fake, score, score)
        parts = {"reconstructed": self.gan.game.discriminator(score(seen).float(), score(fake).float())}
        for penalty in self.gan.penalties:
            value = penalty.due(int(self.finished), shown, rng)
            if value is not None:
                parts[penalty.name] = value
        return {"total": torch.stack(list(parts.values())).sum(), **parts}

    def _encoded(self, seen: Tensor, given: Given, adversarial: float, rng: torch.Generator) -> dict[str, Tensor]:
        """unlikeness(x, G(E(x))) + adversarial softplus(-D(G(E(x)))) + mean of (E(x) - E(G(E(x))))**2."""
        w = self.encoder(_erased(seen, self.erased, rng))
        y = self._reconstructed(w, rng)
        parts = {"unlikeness": unlikeness(seen, y).mean(), "cycle": (w - self.encoder(y)).square().mean()}
        if adversarial > 0:
            parts["adversarial"] = adversarial * F.softplus(-self.gan.discriminator(y, given).float()).mean()
        if int(self.finished) >= self.first + self.second - self.known:
            with torch.no_grad():
                self._codes = self.encoder(seen).float()
        return {"total": torch.stack(list(parts.values())).sum(), **parts}

    def _reconstructed(self, w: Tensor, rng: torch.Generator) -> Tensor:
        return self.mean.synthesis(w, lambda like: torch.randn(like.shape, generator=rng, device=like.device)).float()


def _erased(x: Tensor, chance: float, rng: torch.Generator) -> Tensor:
    """The image with a rectangle of a tenth to a half of each axis at -1, of each item with this chance."""
    draws = torch.rand((len(x), 5), generator=rng, device=x.device)
    inside = draws[:, 0].view(-1, 1, 1, 1) < chance
    for axis in (2, 3):
        size = 0.1 + 0.4 * draws[:, axis - 1]
        first = draws[:, axis + 1] * (1 - size)
        at = (torch.arange(x.shape[axis], device=x.device) + 0.5) / x.shape[axis]
        hit = (at >= first[:, None]) & (at < (first + size)[:, None])
        inside = inside & (hit[:, None, :, None] if axis == 2 else hit[:, None, None, :])
    return torch.where(inside, -torch.ones_like(x), x)
