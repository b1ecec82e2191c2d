"""Features of a diffusion model: where in the network, at which noise, of which image; rows, heads, planted effects."""

import doctest
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radloom.downstream import pixels
from radloom.downstream.pixels import Features, HeadSettings, PixelHead, read_pixels, train_best, train_head
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import features as module
from radloom.models import paths, predictions
from radloom.models.diffusion import Diffusion
from radloom.models.features import FeatureDiffusion, as_trained, ensembled, from_zero_to_one, joined
from radloom.networks import layers
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.samplers import grids
from radloom.samplers.stochastic import ancestral


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def featured(*, see: module.See = as_trained, patch: int = 1) -> FeatureDiffusion:
    torch.manual_seed(0)
    network = DiffusionUNet(2, 1, 1, (4, 8, 8), patch=patch, maps=(position_maps(2),))
    path = paths.cosine()
    prior = Diffusion(network, path, predictions.noise, sampler=ancestral, spread=0.7,
                      sigmas=grids.uniform_in_time(4, path.earliest, path.latest, path.ratio))  # fmt: skip
    readings = {"one": joined((50, 150)), "each": ensembled((1, 400))}
    return FeatureDiffusion(prior, readings, method="each", chain=1000, see=see).eval()


def test_the_examples_run() -> None:
    for one in (module, pixels):
        assert doctest.testmod(one).failed == 0


@pytest.mark.parametrize(("patch", "size"), [(1, (16, 16)), (2, (19, 22))])
def test_the_last_level_of_the_features_is_what_the_answer_is_made_of(patch: int, size: tuple[int, int]) -> None:
    network = featured(patch=patch).prior.network
    x, level = noise(2, 1, *size), torch.tensor([-0.5, 0.3])
    with torch.no_grad():
        found = network.features(x, level, Given())
        drawn = layers.channels_to_patches(network.head(found[-1]), patch)[..., : size[0], : size[1]]
        rest = (network(x, level, Given()) - drawn) / x  # what goes past the U-Net is x times a number for each item
    assert [len(one[0]) for one in found] == [8, 8, 4]
    for item in rest:
        torch.testing.assert_close(item, item.median().expand_as(item), rtol=1e-2, atol=1e-3)


def test_strides_say_how_much_of_the_image_a_position_of_each_level_stands_for() -> None:
    model = featured(patch=2)
    found = model.features(noise(1, 1, 32, 24), Given(), 10, rng=torch.Generator().manual_seed(0))
    assert model.strides == (8, 4, 2)
    assert [tuple(one.shape[2:]) for one in found] == [(4, 3), (8, 6), (16, 12)]


@pytest.mark.parametrize("see", [as_trained, from_zero_to_one])
@pytest.mark.parametrize("step", [0, 250, 900])
def test_the_network_sees_the_image_at_the_noise_of_the_step(
    see: module.See, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = featured(see=see), []
    monkeypatch.setattr(DiffusionUNet, "features", lambda self, x, noise, given: seen.append((x, noise)) or [])
    x = noise(2, 1, 16, 16).clamp(-1, 1)
    model.features(x, Given(), step, rng=torch.Generator().manual_seed(5))
    n = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    t = 1e-3 + (0.999 - 1e-3) * step / 999  # the path's ends

    def cosine(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2)  # (Nichol & Dhariwal 2021, eq. 17)

    a = cosine(t) / cosine(0)
    s = math.sqrt(1 - a * a)
    shown = x if see is as_trained else (x + 1) / 2
    torch.testing.assert_close(
        seen[0][0], (a * shown + s * n) / math.sqrt(s * s + (0.7 * a) ** 2), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(seen[0][1], torch.full((2,), math.log(s / a) / 4), rtol=1e-4, atol=1e-5)


def test_features_ask_for_no_gradient_and_the_networks_own_answer_does() -> None:
    model, x = featured(), noise(2, 1, 16, 16)
    assert not any(one.requires_grad for one in model.features(x, Given(), 1, rng=torch.Generator()))
    logits = model.logits(x, Given())
    assert logits.shape == (2, 1, 16, 16)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.prior.network.parameters())


def test_unknown_methods_and_steps_beyond_the_chain_are_refused() -> None:
    model = featured()
    with pytest.raises(RadloomError, match="method=both is unknown; expected one or each"):
        FeatureDiffusion(model.prior, model.readings, method="both", chain=1000, see=as_trained)
    with pytest.raises(RadloomError, match=r"noise steps .*expected steps from 0 to 399"):
        FeatureDiffusion(model.prior, model.readings, method="one", chain=400, see=as_trained)
    with pytest.raises(RadloomError, match="noise step 1000"):
        model.features(noise(1, 1, 16, 16), Given(), 1000, rng=torch.Generator())


def kept(n: int = 3, shape: tuple[int, int] = (8, 12), seed: int = 0) -> Features:
    """Two levels, the coarse one at a quarter of the resolution, at three noise steps."""
    coarse, fine = noise(n, 3, 2, 3, 5, seed=seed), noise(n, 3, *shape, 2, seed=seed + 1)
    return Features((coarse.half(), fine.half()), (4, 1), (1, 10, 400), shape)


def test_rows_are_the_levels_upsampled_to_the_nearest_and_joined_over_steps() -> None:
    features = kept()
    whole = [torch.cat([F.interpolate(level[:, place].float().movedim(-1, 1), size=features.shape)
                        for level in features.levels], 1) for place in (2, 0)]  # fmt: skip
    expected = torch.cat(whole, 1).flatten(2)
    image, pixel = torch.tensor([2, 0, 1, 1]), torch.tensor([0, 95, 17, 50])
    torch.testing.assert_close(features.rows(image, pixel, (400, 1)), expected[image, :, pixel])
    assert features.width((400, 1)) == 14
    torch.testing.assert_close(features.of([2]).rows(torch.tensor([0]), torch.tensor([7]), (10,)),
                               features.rows(torch.tensor([2]), torch.tensor([7]), (10,)))  # fmt: skip
    with pytest.raises(RadloomError, match="no features at noise step 50; expected one of"):
        features.rows(image, pixel, (50,))


def test_a_head_is_convolutions_of_one_by_one() -> None:
    torch.manual_seed(0)
    head, features = PixelHead(7), kept()
    for layer in head.layers:
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    convolved: list[nn.Module] = []
    for layer in head.layers:
        if isinstance(layer, nn.Linear):
            convolved.append(nn.Conv2d(layer.in_features, layer.out_features, 1))
            convolved[-1].load_state_dict({"weight": layer.weight[..., None, None], "bias": layer.bias})
        elif isinstance(layer, nn.BatchNorm1d):
            convolved.append(nn.BatchNorm2d(layer.num_features))
            convolved[-1].load_state_dict(layer.state_dict())
        else:
            convolved.append(nn.ReLU())
    whole = torch.cat([F.interpolate(level[:, 1].float().movedim(-1, 1), size=features.shape)
                       for level in features.levels], 1)  # fmt: skip
    with torch.no_grad():
        expected = nn.Sequential(*convolved).eval()(whole).sigmoid()
    found = read_pixels(head.eval(), features, ((10,), (1,)))
    assert found.shape == (3, 2, 8, 12)
    np.testing.assert_allclose(found[:, 0], expected[:, 0].numpy(), atol=1e-5)


HOW = HeadSettings(steps=80, pixels=64, learning_rate=1e-2)


def planted(n: int, effect: float, seed: int) -> tuple[Features, np.ndarray]:
    """Images of random masks that one channel of the fine level shows, at every step."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, 8, 12), bool)
    for mask in masks:
        i, j = rng.integers(0, 4), rng.integers(0, 7)
        mask[i : i + 5, j : j + 6] = True
    features = kept(n, seed=seed)
    features.levels[1][..., 0] += effect * torch.from_numpy(masks)[:, None]
    return features, masks


@pytest.mark.parametrize("reading", [joined((1, 10)), ensembled((1, 10))])
def test_a_head_learns_what_the_features_show_and_nothing_where_they_show_nothing(reading: module.Reading) -> None:
    found = []
    for effect in (6.0, 0.0):
        seen, watched, fresh = (planted(n, effect, seed) for n, seed in ((4, 1), (2, 2), (4, 3)))
        head = train_head(*seen, watched, reading, settings=HOW, seed=0)
        maps = read_pixels(head, fresh[0], reading)
        assert maps.shape == (4, len(reading), 8, 12)
        right = maps.mean(1)[fresh[1]].mean() - maps.mean(1)[~fresh[1]].mean()
        found.append(right)
    assert found[0] > 0.8
    assert abs(found[1]) < 0.15


def test_a_head_depends_on_its_seed_alone() -> None:
    seen, watched = planted(2, 3.0, 1), planted(2, 3.0, 2)
    few = HeadSettings(steps=4, pixels=16, learning_rate=1e-2, checks=2)
    one, same, other = (train_head(*seen, watched, joined((1,)), settings=few, seed=seed) for seed in (0, 0, 1))
    weights = [head.layers[0].weight for head in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_keeps_the_weights_of_the_lowest_validation_loss() -> None:
    network, seen = nn.Linear(1, 1, bias=False), []
    nn.init.constant_(network.weight, 0.0)
    losses = iter([3.0, 1.0, 2.0, 2.5])

    def watched() -> float:
        assert not network.training
        seen.append(float(network.weight))
        return next(losses)

    train_best(network, lambda step: -network(torch.ones(1, 1)).sum(), watched, steps=8, checks=4, learning_rate=0.1)
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8], rel=1e-4)  # Adam's steps on a constant slope
    assert float(network.weight) == pytest.approx(0.4, rel=1e-4)
    assert not network.weight.requires_grad


def test_masks_that_do_not_fit_the_features_are_refused() -> None:
    features, masks = planted(2, 1.0, 1)
    for wrong in (masks[:1], masks[:, :4]):
        with pytest.raises(RadloomError, match="expected a mask for each image"):
            train_head(features, wrong, (features, masks), joined((1,)), settings=HOW, seed=0)
    with pytest.raises(RadloomError, match="expected a mask for each image"):
        train_head(features, masks, (features.of([]), masks[:0]), joined((1,)), settings=HOW, seed=0)
