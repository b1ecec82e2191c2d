"""Two stages in one training: an autoencoder first, then a prior over its frozen latents (Rombach et al. 2022)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.latent import Latent
from radloom.models.model import Model

_LOOKED_AT = 20  # last steps of the first stage, by which latents and reconstruction are measured


@final
class Staged(Model):
    """A `Latent` whose autoencoder trains in the first `first` steps, and whose prior trains in all that follow.

    autoencoder: the model inside latent.autoencoder that learns to reconstruct. The scale of the latents and the
    relative error are means over the last steps of the first stage; the prior does not begin where the error is above
    latent.gate.
    """

    finished: Tensor
    spread: Tensor
    error: Tensor
    variance: Tensor

    def __init__(self, autoencoder: Model, latent: Latent, *, first: int) -> None:
        super().__init__()
        if first < 1:
            raise RadloomError(f"an autoencoder trained for {first} steps", expected="1 or more")
        self.latent, self.first = latent, first
        autoencoder.requires_grad_(True)  # which Latent takes from an autoencoder that was trained before
        self._inner = (autoencoder,)  # not registered again: weights are saved under one name
        self.looked_at = min(_LOOKED_AT, first)
        for name in ("finished", "spread", "error", "variance"):
            self.register_buffer(name, torch.zeros(()))
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The autoencoder's loss, then the prior's; the stage is a loss's name, so that curves do not mix."""
        if int(self.finished) < self.first:
            if int(self.finished) >= self.first - self.looked_at:
                self._look(x)
            found = self._inner[0].loss(x, given, turn=turn, rng=rng)
            return {"autoencoder": found["total"].detach(), **found}
        if int(self.finished) == self.first:
            self._begin_prior()
        found = self.latent.loss(x, given, turn=turn, rng=rng)
        return {"prior": found["total"].detach(), **found}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The decoded image of the latents that the prior draws."""
        return self.latent.sample(given, shape, rng=rng)

    def after_step(self) -> None:
        """The stage's own, and the count."""
        if int(self.finished) < self.first:
            self._inner[0].after_step()
        else:
            self.latent.after_step()
        if self._seen is not None:
            spread, error, variance = self._seen
            self.spread += spread / self.looked_at
            self.error += error / self.looked_at
            self.variance += variance / self.looked_at
            self._seen = None
        self.finished += 1

    def _look(self, x: Tensor) -> None:
        with torch.no_grad():
            z = self.latent.coder.encode(x)
            wrong = (x - self.latent.coder.decode(z, x.shape[2:])).square().mean()
            self._seen = z.std().float(), wrong.float(), x.var().float()

    def _begin_prior(self) -> None:
        relative = float((self.error / self.variance.clamp_min(1e-12)).sqrt())
        if not relative <= self.latent.gate:
            raise RadloomError(
                f"the autoencoder reconstructs the training images with a relative error of {relative:.2f}",
                expected=f"at most {self.latent.gate:g}", do="train it longer: --set autoencoder_steps=...",
            )  # fmt: skip
        self.latent.set_scale(self.spread)
