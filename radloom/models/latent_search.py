"""The image of a style generator nearest to a given one: by steps on its whitened styles, then on its noise maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.networks.stylegan import Noise
from radloom.samplers.healing import lost_structure

Synthesis = Callable[[Tensor, Noise], Tensor]  # (styles, noise) -> images


@dataclass(frozen=True)
class Whitening:
    """Styles of normal images, before the last leaky ReLU, as numbers of mean 0 and unit variance, layer by layer.

    p = ((leaky_5(w) - mean) axes) / deviation, leaky_5 of slope 5 below 0, which undoes one of slope 0.2.
    """

    mean: Float[Tensor, "n w"]
    axes: Float[Tensor, "n w w"]
    deviation: Float[Tensor, "n w"]

    @classmethod
    def of(cls, count: Tensor, total: Float[Tensor, "n w"], products: Float[Tensor, "n w w"]) -> Whitening:
        """From sums over `count` styles; before there are any, as if mean 0 and unit variance were known.

        A direction of no variance keeps a millionth of the largest.
        """
        if not count:
            return cls(total, torch.eye(total.shape[1]).to(total).expand_as(products), torch.ones_like(total))
        mean = total / count
        covariance = products / count - mean[:, :, None] * mean[:, None]
        values, axes = torch.linalg.eigh(covariance.double())
        floor = values[:, -1:].clamp_min(1e-12) * 1e-6
        return cls(mean, axes.to(mean), values.maximum(floor).sqrt().to(mean))

    def whitened(self, w: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        """The p of styles."""
        return torch.einsum("bnw,nwk->bnk", unbent(w) - self.mean, self.axes) / self.deviation

    def styles(self, p: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        """The styles of p."""
        v = torch.einsum("bnk,nwk->bnw", p * self.deviation, self.axes) + self.mean
        return torch.where(v < 0, 0.2 * v, v) * math.sqrt(2)


def unbent(w: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """What a leaky ReLU times sqrt 2 made w of.

    >>> unbent(torch.tensor([2.0, -2.0]) * 2**0.5).tolist()
    [2.0, -10.0]
    """
    v = w / math.sqrt(2)
    return torch.where(v < 0, 5 * v, v)


def rate(step: int, steps: int, highest: float) -> float:
    """The learning rate: up over the first 5 % of the steps, down by a half cosine over the last quarter.

    >>> [round(rate(step, 100, 0.1), 3) for step in (0, 4, 50, 87)]
    [0.02, 0.1, 0.1, 0.053]
    """
    done = step / steps
    up = min(1.0, (step + 1) / max(0.05 * steps, 1))
    down = min(1.0, (1 - done) / 0.25)
    return highest * up * (0.5 - 0.5 * math.cos(math.pi * down))


def unlikeness(x: Float[Tensor, "b c h w"], y: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """How unlike two images from -1 to 1 are: |x - y| and (1 - SSIM) / 2, means over voxels at three resolutions."""
    found = []
    for _ in range(3):
        if found and min(x.shape[2:]) < 10:
            break
        if found:
            x, y = torch.nn.functional.avg_pool2d(x, 2), torch.nn.functional.avg_pool2d(y, 2)
        found.append((x - y).abs().flatten(1).mean(1) + lost_structure(x, y).flatten(1).mean(1))
    return torch.stack(found).mean(0)


def drift(p: Float[Tensor, "b n w"], start: Float[Tensor, "b n w"]) -> Float[Tensor, " b"]:
    """Mean of (p - start)**2 where p lies further from the centre of the normal than where it began.

    >>> drift(torch.tensor([[[2.0, 0.5]]]), torch.tensor([[[1.0, 1.0]]])).tolist()
    [0.5]
    """
    return ((p - start).square() * (p.abs() > start.abs())).flatten(1).mean(1)


def style_steps(
    synthesis: Synthesis, x: Float[Tensor, "b c h w"], whitening: Whitening, start: Float[Tensor, "b n k"], *,
    steps: int, highest: float,
) -> Iterator[tuple[Tensor, Tensor]]:  # fmt: skip
    """(styles, image) after each of `steps` Adam steps on p that bring the image nearer to x, without noise."""
    p = start.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([p], betas=(0.9, 0.999))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, steps, highest)
        with torch.enable_grad():
            y = synthesis(whitening.styles(p), torch.zeros_like)
            loss = (unlikeness(x, y) + drift(p, start)).sum()  # a sum: an image's steps do not depend on the others
        (p.grad,) = torch.autograd.grad(loss, p)
        optimiser.step()
        yield whitening.styles(p.detach()), y.detach()


def noise_steps(
    synthesis: Synthesis, styles: Float[Tensor, "b n w"], target: Callable[[], Float[Tensor, "b c h w"]], *,
    steps: int, highest: float,
) -> Iterator[Tensor]:  # fmt: skip
    """The image after each of `steps` Adam steps on the noise maps, from 0, that bring it nearer to target() in L1."""
    maps: list[Tensor] = []

    def recorded(x: Tensor) -> Tensor:
        maps.append(torch.zeros_like(x).requires_grad_())
        return maps[-1]

    with torch.no_grad():
        synthesis(styles, recorded)
    optimiser = torch.optim.Adam(maps, betas=(0.9, 0.999))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, steps, highest)
        with torch.enable_grad():
            given = iter(maps)
            y = synthesis(styles, lambda x, given=given: next(given))
            loss = (y - target()).abs().flatten(1).mean(1).sum()
        for one, slope in zip(maps, torch.autograd.grad(loss, maps), strict=True):
            one.grad = slope
        optimiser.step()
        yield y.detach()
