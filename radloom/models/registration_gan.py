"""A paired GAN whose pairs need not lie on each other: a registration answers for the shift (Lyu et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.losses import Game, l1, least_squares
from radloom.models.model import Model
from radloom.networks.registration import roughness, warped


@dataclass(frozen=True)
class Jolt:
    """Random affine motion of each image: turn in degrees, shift and scaling as shares; 0 for none of it."""

    turn: float = 1.0
    shift: float = 0.02
    scaling: float = 0.02

    def __post_init__(self) -> None:
        if not (0 <= self.turn <= 45 and 0 <= self.shift < 1 and 0 <= self.scaling < 1):
            raise RadloomError(f"a jolt of {self.turn} degrees, {self.shift} and {self.scaling}",
                               expected="0 to 45 degrees and shares from 0 to 1")  # fmt: skip


still = Jolt(0.0, 0.0, 0.0)


@final
class RegistrationGAN(Model):
    """A generator, a discriminator of its images, and a registration that lays what was drawn on the real image.

    generator: (b, k, *s) -> (b, c, *s). discriminator: (b, c, *s) -> scores, of drawn and real images alone.
    registration: (drawn, real) -> displacement in voxels (b, dims, *s), trained with the generator. The generator
    minimises its game + correction |drawn, warped - x| + smooth * roughness(displacement), so that a shift between
    image and x costs it nothing, and the sharp answer in the image's own place costs less than a blurred one.
    jolt: image and x are moved apart at random in training, so that no steady shift is learned for true. Outside
    given.mask the image is 0. Drawing leaves the registration out: one answer, not a posterior. Blind to: a shift that
    all pairs have alike may end in the generator as well as in the registration; nothing here tells which is right.
    """

    turns = ("generator", "discriminator")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        registration: nn.Module,
        *,
        game: Game = least_squares,
        adversarial_weight: float = 1.0,
        correction: float = 20.0,
        smooth: float = 10.0,
        jolt: Jolt = still,
    ) -> None:
        super().__init__()
        if not (adversarial_weight >= 0 and correction >= 0 and smooth >= 0):
            raise RadloomError(f"weights {adversarial_weight}, {correction} and {smooth}", expected="no negative ones")
        self.generator, self.discriminator, self.registration = generator, discriminator, registration
        self.game, self.adversarial_weight = game, adversarial_weight
        self.correction, self.smooth, self.jolt = correction, smooth, jolt
        self._seen: tuple[Tensor, Tensor] | None = None  # the generator's turn's x and draw, for the discriminator's

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The generator's objective, or the discriminator's game over what the generator's turn before it drew."""
        if turn == "discriminator":
            (real, fake), self._seen = self._seen or self._drawn(x, given, rng), None
            scores = (self.discriminator(one.detach()).float() for one in (real, fake))
            return {"total": self.game.discriminator(*scores)}
        x, fake = self._drawn(x, given, rng)
        self._seen = x, fake.detach()
        flow = self.registration(fake, x)
        judged = self.game.generator_loss(self.discriminator(fake).float(), lambda: self.discriminator(x).float())
        parts = {
            "adversarial": self.adversarial_weight * judged,
            "correction": self.correction * l1(warped(fake, flow), x),
            "smooth": self.smooth * roughness(flow),
        }
        return {
            "total": torch.stack(list(parts.values())).sum(),
            **{name: part.detach() for name, part in parts.items()},
        }

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The generator's answer in the given image's place; `rng` is not used."""
        image = _image(given)
        return _inside(self.generator(image).float(), given.mask)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The discriminator's parameters, or the generator's and the registration's."""
        if turn == "discriminator":
            return self.discriminator.parameters()
        return chain(self.generator.parameters(), self.registration.parameters())

    def _drawn(self, x: Tensor, given: Given, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The pair x and drawn image, after the jolts of both."""
        image, mask = _image(given), given.mask
        if self.jolt != still:
            x = jolted(x, self.jolt, rng)
            known = image if mask is None else torch.cat([image, mask.to(image)], dim=1)
            moved = jolted(known, self.jolt, rng)
            image, mask = moved[:, : image.shape[1]], None if mask is None else moved[:, image.shape[1] :] > 0.5
        return x, _inside(self.generator(image).float(), mask)


def jolted(x: Float[Tensor, "b c *s"], jolt: Jolt, rng: torch.Generator) -> Float[Tensor, "b c *s"]:
    """Each item of the batch turned in the plane of its first two axes, scaled and shifted at random; edges repeat."""
    size = torch.tensor(x.shape[2:], dtype=torch.float32, device=x.device)

    def between(limit: float, count: int = 1) -> Tensor:
        return limit * (2 * torch.rand((len(x), count), generator=rng, device=rng.device).to(x.device) - 1)

    angle, scale = between(math.radians(jolt.turn))[:, 0], 1 + between(jolt.scaling)[:, 0]
    matrix = torch.eye(len(size), device=x.device).repeat(len(x), 1, 1)
    matrix[:, 0, 0], matrix[:, 1, 1] = angle.cos(), angle.cos()
    matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin(), angle.sin()
    shift = between(jolt.shift, len(size)) * size
    centre = ((size - 1) / 2).view(-1, *(1,) * len(size))
    axes = [torch.arange(n, device=x.device, dtype=torch.float32) for n in x.shape[2:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    turns = (matrix * scale.view(-1, 1, 1)).view(*matrix.shape, *(1,) * len(size))
    turned = (turns * (places - centre)).sum(2)  # no einsum: autocast would round coordinates to 8 bits
    return warped(x, turned + centre - places + shift.view(len(x), -1, *(1,) * len(size)))


def _image(given: Given) -> Tensor:
    if given.image is None:
        raise RadloomError("a registration GAN is given no image", expected="Given(image=...)")
    return given.image


def _inside(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask
