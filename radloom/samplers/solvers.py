"""Solvers of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma, from noise to images, without new noise.

Each is a Sampler: it walks down `sigmas` and returns x at the last one. Unless its docstring says otherwise, a last
sigma of 0 is reached by Euler's step, x = D. Every path shares these coordinates (Karras et al. 2022, section 2).
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.samplers.denoiser import Denoiser, Sampler, Streams


def euler(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by first-order steps; the same as DDIM with eta 0 (Song et al. 2021, eq. 12)."""
    for now, then in pairwise(sigmas):
        clean = denoise(x, now, given)
        x = clean + (then / now) * (x - clean)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by second-order steps, two evaluations each (Karras et al. 2022, Algorithm 1)."""
    for now, then in pairwise(sigmas):
        clean = denoise(x, now, given)
        slope = (x - clean) / now
        ahead = clean + (then / now) * (x - clean)
        if then > 0:
            slope_ahead = (ahead - denoise(ahead, then, given)) / then
            ahead = x + (then - now) * (slope + slope_ahead) / 2
        x = ahead
    return x


def midpoint(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by second-order steps with the slope at the geometric mean of the sigmas.

    Steps that quarter sigma or more throw x far off: from 80 to 0.002 take dozens of them, or another solver.
    """
    for now, then in pairwise(sigmas):
        clean = denoise(x, now, given)
        if then > 0:  # d x / d log sigma = x - D, so that the middle is that of log sigma
            half, step = (now * then).sqrt(), (then / now).log()
            ahead = x + (step / 2) * (x - clean)
            x = x + step * (ahead - denoise(ahead, half, given))
        else:
            x = clean
    return x


def flow_heun(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by Heun's steps along the straight path z = (1 - t) x0 + t n (Liu et al. 2023).

    z = x / (1 + sigma), t = sigma / (1 + sigma) and dz/dt = (z - D) / t. Euler's steps are the same there as here.
    """
    times = sigmas / (1 + sigmas)
    z = x * (1 - times[0])
    for now, then in pairwise(times):
        clean = denoise(z / (1 - now), now / (1 - now), given)
        ahead = clean + (then / now) * (z - clean)
        if then > 0:
            slope_ahead = (ahead - denoise(ahead / (1 - then), then / (1 - then), given)) / then
            ahead = z + (then - now) * ((z - clean) / now + slope_ahead) / 2
        z = ahead
    return z / (1 - times[-1])


def flow_midpoint(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by midpoint steps along the straight path; see flow_heun.

    The step to 0 is a midpoint step as well: 2 D(halfway) - D. On Gaussian data its error of the second order vanishes
    (|z| is the root of a quadratic in t), so that it looks better there than it is on images.
    """
    times = sigmas / (1 + sigmas)
    z = x * (1 - times[0])
    for now, then in pairwise(times):
        half = (now + then) / 2
        clean = denoise(z / (1 - now), now / (1 - now), given)
        ahead = clean + (half / now) * (z - clean)
        middle = denoise(ahead / (1 - half), half / (1 - half), given)
        z = z + (then - now) * (ahead - middle) / half if then > 0 else 2 * middle - clean
    return z / (1 - times[-1])


def dpm_solver_2m(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The x at the last sigma by DPM-Solver++(2M), one evaluation a step (Lu et al. 2022, Algorithm 2)."""
    before: Tensor | None = None
    last_step = torch.zeros(())
    for now, then in pairwise(sigmas):
        clean = denoise(x, now, given)
        if then == 0:
            return clean
        step = (now / then).log()
        mix = clean if before is None else clean + (step / (2 * last_step)) * (clean - before)
        x = (then / now) * x + (1 - then / now) * mix
        before, last_step = clean, step
    return x


def unipc(order: int) -> Sampler:
    """The predictor-corrector of this order in log sigma, one evaluation a step; it converges at order + 1.

    With l = -ln sigma, x(l') = e^(l - l') x(l) + e^(-l') int e^u D(u) du is exact. D is replaced by the polynomial
    through the last `order` evaluations, and then, once D at the predicted point is known, also through that one
    (Zhao et al. 2023, UniPC with all coefficients solved for; the evaluation serves the next step too).
    """
    if not 1 <= order <= 4:
        raise RadloomError(f"UniPC of order {order}", expected="an order from 1 to 4")

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        clocks: list[Tensor] = []
        cleans: list[Tensor] = []
        corrected = x
        for i, now in enumerate(sigmas):
            if now == 0:
                return cleans[-1]
            clock = -now.log()
            if i:
                shrink = now / sigmas[i - 1]
                predicted = shrink * corrected + _integral(clocks[-order:], cleans[-order:], clocks[-1], clock)
                if i == len(sigmas) - 1:
                    return predicted
                clean = denoise(predicted, now, given)
                nodes, values = [*clocks[-order:], clock], [*cleans[-order:], clean]
                corrected = shrink * corrected + _integral(nodes, values, clocks[-1], clock)
            else:
                clean = denoise(x, now, given)
            clocks, cleans = [*clocks[-order:], clock], [*cleans[-order:], clean]
        return corrected

    return sample


def _integral(nodes: list[Tensor], values: list[Tensor], start: Tensor, end: Tensor) -> Tensor:
    """e^(-end) times the integral of e^u P(u) from start to end, P the polynomial through (nodes, values)."""
    width = end - start
    places = (torch.stack(nodes).double() - start) / width
    powers = torch.vander(places, increasing=True)  # P(v) = sum_k c_k v^k with powers @ c = values, v in [0, 1]
    weights = torch.linalg.solve(powers.T, _moments(len(nodes), width.double()))
    total = torch.zeros_like(values[0])
    for weight, value in zip(weights.tolist(), values, strict=True):
        total.add_(value, alpha=weight)
    return total


def _moments(count: int, width: Tensor) -> Tensor:
    """The width * int_0^1 e^(width (v - 1)) v^k dv for k below count, by Gauss-Legendre, exact for small widths too."""
    roots, weights = _gauss_legendre()
    pieces = max(1, int(width.abs().ceil()))
    edges = torch.linspace(0, 1, pieces + 1, dtype=torch.float64)
    spots = (edges[:-1, None] + (roots + 1) / (2 * pieces)).flatten()
    masses = (weights / (2 * pieces)).repeat(pieces)
    growth = width.cpu() * (width.cpu() * (spots - 1)).exp() * masses
    return (torch.vander(spots, count, increasing=True).T @ growth).to(width.device)


@cache
def _gauss_legendre() -> tuple[Tensor, Tensor]:
    """Roots and weights of 16 points on [-1, 1]; working them out takes longer than a small network."""
    import numpy as np

    roots, weights = np.polynomial.legendre.leggauss(16)
    return torch.from_numpy(roots), torch.from_numpy(weights)
