"""Diffusion: DDPM, score-SDE, EDM, v-prediction and rectified flow as one model; what differs is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model
from radloom.models.paths import Path
from radloom.models.predictions import Preconditioning, Prediction
from radloom.models.spread import root_mean_square
from radloom.models.times import Times, Weight, equal, uniform
from radloom.networks.conditions import Dropout, dropped, never
from radloom.samplers import inversion, likelihood
from radloom.samplers.denoiser import Denoiser, Guide, Sampler, streams


@final
class Diffusion(Model):
    """p(x | given) by a network that undoes noise along a path.

    network: (x_t, noise, given) -> answer of x's shape, where x_t comes scaled to about unit variance and noise (b,) is
    ln(sigma / alpha) / 4. prediction: what the answer means, or a function of the spread that says so, such as
    predictions.preconditioned. times, weight: where training looks, and how much it counts. sampler, sigmas: how it
    draws; sigmas are ratios sigma / alpha. guides: applied in order, the last one is outermost. dropout: for
    classifier-free guidance. spread: the data's root mean square about 0; None has `begin` measure it over the training
    images, 0.5 until then. It is saved with the weights.
    """

    spread: Tensor

    def __init__(
        self,
        network: nn.Module,
        path: Path,
        prediction: Prediction | Preconditioning,
        *,
        sampler: Sampler,
        sigmas: Tensor,
        guides: Sequence[Guide] = (),
        times: Times = uniform,
        weight: Weight = equal,
        dropout: Dropout = never,
        spread: float | None = None,
    ) -> None:
        super().__init__()
        if spread is not None and not 0 < spread < float("inf"):
            raise RadloomError(f"data with a root mean square of {spread}", expected="a number above 0")
        if sigmas.ndim != 1 or len(sigmas) < 2 or not (sigmas.diff() < 0).all() or sigmas[-1] < 0:
            raise RadloomError("the grid of noise does not fall", expected="two or more decreasing sigmas, 0 at last")
        self.network, self.path = network, path
        self.sampler, self.sigmas, self.guides = sampler, sigmas.double(), tuple(guides)
        self.times, self.weight, self.dropout = times, weight, dropout
        self._prediction, self._measures = prediction, spread is None
        self.register_buffer("spread", torch.tensor(0.5 if spread is None else spread))

    @property
    def prediction(self) -> Prediction:
        """What the network's answer means, for data of this spread."""
        given = self._prediction
        return given if isinstance(given, Prediction) else given(self.spread)

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Measures the spread over all voxels of the training images, unless it was given."""
        if self._measures:
            self.spread = self.spread.new_tensor(root_mean_square(batch.x for batch in batches()))

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The weighted mean squared error of the prediction at random times."""
        t = self.times(len(x), self.path, rng).to(x)
        a, s = _like(self.path.alpha(t), x), _like(self.path.sigma(t), x)
        n = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        known = dropped(given, len(x), self.dropout, rng)
        error = self._answer(a * x + s * n, a, s, known) - self.prediction.target(x, n, a, s)
        each = error.square().flatten(1).mean(1)
        return {"total": (self.weight(self.path.ratio(t)) * each).mean()}

    def denoise(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """E[x0 | x0 + sigma n = x]; sigma is a scalar or (b,), whatever the path."""
        ratio = _like(sigma.to(x).expand(len(x)), x)
        a = self.path.alpha(self.path.time(ratio))
        return self.prediction.clean(self._answer(a * x, a, a * ratio, given), a * x, a, a * ratio)

    def guided(self) -> Denoiser:
        """The denoiser inside all guides."""
        denoise: Denoiser = self.denoise
        for guide in self.guides:
            denoise = guide(denoise)
        return denoise

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw by the sampler. A batch draws what its items draw one after the other from the same rng."""
        own = streams(rng, shape[0])
        start = float(self.sigmas[0]) * own.normal(torch.empty(shape, device=rng.device))
        return self.sampler(self.guided(), start, self.sigmas, given, own)

    def encode(self, x: Tensor, given: Given, *, highest: float | None = None) -> Tensor:
        """The noisy x, at the first sigma not above `highest`, from which `decode` draws x again by DDIM."""
        return inversion.exact_encode(self.guided(), x, self._levels(highest)[:-1], given)

    def decode(self, x: Tensor, given: Given, *, highest: float | None = None) -> Tensor:
        """DDIM without new noise from an encoded x down to the lowest sigma above 0; the inverse of `encode`."""
        from radloom.samplers.solvers import euler

        return euler(self.guided(), x, self._levels(highest)[:-1], given, streams(torch.Generator(), 0))

    def log_likelihood(self, x: Tensor, given: Given, *, rng: torch.Generator, trace: likelihood.Trace) -> Tensor:
        """The ln p(x | given) of each item in nats, on the model's own grid; see samplers.likelihood."""
        own, sigmas = streams(rng, len(x)), self._levels(None)[:-1]
        return likelihood.log_likelihood(self.denoise, x, sigmas, given, own, trace=trace, spread=float(self.spread))

    def _levels(self, highest: float | None) -> Tensor:
        chosen = self.sigmas if highest is None else self.sigmas[self.sigmas <= highest]
        if len(chosen) < 3 or chosen[-1] != 0:
            raise RadloomError(f"{len(chosen)} levels of noise up to {highest}", expected="two or more above 0, then 0")
        return chosen

    def _answer(self, x: Tensor, a: Tensor, s: Tensor, given: Given) -> Tensor:
        scale = 1 / (s**2 + (a * self.spread) ** 2).sqrt()  # unit variance in (Karras et al. 2022, eq. 117)
        return self.network(scale * x, (s / a).flatten().log() / 4, given).float()


def _like(values: Tensor, x: Tensor) -> Tensor:
    """(b,) as (b, 1, 1, ...)."""
    return values.view(-1, *(1,) * (x.ndim - 1))
