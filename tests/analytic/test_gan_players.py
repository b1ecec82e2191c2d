"""The networks of the GANs of Karras et al.: variances, learning speeds, filters, growth; 2D and 3D."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import equalised, progressive, stylegan
from radloom.networks.conditions import Class, Maps, box_map
from radloom.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator, faded, parts
from radloom.networks.residual_discriminator import ResidualDiscriminator
from radloom.networks.stylegan import Mapping, ModulatedConv, StyleGenerator, StyleSynthesis, StyleSynthesis2
from radloom.random import torch_stream

NOTHING = Given()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch_stream(seed))


def silence(x: Tensor) -> Tensor:
    return torch.zeros_like(x)


@pytest.mark.parametrize("dims", [2, 3])
def test_modulated_convolution_is_one_with_the_modulated_and_demodulated_weight_of_each_item(dims: int) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(dims, 3, 5, 3, 4)
    x, w = normal(2, 3, *(6,) * dims), normal(2, 4, seed=1)
    y = layer(x, w)
    convolve = F.conv2d if dims == 2 else F.conv3d
    for i in range(2):  # eq. 1 and 3 written out
        style = (w[i] @ layer.style.weight.T) * layer.style.scale + layer.style.bias
        weight = layer.weight * layer.scale * style.view(1, -1, *(1,) * dims)
        weight = weight / weight.square().flatten(1).sum(1).sqrt().view(-1, *(1,) * (dims + 1))
        torch.testing.assert_close(y[i : i + 1], convolve(x[i : i + 1], weight, padding=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_demodulation_gives_unit_variance_whatever_the_style(dims: int) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(dims, 64, 32, 3, 8)
    edge = 40 if dims == 2 else 14
    y = layer(normal(2, 64, *(edge,) * dims), 5 * normal(2, 8, seed=1)).detach()
    inner = y[(..., *(slice(1, -1),) * dims)]  # a border voxel sees zeros
    spread = inner.flatten(2).std(2)
    assert float(spread.mean()) == pytest.approx(1, abs=0.05)
    assert float(spread.min()) > 0.8
    assert float(spread.max()) < 1.25


def test_equalised_layers_keep_unit_variance_at_any_width_and_learn_in_proportion() -> None:
    torch.manual_seed(0)
    for inputs in (16, 256):
        conv = equalised.EqualisedConv(2, inputs, 64, 3)
        assert float(conv.weight.detach().std()) == pytest.approx(1, abs=0.05)
        assert conv.scale == pytest.approx(math.sqrt(1 / (9 * inputs)))  # He's constant without the gain of the ReLU
        y = conv(normal(4, inputs, 12, 12)).detach()[..., 1:-1, 1:-1]
        assert float(y.std()) == pytest.approx(1, abs=0.08)
        fast, slow = equalised.EqualisedLinear(inputs, 64), equalised.EqualisedLinear(inputs, 64, rate=0.01)
        for layer in (fast, slow):
            assert float(layer(normal(64, inputs)).detach().std()) == pytest.approx(1, abs=0.08)
        x = normal(8, inputs)
        moved = []
        for layer in (fast, slow):  # one step of the same size on the raw weight
            before = layer(x).detach()
            with torch.no_grad():
                layer.weight.add_(1e-3)
            moved.append(float((layer(x).detach() - before).norm()))
        assert moved[1] / moved[0] == pytest.approx(0.01, rel=1e-2)


def test_leaky_keeps_the_second_moment_of_a_normal_variable() -> None:
    # E leaky(n)**2 = 2 (1 + 0.2**2) / 2 = 1.04
    assert float(equalised.leaky(normal(200_000)).square().mean()) == pytest.approx(1.04, abs=0.01)


def test_pixel_norm_gives_each_position_unit_mean_square() -> None:
    y = equalised.pixel_norm(7 * normal(2, 5, 3, 4))
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 3, 4))


def test_minibatch_deviation_by_hand_and_in_groups_that_divide_the_batch() -> None:
    x = torch.tensor([1.0, 3.0, 10.0, 10.0]).view(4, 1, 1, 1).expand(4, 2, 2, 2)
    whole = equalised.with_deviation(x, 4)[:, 2]
    assert whole.shape == (4, 2, 2)
    torch.testing.assert_close(whole, torch.full_like(whole, torch.tensor([1.0, 3, 10, 10]).std(unbiased=False).item()))
    pairs = equalised.with_deviation(x, 3)[:, 2, 0, 0]  # 3 does not divide 4: pairs (0, 2) and (1, 3)
    torch.testing.assert_close(pairs, torch.tensor([4.5, 3.5, 4.5, 3.5]))
    assert float(equalised.with_deviation(x[:1], 4)[0, 2, 0, 0]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_smooth_resampling_has_the_binomial_filter(dims: int) -> None:
    ramp = torch.arange(12.0).view(1, 1, -1, *(1,) * (dims - 1)).expand(1, 1, *(12,) * dims)
    middle = (0, 0, slice(2, -2), *(6,) * (dims - 1))
    halved = equalised.smoothly_halved(ramp)[(0, 0, slice(1, -1), *(3,) * (dims - 1))]
    torch.testing.assert_close(halved, torch.tensor([2.5, 4.5, 6.5, 8.5]))  # a ramp stays a ramp at the blocks' centres
    doubled = equalised.smoothly_doubled(ramp)[middle]
    torch.testing.assert_close(doubled, torch.arange(2, 22) / 2 - 0.25)
    point = torch.zeros(1, 1, *(8,) * dims)
    point[(0, 0, *(4,) * dims)] = 1.0
    line = equalised.smoothly_doubled(point)[(0, 0, slice(None), *(8,) * (dims - 1))]
    torch.testing.assert_close(line[6:12] / line.max(), torch.tensor([0, 1, 3, 3, 1, 0]) / 3)
    wave = torch.tensor([1.0, -1.0]).repeat(8).view(1, 1, -1, *(1,) * (dims - 1)).expand(1, 1, *(16,) * dims)
    assert float(equalised.smoothly_halved(wave)[(..., slice(2, -2), *(4,) * (dims - 1))].abs().max()) < 1e-6


def test_parts_of_a_stage() -> None:
    assert [parts(s) for s in (0.0, 0.25, 1.0, 2.75)] == [(0, 1.0), (1, 0.25), (1, 1.0), (3, 0.75)]


def test_a_real_image_fades_as_the_generator_does() -> None:
    x = normal(1, 1, 8, 8)
    assert torch.equal(faded(x, 2.0, 3), x)
    coarse = F.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(faded(x, 1.25, 3), 0.75 * coarse + 0.25 * x)
    torch.testing.assert_close(faded(x, 1.0, 3), coarse)
    odd = normal(1, 1, 7, 5)
    assert faded(odd, 0.5, 3).shape == odd.shape


def players(
    dims: int, size: tuple[int, ...], maps: tuple[Maps, ...] = ()
) -> tuple[ProgressiveGenerator, ProgressiveDiscriminator]:
    torch.manual_seed(0)
    return (ProgressiveGenerator(dims, size, 1, (8, 8, 4), latent=4, maps=maps),
            ProgressiveDiscriminator(dims, size, 1, (8, 8, 4), maps=maps))  # fmt: skip


@pytest.mark.parametrize(("dims", "size"), [(2, (16, 14)), (3, (8, 7, 8))])
def test_growth_is_continuous_where_a_resolution_begins_and_ends_to_fade_in(dims: int, size: tuple[int, ...]) -> None:
    generator, discriminator = players(dims, size)
    z, x = normal(2, 4), normal(2, 1, *size)
    for stage in (1.0, 2.0):
        near = []
        for at in (stage - 1e-4, stage, stage + 1e-4):
            for player in (generator, discriminator):
                player.stage.fill_(min(at, 2.0))
            near.append((generator(z, NOTHING, silence), discriminator(x, NOTHING)))
        for player in (0, 1):
            for other in (0, 2):
                torch.testing.assert_close(near[other][player], near[1][player], rtol=1e-2, atol=1e-3)
    generator.stage.fill_(0.0)
    blocks = generator(z, NOTHING, silence)[(..., *(slice(0, 4),) * dims)]
    assert (blocks == blocks[(..., *(slice(0, 1),) * dims)]).all()  # at first one value for each block of 4


def test_a_resolution_that_has_not_come_learns_nothing() -> None:
    generator, _ = players(2, (16, 16))
    generator.stage.fill_(0.5)
    generator(normal(2, 4), NOTHING, silence).sum().backward()
    silent = {name for name, p in generator.named_parameters() if p.grad is None}
    assert silent == {f"{part}.2.{kind}" for part in ("first", "second", "images") for kind in ("weight", "bias")}


def test_a_box_map_is_heard_at_every_resolution_by_both_players() -> None:
    generator, discriminator = players(2, (16, 16), maps=(box_map(2, 1),))
    z, x = normal(1, 4), normal(1, 1, 16, 16)
    left, right = (Given(label=torch.tensor([[low, 4.0, low + 4, 12.0]])) for low in (0.0, 12.0))
    for stage in (0.0, 0.5, 2.0):
        generator.stage.fill_(stage)
        discriminator.stage.fill_(stage)
        assert not torch.allclose(generator(z, left, silence), generator(z, right, silence))
        assert not torch.allclose(discriminator(x, left), discriminator(x, right))


SYNTHESES = {
    "StyleGAN": lambda dims, size: StyleSynthesis(dims, size, 2, (8, 8, 4), 6),
    "StyleGAN2": lambda dims, size: StyleSynthesis2(dims, size, 2, (8, 8, 4), 6),
    "StyleGAN2, patches": lambda dims, size: StyleSynthesis2(dims, size, 2, (8, 8), 6, patch=2),
}


@pytest.mark.parametrize(("dims", "size"), [(2, (16, 13)), (3, (8, 9, 7))])
@pytest.mark.parametrize("name", SYNTHESES)
def test_each_layer_hears_its_own_style_and_fine_ones_change_less(name: str, dims: int, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    synthesis = SYNTHESES[name](dims, size)
    w = normal(1, synthesis.styles, 6).requires_grad_()
    image = synthesis(w, silence)
    assert image.shape == (1, 2, *size)
    (slope,) = torch.autograd.grad(image.square().sum(), w)
    assert (slope.abs().sum(2) > 0).all()


@pytest.mark.parametrize(("dims", "size"), [(2, (16, 16)), (3, (8, 8, 8))])
def test_the_voxels_of_a_patch_begin_alike(dims: int, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    synthesis = SYNTHESES["StyleGAN2, patches"](dims, size)
    image = synthesis(normal(1, synthesis.styles, 6), silence)
    corner = image[(..., *(slice(0, None, 2),) * dims)]
    for axis in range(2, 2 + dims):
        other = image.roll(-1, axis)[(..., *(slice(0, None, 2),) * dims)]
        torch.testing.assert_close(corner, other)
    assert float(corner[0, 0].detach().std()) > 0.1
    assert not torch.allclose(corner[:, 0], corner[:, 1])


def test_noise_is_silent_until_its_strength_is_learned() -> None:
    torch.manual_seed(0)
    synthesis = SYNTHESES["StyleGAN2"](2, (16, 16))
    w = normal(1, synthesis.styles, 6)
    assert torch.equal(synthesis(w, silence), synthesis(w, torch.ones_like))
    for noisy in synthesis.noises:
        nn.init.constant_(noisy.strength, 0.5)
    assert not torch.allclose(synthesis(w, silence), synthesis(w, torch.ones_like))


def style_generator(**more: float) -> StyleGenerator:
    torch.manual_seed(0)
    mapping = Mapping(4, 6, vectors=(Class(2, 6),))
    return StyleGenerator(mapping, StyleSynthesis2(2, (8, 8), 1, (8, 4), 6), **more)


def test_mixing_gives_coarse_and_fine_layers_styles_of_two_latents_in_training_alone() -> None:
    generator = style_generator(mixing=0.9)
    rng = torch_stream(1)

    def noise(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=rng)

    z = normal(400, 4)
    w = generator.train().styles(z, NOTHING, noise)
    switches = (w[:, 1:] != w[:, :-1]).any(2)
    assert int(switches.sum(1).max()) == 1
    assert float(switches.any(1).double().mean()) == pytest.approx(0.9, abs=0.05)
    assert (switches.sum(0) > 60).all()  # at each of three places alike
    assert torch.equal(w[:, 0], generator.mapping(z, NOTHING))
    assert (generator.eval().styles(z, NOTHING, noise) == generator.mapping(z, NOTHING)[:, None]).all()


def test_truncation_pulls_styles_to_the_mean_of_their_own_class() -> None:
    generator = style_generator(truncation=0.25).eval()
    given = Given(label=torch.tensor([[0.0], [1.0]]))
    z = normal(2, 4)
    w = generator.styles(z, given, silence)[:, 0]
    for i in range(2):
        many = generator.mapping(normal(20_000, 4, seed=1), Given(label=torch.full((20_000, 1), float(i)))).mean(0)
        expected = many + 0.25 * (generator.mapping(z, given)[i] - many)
        torch.testing.assert_close(w[i], expected, rtol=0, atol=0.03)
    full = style_generator().eval()
    assert torch.equal(full.styles(z, given, silence)[:, 0], full.mapping(z, given))


@pytest.mark.parametrize(("dims", "size"), [(2, (16, 13)), (3, (8, 9, 7))])
def test_the_discriminator_scores_whole_images_and_hears_class_and_time(dims: int, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = ResidualDiscriminator(dims, size, 2, (8, 8, 4), vectors=(Class(2, 6),), width=6, times=10, group=1)
    x = normal(1, 2, *size).expand(3, 2, *size)
    label, time = torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([0, 0, 7])
    scores = network(x, Given(label=label), time)
    assert scores.shape == (3, 1)
    assert len({round(s, 6) for s in scores.flatten().tolist()}) == 3
    alone = ResidualDiscriminator(dims, size, 2, (8, 8, 4))
    assert alone(x, NOTHING).shape == (3, 1)


def test_what_makes_no_player_is_refused() -> None:
    for make in (lambda: style_generator(mixing=1.5), lambda: style_generator(truncation=-0.1),
                 lambda: ResidualDiscriminator(2, (8, 8), 1, (4, 4), times=10)):  # fmt: skip
        with pytest.raises(RadloomError, match="expected"):
            make()


def test_the_examples_in_the_docstrings_run() -> None:
    import doctest

    from radloom.models import noise_gan

    for module in (equalised, progressive, stylegan, noise_gan):
        assert doctest.testmod(module).failed == 0
