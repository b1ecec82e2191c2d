"""Regression: the image that is best on average, in one pass, with a map of the error to expect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radloom.given import Given
from radloom.models.losses import Term
from radloom.models.model import Model


@final
class Regression(Model):
    """One answer for each image, and how far it may be off, voxel by voxel.

    network: (b, inputs, *s) -> (b, 2k, *s), the image and what softplus makes the expected absolute error s. `terms`
    fit the image; s is fitted by the likelihood of a Laplace distribution around it, ln s + |error| / s, which is least
    where s is the mean absolute error (Kendall & Gal, NeurIPS 2017;30:5574-5584). The image gets no gradient from the
    likelihood: it would trust dark places and give up bright ones (ours). Outside given.mask both are 0.
    """

    def __init__(self, network: nn.Module, *, terms: tuple[Term, ...], error_weight: float = 0.1) -> None:
        super().__init__()
        self.network, self.terms, self.error_weight = network, terms, error_weight

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The terms, and the likelihood of the error that they leave."""
        image, expected = self.answer(given)
        parts = {term.name: term.weight * term.distance(image, x) for term in self.terms}
        likelihood = expected.log() + (image.detach() - x).abs() / expected
        if given.mask is not None:
            likelihood = likelihood * given.mask / given.mask.float().mean().clamp_min(1e-6)
        parts["error"] = self.error_weight * likelihood.mean()
        return {"total": torch.stack(list(parts.values())).sum(), **parts}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The image; `rng` is not used."""
        return self.answer(given)[0]

    def answer(self, given: Given) -> tuple[Tensor, Tensor]:
        """The image, 0 outside given.mask, and the absolute error to expect of it, above 0 everywhere."""
        assert given.image is not None, "a regression is given an image"
        image, raw = self.network(given.image).float().chunk(2, dim=1)
        expected = F.softplus(raw) + 1e-3
        return image if given.mask is None else image * given.mask, expected

    def errors(self) -> Model:
        """The expected error as a model of its own, so that whatever wraps the one can wrap the other."""
        return ExpectedError(self)


@final
class ExpectedError(Model):
    """Draws the absolute error that a regression expects of its image."""

    def __init__(self, regression: Regression) -> None:
        super().__init__()
        self.regression = regression

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """How far the expected error is from the error that the regression makes."""
        image, expected = self.regression.answer(given)
        return {"total": (expected - (image - x).abs()).abs().mean()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The map, 0 outside given.mask."""
        expected = self.regression.answer(given)[1]
        return expected if given.mask is None else expected * given.mask

    def trainable(self, turn: str) -> Iterator[nn.Parameter]:
        """The regression's parameters."""
        return self.regression.parameters()
