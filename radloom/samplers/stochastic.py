"""Samplers that add noise on their way: ancestral, DDIM, Heun's, predictor-corrector, annealed Langevin, RePaint.

All work in x = x0 + sigma n. The factories return a Sampler; `sigmas` falls to its last entry, mostly 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.samplers.denoiser import Denoiser, Sampler, Streams
from radloom.samplers.solvers import heun

Projection = Callable[[Tensor, Tensor, Given, Streams], Tensor]  # (x, sigma, given, rng) -> x


def posterior(x: Tensor, clean: Tensor, now: Tensor, then: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of q(x at sigma `then` | x at sigma `now`, x0 = clean) (Ho et al. 2020, eq. 6-7)."""
    share = (then / now) ** 2
    return clean + share * (x - clean), then * (1 - share).sqrt()


def ancestral(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by DDPM's steps with the posterior's own variance (Ho et al. 2020, Algorithm 2)."""
    for now, then in pairwise(sigmas):
        mean, deviation = posterior(x, denoise(x, now, given), now, then)
        x = mean + deviation * rng.normal(x) if then > 0 else mean
    return x


def ddim(eta: float) -> Sampler:
    """DDIM (Song et al. 2021, eq. 12): 0 adds no noise and is solvers.euler; 1 is ancestral in distribution."""
    if not 0 <= eta <= 1:
        raise RadloomError(f"DDIM with eta {eta}", expected="a share from 0 to 1")

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        for now, then in pairwise(sigmas):
            clean = denoise(x, now, given)
            fresh = eta * then * (1 - (then / now) ** 2).sqrt()  # eq. 16
            x = clean + (then**2 - fresh**2).sqrt() * (x - clean) / now
            if fresh > 0:
                x = x + fresh * rng.normal(x)
        return x

    return sample


def heun_with_noise(*, churn: float, lowest: float = 0.05, highest: float = 50.0, inflation: float = 1.003) -> Sampler:
    """EDM's sampler: noise is added before each of Heun's steps, which then goes as much farther (Karras et al. 2022).

    Algorithm 2 with S_churn, S_tmin, S_tmax and S_noise in this order; the defaults are those of ImageNet at 64 x 64,
    of which S_churn is 40. Two evaluations a step; churn 0 is solvers.heun.
    """
    if not (churn >= 0 and 0 <= lowest < highest and inflation > 0):
        raise RadloomError(f"noise of churn {churn} from {lowest} to {highest}, inflated by {inflation}",
                           expected="churn >= 0, 0 <= lowest < highest, inflation above 0")  # fmt: skip

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        rise = min(churn / (len(sigmas) - 1), math.sqrt(2) - 1)
        for now, then in pairwise(sigmas):
            if rise > 0 and lowest <= now <= highest:
                raised = now * (1 + rise)
                x, now = x + (raised**2 - now**2).sqrt() * inflation * rng.normal(x), raised
            x = heun(denoise, x, torch.stack([now, then]), given, rng)
        return x

    return sample


def predictor_corrector(*, snr: float, corrections: int = 1, project: Projection | None = None) -> Sampler:
    """Reverse-diffusion predictor and Langevin corrector (Song et al. 2021, Algorithms 2 and 4).

    snr: size of a Langevin step against its noise. project: applied after each sub-step (score-MRI's data
    consistency, Chung & Ye 2022). The step to sigma 0 adds no noise.
    """

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        after = project or _unchanged
        for now, then in pairwise(sigmas):
            for _ in range(corrections):
                score = (denoise(x, now, given) - x) / now**2
                noise = rng.normal(x)
                step = 2 * (snr * _norm(noise) / _norm(score).clamp_min(1e-12)) ** 2
                x = after(x + step * score + (2 * step).sqrt() * noise, now, given, rng)
            clean = denoise(x, now, given)
            x = x + (1 - (then / now) ** 2) * (clean - x) if then > 0 else clean
            if then > 0:
                x = x + (now**2 - then**2).sqrt() * rng.normal(x)
            x = after(x, then, given, rng)
        return x

    return sample


def annealed_langevin(*, step: float, repeats: int) -> Sampler:
    """Langevin dynamics at each level of falling noise, then the denoised image (Song & Ermon 2019, Algorithm 1).

    At sigma a step has the size step * sigma**2, `repeats` times: x + (size / 2) score + sqrt(size) z. Levels must lie
    close together, within a factor of about 1.2, for a level to prepare the next.
    """

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        levels = sigmas[sigmas > 0]
        for sigma in levels:
            for _ in range(repeats):
                drift = (step / 2) * (denoise(x, sigma, given) - x)
                x = x + drift + step**0.5 * sigma * rng.normal(x)
        return denoise(x, levels[-1], given)

    return sample


def repaint(*, jumps: int) -> Sampler:
    """Inpainting with an unconditional denoiser (Lugmayr et al. 2022, Algorithm 1 with jumps of one step).

    given.image is the known image and given.mask is 1 where it is to be painted anew; elsewhere it is returned as it
    is. Each ancestral step is undone by fresh noise and redone `jumps` - 1 times, so that both parts agree.
    """
    if jumps < 1:
        raise RadloomError(f"RePaint with {jumps} jumps", expected="at least 1")

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        if given.image is None or given.mask is None:
            raise RadloomError("RePaint has no image or no mask", expected="both in what is given")
        painted = given.mask.bool().expand_as(x)
        for now, then in pairwise(sigmas):
            for jump in range(jumps if then > 0 else 1):
                if jump:
                    x = x + (now**2 - then**2).sqrt() * rng.normal(x)
                mean, deviation = posterior(x, denoise(x, now, given), now, then)
                drawn = mean + deviation * rng.normal(x) if then > 0 else mean
                known = given.image + then * rng.normal(x) if then > 0 else given.image
                x = torch.where(painted, drawn, known)
        return x

    return sample


def measured_projection(x: Tensor, sigma: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x with its measured part replaced by the measurement at the same noise: x + A^+ (y + sigma A n - A x)."""
    if given.measured is None:
        raise RadloomError("a projection has no measurement", expected="Given(measured=Measurement(y, operator))")
    y, operator = given.measured.y, given.measured.operator
    target = y + sigma * operator(rng.normal(x)) if sigma > 0 else y
    return x + operator.pinv(target - operator(x))


def _unchanged(x: Tensor, sigma: Tensor, given: Given, rng: Streams) -> Tensor:
    return x


def _norm(x: Tensor) -> Tensor:
    """The Euclidean norm of each item (b, 1, 1, ...)."""
    return x.flatten(1).norm(dim=1).view(-1, *(1,) * (x.ndim - 1))
