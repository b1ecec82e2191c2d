"""Bridge: from a source image to the target along a Brownian bridge, in place of from noise (Liu et al. 2023, I2SB)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.irem import given_image
from radloom.models.model import Batch, Model
from radloom.models.predictions import Preconditioning, Prediction
from radloom.models.spread import root_mean_square
from radloom.networks.conditions import Dropout, dropped, never
from radloom.samplers.denoiser import Denoiser, Guide, Streams, streams

# (denoise, source, bridge's scale, times, given, rng) -> x0; denoise hears sigma = scale sqrt(t)
BridgeSampler = Callable[[Denoiser, Tensor, float, Tensor, Given, Streams], Tensor]


@final
class Bridge(Model):
    """p(x | source image) by a network that walks from the source to the target.

    At time t, x_t = (1 - t) x0 + t source + scale sqrt(t (1 - t)) n: the target at 0, the source itself at 1 and noise
    of at most scale / 2 between them, which pays where source and target are alike. I2SB's schedule and the one of
    Li et al. 2023 (BBDM) are this bridge with other clocks.
    network: (x_t, noise, given) -> answer of x's shape, x_t scaled to about unit variance, noise (b,) ln(scale sqrt(t))
    / 4; it must see the source (conditions.image_maps), or the draws belong to x_t alone. prediction: what the answer
    means, with alpha = 1 and sigma = scale sqrt(t), x_t = x0 + sigma n': predictions.noise is I2SB's loss. source: the
    image to start from, of x's shape. times: falling from 1 to 0, such as even_in_root. sampler, guides, dropout and
    spread as in Diffusion; the source is never dropped from the walk.
    """

    spread: Tensor

    def __init__(
        self, network: nn.Module, prediction: Prediction | Preconditioning, *, times: Tensor, sampler: BridgeSampler,
        scale: float = 1.0, source: Callable[[Given], Tensor] = given_image, guides: Sequence[Guide] = (),
        dropout: Dropout = never, spread: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 0 < scale < float("inf") or not (spread is None or 0 < spread < float("inf")):
            raise RadloomError(f"a bridge of scale {scale} and spread {spread}", expected="numbers above 0")
        if times.ndim != 1 or len(times) < 2 or times[0] != 1 or times[-1] != 0 or not (times.diff() < 0).all():
            raise RadloomError("the bridge's times do not fall from 1 to 0",
                               do="take bridge.even_in_root(steps)")  # fmt: skip
        self.network, self.scale, self.times, self.sampler = network, scale, times.double(), sampler
        self.source, self.guides, self.dropout = source, tuple(guides), dropout
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
        """The mean squared error of the prediction at times uniform in (0, 1), one in each of b equal parts."""
        parts = torch.arange(len(x), device=x.device)
        t = (parts + torch.rand(len(x), generator=rng, device=x.device)) / len(x)
        t = _like(t.clamp(1e-4, 1 - 1e-4), x)
        n = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        noisy = (1 - t) * x + t * self._begun(given, x.shape) + self.scale * (t * (1 - t)).sqrt() * n
        s = self.scale * t.sqrt()
        answer = self._answer(noisy, s, dropped(given, len(x), self.dropout, rng))
        return {"total": (answer - self.prediction.target(x, (noisy - x) / s, torch.ones_like(s), s)).square().mean()}

    def denoise(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """E[x0 | x_t = x, given] at scale sqrt(t) = sigma, a scalar or (b,)."""
        s = _like(sigma.to(x).expand(len(x)), x)
        return self.prediction.clean(self._answer(x, s, given), x, torch.ones_like(s), s)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw by the sampler. A batch draws what its items draw one after the other from the same rng."""
        denoise: Denoiser = self.denoise
        for guide in self.guides:
            denoise = guide(denoise)
        begun = self._begun(given, torch.Size(shape))
        return self.sampler(denoise, begun, self.scale, self.times, given, streams(rng, shape[0]))

    def _begun(self, given: Given, shape: torch.Size) -> Tensor:
        found = self.source(given)
        if found.shape != shape:
            raise RadloomError(f"a bridge from {tuple(found.shape)} to {tuple(shape)}", expected="one shape",
                               do="say by `source` which channels to start from")  # fmt: skip
        return found.float()

    def _answer(self, x: Tensor, s: Tensor, given: Given) -> Tensor:
        noise = s**2 * (1 - (s / self.scale) ** 2)  # scale**2 t (1 - t)
        return self.network(x / (self.spread**2 + noise).sqrt(), s.flatten().log() / 4, given).float()


def even_in_root(steps: int) -> Float[Tensor, " n"]:
    """The times from 1 to 0 (steps + 1,) that are even in sqrt(t), in the standard deviation of the way left to x0.

    Even in t the last steps are too long: a Gaussian has 98 % of its spread after 320 steps, here after 80 (eta 0).

    >>> even_in_root(2).tolist()
    [1.0, 0.25, 0.0]
    """
    if steps < 1:
        raise RadloomError(f"a walk of {steps} steps", expected="at least 1")
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 2


def walk(eta: float) -> BridgeSampler:
    """Steps down the bridge; eta is the share of fresh noise, 1 for the stochastic walk, 0 for a deterministic one.

    With n the noise that x_t implies for the denoised x0, the step from t to s is x_s = (1 - s) x0 + s source +
    sqrt(scale**2 s (1 - s) - r**2) n + r z, r = eta scale sqrt(s (1 - s / t)) (Zheng et al. 2025, DBIM). At eta 1 it
    is the bridge between x0 and x_t, which I2SB draws (Liu et al. 2023). At any eta the step away from the
    source is noise alone, for no image but the source implies any; eta 0 is deterministic from there on.
    """
    if not 0 <= eta <= 1:
        raise RadloomError(f"a walk with eta {eta}", expected="a share from 0 to 1")

    def sample(
        denoise: Denoiser, source: Tensor, scale: float, times: Tensor, given: Given, rng: Streams
    ) -> Tensor:  # fmt: skip
        x = source
        for now, then in pairwise(times.tolist()):
            clean = denoise(x, torch.tensor(scale * now**0.5), given)
            mean = (1 - then) * clean + then * source
            kept, fresh = _noises(scale, now, then, eta)
            if kept:
                mean = mean + kept * (x - (1 - now) * clean - now * source) / (scale * (now * (1 - now)) ** 0.5)
            x = mean + fresh * rng.normal(x) if fresh else mean
        return x

    return sample


def _noises(scale: float, now: float, then: float, eta: float) -> tuple[float, float]:
    """How much of the implied noise is kept, and how much comes fresh."""
    total = scale**2 * then * (1 - then)
    fresh = total if now == 1 else eta**2 * scale**2 * then * (1 - then / now)
    return max(total - fresh, 0.0) ** 0.5, fresh**0.5


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (x.ndim - 1))
