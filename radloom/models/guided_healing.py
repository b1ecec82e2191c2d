"""Healing by classifier guidance: DDIM up with the image, down towards the healthy class (Wolleb et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.model import Batch, Model
from radloom.samplers import guidance, inversion, solvers
from radloom.samplers.denoiser import streams
from radloom.samplers.healing import Healed, residual

EncodeLabel = Literal["target", "unknown"]


@final
class GuidedHealing(Model):
    """p(x | label) by a diffusion model, and p(label | noisy x) by a classifier that learns beside it.

    healthy: the code of the healthy class in the first column of given.label. sigmas: the levels of the way up and
    down, from L down to the lowest above 0. weight: the guidance scale s; 1 is Bayes' rule. encode_label: what the
    diffusion model is told on the way up: the healthy class ("target", as the authors' code does) or nothing.
    """

    turns = ("diffusion", "classifier")

    def __init__(
        self, prior: Diffusion, classifier: nn.Module, sigmas: Tensor, *, healthy: float, weight: float,
        encode_label: str = "target", iterations: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        if encode_label not in ("target", "unknown"):
            raise RadloomError(f"--set encode_label={encode_label} is unknown", expected="target or unknown")
        if not sigmas[-1] > 0:
            raise RadloomError("the way up starts at sigma 0", expected="a grid that ends above 0")
        self.prior, self.classifier, self.sigmas = prior, classifier, sigmas
        self.healthy, self.weight, self.encode_label, self.iterations = healthy, weight, encode_label, iterations

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        """The diffusion model's loss, or the classifier's cross-entropy at times drawn uniformly, with its accuracy."""
        if turn == "diffusion":
            return self.prior.loss(x, given, turn="all", rng=rng)
        if given.label is None:
            raise RadloomError("the classifier has no labels", do="train with --set condition=mask.NAME or label.NAME")
        path = self.prior.path
        t = path.earliest + (path.latest - path.earliest) * torch.rand(len(x), generator=rng, device=x.device)
        ratio = path.ratio(t).view(-1, *(1,) * (x.ndim - 1))
        noisy = x + ratio * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        logits, label = self._logits(noisy, ratio.flatten(), given), given.label[:, 0].round().long()
        accuracy = (logits.argmax(1) == label).float().mean()
        return {"total": F.cross_entropy(logits.float(), label), "accuracy": accuracy}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """A draw of the diffusion model under the label, without the classifier."""
        return self.prior.sample(given, shape, rng=rng)

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The diffusion model's, or the classifier's."""
        return self.prior.parameters() if turn == "diffusion" else self.classifier.parameters()

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The diffusion model's."""
        self.prior.begin(batches)

    def encode(self, x: Tensor, given: Given) -> Tensor:
        """The noisy x at sigmas[0] from which `decode` without guidance comes back to x."""
        with torch.no_grad():
            told = self._told(given, len(x), self.healthy if self.encode_label == "target" else float("nan"))
            return inversion.exact_encode(self.prior.guided(), x, self.sigmas, told, iterations=self.iterations)

    def decode(self, z: Tensor, given: Given, *, weight: float) -> Tensor:
        """DDIM down to the lowest level, told "healthy" and guided towards it with this weight."""
        with torch.no_grad():
            denoise = self.prior.guided()
            if weight:
                denoise = guidance.classifier(self.log_healthy, weight)(denoise)
            told = self._told(given, len(z), self.healthy)
            return solvers.euler(denoise, z, self.sigmas, told, streams(torch.Generator(), 0))

    def heal(self, x: Tensor, given: Given, *, rng: torch.Generator) -> Healed:
        """Up, and down towards health; map |x - healthy|. Nothing is random."""
        drawn = self.decode(self.encode(x, given), given, weight=self.weight).float().clamp(-1, 1)
        healthy = drawn if given.mask is None else torch.where(given.mask > 0, drawn, x)
        return Healed(healthy, residual(x, healthy))

    def log_healthy(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """The ln p(healthy | x) of x = x0 + sigma n, (b,)."""
        return self._logits(x, sigma.to(x).expand(len(x)), given).log_softmax(1)[:, int(self.healthy)]

    def _logits(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """The classifier sees x scaled to about unit variance, as the diffusion network does."""
        scale = (sigma**2 + self.prior.spread**2).rsqrt().view(-1, *(1,) * (x.ndim - 1))
        return self.classifier(x * scale, sigma.log() / 4, given)

    def _told(self, given: Given, count: int, label: float) -> Given:
        return replace(given, label=torch.full((count, 1), label, device=self.prior.spread.device))
