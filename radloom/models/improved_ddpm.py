"""Improved DDPM: a chain whose variance is learned beside the noise (Nichol & Dhariwal 2021)."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.models.paths import Path
from radloom.networks.conditions import Dropout, dropped, never
from radloom.samplers.denoiser import streams


@final
class ImprovedDDPM(Model):
    """p(x | given) by a chain of Gaussian steps with learned means and variances.

    network: (x_t, noise, given) -> 2c channels, the noise and v; ln variance = v ln beta + (1 - v) ln beta~ with v
    mapped from [-1, 1] (eq. 15). path: one that preserves the variance. steps: of the chain in training; drawing takes
    `draws` of them, evenly spaced, with the variances of the shorter chain (section 4). bound_weight: of the
    variational bound in the loss, lambda of eq. 16; it moves the variance alone.
    """

    def __init__(
        self,
        network: nn.Module,
        path: Path,
        *,
        steps: int = 1000,
        draws: int = 100,
        bound_weight: float = 1e-3,
        dropout: Dropout = never,
    ) -> None:
        super().__init__()
        if not 2 <= draws <= steps:
            raise RadloomError(f"{draws} draws from a chain of {steps} steps", expected="2 <= draws <= steps")
        self.network, self.path, self.steps, self.draws = network, path, steps, draws
        self.bound_weight, self.dropout = bound_weight, dropout

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """L_simple + bound_weight steps L_vlb (eq. 16), both means over voxels; the bound in nats per voxel."""
        ratios = self._ratios(self.steps).to(x)
        index = torch.randint(1, self.steps + 1, (len(x),), generator=rng, device=x.device)
        now, then = _like(ratios[index], x), _like(ratios[index - 1], x)
        n = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        noisy = x + now * n
        guess, share = self._heads(noisy, now, dropped(given, len(x), self.dropout, rng))
        simple = (guess - n).square().mean()
        bound = self._bound(x, noisy, guess.detach(), share, now, then, index == 1).mean()
        total = simple + self.bound_weight * self.steps * bound
        return {"total": total, "simple": simple, "bound": bound}

    def denoise(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """E[x0 | x0 + sigma n = x]; sigma is a scalar or (b,)."""
        ratio = _like(sigma.to(x).expand(len(x)), x)
        return x - ratio * self._heads(x, ratio, given)[0]

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw by `draws` ancestral steps; a batch draws what its items draw one after the other."""
        own = streams(rng, shape[0])
        x = torch.empty(shape, device=rng.device)
        ratios = self._ratios(self.draws).to(x)
        x = ratios[-1] * own.normal(x)
        for step in range(self.draws, 0, -1):
            now, then = ratios[step], ratios[step - 1]
            guess, share = self._drawing_heads(x, _like(now.expand(len(x)), x), given)
            clean = x - now * guess
            x = clean
            if step > 1:
                mean = clean + (then / now) ** 2 * now * guess
                x = mean + (learned_log_variance(share, now, then) / 2).exp() * own.normal(x)
        return x

    def bound(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Float[Tensor, " b"]:
        """A lower bound on ln p(x) in nats, a density, of the chain of `draws` steps (Ho et al. 2020, eq. 5).

        One draw of x_t for each step: so the bound itself scatters a little around its mean.
        """
        ratios = self._ratios(self.draws).to(x)
        # x_T = x0 + ratio n against ratio n, from which a draw begins
        total = (x.square() / (2 * ratios[-1] ** 2)).flatten(1).sum(1)
        for step in range(1, self.draws + 1):
            now, then = (_like(ratios[i].expand(len(x)), x) for i in (step, step - 1))
            noisy = x + now * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
            guess, share = self._drawing_heads(noisy, now, given)
            last = torch.full((len(x),), step == 1, device=x.device)
            total = total + self._bound(x, noisy, guess, share, now, then, last).flatten(1).sum(1)
        return -total

    def _bound(
        self, x: Tensor, noisy: Tensor, guess: Tensor, share: Tensor, now: Tensor, then: Tensor, last: Tensor
    ) -> Tensor:
        """KL(q(x_then | noisy, x0) || p) of each voxel in nats, and for the last step -ln p(x0 | noisy), a density."""
        weight = (then / now) ** 2
        clean = noisy - now * guess
        mean, right = clean + weight * (noisy - clean), x + weight * (noisy - x)
        least = learned_log_variance(torch.zeros_like(share), now, then)
        learned = learned_log_variance(share, now, then)
        apart = gaussian_kl(right, least, mean, learned)
        likelihood = gaussian_kl(x, learned, clean, learned) + 0.5 * (learned + torch.log(torch.tensor(2 * torch.pi)))
        return torch.where(_like(last, x), likelihood, apart)

    def _heads(self, x: Tensor, ratio: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """The noise, and v in [0, 1] for outputs in [-1, 1], from x = x0 + ratio n."""
        answer = self.network(x / (1 + ratio**2).sqrt(), ratio.flatten().log() / 4, given).float()
        guess, share = answer.chunk(2, dim=1)
        return guess, (share + 1) / 2

    def _drawing_heads(self, x: Tensor, ratio: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """The same with v kept within [0, 1], between which the best variance lies: what strays draws ever more noise.

        The loss leaves v free, as the paper does, or it could not come back.
        """
        guess, share = self._heads(x, ratio, given)
        return guess, share.clamp(0, 1)

    def _ratios(self, steps: int) -> Tensor:
        """The sigma / alpha of steps 0 (a tenth of the first, in the place of no noise at all) to `steps` (n + 1,)."""
        t = torch.linspace(self.path.earliest, self.path.latest, self.steps, dtype=torch.float64)
        chosen = torch.linspace(0, self.steps - 1, steps, dtype=torch.float64).round().long()
        ratios = self.path.ratio(t)[chosen]
        return torch.cat([ratios[:1] / 10, ratios])


def learned_log_variance(share: Tensor, now: Tensor, then: Tensor) -> Tensor:
    """The v ln beta + (1 - v) ln beta~ of the step from sigma `now` to `then` in x = x0 + sigma n (eq. 15).

    beta~ = then**2 (1 - then**2 / now**2) is the variance where x0 is known; beta = (1 + then**2) (now**2 - then**2) /
    (1 + now**2) where x0 is N(0, 1).
    """
    least = (then**2 * (1 - (then / now) ** 2)).log()
    most = ((1 + then**2) * (now**2 - then**2) / (1 + now**2)).log()
    return share * most + (1 - share) * least


def gaussian_kl(
    mean: Float[Tensor, "*s"],
    log_variance: Float[Tensor, "*s"],
    other_mean: Float[Tensor, "*s"],
    other_log_variance: Float[Tensor, "*s"],
) -> Float[Tensor, "*s"]:
    """KL(N(mean, variance) || N(other)) of each voxel in nats.

    >>> zero = torch.zeros(1)
    >>> gaussian_kl(zero, zero, zero + 2.0, zero).tolist()
    [2.0]
    """
    excess = log_variance - other_log_variance
    return 0.5 * (excess.exp() - 1 - excess + (mean - other_mean).square() * (-other_log_variance).exp())


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (x.ndim - 1))
