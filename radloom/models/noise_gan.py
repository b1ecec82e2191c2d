"""GAN: images from noise by one pass, against any game, with the penalties and disguises of models/."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.augmentation import Augmentation
from radloom.models.diffusion_gan import Diffused
from radloom.models.losses import Game
from radloom.models.model import Model
from radloom.models.penalties import PathLength, Penalty, Scores, Shown, Unrolled, path_lengths
from radloom.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator, faded
from radloom.networks.stylegan import Noise, StyleGenerator
from radloom.samplers.denoiser import streams


@runtime_checkable
class Generator(Protocol):
    """(z, given, noise) -> images (b, *shape), z (b, latent); networks.progressive and networks.stylegan have some."""

    latent: int
    shape: tuple[int, ...]

    def __call__(self, z: Tensor, given: Given, noise: Noise) -> Tensor:
        """The images of z."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that is learned."""
        ...


@dataclass(frozen=True)
class Growth:
    """When a progressive GAN grows, in images shown: `stable` at each resolution, `fade` for each next to fade in."""

    fade: int
    stable: int

    def __post_init__(self) -> None:
        if self.fade < 1 or self.stable < 0:
            raise RadloomError(f"growth with {self}", expected="fade of 1 image or more, stable of 0 or more")

    def stage(self, shown: int, levels: int) -> float:
        """The resolution, from 0 to levels - 1; see networks.progressive.parts.

        >>> [Growth(fade=10, stable=5).stage(shown, 3) for shown in (0, 5, 10, 15, 20, 29, 500)]
        [0.0, 0.0, 0.5, 1.0, 1.0, 1.9, 2.0]
        """
        whole, rest = divmod(max(0, shown - self.stable), self.fade + self.stable)
        return min(levels - 1.0, whole + min(1.0, rest / self.fade))


@final
class GAN(Model):
    """x = generator(z, given), z normal, trained against a discriminator of (x, given) (Goodfellow et al. 2014).

    generator: of networks.progressive or .stylegan, or your own module. discriminator: (x, given, time) -> scores. Both
    hear classes, values and maps as they were built to: so this is the conditional GAN too (Mirza & Osindero 2014).
    disguise: adaptive augmentation or diffusion noise. path_length: for a StyleGenerator. unrolled: for the generator's
    turn. growth: for progressive players. Counters and running means are buffers: resume goes on where training was;
    with several processes each keeps its own, the first one's are saved.
    """

    turns = ("discriminator", "generator")
    steps: Tensor
    shown: Tensor
    mean_length: Tensor

    def __init__(
        self,
        generator: Generator,
        discriminator: nn.Module,
        *,
        game: Game,
        penalties: tuple[Penalty, ...] = (),
        disguise: Augmentation | Diffused | None = None,
        path_length: PathLength | None = None,
        unrolled: Unrolled | None = None,
        growth: Growth | None = None,
    ) -> None:
        super().__init__()
        if game.relative and isinstance(disguise, Augmentation | Diffused) and disguise.feedback.target is not None:
            raise RadloomError("feedback from the sign of scores in a relative game", expected="Feedback(target=None)")
        if path_length is not None and not isinstance(generator, StyleGenerator):
            raise RadloomError("a path length of a generator without styles", expected="a StyleGenerator")
        grown = isinstance(generator, ProgressiveGenerator) and isinstance(discriminator, ProgressiveDiscriminator)
        if growth is not None and not grown:
            raise RadloomError("growth of players that do not grow", expected="networks of networks.progressive")
        self.generator, self.discriminator, self.game, self.penalties = generator, discriminator, game, penalties
        self.disguise, self.path_length, self.unrolled, self.growth = disguise, path_length, unrolled, growth
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("shown", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean_length", torch.zeros(()))
        self._batch, self._length = 0, None
        self._grow(0)

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The game's loss and the penalties that are due; "real" and "fake" are the discriminator's mean scores."""
        if x.shape[1:] != self.generator.shape:
            raise RadloomError(f"images of {tuple(x.shape[1:])} for a GAN", expected=f"{self.generator.shape}")
        self._batch = len(x)
        if isinstance(self.generator, ProgressiveGenerator):
            x = faded(x, float(self.generator.stage), self.generator.levels)
        turns = {"discriminator": self._discriminator, "generator": self._generator}
        return turns[turn](x, given, lambda like: torch.randn(like.shape, generator=rng, device=like.device), rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw; what is given of images and masks is heard by networks with maps alone."""
        if tuple(shape[1:]) != tuple(self.generator.shape):
            raise RadloomError(f"a draw of {tuple(shape[1:])} from a GAN", expected=f"{self.generator.shape}")
        return self._drawn(given, shape[0], streams(rng, shape[0]).normal, rng.device)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The parameters of the turn's player."""
        return (self.discriminator if turn == "discriminator" else self.generator).parameters()

    def after_step(self) -> None:
        """Counts, grows, and adapts the disguise and the mean path length."""
        if self._length is not None and self.path_length is not None:
            self.mean_length.lerp_(self._length, self.path_length.decay if int(self.steps) else 1.0)
        self.steps += 1
        self.shown += self._batch
        self._batch, self._length = 0, None
        if self.disguise is not None:
            self.disguise.after_step(int(self.steps))
        self._grow(int(self.shown))

    def _discriminator(self, x: Tensor, given: Given, noise: Noise, rng: torch.Generator) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._drawn(given, len(x), noise, x.device)
        (real, when), (fake, then) = self._seen(x, rng), self._seen(fake, rng)
        shown = Shown(real, fake, self._scores(given, when), self._scores(given, then))
        of_real, of_fake = shown.of_real(real).float(), shown.of_fake(fake).float()
        if self.disguise is not None:
            self.disguise.note(of_real.detach())
        total = self.game.discriminator(of_real, of_fake)
        parts = {"real": of_real.detach().mean(), "fake": of_fake.detach().mean()}
        for penalty in self.penalties:
            value = penalty.due(int(self.steps), shown, rng)
            if value is not None:
                total, parts[penalty.name] = total + value, value.detach()
        return {"total": total, **parts}

    def _generator(self, x: Tensor, given: Given, noise: Noise, rng: torch.Generator) -> dict[str, Tensor]:
        fake, then = self._seen(self._drawn(given, len(x), noise, x.device), rng)
        real, when = self._seen(x, rng) if self.game.relative or self.unrolled is not None else (x, None)
        judge = self.discriminator
        if self.unrolled is not None:
            judge = self.unrolled.answered(self.discriminator, lambda d: self.game.discriminator(
                d(real, given, when).float(), d(fake, given, then).float()))  # fmt: skip
        scores = judge(fake, given, then).float()
        game = self.game.generator_loss(scores, lambda: judge(real, given, when).float())
        path = self.path_length
        if path is None or int(self.steps) % path.every:
            return {"total": game}
        assert isinstance(self.generator, StyleGenerator)
        synthesis, count = self.generator.synthesis, max(1, round(path.share * len(x)))
        w = self.generator.styles(noise(x.new_empty(count, self.generator.latent)), given[:count], noise)
        lengths = path_lengths(lambda at: synthesis(at, noise), w, rng)
        self._length = lengths.detach().mean()
        mean = self.mean_length if int(self.steps) else self._length  # from 0 the first penalties would shrink lengths
        penalty = path.every * path.weight * (lengths - mean).square().mean()
        return {"total": game + penalty, "game": game.detach(), "path_length": self._length}

    def _drawn(self, given: Given, count: int, noise: Noise, device: torch.device) -> Tensor:
        z = noise(torch.empty(count, self.generator.latent, device=device))
        return self.generator(z, given, noise).float()

    def _seen(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        return (x, None) if self.disguise is None else self.disguise(x, rng)

    def _scores(self, given: Given, time: Tensor | None) -> Scores:
        return lambda x: self.discriminator(x, given, time)

    def _grow(self, shown: int) -> None:
        if self.growth is not None:
            assert isinstance(self.generator, ProgressiveGenerator)
            assert isinstance(self.discriminator, ProgressiveDiscriminator)
            stage = self.growth.stage(shown, self.generator.levels)
            self.generator.stage.fill_(stage)
            self.discriminator.stage.fill_(stage)
