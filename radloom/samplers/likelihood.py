"""The exact log-likelihood of a diffusion model by its probability-flow ODE (Song et al. 2021, appendix D.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.given import Given
from radloom.samplers.denoiser import Denoiser, Streams

Trace = Callable[[Callable[[Tensor], Tensor], Tensor, Streams], tuple[Tensor, Tensor]]
# (function, x, rng) -> function(x) and the trace of its Jacobian for each item (b,)


def hutchinson(function: Callable[[Tensor], Tensor], x: Tensor, rng: Streams) -> tuple[Tensor, Tensor]:
    """function(x), and v^T J v with random signs v: the trace without bias, one backward pass (Hutchinson 1989)."""
    signs = rng.signs(x)
    with torch.enable_grad():
        variable = x.detach().requires_grad_()
        value = function(variable)
        (product,) = torch.autograd.grad(value, variable, signs)
    return value.detach(), (product * signs).flatten(1).sum(1)


def exact_trace(function: Callable[[Tensor], Tensor], x: Tensor, rng: Streams) -> tuple[Tensor, Tensor]:
    """function(x), and the trace itself by one backward pass for each voxel: for small images."""
    with torch.enable_grad():
        variable = x.detach().requires_grad_()
        value = function(variable)
        total = x.new_zeros(len(x))
        for place in range(x[0].numel()):
            (row,) = torch.autograd.grad(value.flatten(1)[:, place].sum(), variable, retain_graph=True)
            total = total + row.flatten(1)[:, place]
    return value.detach(), total


def log_likelihood(
    denoise: Denoiser, x: Float[Tensor, "b c *s"], sigmas: Tensor, given: Given, rng: Streams, *,
    trace: Trace = hutchinson, spread: float = 0.0,
) -> Float[Tensor, " b"]:  # fmt: skip
    """The ln p(x) of each item in nats, the density of x0 + sigmas[-1] n at x; sigmas falls to its last entry above 0.

    d ln p / d ln sigma = -(voxels - tr dD/dx) along d x / d ln sigma = x - D, by Heun's steps in ln sigma, up to the
    N(0, sigmas[0]**2 + spread**2) of the noisiest level (spread: root mean square of the data). Blind to what the
    sampler does: it is the likelihood of the ODE's model. Items of one batch share no noise.
    """
    levels = sigmas.flip(0)
    voxels = x[0].numel()
    gained = x.new_zeros(len(x))

    def slope(at: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        clean, divergence = trace(lambda v: denoise(v, sigma, given), at, rng)
        return at - clean, voxels - divergence

    for now, then in pairwise(levels):
        step = (then / now).log()
        drift, growth = slope(x, now)
        drift_ahead, growth_ahead = slope(x + step * drift, then)
        x = x + step * (drift + drift_ahead) / 2
        gained = gained + step * (growth + growth_ahead) / 2
    variance = levels[-1] ** 2 + spread**2
    prior = -0.5 * (x.flatten(1).square().sum(1) / variance + voxels * (2 * math.pi * variance).log())
    return (prior + gained).to(x)


def bits_per_voxel(log_density: Float[Tensor, " b"], voxels: int, *, bin_width: float) -> Float[Tensor, " b"]:
    """-log2 p(x) / voxels for data rounded to bins of this width, from nats of a density.

    The bins must have been filled with uniform noise before (Theis et al. 2016), else the value means nothing.

    >>> bits_per_voxel(torch.tensor([0.0]), 1, bin_width=1 / 256).tolist()
    [8.0]
    """
    return -log_density / (voxels * math.log(2)) - math.log2(bin_width)
