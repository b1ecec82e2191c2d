"""Every network in 2D and 3D and at odd sizes; lossless patches; locality; the closed-form voxel-wise map."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.preprocessing import PolynomialFeatures
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import layers
from radloom.networks.attention_unet import AttentionUNet
from radloom.networks.conditions import Class, Value, Words, box_map, image_maps, mask_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.networks.monai import DiffusionModelUNet, dice_and_cross_entropy, segmentation_unet
from radloom.networks.pix2pix import PatchDiscriminator, ResNetGenerator, UNetGenerator
from radloom.networks.residual_unet import ChannelNorm, ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial

SIZES = {2: [(16, 16), (17, 23), (9, 12)], 3: [(8, 8, 8), (9, 13, 6)]}
TRANSLATORS: dict[str, Callable[[int], nn.Module]] = {
    "residual U-Net": lambda dims: ResidualUNet(dims, 2, 3, (4, 8)),
    "residual U-Net, patches of 1, two blocks": lambda dims: ResidualUNet(dims, 2, 3, (4, 8), patch=1, blocks=2),
    "residual U-Net of slices": lambda dims: ResidualUNet(dims, 2, 3, (4, 8), finish=5, norm=ChannelNorm),
    "attention U-Net": lambda dims: AttentionUNet(dims, 2, 3, (4, 8)),
    "residual U-Net, one level": lambda dims: ResidualUNet(dims, 2, 3, (4,)),
    "U-Net generator": lambda dims: UNetGenerator(dims, 2, 3, (4, 8, 8)),
    "U-Net generator, one level": lambda dims: UNetGenerator(dims, 2, 3, (4,)),
    "ResNet generator": lambda dims: ResNetGenerator(dims, 2, 3, width=4, blocks=1),
    "polynomial": lambda dims: VoxelwisePolynomial(2, 3, 2),
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", TRANSLATORS)
def test_translator_keeps_the_shape_of_any_image_and_the_items_of_a_batch_apart(name: str, dims: int) -> None:
    network = TRANSLATORS[name](dims).eval()
    for size in SIZES[dims]:
        x = noise(2, 2, *size)
        with torch.no_grad():
            y = network(x)
            alone = network(x[1:])
        assert y.shape == (2, 3, *size)
        assert torch.isfinite(y).all()
        torch.testing.assert_close(y[1:], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_discriminator_scores_overlapping_patches(dims: int) -> None:
    scores = PatchDiscriminator(dims, 3, width=4, halvings=2)(noise(2, 3, *(24,) * dims))
    assert scores.shape == (2, 1, *(4,) * dims)  # 24 -> 12 -> 6 -> 5 -> 4


def test_patch_discriminator_of_pix2pix_sees_70_by_70_pixels() -> None:
    network = PatchDiscriminator(2, 1, width=2)
    for module in network.modules():  # positive weights and no norm: every pixel that is seen has an effect
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
    network.layers = nn.Sequential(*(m for m in network.layers if not isinstance(m, nn.InstanceNorm2d)))
    x = torch.zeros(1, 1, 128, 128, requires_grad=True)
    scores = network(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert x.grad is not None
    seen = (x.grad[0, 0] != 0).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


@pytest.mark.parametrize("dims", [2, 3])
def test_residual_unet_does_not_hear_of_changes_far_away(dims: int) -> None:
    torch.manual_seed(0)
    network = ResidualUNet(dims, 1, 1, (4, 4)).eval()
    length = 96
    x = noise(1, 1, length, *(8,) * (dims - 1))
    changed = x.clone()
    changed[:, :, 80:] += 100 * noise(*changed[:, :, 80:].shape, seed=1)
    with torch.no_grad():
        difference = (network(x) - network(changed)).abs().amax(dim=(0, 1, *range(3, 2 + dims)))
    assert difference[:32].max() == 0  # no statistic over positions carries it there
    assert difference[80:].min() > 0


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (2, 4, 3, 2, 5), (2, 4, 1, 1)])
def test_channel_norm_is_group_norm_with_a_group_for_each_channel(shape: tuple[int, ...]) -> None:
    ours, theirs = ChannelNorm(4), nn.GroupNorm(4, 4)
    with torch.no_grad():
        ours.gain.copy_(noise(4))
        ours.shift.copy_(noise(4, seed=1))
        theirs.load_state_dict({"weight": ours.gain, "bias": ours.shift})
    x = (10 * noise(*shape, seed=2)).requires_grad_()
    (one,) = torch.autograd.grad(ours(x).square().sum(), x)
    (other,) = torch.autograd.grad(theirs(x).square().sum(), x)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert torch.equal(ours.eval()(x), ours.train()(x))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_patches_become_channels_and_come_back_exactly(dims: int, size: int) -> None:
    x = noise(2, 3, *(size * n for n in (4, 2, 3)[:dims]))
    packed = layers.patches_to_channels(x, size)
    assert packed.shape == (2, 3 * size**dims, *(4, 2, 3)[:dims])
    assert torch.equal(layers.channels_to_patches(packed, size), x)


def test_patches_are_those_of_pixel_unshuffle_in_2d_and_of_its_order_in_3d() -> None:
    x = noise(2, 3, 8, 6)
    assert torch.equal(layers.patches_to_channels(x, 2), F.pixel_unshuffle(x, 2))
    volume = noise(1, 2, 4, 6, 2)
    packed = layers.patches_to_channels(volume, 2)
    for c in range(2):
        for i, (dx, dy, dz) in enumerate(np.ndindex(2, 2, 2)):
            assert torch.equal(packed[0, c * 8 + i], volume[0, c, dx::2, dy::2, dz::2])


def test_padding_repeats_the_far_edges_and_cropping_undoes_it() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = layers.padded_to_multiple(x, 4)
    expected = [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert padded[0, 0].tolist() == expected
    assert torch.equal(layers.cropped_to(padded, x.shape[2:]), x)


def test_segmentation_unet_gives_a_logit_per_class_and_its_loss_falls_towards_the_truth() -> None:
    logits = segmentation_unet(2, 4, 3, (4, 4, 4, 4, 4)).eval()(noise(2, 4, 64, 64))
    assert logits.shape == (2, 3, 64, 64)
    labels = torch.randint(0, 3, (2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    right = F.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
    loss = dice_and_cross_entropy()
    values = [float(loss(scale * right, labels)) for scale in (0.0, 2.0, 20.0)]
    assert values[0] > values[1] > values[2]
    assert values[2] < 1e-3


def cubic_pairs() -> tuple[Tensor, Tensor, Tensor]:
    x = 2 * noise(2, 2, 12, 10)
    a, b = x.double().unbind(1)
    y = torch.stack([1 + 2 * a - b + 0.5 * a * b - 0.25 * a**3 + 0.1 * b**2 * a, 3 - b**3], 1).float()
    return x, y, noise(2, 1, 12, 10, seed=3) > 0.3


def test_polynomial_recovers_a_planted_cubic() -> None:
    x, y, region = cubic_pairs()
    model = VoxelwisePolynomial(2, 2, 3)
    spoilt = torch.where(region, y, 1e3)  # what lies outside the region must not count
    model.fit([(x[i : i + 1], spoilt[i : i + 1], region[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(model(x), y, rtol=1e-4, atol=1e-4)
    weights = dict(zip(model.monomials, model.weights[0].tolist(), strict=True))
    planted = {(): 1, (0,): 2, (1,): -1, (0, 1): 0.5, (0, 0, 0): -0.25, (0, 1, 1): 0.1}
    for monomial, weight in weights.items():
        assert weight == pytest.approx(planted.get(monomial, 0.0), abs=1e-3)
    assert model.deviation.max() < 1e-3  # the ridge of 1e-9 leaves some


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_polynomial_is_the_least_squares_fit_and_its_deviation_what_is_left(degree: int) -> None:
    x, y, region = cubic_pairs()
    y = y + noise(*y.shape, seed=9)
    model = VoxelwisePolynomial(2, 2, degree)
    model.fit([(x, y, region)])
    inside = region[:, 0].numpy()
    features = PolynomialFeatures(degree).fit_transform(x.movedim(1, -1).numpy()[inside].astype(np.float64))
    targets = y.movedim(1, -1).numpy()[inside].astype(np.float64)
    solution = np.linalg.lstsq(features, targets, rcond=None)[0]
    left = np.sqrt(((features @ solution - targets) ** 2).mean(0))
    drawn = model(x).movedim(1, -1).numpy()[inside]
    np.testing.assert_allclose(drawn, features @ solution, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.deviation.numpy(), left, rtol=1e-4)


def test_polynomial_of_a_constant_input_is_the_mean() -> None:
    y = noise(1, 1, 8, 8)
    model = VoxelwisePolynomial(2, 1, 2)
    model.fit([(torch.ones(1, 2, 8, 8), y, torch.ones(1, 1, 8, 8, dtype=torch.bool))])
    torch.testing.assert_close(model(torch.ones(1, 2, 8, 8)), y.mean().expand(1, 1, 8, 8), rtol=1e-4, atol=1e-4)


def test_polynomial_keeps_its_digits_under_autocast_and_has_nothing_to_train() -> None:
    x, y, region = cubic_pairs()
    model = VoxelwisePolynomial(2, 2, 3)
    model.fit([(x, y, region)])
    with torch.autocast("cpu", torch.bfloat16):
        drawn = model(x)
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn, model(x))
    assert not list(model.parameters())
    assert len(model.monomials) == sum(len(list(combinations_with_replacement(range(2), n))) for n in range(4))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("kernel", "stride", "length"), [(4, 1, 3), (4, 2, 3), (3, 1, 2), (3, 2, 1), (3, 1, 5)])
def test_convolution_of_a_short_axis_has_the_gradient_of_float32_under_bfloat16(
    kernel: int, stride: int, length: int, dims: int
) -> None:
    torch.manual_seed(0)
    conv = layers.conv(dims, 32, 8, kernel, stride=stride, padding=1)
    x, gradients = noise(1, 32, *(length,) * dims), []
    for cast in (False, *(True,) * 20):
        dirt = [torch.full((size,), 1e30) for size in (64, 256, 1024, 4096, 16384, 65536)]  # what memory may hold
        del dirt
        conv.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            y = conv(x)
        y.float().square().sum().backward()
        gradients.append(next(conv.parameters()).grad.clone())
    for gradient in gradients[1:]:
        assert (gradient - gradients[0]).abs().max() < 0.03 * gradients[0].abs().max()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_discriminator_scores_its_smallest_patch_and_refuses_a_smaller_one(halvings: int, dims: int) -> None:
    least = 3 * 2**halvings
    network = PatchDiscriminator(dims, 2, width=2, halvings=halvings)
    assert min(network(noise(1, 2, *(least,) * dims)).shape[2:]) == 1
    with pytest.raises(RadloomError, match=f"too small for the discriminator; expected at least {least} along"):
        network(noise(1, 2, least - 1, *(least,) * (dims - 1)))


@pytest.mark.parametrize("dims", [2, 3])
def test_resnet_generator_maps_its_smallest_patch_and_refuses_a_smaller_one(dims: int) -> None:
    network = ResNetGenerator(dims, 1, 1, width=2, blocks=1)
    assert network(noise(1, 1, *(5,) * dims)).shape == (1, 1, *(5,) * dims)
    with pytest.raises(RadloomError, match="too small for the ResNet generator; expected at least 5 along"):
        network(noise(1, 1, 4, *(5,) * (dims - 1)))


def conditioned(dims: int) -> DiffusionUNet:
    channels = (8, 16)
    width = hidden_width(channels)
    vectors = (Class(3, width), Value(width, column=1), Words(width))
    maps = (image_maps(1), box_map(dims, 1, first=2))
    return DiffusionUNet(dims, 2, 3, channels, attention=True, vectors=vectors, maps=maps, spade=mask_maps(1))


DENOISERS: dict[str, Callable[[int], nn.Module]] = {
    "plain": lambda dims: DiffusionUNet(dims, 2, 3, (8, 8)),
    "patches of 1, two blocks, one level": lambda dims: DiffusionUNet(dims, 2, 3, (8,), patch=1, blocks=2),
    "with every condition and attention": conditioned,
    "MONAI's": lambda dims: DiffusionModelUNet(dims, 2, 3, (8, 16), classes=3, maps=(image_maps(1),)),
}


def known(dims: int, size: tuple[int, ...]) -> Given:
    box = [1.0] * dims + [4.0] * dims
    return Given(
        image=noise(2, 1, *size, seed=1), mask=noise(2, 1, *size, seed=2) > 0.5, text=("tumour", ""),
        label=torch.tensor([[0.0, 0.3, *box], [float("nan"), float("nan"), *box]]),
    )  # fmt: skip


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", DENOISERS)
def test_denoiser_keeps_the_shape_and_hears_the_noise_and_each_item_its_own_condition(name: str, dims: int) -> None:
    torch.manual_seed(0)
    network, levels = DENOISERS[name](dims).eval(), torch.tensor([-1.0, 0.5])
    for size in SIZES[dims] if name != "MONAI's" else SIZES[dims][:1]:
        x, given = noise(2, 2, *size), known(dims, size)
        with torch.no_grad():
            y, other, blind = network(x, levels, given), network(x, levels + 0.5, given), network(x, levels, Given())
            alone = network(x[1:], levels[1:], given[1:])
        assert y.shape == (2, 3, *size)
        torch.testing.assert_close(y[1:], alone, rtol=1e-4, atol=1e-5)
        if name != "MONAI's":  # it begins with a last layer of zeros
            assert (y - other).abs().amax() > 1e-3
            assert ((y - blind).abs().amax() > 1e-3) == (name == "with every condition and attention")


@pytest.mark.parametrize("name", [name for name in DENOISERS if name != "MONAI's"])
def test_every_parameter_of_a_denoiser_learns(name: str) -> None:
    torch.manual_seed(0)
    network = DENOISERS[name](2)
    network(noise(2, 2, 16, 16), torch.tensor([-1.0, 0.5]), known(2, (16, 16))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("entry", ["image", "mask", "label", "text"])
def test_each_entry_of_what_is_given_changes_the_answer(entry: str) -> None:
    torch.manual_seed(0)
    network, given, x = conditioned(2).eval(), known(2, (16, 16)), noise(2, 2, 16, 16)
    with torch.no_grad():
        y, without = (network(x, torch.zeros(2), g) for g in (given, replace(given, **{entry: None})))
    assert (y - without)[0].abs().max() > 1e-4


def test_monais_denoiser_tells_classes_maps_and_noise_apart_once_its_last_layer_is_not_zero() -> None:
    torch.manual_seed(0)
    network = DENOISERS["MONAI's"](2).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    x, given, levels = noise(2, 2, 16, 16), known(2, (16, 16)), torch.tensor([-1.0, 0.5])
    with torch.no_grad():
        y = network(x, levels, given)
        others = [network(x, levels + 0.5, given), network(x, levels, replace(given, image=None)),
                  network(x, levels, replace(given, label=None))]  # fmt: skip
    assert all((y - other)[0].abs().max() > 1e-3 for other in others)
    torch.testing.assert_close(y[1], others[2][1])  # NaN is an unknown class, too
