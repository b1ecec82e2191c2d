"""Penalties of adversarial training: R1, R2, WGAN-GP's, drift, path length, and the unrolled discriminator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from radloom.errors import RadloomError

Scores = Callable[[Tensor], Tensor]  # images (b, c, *s) -> scores (b, ...)


@dataclass(frozen=True)
class Shown:
    """What a discriminator was shown in a turn, without gradient, and how it scores images in their place."""

    real: Tensor
    fake: Tensor
    of_real: Scores
    of_fake: Scores


@dataclass(frozen=True)
class Penalty:
    """A term of the discriminator's loss, taken every `every` steps and then `every` times as heavy (lazily)."""

    name: str
    weight: float
    value: Callable[[Shown, torch.Generator], Tensor]
    every: int = 1

    def __post_init__(self) -> None:
        if not self.weight >= 0 or self.every < 1:
            raise RadloomError(f"penalty {self.name} of weight {self.weight} every {self.every} steps",
                               expected="a weight of at least 0, every 1 step or more")  # fmt: skip

    def due(self, step: int, shown: Shown, rng: torch.Generator) -> Tensor | None:
        """The weighted term at this step, or None when it rests. In float32: it is a derivative of derivatives."""
        if step % self.every:
            return None
        with torch.autocast(shown.real.device.type, enabled=False):
            return self.weight * self.every * self.value(shown, rng)


def r1(gamma: float, *, every: int = 16) -> Penalty:
    """R1, gamma / 2 E |grad of the score at real images|**2 (Mescheder et al. 2018, eq. 9); lazy as in StyleGAN2."""
    return Penalty("r1", gamma / 2, lambda shown, rng: squared_slopes(shown.of_real, shown.real).mean(), every)


def r2(gamma: float, *, every: int = 16) -> Penalty:
    """R2, the same at generated images (Mescheder et al. 2018, eq. 10)."""
    return Penalty("r2", gamma / 2, lambda shown, rng: squared_slopes(shown.of_fake, shown.fake).mean(), every)


def gradient_penalty(weight: float = 10.0, *, every: int = 1) -> Penalty:
    """WGAN-GP's weight E (|slope| - 1)**2 somewhere between real and generated (Gulrajani et al. 2017, eq. 3)."""

    def value(shown: Shown, rng: torch.Generator) -> Tensor:
        share = torch.rand(len(shown.real), generator=rng, device=rng.device).to(shown.real)
        between = torch.lerp(shown.fake, shown.real, share.view(-1, *(1,) * (shown.real.ndim - 1)))
        return ((squared_slopes(shown.of_real, between) + 1e-12).sqrt() - 1).square().mean()

    return Penalty("gradient_penalty", weight, value, every)


def drift(weight: float = 0.001) -> Penalty:
    """PGGAN's weight E score(real)**2, which keeps a critic's scores near 0 (Karras et al. 2018, appendix A.1)."""
    return Penalty("drift", weight, lambda shown, rng: shown.of_real(shown.real).float().square().mean())


def squared_slopes(scores: Scores, x: Float[Tensor, "b c *s"]) -> Float[Tensor, " b"]:
    """The |grad of the summed score|**2 of each image, itself differentiable."""
    with torch.enable_grad():
        at = x.detach().float().requires_grad_()
        (slope,) = torch.autograd.grad(scores(at).sum(), at, create_graph=True)
    return slope.square().flatten(1).sum(1)


@dataclass(frozen=True)
class PathLength:
    """The term weight E (|J_w' y| - a)**2, y a normal image, a the running mean (Karras et al. 2020, eq. 4).

    A step of w then changes the image by as much wherever w is. every: lazily, as a Penalty. decay: of the mean per
    time taken. share: of the batch that it is taken on.
    """

    weight: float = 2.0
    every: int = 4
    decay: float = 0.01
    share: float = 0.5

    def __post_init__(self) -> None:
        if not self.weight >= 0 or self.every < 1 or not 0 < self.decay <= 1 or not 0 < self.share <= 1:
            raise RadloomError(f"path length with {self}", expected="weight >= 0, every >= 1, shares in (0, 1]")


def path_lengths(
    synthesis: Callable[[Tensor], Tensor], w: Float[Tensor, "b n w"], rng: torch.Generator
) -> Float[Tensor, " b"]:
    """The length |J_w' y| of each item, root mean square over its layers, y normal over sqrt(voxels)."""
    with torch.enable_grad(), torch.autocast(w.device.type, enabled=False):
        w = w.float()
        at = w if w.requires_grad else w.requires_grad_()
        image = synthesis(at)
        y = torch.randn(image.shape, generator=rng, device=rng.device).to(image) / math.sqrt(image[0, 0].numel())
        (slope,) = torch.autograd.grad((image * y).sum(), at, create_graph=True)
    return slope.square().sum(2).mean(1).sqrt()


@dataclass(frozen=True)
class Unrolled:
    """The generator's loss against a discriminator that first answers with `steps` steps of descent at `rate`.

    The generator hears through them what its move would make of the discriminator, so that running to one mode does not
    pay (Metz et al. 2017). Costs steps + 1 passes and their derivatives: for toys and small images. Plain descent
    stands for the discriminator's own optimiser (ours).
    """

    steps: int = 5
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.rate > 0:
            raise RadloomError(
                f"unrolling {self.steps} steps at rate {self.rate}", expected="1 or more, a rate above 0"
            )

    def answered(
        self, discriminator: nn.Module, loss: Callable[[Callable[..., Tensor]], Tensor]
    ) -> Callable[..., Tensor]:
        """The discriminator after its steps on `loss(discriminator)`, as a function of the same arguments."""
        moved = {name: p.detach().requires_grad_() for name, p in discriminator.named_parameters()}
        for _ in range(self.steps):
            slopes = torch.autograd.grad(loss(_with(discriminator, moved)), list(moved.values()), create_graph=True,
                                         allow_unused=True)  # fmt: skip
            moved = {
                name: p if slope is None else p - self.rate * slope
                for (name, p), slope in zip(moved.items(), slopes, strict=True)
            }
        return _with(discriminator, moved)


def _with(network: nn.Module, parameters: dict[str, Tensor]) -> Callable[..., Tensor]:
    return lambda *inputs: functional_call(network, parameters, inputs)
