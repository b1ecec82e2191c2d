"""IREM: an answer found by descending a learned energy, more steps for harder questions (Du et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.samplers.denoiser import streams


@final
class IREM(Model):
    """y = argmin E(question, y), reached by gradient steps y <- y - step * dE/dy from noise.

    energy: (b, question and answer channels, *s) -> (b,), smooth. question: what of `given` is asked, (b, q, *s);
    `given_image` takes the image. steps: in training, whose loss is the mean squared error after them (all steps are
    differentiated through); draws: steps when answering, which may be more than were trained. step is learned from its
    value here; start: standard deviation of the noise.
    """

    def __init__(
        self, energy: nn.Module, question: Callable[[Given], Tensor], *, steps: int = 5, draws: int = 10,
        step: float = 1.0, start: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(steps, draws) < 1 or not step > 0 or not start >= 0:
            raise RadloomError(f"{steps} and {draws} steps of {step} from noise of {start}",
                               expected="at least one step, above 0, from noise of 0 or more")  # fmt: skip
        self.energy, self.question = energy, question
        self.steps, self.draws, self.start = steps, draws, start
        self.log_step = nn.Parameter(torch.tensor(float(step)).log())

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the answer after the training's steps, and of the answers after each of them."""
        begun = self.start * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        with torch.enable_grad():
            answers = self._descent(begun, self.question(given), self.steps)
        errors = torch.stack([(answer - x).square().mean() for answer in answers])
        return {"total": errors.mean(), "last": errors[-1]}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The answer after `draws` steps from noise."""
        begun = self.start * streams(rng, shape[0]).normal(torch.empty(shape, device=rng.device))
        with torch.enable_grad():
            return self._descent(begun, self.question(given), self.draws)[-1].detach()

    def _descent(self, y: Tensor, question: Tensor, steps: int) -> list[Tensor]:
        answers = []
        y = y.requires_grad_()
        for _ in range(steps):
            energy = self.energy(torch.cat([question, y], dim=1)).sum()
            (slope,) = torch.autograd.grad(energy, y, create_graph=self.training)
            y = y - self.log_step.exp() * slope
            answers.append(y)
            if not self.training:
                y = y.detach().requires_grad_()
        return answers


def given_image(given: Given) -> Tensor:
    """The image that is given."""
    if given.image is None:
        raise RadloomError("no image to reason from", expected="given.image")
    return given.image
