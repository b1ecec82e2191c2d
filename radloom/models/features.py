"""A diffusion model read for what it knows: its features at chosen noise, for heads that need few labels; no head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.prior import OnPrior
from radloom.networks.diffusion_unet import DiffusionUNet

Reading = tuple[tuple[int, ...], ...]  # noise steps by group: one head reads those of a group joined
See = Callable[[Tensor], Tensor]  # how an image from -1 to 1 is shown to the frozen network


def joined(steps: tuple[int, ...]) -> Reading:
    """One head that reads the features of all steps at once: LEDM and LEDMe.

    >>> joined((50, 150, 250))
    ((50, 150, 250),)
    """
    return (steps,)


def ensembled(steps: tuple[int, ...]) -> Reading:
    """One head that reads each step by itself, its answers averaged: TEDM.

    >>> ensembled((1, 10))
    ((1,), (10,))
    """
    return tuple((step,) for step in steps)


def as_trained(x: Tensor) -> Tensor:
    """The image as the network learned it, from -1 to 1."""
    return x


def from_zero_to_one(x: Tensor) -> Tensor:
    """The image from 0 to 1, as the public code of Rosnati et al. (2023) shows it: not what its network learned."""
    return (x + 1) / 2


@final
class FeatureDiffusion(OnPrior):
    """p(x) by `prior`, whose U-Net is read for features at steps of a chain of `chain` equal steps.

    readings: by name of the method, which steps a head reads joined and whose answers are averaged. method: the one
    that the claim is about. see: how an image is shown to the frozen network.
    """

    def __init__(
        self, prior: Diffusion, readings: Mapping[str, Reading], *, method: str, chain: int, see: See
    ) -> None:  # fmt: skip
        super().__init__(prior)
        if method not in readings:
            raise RadloomError(f"--set method={method} is unknown", expected=" or ".join(readings))
        steps = [step for reading in readings.values() for group in reading for step in group]
        if not steps or not 0 <= min(steps) <= max(steps) < chain:
            raise RadloomError(f"noise steps {steps}", expected=f"steps from 0 to {chain - 1}")
        self.readings, self.method, self.chain, self.see = dict(readings), method, chain, see

    def features(
        self, x: Float[Tensor, "b c *s"], given: Given, step: int, *, rng: torch.Generator
    ) -> list[Float[Tensor, "b k *t"]]:
        """The U-Net's features of x_t = alpha x + sigma n by level, the coarsest first, without gradient.

        n is drawn anew from rng. Blind to: where the region is; a head sees the background too.
        """
        if not 0 <= step < self.chain:
            raise RadloomError(f"noise step {step}", expected=f"0 to {self.chain - 1}")
        path = self.prior.path
        t = torch.tensor(path.earliest + (path.latest - path.earliest) * step / (self.chain - 1), dtype=torch.float64)
        a, s = path.alpha(t).to(x), path.sigma(t).to(x)
        seen = self.see(x)
        n = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        with torch.no_grad():
            return self._network().features(*self._scaled(a * seen + s * n, a, s), given)

    @property
    def strides(self) -> tuple[int, ...]:
        """How many voxels along an axis each level's position stands for, the coarsest first."""
        network = self._network()
        return tuple(network.patch * 2**depth for depth in reversed(range(network.levels)))

    def logits(self, x: Float[Tensor, "b c *s"], given: Given) -> Float[Tensor, "b 1 *s"]:
        """The first channel that the U-Net answers to x without noise: a U-Net of segmentation, once it is trained so.

        It hears the least noise of the chain, which is always the same and tells it nothing.
        """
        path = self.prior.path
        t = torch.tensor(path.earliest, dtype=torch.float64)
        return self._network()(*self._scaled(x, path.alpha(t).to(x), path.sigma(t).to(x)), given)[:, :1].float()

    def _scaled(self, x: Tensor, a: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Image and noise as `Diffusion` hands them to its network."""
        scale = 1 / (s**2 + (a * self.prior.spread) ** 2).sqrt()
        return scale * x, ((s / a).log() / 4).expand(len(x))

    def _network(self) -> DiffusionUNet:
        network = self.prior.network
        assert isinstance(network, DiffusionUNet), "a network whose levels can be read"
        return network
