"""Adversarial diffusion: a few large denoising steps, each drawn by a generator (Xiao et al. 2022, SynDiff)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.losses import Game, Term, non_saturating
from radloom.models.model import Batch, Model
from radloom.models.paths import Path
from radloom.models.spread import root_mean_square
from radloom.networks.conditions import Dropout, dropped, never
from radloom.samplers.denoiser import Denoiser, Guide, streams
from radloom.samplers.stochastic import ancestral, posterior


@final
class AdversarialDiffusion(Model):
    """p(x | given) by a chain of few steps in which a generator draws x0 from p(x0 | x_t) instead of its mean.

    A chain of 1000 steps may answer with the mean, for x_t says nearly all; in 4 steps many images fit x_t, and the
    mean of them is blurred. generator: ([x_t, z], noise, given) -> x0 of x's shape, z `latents` channels of fresh
    N(0, 1) beside x_t, which is scaled to about unit variance; noise (b,) is ln(sigma / alpha) / 4. discriminator:
    ([x_s, x_t], noise, given) -> scores, whether x_s is a true step from x_t, such as TimeDiscriminator.
    sigmas: falling ratios sigma / alpha that end in 0; see large_steps. terms: paired, of the drawn x0 and x
    (SynDiff: l1 of weight 0.5). penalty: gamma of R1, gamma / 2 |grad D|**2 with respect to the real x_s, in every
    `penalise_every`-th step, counted in the weights (Mescheder et al. 2018; SynDiff has 1 and 10). What is given to
    the generator is dropped for the discriminator alike. guides and spread as in Diffusion.
    """

    turns = ("discriminator", "generator")
    spread: Tensor
    step: Tensor

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, sigmas: Tensor, latents: int = 1,
        game: Game = non_saturating, terms: tuple[Term, ...] = (), penalty: float = 1.0, penalise_every: int = 10,
        guides: Sequence[Guide] = (), dropout: Dropout = never, spread: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if sigmas.ndim != 1 or len(sigmas) < 2 or not (sigmas.diff() < 0).all() or sigmas[-1] != 0:
            raise RadloomError("the grid of noise does not fall to 0", do="take large_steps(path, 4)")
        if latents < 1 or not penalty >= 0 or penalise_every < 1:
            raise RadloomError(f"{latents} latents, a penalty of {penalty} every {penalise_every} steps",
                               expected="at least one latent, no negative penalty, every 1 or more steps")  # fmt: skip
        if not (spread is None or 0 < spread < float("inf")):
            raise RadloomError(f"data with a root mean square of {spread}", expected="a number above 0")
        self.generator, self.discriminator, self.sigmas = generator, discriminator, sigmas.double()
        self.latents, self.game, self.terms, self.guides = latents, game, terms, tuple(guides)
        self.penalty, self.penalise_every, self.dropout = penalty, penalise_every, dropout
        self._measures = spread is None
        self.register_buffer("spread", torch.tensor(0.5 if spread is None else spread))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Measures the spread over all voxels of the training images, unless it was given."""
        if self._measures:
            self.spread = self.spread.new_tensor(root_mean_square(batch.x for batch in batches()))

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The turn's side of the game at random steps of the chain; the generator's with the paired terms."""
        places = torch.randint(len(self.sigmas) - 1, (len(x),), generator=rng, device=x.device)
        levels = self.sigmas.to(x)
        now, then = _like(levels[places], x), _like(levels[places + 1], x)

        def normal(channels: int = x.shape[1]) -> Tensor:
            return torch.randn((len(x), channels, *x.shape[2:]), generator=rng, device=x.device, dtype=x.dtype)

        before = x + then * normal()
        noisy = before + (now**2 - then**2).sqrt() * normal()
        known = dropped(given, len(x), self.dropout, rng)
        with torch.set_grad_enabled(turn == "generator" and torch.is_grad_enabled()):
            clean = self._drawn(noisy, now, normal(self.latents), known)
            mean, deviation = posterior(noisy, clean, now, then)
            fake = mean + deviation * normal()
        if turn == "discriminator":
            return self._judged(before, fake, noisy, now, then, known)
        adversarial = self.game.generator(self._scores(fake, noisy, now, then, known))
        parts = {term.name: term.weight * term.distance(clean, x) for term in self.terms}
        return {"total": torch.stack([adversarial, *parts.values()]).sum(), "adversarial": adversarial, **parts}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw by the chain's own steps. A batch draws what its items draw one after the other from the same rng."""
        own = streams(rng, shape[0])

        def draw(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
            z = own.normal(x.new_empty(len(x), self.latents, *x.shape[2:]))
            return self._drawn(x, _like(sigma.to(x).expand(len(x)), x), z, given)

        denoise: Denoiser = draw
        for guide in self.guides:
            denoise = guide(denoise)
        start = float(self.sigmas[0]) * own.normal(torch.empty(shape, device=rng.device))
        return ancestral(denoise, start, self.sigmas, given, own)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The generator's or the discriminator's parameters."""
        return (self.generator if turn == "generator" else self.discriminator).parameters()

    def after_step(self) -> None:
        """Counts the step."""
        self.step += 1

    def _drawn(self, x: Tensor, sigma: Tensor, z: Tensor, given: Given) -> Tensor:
        """x0 from x = x0 + sigma n."""
        seen = torch.cat([self._scaled(x, sigma), z], dim=1)
        return self.generator(seen, sigma.flatten().log() / 4, given).float()

    def _scores(self, before: Tensor, noisy: Tensor, now: Tensor, then: Tensor, given: Given) -> Tensor:
        pair = torch.cat([self._scaled(before, then), self._scaled(noisy, now)], dim=1)
        return self.discriminator(pair, now.flatten().log() / 4, given).float()

    def _judged(
        self, before: Tensor, fake: Tensor, noisy: Tensor, now: Tensor, then: Tensor, given: Given
    ) -> dict[str, Tensor]:
        due = self.penalty > 0 and int(self.step) % self.penalise_every == 0 and torch.is_grad_enabled()
        before = before.requires_grad_(due)
        real = self._scores(before, noisy, now, then, given)
        game = self.game.discriminator(real, self._scores(fake, noisy, now, then, given))
        if not due:
            return {"total": game, "game": game, "penalty": torch.zeros_like(game)}
        (slope,) = torch.autograd.grad(real.sum(), before, create_graph=True)
        penalty = self.penalty / 2 * slope.square().flatten(1).sum(1).mean()
        return {"total": game + penalty, "game": game, "penalty": penalty}

    def _scaled(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x / (sigma**2 + self.spread**2).sqrt()


def large_steps(path: Path, steps: int) -> Float[Tensor, " n"]:
    """The ratios sigma / alpha (steps + 1,) at times even over the path, from its latest to none (SynDiff: 4 steps).

    >>> from radloom.models.paths import variance_preserving
    >>> [round(v, 3) for v in (1 / (1 + large_steps(variance_preserving(earliest=1e-3), 4) ** 2)).tolist()]
    [0.0, 0.003, 0.079, 0.522, 1.0]
    """
    if steps < 1:
        raise RadloomError(f"a chain of {steps} steps", expected="at least 1")
    times = torch.linspace(path.latest, path.earliest, steps + 1, dtype=torch.float64, device="cpu")
    return torch.cat([path.ratio(times[:-1]), times.new_zeros(1)])


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (x.ndim - 1))
