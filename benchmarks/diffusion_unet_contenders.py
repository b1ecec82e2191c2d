"""Who competes in benchmarks/diffusion_unet.py: denoising networks of equal parameters under one preconditioning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from generator_contenders import parameters
from torch import Tensor, nn

from radloom.given import Given
from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.memory import recomputed
from radloom.networks.monai import DiffusionModelUNet
from radloom.samplers import grids, solvers

Widths = tuple[int, ...]


@dataclass(frozen=True)
class Contender:
    """A network. build(dims, widths), one channel in and out; variants: widths, of which the pilot takes the best."""

    title: str
    build: Callable[[int, Widths], nn.Module]
    variants: tuple[Widths, ...]


class Diffusers(nn.Module):
    """diffusers' UNet2DModel without attention, with as many blocks as MONAI has, hearing noise as it does."""

    def __init__(self, dims: int, widths: Widths) -> None:
        super().__init__()
        from diffusers import UNet2DModel  # pyright: ignore[reportMissingImports]

        assert dims == 2, "UNet2DModel is 2D"
        levels = len(widths)
        self.inner = UNet2DModel(
            in_channels=1, out_channels=1, block_out_channels=widths, layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownBlock2D",) * levels, up_block_types=("UpBlock2D",) * levels, add_attention=False,
        )  # fmt: skip

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        """The answer; noise is ln(sigma / alpha) / 4, spread over the peer's time steps 0 to 1000."""
        return self.inner(x, 250 * (noise + 2)).sample


FIELD = {
    "ours": Contender("DiffusionUNet (ours)", lambda dims, widths: DiffusionUNet(dims, 1, 1, widths),
                      ((32, 64, 128, 112), (64, 112, 128))),
    "monai": Contender("MONAI DiffusionModelUNet", lambda dims, widths: DiffusionModelUNet(dims, 1, 1, widths),
                       ((16, 32, 64, 96), (32, 64, 96))),
    "diffusers": Contender("diffusers UNet2DModel", Diffusers, ((16, 32, 64, 96), (32, 64, 96))),
}  # fmt: skip
VOLUMES = {  # the 3D memory table; equal parameters again
    "ours": Contender("DiffusionUNet (ours)", FIELD["ours"].build, ((32, 64, 104),)),
    "ours, recomputed": Contender("DiffusionUNet (ours), blocks recomputed",
                                  lambda dims, widths: DiffusionUNet(dims, 1, 1, widths, run=recomputed),
                                  ((32, 64, 104),)),
    "monai": Contender("MONAI DiffusionModelUNet", FIELD["monai"].build, ((16, 32, 64),)),
}  # fmt: skip


def present() -> tuple[str, ...]:
    """The contenders of FIELD whose package is installed."""
    return tuple(name for name in FIELD if name != "diffusers" or find_spec("diffusers") is not None)


def model(network: nn.Module, spread: float, steps: int) -> Diffusion:
    """EDM's model around a network: preconditioning, training noise and Heun's steps (Karras et al. 2022)."""
    return Diffusion(
        network, paths.edm(), predictions.preconditioned(spread), times=times.log_normal(), spread=spread,
        sampler=solvers.heun, sigmas=grids.karras(steps, 0.02, 40.0),
    )  # fmt: skip


def size(build: Callable[[int, Widths], nn.Module], dims: int, widths: Widths) -> int:
    """The parameters of a network that is not allocated; imports what it needs."""
    with torch.device("meta"):
        return parameters(build(dims, widths))
