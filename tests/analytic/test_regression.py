"""Regression: one answer whose expected error is the error that it makes, and the slices beside a slice."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from radloom.data.views import AxialSlices, Store, neighbours
from radloom.given import Given
from radloom.models.losses import Term, l1, mse
from radloom.models.regression import Regression
from radloom.models.wrappers import Slicewise


def fitted(spread: float) -> tuple[Regression, float]:
    """A linear regression of 3 x + Laplace noise of this scale, trained to the end; the mean absolute error left."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    model = Regression(nn.Conv2d(1, 2, 1), terms=(Term("l1", 1.0, l1), Term("mse", 1.0, mse)), error_weight=1.0)
    image = torch.randn(8, 1, 16, 16, generator=rng)
    noise = torch.distributions.Laplace(0.0, spread)
    torch.manual_seed(1)
    x = 3 * image + noise.sample(image.shape)
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(400):
        optimiser.zero_grad()
        model.loss(x, Given(image=image), rng=rng)["total"].backward()
        optimiser.step()
    answer, _ = model.answer(Given(image=image))
    return model, float((answer - x).abs().mean().detach())


@pytest.mark.parametrize("spread", [0.1, 0.8])
def test_the_expected_error_is_the_error_that_is_made(spread: float) -> None:
    model, error = fitted(spread)
    assert error == pytest.approx(spread, rel=0.05)  # the mean absolute value of Laplace noise is its scale
    given = Given(image=torch.zeros(1, 1, 4, 4))
    expected = model.errors().sample(given, (1, 1, 4, 4), rng=torch.Generator())
    assert float(expected.detach().mean()) == pytest.approx(spread, rel=0.1)
    weight = model.network.weight.detach()
    assert float(weight[0, 0, 0, 0]) == pytest.approx(3, abs=0.05)


def test_the_image_is_not_moved_by_the_likelihood_of_its_error() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(1, 2, 1)
    model = Regression(network, terms=(), error_weight=1.0)
    x, given = torch.randn(2, 1, 8, 8), Given(image=torch.randn(2, 1, 8, 8))
    model.loss(x, given, rng=torch.Generator())["total"].backward()
    assert network.weight.grad is not None
    assert not network.weight.grad[0].any()
    assert network.weight.grad[1].any()


def test_outside_the_mask_nothing_is_drawn_and_nothing_is_expected() -> None:
    model = Regression(nn.Conv2d(1, 4, 1), terms=(Term("l1", 1.0, l1),))
    mask = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    mask[..., 2:4, 2:4] = True
    given = Given(image=torch.ones(1, 1, 6, 6), mask=mask)
    for drawn in (model, model.errors()):
        image = drawn.sample(given, (1, 2, 6, 6), rng=torch.Generator())
        assert image.shape == (1, 2, 6, 6)
        assert not image[~mask.expand_as(image)].any()
    assert (model.errors().sample(given, (1, 2, 6, 6), rng=torch.Generator())[mask.expand(1, 2, 6, 6)] > 0).all()


def test_neighbours_stay_inside_the_volume_nearest_first() -> None:
    assert neighbours(3, 9, 2) == [2, 4, 1, 5]
    assert neighbours(0, 9, 2) == [0, 1, 0, 2]
    assert neighbours(8, 9, 1) == [7, 8]
    assert neighbours(0, 1, 1) == [0, 0]
    assert neighbours(4, 9, 0) == []


class Seen(nn.Module):
    """Answers with a fixed channel of what it sees."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.channel = channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = x[:, self.channel : self.channel + 1]
        return torch.cat([one, torch.zeros_like(one)], dim=1)


def test_training_and_drawing_see_the_same_neighbours(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).random((2, 6, 5, 7)).astype(np.float32)  # two inputs, z last
    target, region = np.zeros((1, 6, 5, 7), np.float32), np.ones((1, 6, 5, 7), np.float32)
    store = Store(tmp_path, ("image.a", "image.b", "image.x"))
    np.save(store.path("case"), np.concatenate([volume, target, region]).transpose(3, 0, 1, 2))
    view = AxialSlices((6, 5), context=1, inputs=2)
    cuts = np.stack([view.cut(store, ("case", z), np.random.default_rng(0)) for z in range(7)])
    assert cuts.shape == (7, 2 * 3 + 2, 6, 5)
    for channel in range(6):
        model = Slicewise(Regression(Seen(channel), terms=()), chunk=3, context=1)
        given = Given(image=torch.from_numpy(volume)[None])
        drawn = model.sample(given, (1, 1, 6, 5, 7), rng=torch.Generator())[0, 0].numpy()
        np.testing.assert_array_equal(drawn.transpose(2, 0, 1), cuts[:, channel])
    assert view.centre(store, "case").shape == (8, 6, 5)
