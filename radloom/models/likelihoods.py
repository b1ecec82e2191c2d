"""Bits per voxel of models with a likelihood, all for images of 256 levels from -1 to 1, so that they compare."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.discrete import Levels, bits_per_dimension
from radloom.models.flow import Flow
from radloom.models.improved_ddpm import ImprovedDDPM
from radloom.models.pixelcnn import PixelCNN
from radloom.models.vae import VAE
from radloom.samplers.likelihood import hutchinson

LEVELS = Levels(256, -1.0, 1.0)


def diffusion_bits(model: Diffusion, x: Tensor, given: Given, rng: torch.Generator) -> Float[Tensor, " b"]:
    """By the probability-flow ODE on the model's own grid, with a random trace (Song et al. 2021, appendix D.2)."""
    density = model.log_likelihood(_spread(x, rng), given, rng=rng, trace=hutchinson)
    return bits_per_dimension(density, x[0].numel(), LEVELS)


def improved_ddpm_bits(model: ImprovedDDPM, x: Tensor, given: Given, rng: torch.Generator) -> Float[Tensor, " b"]:
    """An upper bound, by the variational bound of the chain that is drawn (Nichol & Dhariwal 2021, section 2.2)."""
    return bits_per_dimension(model.bound(_spread(x, rng), given, rng=rng), x[0].numel(), LEVELS)


def vae_bits(model: VAE, x: Tensor, given: Given, rng: torch.Generator) -> Float[Tensor, " b"]:
    """An upper bound, by the IWAE bound with 16 draws (Burda et al. 2016)."""
    return bits_per_dimension(model.bound(_spread(x, rng), given, draws=16, rng=rng), x[0].numel(), LEVELS)


def flow_bits(model: Flow, x: Tensor, given: Given, rng: torch.Generator) -> Float[Tensor, " b"]:
    """An upper bound, exact for images with uniform noise within their levels."""
    return bits_per_dimension(model.log_likelihood(_spread(x, rng), given), x[0].numel(), LEVELS)


def pixelcnn_bits(model: PixelCNN, x: Tensor, given: Given, rng: torch.Generator) -> Float[Tensor, " b"]:
    """Exact, of the levels that the model has; with fewer than 256 they are not comparable with the others."""
    return model.bits_per_dimension(x, given)


def _spread(x: Tensor, rng: torch.Generator) -> Tensor:
    """The x on its levels, with uniform noise of one level's width: else a density grows without end."""
    noise = torch.rand(x.shape, generator=rng, device=x.device) - 0.5
    return LEVELS.value(LEVELS.index(x)) + noise * 2 / (LEVELS.count - 1)
