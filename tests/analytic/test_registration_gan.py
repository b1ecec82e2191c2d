"""Registration GAN: its warp against other code, its jolts within their limits, and a known shift that it finds."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage
from shifts import shift_between
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.registration_gan import Jolt, RegistrationGAN, jolted
from radloom.networks import registration
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.registration import RegistrationNet, roughness, warped
from radloom.random import torch_stream


@pytest.mark.parametrize("size", [(7, 9), (5, 6, 7)])
def test_the_warp_is_scipys_linear_interpolation_with_repeated_edges(size: tuple[int, ...]) -> None:
    rng = torch_stream(0)
    image, flow = torch.rand((2, 3, *size), generator=rng), 3 * torch.randn((2, len(size), *size), generator=rng)
    found = warped(image, flow)
    places = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")) + flow.numpy()
    for item in range(2):
        for channel in range(3):
            expected = ndimage.map_coordinates(image[item, channel].numpy(), places[item], order=1, mode="nearest")
            np.testing.assert_allclose(found[item, channel].numpy(), expected, atol=2e-5)


def test_no_displacement_changes_nothing_and_a_whole_one_moves_voxels() -> None:
    image = torch.rand(1, 2, 6, 8, generator=torch_stream(0))
    flow = torch.zeros(1, 2, 6, 8)
    torch.testing.assert_close(warped(image, flow), image)
    flow[:, 1] = 3
    torch.testing.assert_close(warped(image, flow)[..., :5], image[..., 3:])


def test_roughness_is_the_mean_squared_slope_over_all_axes() -> None:
    flow = torch.zeros(1, 3, 4, 4, 4)
    assert float(roughness(flow + 7)) == 0
    flow[:, 2] = 2 * torch.arange(4.0)  # one of three components rises by 2 along one of three axes
    assert float(roughness(flow)) == pytest.approx(4 / 3)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_jolt_stays_within_its_limits_and_differs_between_items(dims: int) -> None:
    """Images of the coordinates themselves tell where each voxel came from."""
    size, jolt = (40, 50, 12)[:dims], Jolt(turn=5.0, shift=0.1, scaling=0.05)
    places = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij"))
    came = jolted(places.expand(30, *places.shape), jolt, torch_stream(0))
    middle = tuple(n // 2 for n in size)
    here, right, below = (came[(..., *at)] for at in (middle, (middle[0], middle[1] + 1, *middle[2:]),
                                                      (middle[0] + 1, *middle[1:])))  # fmt: skip
    across, down = (right - here)[:, :2], (below - here)[:, :2]
    scales = across.norm(dim=1)
    torch.testing.assert_close(scales, down.norm(dim=1), rtol=1e-3, atol=1e-3)
    assert (across * down).sum(1).abs().max() < 1e-3  # still square
    turns = torch.rad2deg(torch.atan2(across[:, 0], across[:, 1]))
    for values, low, high in ((scales, 0.95, 1.05), (turns, -5.0, 5.0)):
        assert low - 1e-3 <= float(values.min()) < float(values.max()) <= high + 1e-3
        assert float(values.max() - values.min()) > 0.7 * (high - low)
    shifts = (here - torch.tensor([float(n) for n in middle])) / torch.tensor(size)
    assert float(shifts.abs().max()) < 0.105
    assert float(shifts.std(0).min()) > 0.03


def test_a_jolt_is_as_exact_where_networks_compute_in_bfloat16() -> None:
    image = torch.rand(2, 1, 30, 200, generator=torch_stream(1))
    exact = jolted(image, Jolt(), torch_stream(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(jolted(image, Jolt(), torch_stream(0)), exact)


def textures(count: int, seed: int, size: int = 24) -> Tensor:
    """Smooth noise with a correlation length of about 4 voxels, periodic, of unit variance (b, 1, size, size)."""
    noise = torch.randn((count, 1, size, size), generator=torch_stream(seed, "textures"))
    frequency = 2 * math.pi * torch.fft.fftfreq(size)
    smooth = (-(frequency[:, None] ** 2 + frequency**2) * 3.0**2 / 2).exp()
    image = torch.fft.ifft2(torch.fft.fft2(noise) * smooth).real
    return image / image.flatten(1).std(1).view(-1, 1, 1, 1)


class Motionless(nn.Module):
    """A registration that finds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        return self.nothing * moving.expand(-1, 2, -1, -1)


def trained(registers: nn.Module) -> RegistrationGAN:
    """A model of pairs of which half lie 3 voxels up and half 3 voxels down of where they belong."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 1, 5, padding=2))
    model = RegistrationGAN(generator, PatchDiscriminator(2, 1, width=8, halvings=1), registers,
                            adversarial_weight=0.05, smooth=1.0)  # fmt: skip
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), 4e-3, (0.9, 0.99)) for turn in model.turns}
    for step in range(200):
        x, image, _ = pairs(step)
        for turn in model.turns:
            model.zero_grad()
            model.loss(x, Given(image=image), turn=turn, rng=torch_stream(step, turn))["total"].backward()
            optimisers[turn].step()
        model.after_step()
    return model


def pairs(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """(x, image, shift): x has half the contrast on a ground of 0.5, and lies `shift` voxels further down."""
    image, shift = textures(4, seed), torch.tensor([3, -3, 3, -3])
    moved = torch.stack([one.roll(int(by), dims=1) for one, by in zip(image, shift, strict=True)])
    return 0.5 + 0.5 * moved, image, shift


def test_the_registration_takes_a_known_shift_and_the_generator_none_of_it() -> None:
    torch.manual_seed(1)
    model = trained(RegistrationNet(2, 2, (16, 32), blocks=1))
    x, image, shift = pairs(-1)
    with torch.no_grad():
        drawn = model.sample(Given(image=image), (4, 1, 24, 24), rng=torch_stream(0))
        flow = model.registration(drawn, x)[:, :, 4:-4, 4:-4].mean((2, 3))
    # what lies 3 voxels further down is found 3 voxels up; a shift that all pairs share is not told apart from none
    assert (flow[:, 0] + shift).abs().max() < 1
    assert (flow[:2, 0] - flow[2:, 0]).abs().max() < 0.75
    assert float((flow[:, 0] * -shift.sign()).mean()) == pytest.approx(3, abs=0.5)
    assert flow[:, 1].abs().max() < 0.75
    true = 0.5 + 0.5 * image
    assert max(map(abs, shift_between(drawn, true))) < 0.75
    blurred = trained(Motionless())
    with torch.no_grad():
        worse = blurred.sample(Given(image=image), (4, 1, 24, 24), rng=torch_stream(0))
    inner = (..., slice(4, -4), slice(4, -4))
    errors = [float((one - true)[inner].square().mean()) for one in (drawn, worse)]
    assert errors[0] < 0.5 * errors[1]


def test_the_objective_is_game_correction_and_roughness_and_the_discriminator_judges_the_same_draw() -> None:
    class Slope(nn.Module):
        def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
            return torch.arange(4.0).view(1, 1, 4, 1).expand(len(moving), 2, 4, 4)

    judge = nn.Identity()
    model = RegistrationGAN(nn.Identity(), judge, Slope(), adversarial_weight=2.0, correction=20.0, smooth=10.0)
    image, x = torch.full((1, 1, 4, 4), 3.0), torch.full((1, 1, 4, 4), 5.0)
    found = model.loss(x, Given(image=image), turn="generator", rng=torch_stream(0))
    assert float(found["adversarial"]) == pytest.approx(2 * (3 - 1) ** 2)
    assert float(found["correction"]) == pytest.approx(20 * 2)
    assert float(found["smooth"]) == pytest.approx(10 * 1)  # both components rise by 1 along one axis of two
    assert float(found["total"]) == pytest.approx(8 + 40 + 10)
    other = Given(image=torch.full((1, 1, 4, 4), 9.0))
    judged = model.loss(x, other, turn="discriminator", rng=torch_stream(0))
    assert float(judged["total"]) == pytest.approx((5 - 1) ** 2 + 3**2)  # what the generator's turn drew
    again = model.loss(x, other, turn="discriminator", rng=torch_stream(0))
    assert float(again["total"]) == pytest.approx((5 - 1) ** 2 + 9**2)


@pytest.mark.parametrize("size", [(12, 20), (9, 10, 7)])
def test_the_network_answers_any_size_with_a_displacement_for_each_axis(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = RegistrationNet(len(size), 2, (4, 8, 8))
    flow = net(torch.rand(2, 1, *size), torch.rand(2, 1, *size))
    assert flow.shape == (2, len(size), *size)
    assert float(flow.detach().abs().max()) < 0.3  # near none before training
    widths = [layer[0].weight.shape[0] for layer in net.down]  # type: ignore[index]
    assert widths == [4, 8, 8]
    assert all(a >= b for a, b in pairwise(layer[0].weight.shape[0] for layer in net.up))  # type: ignore[index]


def test_examples_in_docstrings_are_true() -> None:
    assert doctest.testmod(registration).failed == 0
    assert doctest.testmod(registration).attempted > 2


def test_what_makes_no_registration_gan_is_refused() -> None:
    model = RegistrationGAN(nn.Identity(), nn.Identity(), Motionless())
    for make in (
        lambda: RegistrationGAN(nn.Identity(), nn.Identity(), nn.Identity(), smooth=-1.0),
        lambda: Jolt(shift=2.0),
        lambda: model.sample(Given(), (1, 1, 4, 4), rng=torch_stream(0)),
    ):
        with pytest.raises(RadloomError, match="expected"):
            make()
