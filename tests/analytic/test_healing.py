"""Healing with denoisers known in closed form: planted lesions are found and removed, the rest stays as it is."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths, predictions
from radloom.models.diffusion import Diffusion
from radloom.models.guided_healing import GuidedHealing
from radloom.models.healing import CoScored, Healing, Heals
from radloom.networks.conditions import Class
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.networks.neighbours import Neighbours
from radloom.networks.noisy_classifier import NoisyClassifier
from radloom.random import torch_stream
from radloom.samplers import grids, guidance
from radloom.samplers.denoiser import streams
from radloom.samplers.healing import (
    harmonised,
    lost_structure,
    masked_and_resampled,
    noised_and_back,
    residual,
    within_mask,
)
from radloom.samplers.inversion import ddim_encode
from radloom.samplers.stochastic import ancestral

SPREAD = 0.05
PATH = paths.variance_preserving()


def grid(steps: int, highest: float) -> Tensor:
    return grids.uniform_in_time(steps, PATH.earliest, highest, PATH.ratio)


METHODS = {
    "AnoDDPM": noised_and_back(grid(20, 0.4)),
    "AutoDDPM": masked_and_resampled(grid(10, 0.3), grid(6, 0.3), share=0.06, repeats=3),
    "THOR": harmonised(grid(20, 0.4), tuple(PATH.ratio(torch.tensor([0.3, 0.15, 0.05])).tolist()), reach=3),
}


def template() -> Tensor:
    """A healthy image (2, 32, 32) with structure."""
    row, column = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    return torch.stack([0.4 * torch.cos(4 * row), 0.3 * torch.sin(3 * column)]) - 0.2


def denoise(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
    """E[x0 | x] of healthy images N(template, SPREAD**2)."""
    return ((SPREAD**2 * x + sigma**2 * template()) / (SPREAD**2 + sigma**2)).float()


def patient(count: int = 1) -> tuple[Tensor, Tensor, Given]:
    """Images with a bright square, where it is, and the region."""
    rng = torch.Generator().manual_seed(5)
    x = template() + SPREAD * torch.randn((count, 2, 32, 32), generator=rng)
    ill = torch.zeros((count, 1, 32, 32), dtype=torch.bool)
    ill[..., 10:17, 6:13] = True
    mask = torch.zeros((count, 1, 32, 32), dtype=torch.bool)
    mask[..., 2:-2, 2:-2] = True
    return torch.where(ill, x + 0.6, x).clamp(-1, 1), ill, Given(mask=mask)


@pytest.mark.parametrize("name", METHODS)
def test_a_planted_lesion_is_found_and_removed(name):
    x, ill, given = patient()
    found = METHODS[name](denoise, x, given, streams(torch_stream(0), 1))
    inside = given.mask[0, 0]
    precision = average_precision_score(ill[0, 0][inside].numpy(), found.map[0, 0][inside].numpy())
    assert precision > 0.9, precision  # a map that knows nothing has 0.06
    away = (found.healthy - template())[ill.expand_as(x)].abs().mean()
    assert away < 0.2  # the lesion stood 0.6 away
    assert (found.map >= 0).all()
    assert (found.map[~given.mask] == 0).all()
    assert torch.equal(found.healthy[~given.mask.expand_as(x)], x[~given.mask.expand_as(x)])


@pytest.mark.parametrize("name", METHODS)
def test_an_items_answer_does_not_depend_on_its_neighbours(name):
    x, _, given = patient(2)
    both = METHODS[name](denoise, x, given, streams(torch_stream(3), 2))
    rng = torch_stream(3)
    for i in range(2):
        one = METHODS[name](denoise, x[i : i + 1], given[i : i + 1], streams(rng, 1))
        torch.testing.assert_close(both.map[i : i + 1], one.map, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(both.healthy[i : i + 1], one.healthy, atol=1e-5, rtol=1e-4)


def test_a_masked_voxel_is_drawn_without_knowledge_of_what_was_there():
    x, ill, given = patient()
    other = torch.where(ill, -x, x)
    redraw = within_mask(grid(8, 0.6), repeats=2)
    one, two = (redraw(denoise, image, ill, given, streams(torch_stream(1), 1)) for image in (x, other))
    torch.testing.assert_close(one[ill.expand_as(x)], two[ill.expand_as(x)], atol=1e-6, rtol=0)


def test_without_a_mask_nothing_is_drawn_anew():
    x, ill, given = patient()
    same = within_mask(grid(8, 0.6), repeats=2)(denoise, x, ill & False, given, streams(torch_stream(1), 1))
    assert torch.equal(same, x)


def test_lost_structure_is_ssims_luminance_on_constant_images_and_0_on_equal_ones():
    a, b = torch.full((1, 1, 9, 9), 0.5), torch.full((1, 1, 9, 9), -0.25)
    ssim = (2 * 0.5 * -0.25 + 4e-4) / (0.25 + 0.0625 + 4e-4)
    torch.testing.assert_close(lost_structure(a, b), torch.full_like(a, (1 - ssim) / 2), atol=1e-5, rtol=0)
    x, _, _ = patient()
    assert lost_structure(x, x).abs().max() < 1e-5
    torch.testing.assert_close(residual(x, x + 0.25), torch.full((1, 1, 32, 32), 0.25))


@pytest.mark.parametrize(
    "make",
    [
        lambda: noised_and_back(torch.tensor([0.1, 0.2, 0.0])),
        lambda: noised_and_back(torch.tensor([0.2, 0.1])),
        lambda: masked_and_resampled(grid(3, 0.2), grid(3, 0.2), share=1.0, repeats=2),
        lambda: within_mask(grid(3, 0.2), repeats=0),
        lambda: harmonised(grid(3, 0.2), (1e-6,), reach=3),
        lambda: harmonised(grid(3, 0.2), (), reach=3),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(RadloomError):
        make()


def test_healthy_voxels_lie_near_their_neighbours_and_ill_ones_far():
    rng = torch.Generator().manual_seed(0)
    healthy = template() + SPREAD * torch.randn((20, 2, 32, 32), generator=rng)
    region = torch.ones((20, 1, 32, 32), dtype=torch.bool)
    memory = Neighbours(2, 1500)
    memory.fit([(healthy[:12], region[:12]), (healthy[12:], region[12:])], torch_stream(0))
    fresh = template() + SPREAD * torch.randn((4, 2, 32, 32), generator=rng)
    beyond = (memory(fresh, region[:4]) > 1).float().mean()
    assert 0.02 < beyond < 0.1  # the unit is what 5 % of healthy voxels exceed
    x, ill, given = patient()
    distance = memory(x, given.mask)
    assert distance[ill].median() > 2 * distance[given.mask & ~ill].median()
    assert (distance[~given.mask] == 0).all()


def test_too_few_healthy_voxels_are_no_memory():
    with pytest.raises(RadloomError, match="healthy voxels"):
        Neighbours(1, 10).fit([(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4))], torch_stream(0))


def prior(dims: int, channels: tuple[int, ...] = (8, 16), vectors=()) -> Diffusion:
    torch.manual_seed(1)
    network = DiffusionUNet(dims, 2, 2, channels, vectors=vectors)
    return Diffusion(network, PATH, predictions.noise, sampler=ancestral, sigmas=grid(5, 1.0), spread=0.5)


def centres() -> Tensor:
    """A healthy and an ill image (2, 2, 32, 32)."""
    _, ill, _ = patient()
    return torch.stack([template(), torch.where(ill[0], template() + 0.6, template())])


def unscaled(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """x0 + sigma n and sigma from what networks are given, for a model of spread 0.5."""
    sigma = (4 * noise).exp().view(-1, 1, 1, 1)
    return x * (sigma**2 + 0.25).sqrt(), sigma


def evidence(x: Tensor, sigma: Tensor) -> Tensor:
    """The ln N(x; centre, BROAD**2 + sigma**2) up to a constant, (b, 2)."""
    away = (x[:, None] - centres()).flatten(2).square().sum(2)
    return -away / (2 * (BROAD**2 + sigma.flatten()[:, None] ** 2))


BROAD = 0.6  # so broad that a lesion does not decide the class by itself


class Mixed(torch.nn.Module):
    """The noise in images of two kinds, each N(centre, BROAD**2), in closed form; deaf to labels."""

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        z, sigma = unscaled(x, noise)
        share = evidence(z, sigma).softmax(1)
        centre = (share[..., None, None, None] * centres()).sum(1)
        return (z - (BROAD**2 * z + sigma**2 * centre) / (BROAD**2 + sigma**2)) / sigma


class Bayes(torch.nn.Module):
    """Which kind a noisy image is of, in closed form."""

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        return evidence(*unscaled(x, noise))


def guided(weight: float) -> GuidedHealing:
    diffusion = Diffusion(Mixed(), PATH, predictions.noise, sampler=ancestral, sigmas=grid(5, 1.0), spread=0.5)
    return GuidedHealing(diffusion, Bayes(), grids.geometric(30, 0.02, 3.4)[:-1], healthy=0.0, weight=weight)


def test_up_and_down_without_guidance_returns_the_input_at_50_db():
    x, _, given = patient(2)
    model = guided(0.0)
    noise = model.encode(x, given)
    assert (noise - x).abs().mean() > 0.1  # it did go up
    error = model.decode(noise, given, weight=0.0) - x
    psnr = 10 * math.log10(4 / float(error.square().mean()))
    assert psnr > 50, psnr
    naive = ddim_encode(model.prior.denoise, x, model.sigmas, given)
    assert (model.decode(naive, given, weight=0.0) - x).square().mean() > 4 * error.square().mean()


def test_guidance_of_weight_1_is_bayes_rule():
    x, _, given = patient()
    model = guided(1.0)
    for level in (0.3, 1.0, 3.0):
        sigma = torch.tensor(level)
        told = guidance.classifier(model.log_healthy, 1.0)(model.prior.denoise)(x, sigma, given)
        healthy = (BROAD**2 * x + sigma**2 * template()) / (BROAD**2 + sigma**2)
        torch.testing.assert_close(told, healthy, atol=2e-4, rtol=1e-3)


def test_guidance_takes_the_lesion_out_and_without_it_the_image_comes_back():
    x, ill, given = patient()
    healed, same = (guided(weight).heal(x, given, rng=torch_stream(0)) for weight in (3.0, 0.0))
    excess = [float((one - template())[ill.expand_as(x)].mean()) for one in (x, healed.healthy)]
    assert excess[1] < excess[0] - 0.15
    assert same.map.max() < 0.02
    inside = given.mask[0, 0]
    assert average_precision_score(ill[0, 0][inside].numpy(), healed.map[0, 0][inside].numpy()) > 0.9


def test_the_classifiers_slope_is_that_of_its_log_probability():
    model = guided(1.0)
    x = patient()[0].requires_grad_()
    sigma = torch.tensor(0.3)
    (slope,) = torch.autograd.grad(model.log_healthy(x, sigma, Given()).sum(), x)
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)) * 1e-2
    ahead, behind = (float(model.log_healthy((x + s * step).detach(), sigma, Given())) for s in (0.5, -0.5))
    assert ahead - behind == pytest.approx(float((slope * step).sum()), rel=0.02, abs=1e-5)


def test_the_guided_model_trains_both_of_its_parts_and_refuses_images_without_labels():
    vectors = (Class(2, hidden_width((8, 16))),)
    model = GuidedHealing(prior(2, vectors=vectors), NoisyClassifier(2, 2, 2, (8, 8)), grid(5, 0.5)[:-1], healthy=0.0,
                          weight=1.0)  # fmt: skip
    label = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    x = template() * (1 - 2 * label)[..., None, None]
    optimiser = torch.optim.Adam(model.trainable("classifier"), 3e-3)
    for step in range(40):
        losses = model.loss(x, Given(label=label), turn="classifier", rng=torch_stream(step))
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
    with torch.no_grad():
        logits = model._logits(x, torch.full((4,), 0.05), Given())
    assert F.cross_entropy(logits, label[:, 0].long()) < 0.4
    assert set(model.loss(x, Given(label=label), turn="diffusion", rng=torch_stream(0))) == {"total"}
    with pytest.raises(RadloomError, match="no labels"):
        model.loss(x, Given(), turn="classifier", rng=torch_stream(0))
    with pytest.raises(RadloomError, match="encode_label"):
        GuidedHealing(model.prior, model.classifier, model.sigmas, healthy=0.0, weight=1.0, encode_label="ill")
    with pytest.raises(RadloomError, match="sigma 0"):
        GuidedHealing(model.prior, model.classifier, grid(5, 0.5), healthy=0.0, weight=1.0)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_classifier_of_noisy_images_takes_any_size_and_hears_the_noise(dims):
    network = NoisyClassifier(dims, 2, 3, (8, 8))
    x = torch.rand((2, 2, *(11, 9, 6)[:dims]))
    quiet, loud = (network(x, torch.full((2,), noise), Given()) for noise in (-1.0, 1.0))
    assert quiet.shape == (2, 3)
    assert not torch.allclose(quiet, loud)


def test_ours_heals_what_lies_far_from_healthy_voxels_and_leaves_a_healthy_image_alone():
    rng = torch.Generator().manual_seed(0)
    healthy = template() + SPREAD * torch.randn((20, 2, 32, 32), generator=rng)
    region = torch.ones((20, 1, 32, 32), dtype=torch.bool)
    memory = Neighbours(2, 1500)
    memory.fit([(healthy, region)], torch_stream(0))
    model = CoScored(prior(2), memory, grid(8, 0.6), limit=2.5, repeats=1, trust=0.5)
    model.prior.denoise = denoise
    x, ill, given = patient()
    found = model.heal(x, given, rng=torch_stream(0))
    assert average_precision_score(ill.flatten().numpy(), found.map.flatten().numpy()) > 0.9
    assert (found.healthy - template())[ill.expand_as(x)].abs().mean() < 0.2
    alone = model.heal(healthy[:1], Given(mask=region[:1]), rng=torch_stream(0))
    assert (alone.healthy != healthy[:1]).float().mean() < 0.05
    assert isinstance(model, Heals)
    assert isinstance(Healing(model.prior, METHODS["THOR"]), Heals)
