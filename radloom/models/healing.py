"""Models that turn an image into its pseudo-healthy version and a map: a diffusion model of healthy images, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.model import Batch
from radloom.models.prior import OnPrior
from radloom.networks.neighbours import Neighbours
from radloom.random import torch_stream
from radloom.samplers.denoiser import streams
from radloom.samplers.healing import Heal, Healed, residual, within_mask

_USUAL = 0.1  # a residual, of images from -1 to 1, that noise and sharpness alone make


@runtime_checkable
class Heals(Protocol):
    """What the study of anomalies asks of a model."""

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """The pseudo-healthy version of x (b, c, *s) and the map of what differs."""
        ...


@final
class Healing(OnPrior):
    """p(x) of healthy images by `prior`, and `how` an image is made healthy with it."""

    def __init__(self, prior: Diffusion, how: Heal) -> None:
        super().__init__(prior)
        self.how = how

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """The image as `how` makes it healthy; a batch takes the noise that its items take one after the other."""
        with torch.no_grad():
            return self.how(self.prior.guided(), x, given, streams(rng, len(x)))


@final
class CoScored(OnPrior):
    """Healthy voxels of like contrast say where to heal, a diffusion prior how it would look; the map is of both.

    memory: of voxels of healthy images, filled before training. What lies further from them than `limit` of its units,
    grown by a voxel, is drawn anew along `sigmas`, `repeats` times at each level, from noise alone: what is ill gives
    nothing to the draw. Everything else stays the input's. map: distance**trust times residual**(1 - trust), the
    residual |x - healthy| in units of 0.1 and at least a tenth of one, so that no voxel goes unjudged. trust 1 is the
    distance alone.
    """

    def __init__(
        self, prior: Diffusion, memory: Neighbours, sigmas: Tensor, *, limit: float, repeats: int, trust: float
    ) -> None:  # fmt: skip
        super().__init__(prior)
        self.memory, self.sigmas = memory, sigmas
        self.limit, self.repeats, self.trust = limit, repeats, trust

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The prior's, and the memory's."""
        super().begin(batches)
        self.memory.fit(((batch.x, batch.region) for batch in batches()), torch_stream(0, "co-scored"))

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """The image with what lies far from healthy voxels drawn anew, and the map."""
        region = torch.ones_like(x[:, :1]) if given.mask is None else given.mask
        with torch.no_grad():
            distance = self.memory(x, region)
            far = within_mask(self.sigmas, repeats=self.repeats)
            healthy = far(self.prior.guided(), x, distance > self.limit, given, streams(rng, len(x)))
        changed = (residual(x, healthy) / _USUAL).clamp_min(0.1)
        return Healed(healthy, distance**self.trust * changed ** (1 - self.trust) * region)
