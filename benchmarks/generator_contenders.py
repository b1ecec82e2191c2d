"""Who competes in benchmarks/generator.py: models that predict FLAIR from (T1c, T2), their widths and variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from radloom.models.closed_form import Voxelwise
from radloom.models.gan import PairedGAN
from radloom.models.losses import Term, l1, least_squares, mse
from radloom.models.model import Model
from radloom.networks.pix2pix import UNetGenerator
from radloom.networks.residual_unet import ChannelNorm, ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial

DIMS, INPUTS, OUTPUTS = 2, 2, 1
TOLERANCE = 0.03  # largest share by which a peer's parameters may differ from ours
TERMS = (Term("l1", 1.0, l1), Term("mse", 5.0, mse))  # those of conte2021_missing_sequence at size cpu

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Contender:
    """A way to fill in FLAIR. variants: settings of `build`; the first stands unless the pilot finds a better one."""

    name: str
    title: str
    build: Callable[..., Model]
    variants: tuple[Settings, ...]


def _direct(network: nn.Module, base: VoxelwisePolynomial | None = None) -> Model:
    return PairedGAN(network, None, game=least_squares, adversarial_weight=0.0, terms=TERMS, base=base)


def residual(*, channels: tuple[int, ...], patch: int) -> Model:
    """Ours, predicting FLAIR directly."""
    return _direct(_network(OUTPUTS, channels, patch))


def recipe(*, channels: tuple[int, ...]) -> Model:
    """Ours as the system uses it: the cubic map, a correction to it, and an estimate from scratch beside it."""
    return _direct(_network(2 * OUTPUTS, channels, 2), VoxelwisePolynomial(INPUTS, OUTPUTS, degree=3))


def _network(outputs: int, channels: tuple[int, ...], patch: int) -> nn.Module:
    return ResidualUNet(DIMS, INPUTS, outputs, tuple(channels), patch=patch, finish=8, norm=ChannelNorm)


def monai(*, channels: tuple[int, ...]) -> Model:
    """MONAI's UNet with two residual units a level, instance norm and PReLU, every level at half of the one before."""
    from monai.networks.nets.unet import UNet

    strides = (2,) * (len(channels) - 1)
    return _direct(UNet(DIMS, INPUTS, OUTPUTS, tuple(channels), strides, num_res_units=2, norm="instance"))


def pix2pix(*, channels: tuple[int, ...], dropout: float) -> Model:
    """Pix2pix's U-Net."""
    return _direct(UNetGenerator(DIMS, INPUTS, OUTPUTS, tuple(channels), dropout=dropout))


def cubic() -> Model:
    """The best cubic polynomial of (T1c, T2) at the same voxel."""
    return Voxelwise(INPUTS, OUTPUTS, degree=3)


CUBIC = Contender("cubic", "cubic voxel-wise map", cubic, ({},))
BUILDS: dict[str, Callable[..., Model]] = {
    "ours": residual, "ours_patch1": residual, "monai": monai, "pix2pix": pix2pix, "recipe": recipe
}  # fmt: skip


def contenders(channels: tuple[int, ...], names: Sequence[str] = tuple(BUILDS)) -> dict[str, Contender]:
    """The contenders of these names; ours with these widths, the peers as wide as equal parameters allow.

    The peers' widths double from level to level, as their authors' do. They come with as many levels as ours and with
    one more, pix2pix's with and without dropout too: the pilot chooses.
    """
    wanted = parameters(residual(channels=channels, patch=2))
    same, more = (tuple(2**level for level in range(n)) for n in (len(channels), len(channels) + 1))
    titles = {
        "ours": "residual U-Net, 2x2 patch stem (ours)", "ours_patch1": "the same without patch stem",
        "monai": "MONAI UNet", "pix2pix": "pix2pix U-Net", "recipe": "full recipe: cubic map + correction + estimate",
    }  # fmt: skip
    variants: dict[str, Callable[[], tuple[Settings, ...]]] = {
        "ours": lambda: ({"channels": channels, "patch": 2},),
        "ours_patch1": lambda: ({"channels": channels, "patch": 1},),
        # MONAI's two lowest levels share a resolution: with one level more it goes as deep as ours
        "monai": lambda: tuple({"channels": matched(monai, shape, wanted)} for shape in (more, same)),
        "pix2pix": lambda: tuple({"channels": matched(pix2pix, shape, wanted, {"dropout": 0.5}), "dropout": dropout}
                                 for shape in (same, more) for dropout in (0.5, 0.0)),
        "recipe": lambda: ({"channels": channels},),
    }  # fmt: skip
    return {name: Contender(name, titles[name], BUILDS[name], variants[name]()) for name in names}


def lookup(name: str) -> Callable[..., Model]:
    """The function that builds a contender of this name."""
    return CUBIC.build if name == CUBIC.name else BUILDS[name]


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters())


def matched(
    build: Callable[..., Model], shape: tuple[int, ...], wanted: int, settings: Settings | None = None
) -> tuple[int, ...]:
    """Widths in the proportion of `shape` whose parameter count is nearest to `wanted`, within TOLERANCE if possible.

    Multiples of 16 are tried first, since convolutions are fastest there, then of 8, 4, 2 and 1. The count grows with
    every width, so that the scale is found by halving an interval.
    """

    def count(widths: tuple[int, ...]) -> int:
        with torch.device("meta"):
            return parameters(build(channels=widths, **(settings or {})))

    best: tuple[float, tuple[int, ...]] = (float("inf"), shape)
    for multiple in (16, 8, 4, 2, 1):
        low, high = 0.0, 512.0
        for _ in range(24):
            scale = (low + high) / 2
            widths = tuple(max(multiple, round(scale * part / multiple) * multiple) for part in shape)
            found = count(widths)
            best = min(best, (abs(found / wanted - 1), widths))
            low, high = (scale, high) if found < wanted else (low, scale)
        if best[0] <= TOLERANCE:
            break
    return best[1]
