"""Adversarial games and paired terms against numbers worked by hand, Parseval, and the MS-SSIM of radloom.metrics."""

import math

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.metrics.fidelity import ms_ssim as ms_ssim_value
from radloom.models import losses
from radloom.models.losses import GAMES, hinge, least_squares, non_saturating

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.5])
softplus = lambda x: math.log1p(math.exp(x))  # noqa: E731


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_least_squares_game_by_hand() -> None:
    assert float(least_squares.discriminator(REAL, FAKE)) == pytest.approx((1 + 0.25) / 2 + (4 + 0.25) / 2)
    assert float(least_squares.generator(FAKE)) == pytest.approx((9 + 0.25) / 2)


def test_hinge_game_by_hand() -> None:
    assert float(hinge.discriminator(REAL, FAKE)) == pytest.approx((0 + 0.5) / 2 + (0 + 1.5) / 2)
    assert float(hinge.generator(FAKE)) == pytest.approx(0.75)


def test_non_saturating_game_by_hand() -> None:
    expected = (softplus(-2) + softplus(-0.5)) / 2 + (softplus(-2) + softplus(0.5)) / 2
    assert float(non_saturating.discriminator(REAL, FAKE)) == pytest.approx(expected)
    assert float(non_saturating.generator(FAKE)) == pytest.approx((softplus(2) + softplus(-0.5)) / 2)


@pytest.mark.parametrize("name", GAMES)
def test_players_of_a_game_pull_the_scores_of_fakes_in_opposite_directions(name: str) -> None:
    game = GAMES[name]
    fake = torch.tensor([0.3], requires_grad=True)
    (of_generator,) = torch.autograd.grad(game.generator(fake), fake)
    (of_discriminator,) = torch.autograd.grad(game.discriminator(torch.tensor([0.4]), fake), fake)
    assert of_generator < 0 < of_discriminator
    real = torch.tensor([0.4], requires_grad=True)
    assert torch.autograd.grad(game.discriminator(real, fake.detach()), real)[0] < 0


TERMS = {
    "l1": losses.l1,
    "mse": losses.mse,
    "fourier": losses.fourier,
    "gradient": losses.gradient,
    "ms_ssim": losses.ms_ssim(1.0, scales=2, window=5),
    "perceptual": losses.perceptual(nn.Identity()),
}


@pytest.mark.parametrize("size", [(24, 20), (12, 14, 16)])
@pytest.mark.parametrize("name", TERMS)
def test_term_is_zero_at_equality_positive_else_and_has_a_gradient(name: str, size: tuple[int, ...]) -> None:
    real, fake = noise(2, 2, *size), noise(2, 2, *size, seed=1).requires_grad_()
    assert abs(float(TERMS[name](real, real))) < 1e-6
    value = TERMS[name](fake, real)
    assert value.shape == ()
    assert value.item() > 0.05
    value.backward()
    assert fake.grad is not None
    assert torch.isfinite(fake.grad).all()
    assert fake.grad.abs().max() > 0


def test_l1_and_mse_by_hand() -> None:
    fake, real = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0.0, 5.0]]])
    assert float(losses.l1(fake, real)) == 1.5
    assert float(losses.mse(fake, real)) == 2.5


def test_gradient_of_a_ramp_by_hand() -> None:
    ramp = (3.0 * torch.arange(5.0)[:, None] + torch.zeros(4)).view(1, 1, 5, 4)
    assert float(losses.gradient(ramp, torch.zeros_like(ramp))) == pytest.approx((3 + 0) / 2)
    assert float(losses.gradient(ramp + 7, ramp)) == 0  # blind to an offset


def test_fourier_of_a_constant_is_all_in_one_coefficient() -> None:
    fake = torch.full((1, 1, 4, 8), 2.0)
    # orthonormal: the coefficient of frequency 0 is 2 * 32 / sqrt(32), the other 31 are 0
    assert float(losses.fourier(fake, torch.zeros_like(fake))) == pytest.approx(2 * math.sqrt(32) / 32)


@pytest.mark.parametrize("size", [(8, 6), (4, 6, 2)])
def test_fourier_transform_is_orthonormal_over_space_alone(size: tuple[int, ...]) -> None:
    error = torch.zeros(2, 3, *size)
    error[(0, 1, *(1,) * len(size))] = 5.0  # a single voxel has the same modulus, 5 / sqrt(n), at every frequency
    n = math.prod(size)
    expected = 5 / math.sqrt(n) / 6  # one of six (item, channel) pairs
    assert float(losses.fourier(error, torch.zeros_like(error))) == pytest.approx(expected, rel=1e-5)
    other = noise(2, 3, *size)
    axes = tuple(range(2, other.ndim))
    energy = torch.fft.fftn(other, dim=axes, norm="ortho").abs().square().sum()
    torch.testing.assert_close(energy, other.square().sum())  # Parseval


@pytest.mark.parametrize(("size", "scales"), [((176, 180), 5), ((48, 52), 3), ((24, 26, 28), 2)])
def test_ms_ssim_loss_is_one_minus_the_metric(size: tuple[int, ...], scales: int) -> None:
    real = noise(1, 1, *size)
    fake = 0.8 * real + 0.2 * noise(1, 1, *size, seed=1)
    weights = losses.ms_ssim(2.0, scales=scales)
    shares = torch.tensor([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    value = ms_ssim_value(
        fake[0, 0].numpy(), real[0, 0].numpy(), data_range=2.0, weights=(shares / shares.sum()).tolist()
    )
    assert float(weights(fake, real)) == pytest.approx(1 - value, abs=2e-4)


def test_ms_ssim_loss_keeps_its_digits_under_autocast() -> None:
    real = 1 + 0.05 * noise(1, 1, 48, 48)
    fake = real + 0.01 * noise(1, 1, 48, 48, seed=1)
    loss = losses.ms_ssim(1.0, scales=2)
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss(fake, real)
    assert float(cast) == pytest.approx(float(loss(fake, real)), rel=1e-5)
    assert 0 < float(cast) < 0.2


def test_perceptual_term_follows_the_images_to_their_device() -> None:
    distance = losses.perceptual(nn.Conv2d(1, 2, 3))
    on_meta = torch.ones(1, 1, 8, 8, device="meta")  # the one device beside the CPU that every machine has
    assert distance(on_meta, on_meta).device.type == "meta"


@pytest.mark.parametrize("size", [(16, 64), (64, 16, 64)])
def test_ms_ssim_of_an_image_that_is_too_small_names_the_smallest(size: tuple[int, ...]) -> None:
    fake = noise(1, 1, *size)
    with pytest.raises(RadloomError, match=r"too small for MS-SSIM of 3 scales; expected at least 20 along"):
        losses.ms_ssim(1.0, scales=3, window=5)(fake, fake)
    fits = noise(1, 1, *(max(n, 20) for n in size))
    assert abs(float(losses.ms_ssim(1.0, scales=3, window=5)(fits, fits))) < 1e-6


def test_perceptual_term_freezes_the_network_that_it_is_given() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = network[1].running_mean.clone()
    fake = noise(1, 1, 8, 8).requires_grad_()
    losses.perceptual(network)(fake, noise(1, 1, 8, 8, seed=1)).backward()
    assert fake.grad is not None
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(network[1].running_mean, before)
