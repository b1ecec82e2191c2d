"""PixelCNN and PixelCNN++: nothing sees what comes later, and probabilities sum to one."""

import itertools
import math

import pytest
import torch
from torch import nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.discrete import Levels, Likelihood, LogisticMixture, Softmax, bits_per_dimension
from radloom.models.pixelcnn import PixelCNN
from radloom.networks.causal import GatedPixelCNN, PixelCNNPlusPlus
from radloom.networks.conditions import Class
from radloom.random import torch_stream

NOTHING = Given()
MIXTURE = LogisticMixture(256, 3)
NETWORKS = {
    "gated": lambda dims, inputs, vector=0: GatedPixelCNN(dims, inputs, 6, layers=2, vector=vector),
    "gated, wide": lambda dims, inputs, vector=0: GatedPixelCNN(dims, inputs, 4, layers=1, kernel=5, vector=vector),
    "++": lambda dims, inputs, vector=0: PixelCNNPlusPlus(
        dims, inputs, 4, levels=2, blocks=1, vector=vector, dropout=0.0
    ),
}


def pixelcnn(name: str, dims: int, inputs: int = 1, *, likelihood: Likelihood = MIXTURE, count: int = 256) -> PixelCNN:
    torch.manual_seed(1)
    return PixelCNN(dims, inputs, NETWORKS[name](dims, inputs), likelihood, Levels(count)).eval()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(5, 6), (3, 4, 3)])
def test_features_depend_on_all_voxels_before_and_on_none_after(name: str, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](len(size), 1).double()
    x = torch.randn(1, 1, *size, dtype=torch.float64, generator=torch_stream(0))
    jacobian = torch.autograd.functional.jacobian(lambda y: network(y, None).square().sum((0, 1)), x)
    voxels = math.prod(size)
    depends = jacobian.reshape(voxels, voxels) != 0  # row: output, column: input
    assert not depends.triu().any()
    places = list(itertools.product(*map(range, size)))
    for i, place in enumerate(places):
        near = [j for j in range(i) if all(abs(a - b) <= 1 for a, b in zip(place, places[j], strict=True))]
        assert depends[i, near].all()  # no blind spot among the neighbours


def test_the_gated_network_has_no_blind_spot() -> None:
    torch.manual_seed(0)
    network = GatedPixelCNN(2, 1, 6, layers=4).double()
    x = torch.randn(1, 1, 5, 5, dtype=torch.float64, generator=torch_stream(0))
    jacobian = torch.autograd.functional.jacobian(lambda y: network(y, None)[0, :, 4, 2].square().sum(), x)
    assert (jacobian.flatten()[: 4 * 5 + 2] != 0).all()
    assert not (jacobian.flatten()[4 * 5 + 2 :] != 0).any()


@pytest.mark.parametrize("likelihood", [Softmax(256), LogisticMixture(256, 3)], ids=["softmax", "mixture"])
@pytest.mark.parametrize("name", ["gated", "++"])
def test_the_probabilities_of_all_images_of_two_pixels_sum_to_one(name: str, likelihood: Likelihood) -> None:
    model = pixelcnn(name, 2, likelihood=likelihood)
    values = torch.arange(256) / 255
    images = torch.cartesian_prod(values, values).view(-1, 1, 1, 2)
    with torch.no_grad():
        total = model.log_likelihood(images, NOTHING).double().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-4)


def test_two_channels_of_one_voxel_sum_to_one() -> None:
    model = pixelcnn("gated", 2, 2, likelihood=Softmax(16), count=16)
    values = torch.arange(16) / 15
    images = torch.cartesian_prod(values, values).view(-1, 2, 1, 1)
    with torch.no_grad():
        logs = model.log_likelihood(images, NOTHING).view(16, 16)
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-5)
    conditional = logs - logs.logsumexp(1, keepdim=True)
    assert (conditional[0] - conditional[15]).abs().max() > 1e-3  # the second channel hears the first


@pytest.mark.parametrize("levels", [2, 256, 4096])
def test_a_mixture_of_logistics_sums_to_one_over_its_levels_however_narrow_or_far_out(levels: int) -> None:
    answer = 3 * torch.randn(5, 9, generator=torch_stream(0), dtype=torch.float64)
    answer[0, 6:] = -20.0
    answer[1, 3:6] = 4.0
    many = answer[:, :, None].expand(-1, -1, levels)
    logs = LogisticMixture(levels, 3).log_prob(many, torch.arange(levels).expand(5, -1))
    torch.testing.assert_close(logs.exp().sum(1), torch.ones(5, dtype=torch.float64), rtol=1e-9, atol=1e-9)
    assert torch.isfinite(logs).all()


def test_one_logistic_gives_the_hand_worked_probability() -> None:
    # 8 bits, level 128 at x = 1 / 255: from 0 to 2 / 255 around mean 0 with scale 1 / 255: s(2) - s(0)
    answer = torch.tensor([[0.0, 0.0, -math.log(255)]])
    right = 1 / (1 + math.exp(-2)) - 0.5
    assert float(LogisticMixture(256, 1).log_prob(answer, torch.tensor([128])).exp()) == pytest.approx(right, rel=1e-4)


def test_draws_of_a_likelihood_have_its_probabilities() -> None:
    rng = torch_stream(0)
    for likelihood in (Softmax(8), LogisticMixture(8, 3)):
        answer = torch.randn(1, likelihood.outputs, generator=rng)
        levels = likelihood.draw(answer.expand(50_000, -1), torch.rand(50_000, 2, generator=rng))
        share = torch.bincount(levels, minlength=8) / 50_000
        right = likelihood.log_prob(answer[:, :, None].expand(-1, -1, 8), torch.arange(8)[None]).exp()[0]
        assert (share - right).abs().max() < 0.01


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(31, 7), (4, 5, 4)])
def test_a_neighbourhood_gives_the_features_that_the_whole_image_gives(name: str, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = pixelcnn(name, len(size))
    x = torch.randn(1, 1, *size, generator=torch_stream(0))
    with torch.no_grad():
        whole = model.network(x, None)
        for place in itertools.product(*(range(0, length, 5) for length in size)):
            box, inner = model._around(place, size)
            part = model.network(x[(..., *box)], None)[(..., *inner)]
            torch.testing.assert_close(part.flatten(), whole[(0, slice(None), *place)], rtol=1e-4, atol=1e-5)


def test_draws_from_a_trained_model_have_the_frequencies_of_its_training_images() -> None:
    # the second pixel is the first one's opposite; the first is 1 in a quarter of the images
    first = (torch.arange(64) % 4 == 0).float()
    x = torch.stack([first, 1 - first], dim=1).view(64, 1, 1, 2)
    model = pixelcnn("gated", 2, likelihood=Softmax(2), count=2).train()
    optimiser = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = model.loss(x, NOTHING, rng=torch_stream(0))["total"]
        loss.backward()
        optimiser.step()
    entropy = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)) / 2  # bits per pixel of the source
    assert entropy - 1e-4 < float(loss.detach()) < entropy + 0.05
    with torch.no_grad():
        drawn = model.sample(NOTHING, (400, 1, 1, 2), rng=torch_stream(1))
    assert (drawn.sum((1, 2, 3)) == 1).float().mean() > 0.95
    assert float(drawn[..., 0].mean()) == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize("name", ["gated", "++"])
def test_a_class_changes_the_probability(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](2, 1, 5)
    model = PixelCNN(2, 1, network, Softmax(4), Levels(4), vectors=(Class(2, 5),))
    x = torch.rand(1, 1, 4, 4, generator=torch_stream(0))
    logs = [model.log_likelihood(x, Given(label=torch.tensor([[c]]))) for c in (0.0, 1.0, float("nan"))]
    assert len({round(float(value.detach()), 3) for value in logs}) == 3


def test_levels_go_there_and_back_and_refuse_nan() -> None:
    levels = Levels(4096, -1024.0, 3071.0)
    assert levels.index(torch.tensor([-1024.0, -1023.6, 0.4, 3071.0, 9000.0])).tolist() == [0, 0, 1024, 4095, 4095]
    assert levels.value(torch.tensor([0, 1024, 4095])).tolist() == [-1024.0, 0.0, 3071.0]
    assert levels.signed(torch.tensor([0, 4095])).tolist() == [-1.0, 1.0]
    with pytest.raises(RadloomError, match="NaN"):
        levels.index(torch.tensor([float("nan")]))
    for wrong in ((1, 0.0, 1.0), (2, 1.0, 1.0)):
        with pytest.raises(RadloomError, match="levels"):
            Levels(*wrong)
    for make in (lambda: GatedPixelCNN(2, 1, 4, layers=1, kernel=4), lambda: GatedPixelCNN(2, 1, 4, layers=0)):
        with pytest.raises(RadloomError, match="odd kernel"):
            make()


def test_uniform_levels_cost_the_logarithm_of_their_number() -> None:
    flat = Levels(4096, 0.0, 1.0)
    density = torch.zeros(1)  # of x uniform on [0, 1]: ln p = 0
    assert float(bits_per_dimension(density, 10, flat)) == pytest.approx(math.log2(4095))
    model = pixelcnn("gated", 2, likelihood=Softmax(16), count=16)
    for parameter in model.heads.parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(2, 1, 3, 3, generator=torch_stream(0))
    assert model.bits_per_dimension(x, NOTHING).tolist() == pytest.approx([4.0, 4.0])
