"""The measured spread of a diffusion model's data, against numpy and against what preconditioning asks for."""

import doctest
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths, predictions, spread
from radloom.models.diffusion import Diffusion
from radloom.models.model import Batch
from radloom.models.spread import root_mean_square
from radloom.random import torch_stream
from radloom.samplers import grids, solvers
from radloom.weights import load_tensors, save_weights

NOTHING = Given()


class Silent(nn.Module):
    """Answers 0 and notes what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(())

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        self.seen = x.detach()
        return torch.zeros_like(x)


def model(known: float | None = None) -> Diffusion:
    return Diffusion(Silent(), paths.edm(), predictions.preconditioned, sampler=solvers.heun,
                     sigmas=grids.karras(4, 0.01, 50.0), spread=known)  # fmt: skip


def volumes() -> list[Tensor]:
    """Heads of median about 1 on a background of 0, of different sizes."""
    rng = torch_stream(0)
    found = []
    for edge in (12, 16, 20):
        x = torch.zeros(2, 1, edge, edge)
        x[..., 3:-3, 3:-3] = 1 + 0.3 * torch.randn(2, 1, edge - 6, edge - 6, generator=rng)
        found.append(x)
    return found


def batches(images: list[Tensor]) -> Iterator[Batch]:
    for x in images:
        yield Batch(x, NOTHING, x[:, :1] != 0)


def test_the_measured_spread_is_numpys_root_mean_square_of_all_voxels_whatever_the_batches() -> None:
    images = volumes()
    expected = np.sqrt(np.mean(np.concatenate([x.numpy().ravel() for x in images]).astype(np.float64) ** 2))
    for parts in (images, images[::-1], [one for x in images for one in x.split(1)]):
        begun = model()
        begun.begin(lambda parts=parts: batches(parts))
        assert float(begun.spread) == pytest.approx(expected, rel=1e-6)
        assert float(begun.spread) == pytest.approx(root_mean_square(parts), rel=1e-6)


def test_a_spread_that_is_given_stays_and_an_unmeasured_one_is_a_half() -> None:
    known = model(1.5)
    known.begin(lambda: batches(volumes()))
    assert float(known.spread) == 1.5
    assert float(model().spread) == 0.5


def test_after_measuring_network_and_target_have_unit_mean_square_at_every_noise() -> None:
    images = [30 * volumes()[-1]]  # far from 0.5
    begun = model()
    begun.begin(lambda: batches(images))
    x = images[-1].expand(2, 100, -1, -1)
    for sigma in (0.3, 15.0, 400.0):
        begun.times = lambda count, path, rng, sigma=sigma: torch.full((count,), sigma)
        loss = float(begun.loss(x, NOTHING, rng=torch_stream(1))["total"])  # the target's own mean square
        network = begun.network
        assert isinstance(network, Silent)
        assert float(network.seen.square().mean()) == pytest.approx(1, rel=0.05)
        assert loss == pytest.approx(1, rel=0.05)
    stale = model()
    assert float(stale.loss(x, NOTHING, rng=torch_stream(1))["total"]) > 3  # 0.5 is wrong for these


def test_the_spread_travels_with_the_weights(tmp_path: Path) -> None:
    begun = model()
    begun.begin(lambda: batches(volumes()))
    save_weights(tmp_path / "w.safetensors", begun)
    other = model()
    load_tensors(other, tmp_path / "w.safetensors")
    assert torch.equal(other.spread, begun.spread)
    x = torch.randn(2, 1, 4, 4, generator=torch_stream(0))
    sigma = torch.tensor(0.7)
    assert torch.equal(other.denoise(x, sigma, NOTHING), begun.denoise(x, sigma, NOTHING))
    assert not torch.equal(other.denoise(x, sigma, NOTHING), model().denoise(x, sigma, NOTHING))


def test_images_without_a_spread_are_refused() -> None:
    for images in ([], [torch.zeros(1, 1, 2, 2)], [torch.tensor([[[[1.0, float("nan")]]]])],
                   [torch.full((1, 1, 2, 2), float("inf"))]):  # fmt: skip
        begun = model()
        with pytest.raises(RadloomError, match="expected images of finite numbers"):
            begun.begin(lambda images=images: batches(images))
    with pytest.raises(RadloomError, match="root mean square of -1"):
        model(-1.0)


def test_examples_in_docstrings_are_true() -> None:
    done = doctest.testmod(spread, extraglobs={"torch": torch})
    assert done.attempted > 0
    assert done.failed == 0
