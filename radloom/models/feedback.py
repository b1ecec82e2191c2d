"""How far a discriminator runs ahead on its training images, and the share of disguise that answers it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError


@final
class Feedback(nn.Module):
    """p in [0, 1], adapted to r = E[sign of the scores of real images]: 1 when all of them are known, 0 when none is.

    Every `every` steps p moves by (images since) / images, up when r > target and down when r < target (Karras et al.
    2020, "limited data", 2.2). target: None holds p at `start`. images: how many it takes from 0 to 1. The sign of a
    score means real or generated in the games that put the border at 0: not in Wasserstein's or a relative one.
    Blind to: why r is high; large distance between the sets looks like overfitting.
    """

    p: Tensor
    signs: Tensor
    seen: Tensor
    steps: Tensor

    def __init__(
        self, *, target: float | None = 0.6, images: int = 500_000, every: int = 4, start: float = 0.0
    ) -> None:
        super().__init__()
        if not (target is None or -1 < target < 1) or images < 1 or every < 1 or not 0 <= start <= 1:
            raise RadloomError(f"feedback with target {target}, images {images}, every {every}, start {start}",
                               expected="a target between -1 and 1, counts from 1, a start from 0 to 1")  # fmt: skip
        self.target, self.images, self.every = target, images, every
        self.register_buffer("p", torch.tensor(float(start), device="cpu"))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._noted: tuple[Tensor, int] | None = None

    def note(self, real_scores: Tensor) -> None:
        """Takes in the scores of a step's real images; nothing changes before `after_step`."""
        means = real_scores.detach().float().flatten(1).mean(1) if real_scores.ndim > 1 else real_scores.detach()
        self._noted = means.sign().sum(), len(means)

    def after_step(self) -> bool:
        """Counts the step; whether p was set anew with it."""
        if self._noted is None:
            return False
        signs, count = self._noted
        self._noted = None
        self.signs += signs
        self.seen += count
        self.steps += 1
        if int(self.steps) % self.every:
            return False
        if self.target is not None:
            ahead = self.signs / self.seen
            self.p.copy_((self.p + (ahead - self.target).sign() * self.seen / self.images).clamp(0, 1))
        self.signs.zero_()
        self.seen.zero_()
        return True
