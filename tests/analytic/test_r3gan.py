"""R3GAN's networks: blocks that begin as nothing, grouped convolutions, variances, conditions; 2D and 3D."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import r3gan
from radloom.networks.conditions import Class
from radloom.networks.equalised import smoothly_doubled
from radloom.networks.r3gan import R3Discriminator, R3Generator
from radloom.random import torch_stream

SIZE = (12, 9, 8)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch_stream(seed))


def silence(x: Tensor) -> Tensor:
    return torch.zeros_like(x)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_block_begins_as_nothing_and_is_then_a_bottleneck_of_separate_groups(dims: int) -> None:
    torch.manual_seed(0)
    block = r3gan._Block(dims, 6, expansion=2, group=4, blocks=3)
    x = normal(2, 6, *(5,) * dims)
    assert torch.equal(block(x), x)
    with torch.no_grad():
        for parameter in (block.narrow, block.first, block.second):
            parameter.copy_(normal(*parameter.shape, seed=1))
    convolve = F.conv2d if dims == 2 else F.conv3d
    whole = torch.zeros(12, 12, *(3,) * dims)  # the groups as one matrix with zeros between them
    for start in (0, 4, 8):
        whole[start : start + 4, start : start + 4] = block.mix.detach()[start : start + 4]
    h = F.leaky_relu(convolve(x, block.widen, block.first), 0.2)
    h = F.leaky_relu(convolve(h, whole, block.second, padding=1), 0.2)
    torch.testing.assert_close(block(x), x + convolve(h, block.narrow), rtol=1e-4, atol=1e-4)


def test_weights_begin_at_the_variance_of_he_over_the_fourth_root_of_the_blocks() -> None:
    torch.manual_seed(0)
    block = r3gan._Block(2, 64, expansion=2, group=16, blocks=16)
    gain = math.sqrt(2 / 1.04) / 2  # 16**-0.25 is a half
    assert float(block.widen.detach().std()) == pytest.approx(gain / math.sqrt(64), rel=0.03)
    assert float(block.mix.detach().std()) == pytest.approx(gain / math.sqrt(16 * 9), rel=0.03)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_new_generator_is_linear_in_z_and_as_loud_as_smoothed_noise(dims: int) -> None:
    torch.manual_seed(0)
    generator = R3Generator(dims, (16,) * dims, 1, (32, 32), latent=16, group=8)
    a, b = normal(1, 16), normal(1, 16, seed=1)
    parts = generator(a, Given(), silence) + 2 * generator(b, Given(), silence)
    torch.testing.assert_close(generator(a + 2 * b, Given(), silence), parts, rtol=1e-4, atol=1e-4)
    spread = float(generator(normal(64, 16), Given(), silence).detach().std())
    assert 0.3 < spread < 1.5  # linear interpolation dims noise; 1 without


def test_mixing_channels_before_doubling_is_mixing_them_after() -> None:
    torch.manual_seed(0)
    across, x = r3gan._Pointwise(2, 3, 5), normal(1, 3, 4, 6)
    torch.testing.assert_close(smoothly_doubled(across(x)), across(smoothly_doubled(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("dims", [2, 3])
def test_players_take_odd_sizes_and_score_each_image_by_itself(dims: int, patch: int) -> None:
    torch.manual_seed(0)
    generator = R3Generator(dims, SIZE[:dims], 2, (8, 4), latent=4, group=4, patch=patch)
    judge = R3Discriminator(dims, SIZE[:dims], 2, (8, 4), group=4, patch=patch)
    images = generator(normal(3, 4), Given(), silence)
    assert images.shape == (3, 2, *SIZE[:dims])
    scores = judge(images, Given())
    assert scores.shape == (3, 1)
    torch.testing.assert_close(scores, torch.cat([judge(one[None], Given()) for one in images]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(scores[0], scores[1])


def test_both_players_hear_a_class() -> None:
    torch.manual_seed(0)
    generator = R3Generator(2, (8, 8), 1, (8, 4), latent=4, group=4, vectors=[Class(2, 4)], width=4)
    judge = R3Discriminator(2, (8, 8), 1, (8, 4), group=4, vectors=[Class(2, 6)], width=6)
    z, classes = normal(1, 4).expand(2, -1), Given(label=torch.tensor([[0.0], [1.0]]))
    images = generator(z, classes, silence)
    assert not torch.allclose(images[0], images[1], atol=1e-3)
    scores = judge(images[:1].expand(2, -1, -1, -1), classes)
    assert not torch.allclose(scores[0], scores[1], atol=1e-4)


def test_channels_that_do_not_fill_their_groups_are_refused() -> None:
    with pytest.raises(RadloomError, match="expected multiples of 8 channels"):
        R3Generator(2, (8, 8), 1, (16, 12), latent=4)
    with pytest.raises(RadloomError, match="expected multiples of 8 channels"):
        R3Discriminator(2, (8, 8), 1, (16, 12))
