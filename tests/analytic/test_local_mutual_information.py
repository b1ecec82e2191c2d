"""MIDiffusion: its maps against plain loops, what they must and must not hear, and what training shows the network."""

import doctest
import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.zero_shot import ZeroShot
from radloom.networks import local_mutual_information as module
from radloom.networks.local_mutual_information import Histogram, Informed, local_mutual_information
from radloom.random import torch_stream
from radloom.systems.wang2024_midiffusion import SYSTEM


def image(seed: int, shape: tuple[int, int] = (9, 8)) -> Tensor:
    return torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(seed))


def naive(source: np.ndarray, target: np.ndarray, histogram: Histogram) -> np.ndarray:
    """The map voxel by voxel: padded by hand, histograms added up sample by sample."""
    centres = [255 * k / (histogram.bins - 1) for k in range(histogram.bins)]

    def shares(value: float) -> np.ndarray:
        grey = 255 * min(max((value - histogram.low) / (histogram.high - histogram.low), 0), 1)
        weights = np.array([math.exp(-((grey - c) ** 2) / (2 * histogram.width**2)) for c in centres])
        return weights / weights.sum()

    def at(picture: np.ndarray, i: int, j: int) -> float:
        return float(picture[min(max(i, 0), picture.shape[0] - 1), min(max(j, 0), picture.shape[1] - 1)])

    def entropy(counts: np.ndarray) -> float:
        return -sum(p * math.log2(p) for p in counts.ravel() if p > 0)

    found = np.zeros(source.shape)
    around = list(product((-1, 0, 1), repeat=2))
    for i, j in np.ndindex(*source.shape):
        one = [shares(at(source, i + a, j + b)) for a, b in around]
        for m, n in around:
            two = [shares(at(target, i + m + a, j + n + b)) for a, b in around]
            both = sum(np.outer(p, q) for p, q in zip(one, two, strict=True)) / 9
            value = entropy(np.mean(one, axis=0)) + entropy(np.mean(two, axis=0)) - entropy(np.asarray(both))
            found[i, j] = max(found[i, j], value)
    return found


@pytest.mark.parametrize("histogram", [Histogram(), Histogram(-0.5, 0.8, 9, 8.0)])
def test_the_maps_are_those_of_plain_loops(histogram: Histogram) -> None:
    a, b = image(0, (5, 4)).double(), image(1, (5, 4)).double()
    found = local_mutual_information(a, b, histogram)[0, 0].numpy()
    np.testing.assert_allclose(found, naive(a[0, 0].numpy(), b[0, 0].numpy(), histogram), atol=1e-5)
    assert doctest.testmod(module).failed == 0


def test_an_image_says_more_of_itself_than_of_its_shuffled_voxels() -> None:
    smooth = torch.nn.functional.interpolate(image(2, (6, 6)), size=(24, 24), mode="bilinear")
    y = torch.linspace(0, 1, 27)[(smooth * 5).long() * 5]  # five grey levels, each on a bin
    order = torch.randperm(24 * 24, generator=torch.Generator().manual_seed(0))
    shuffled = y.flatten()[order].view_as(y)
    own, other = (local_mutual_information(y, z, Histogram()) for z in (y, shuffled))
    assert (own >= other - 2e-3).all()
    assert own.mean() > other.mean() + 0.1
    assert own.max() <= math.log2(9) + 1e-5


@pytest.mark.parametrize("inverted", [False, True])
def test_a_monotone_change_of_contrast_within_the_bins_changes_nothing(inverted: bool) -> None:
    centres = torch.linspace(0, 1, 27)
    places = torch.randint(0, 9, (1, 1, 12, 12), generator=torch.Generator().manual_seed(1))
    chosen = torch.tensor([0, 1, 3, 6, 10, 13, 19, 22, 26])  # a monotone map of nine grey levels onto nine bins
    y = centres[places]
    mapped = centres[chosen.flip(0) if inverted else chosen][places]
    torch.testing.assert_close(local_mutual_information(y, mapped, Histogram()),
                               local_mutual_information(y, y, Histogram()), atol=2e-3, rtol=0)  # fmt: skip


def test_flat_images_and_noise_beyond_the_window_say_nothing() -> None:
    y, flat = image(3), torch.full((1, 1, 9, 8), 0.4)
    assert local_mutual_information(y, flat, Histogram()).abs().max() < 1e-5
    assert local_mutual_information(flat, y, Histogram()).abs().max() < 1e-5
    assert local_mutual_information(y, 5 + y, Histogram()).abs().max() < 1e-5  # all of it clamped at the edge


def test_what_has_no_map_is_refused() -> None:
    with pytest.raises(RadloomError, match="one channel"):
        local_mutual_information(torch.rand(1, 2, 5, 5), torch.rand(1, 2, 5, 5), Histogram())
    with pytest.raises(RadloomError, match="equal in shape"):
        local_mutual_information(image(0), image(0, (8, 8)), Histogram())
    with pytest.raises(RadloomError, match="low < high"):
        Histogram(1.0, 0.0)
    with pytest.raises(RadloomError, match="one image on either side"):
        SYSTEM.resolve("tiny", 2, {"inputs": "image.t1,image.t2"}).build()
    with pytest.raises(RadloomError, match="window of 3"):
        SYSTEM.resolve("tiny", 2, {"window": "[0, 1, 2]"}).build()


class Watching(nn.Module):
    """Answers 0 and keeps the maps that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        assert given.image is not None
        self.seen.append(given.image)
        return torch.zeros_like(x)


@pytest.mark.parametrize("ratio", [0.05, 1.0, 8.0])
def test_the_network_hears_of_the_noisy_image_as_it_is_on_the_path(ratio: float) -> None:
    """x_t = a x0 + s n with a**2 + s**2 = 1, handed in scaled to unit variance."""
    watching, histogram, spread = Watching(), Histogram(-1.0, 2.0, 9, 8.0), 0.7
    a = 1 / math.sqrt(1 + ratio**2)
    noisy = a * image(0) + a * ratio * torch.randn((1, 1, 9, 8), generator=torch.Generator().manual_seed(5))
    scaled = noisy / math.sqrt((a * ratio) ** 2 + (a * spread) ** 2)
    informed = Informed(watching, histogram, spread=spread)
    informed(scaled, torch.tensor([math.log(ratio) / 4]), Given(image=image(1)))
    (maps,) = watching.seen
    torch.testing.assert_close(maps[:, :1], local_mutual_information(image(1), noisy, histogram), atol=1e-4, rtol=0)
    torch.testing.assert_close(maps[:, 1:], local_mutual_information(image(1), image(1), histogram))
    with pytest.raises(RadloomError, match="has no image"):
        informed(scaled, torch.zeros(1), Given())


def test_training_never_looks_at_the_source() -> None:
    torch.manual_seed(0)
    model = SYSTEM.resolve("tiny", 2, {}).build()
    assert isinstance(model, ZeroShot)
    x = image(0, (16, 16))
    mask = torch.ones_like(x, dtype=torch.bool)
    losses = [model.loss(x, Given(image=source, mask=mask), turn="all", rng=torch_stream(7))["total"].item()
              for source in (image(1, (16, 16)), torch.full_like(x, float("nan")))]  # fmt: skip
    assert losses[0] == losses[1]
    drawn = [model.sample(Given(image=source, mask=mask), (1, 1, 16, 16), rng=torch_stream(7))
             for source in (image(1, (16, 16)), image(2, (16, 16)))]  # fmt: skip
    assert not torch.equal(drawn[0], drawn[1])  # drawing does
