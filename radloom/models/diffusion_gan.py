"""Diffusion-GAN's disguise: the discriminator sees images at a random time of a diffusion, and hears the time."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.models.feedback import Feedback

LONGEST = 1000  # steps of the whole diffusion
SLOTS = 64


@final
class Diffused(nn.Module):
    """x -> sqrt(abar_t) x + sqrt(1 - abar_t) deviation n, t from a list of 64 times (Wang et al. 2023, Diffusion-GAN).

    beta rises linearly from 1e-4 to 0.02 over 1000 steps. Half of the list is t = 0, the other half is drawn from 1 to
    T = shortest + p (1000 - shortest) with probability in proportion to t ("priority"), anew whenever feedback sets p.
    deviation: of the noise, in the image's unit (the paper: 0.05 for [-1, 1]). The discriminator is built with
    times=LONGEST.
    """

    slots: Tensor
    kept: Tensor

    def __init__(self, feedback: Feedback, *, deviation: float = 0.05, shortest: int = 10) -> None:
        super().__init__()
        if not deviation > 0 or not 1 <= shortest <= LONGEST:
            raise RadloomError(f"noise of deviation {deviation}, {shortest} steps at first",
                               expected=f"a deviation above 0, 1 to {LONGEST} steps")  # fmt: skip
        self.feedback, self.deviation, self.shortest = feedback, deviation, shortest
        betas = torch.linspace(1e-4, 0.02, LONGEST, dtype=torch.float64)
        self.register_buffer("kept", torch.cat([torch.ones(1), (1 - betas).cumprod(0)]).float(), persistent=False)
        self.register_buffer("slots", torch.zeros(SLOTS, dtype=torch.long))
        self._refill(0)

    def forward(self, x: Float[Tensor, "b c *s"], rng: torch.Generator) -> tuple[Tensor, Int[Tensor, " b"]]:
        """The noisy images and their times."""
        places = torch.randint(SLOTS, (len(x),), generator=rng, device=rng.device).to(x.device)
        time = self.slots[places]
        kept = self.kept[time].view(-1, *(1,) * (x.ndim - 1))
        noise = torch.randn(x.shape, generator=rng, device=rng.device).to(x.device)
        return (kept.sqrt() * x + (1 - kept).sqrt() * self.deviation * noise).to(x), time

    def note(self, real_scores: Tensor) -> None:
        """Passes the scores on to the feedback."""
        self.feedback.note(real_scores)

    def after_step(self, seed: int) -> None:
        """Draws the list anew when the feedback has set p."""
        if self.feedback.after_step():
            self._refill(seed)

    def _refill(self, seed: int) -> None:
        longest = self.shortest + round(float(self.feedback.p) * (LONGEST - self.shortest))
        weights = torch.arange(1, longest + 1, dtype=torch.float32, device="cpu")
        rng = torch.Generator().manual_seed(seed)
        drawn = 1 + torch.multinomial(weights, SLOTS // 2, replacement=True, generator=rng)
        self.slots.copy_(torch.cat([torch.zeros(SLOTS // 2, dtype=torch.long, device="cpu"), drawn]))
