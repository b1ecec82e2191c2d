"""Adversarial diffusion: its chain against closed forms, its penalty by hand, and two modes that a mean would blur."""

import doctest
import math
from itertools import pairwise
from pathlib import Path
from typing import final

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import adversarial_diffusion, paths
from radloom.models.adversarial_diffusion import AdversarialDiffusion, large_steps
from radloom.models.losses import Term, l1
from radloom.networks.conditions import image_maps
from radloom.networks.time_discriminator import TimeDiscriminator
from radloom.random import torch_stream
from radloom.weights import load_tensors, save_weights

NOTHING = Given()
MEAN, DEVIATION, SPREAD = 0.3, 0.4, 0.5
CHAIN = large_steps(paths.variance_preserving(earliest=1e-3), 4)


@final
class Posterior(nn.Module):
    """x0 from p(x0 | x_t) of data N(MEAN, DEVIATION**2): the posterior's mean plus `noisiness` times its deviation."""

    def __init__(self, noisiness: float) -> None:
        super().__init__()
        self.noisiness = noisiness

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        s = (4 * noise).exp().view(-1, 1, 1, 1)
        seen, z = x.chunk(2, dim=1)
        total = s**2 + DEVIATION**2
        mean = (MEAN * s**2 + seen * (s**2 + SPREAD**2).sqrt() * DEVIATION**2) / total
        return mean + self.noisiness * z * s * DEVIATION / total.sqrt()


@final
class Spy(nn.Module):
    """Scores 0 and notes the pairs that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[Tensor, Tensor, Given]] = []

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        self.shown.append((x.detach(), (4 * noise).exp(), given))
        return 0 * x.sum(1, keepdim=True)


def perfect(noisiness: float, sigmas: Tensor = CHAIN) -> AdversarialDiffusion:
    return AdversarialDiffusion(Posterior(noisiness), Spy(), sigmas=sigmas, penalty=0.0, spread=SPREAD)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_generator_that_draws_the_posterior_draws_the_data_in_any_number_of_steps(steps: int) -> None:
    sigmas = large_steps(paths.variance_preserving(earliest=1e-3), steps)
    drawn = perfect(1.0, sigmas).sample(NOTHING, (2, 1, 120, 120), rng=torch_stream(0))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(drawn.std()) == pytest.approx(DEVIATION, rel=0.02)


def test_the_posterior_mean_in_so_few_steps_is_too_narrow_by_its_recursion() -> None:
    variance = float(CHAIN[0]) ** 2
    for now, then in pairwise(CHAIN.tolist()):
        gain, share = DEVIATION**2 / (DEVIATION**2 + now**2), (then / now) ** 2
        variance = variance * (gain + share * (1 - gain)) ** 2 + then**2 * (1 - share)
    drawn = perfect(0.0).sample(NOTHING, (2, 1, 120, 120), rng=torch_stream(0))
    assert float(drawn.std()) == pytest.approx(math.sqrt(variance), rel=0.02)
    assert math.sqrt(variance) < 0.85 * DEVIATION


def test_true_and_drawn_steps_of_a_perfect_generator_have_the_same_joint_law_at_every_level() -> None:
    model = perfect(1.0)
    x = MEAN + DEVIATION * torch.randn(400, 1, 20, 20, generator=torch_stream(0))
    loss = model.loss(x, NOTHING, turn="discriminator", rng=torch_stream(1))
    assert float(loss["total"]) == pytest.approx(2 * math.log(2))  # a blind judge
    spy = model.discriminator
    assert isinstance(spy, Spy)
    (real, sigma, _), (fake, again, _) = spy.shown
    assert torch.equal(sigma, again)
    levels = CHAIN.float()
    for now, then in pairwise(levels):
        here = (sigma / now - 1).abs() < 1e-3
        assert 60 < int(here.sum()) < 140  # each level a quarter of the time
        scale = torch.stack([(then**2 + SPREAD**2).sqrt(), (now**2 + SPREAD**2).sqrt()])
        expected = DEVIATION**2 + torch.tensor([[then**2, then**2], [then**2, now**2]])
        for pair in (real, fake):
            points = pair[here].movedim(1, 0).flatten(1)
            torch.testing.assert_close(points.cov(), expected / torch.outer(scale, scale), rtol=0, atol=0.025)
            torch.testing.assert_close(points.mean(1), MEAN / scale, rtol=0, atol=0.025)


class Slope(nn.Module):
    """D([x_s, x_t]) = 3 sum x_s."""

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        return 3 * x[:, :1].flatten(1).sum(1) + 0 * noise


def test_the_penalty_is_r1_of_the_true_step_and_falls_due_in_every_third_step() -> None:
    sigmas = torch.tensor([2.0, 0.0])
    model = AdversarialDiffusion(Posterior(1.0), Slope(), sigmas=sigmas, penalty=0.7, penalise_every=3, spread=SPREAD)
    x = torch.zeros(5, 1, 2, 3)
    found = []
    for _ in range(5):
        loss = model.loss(x, NOTHING, turn="discriminator", rng=torch_stream(0))
        assert float(loss["total"].detach()) == pytest.approx(float((loss["game"] + loss["penalty"]).detach()))
        found.append(float(loss["penalty"].detach()))
        model.after_step()
    due = 0.7 / 2 * 6 * (3 / SPREAD) ** 2  # six voxels, each of slope 3 after the scale 1 / sqrt(0 + SPREAD**2)
    assert found == pytest.approx([due, 0, 0, due, 0])


def test_the_generators_loss_is_its_game_and_its_paired_terms() -> None:
    model = AdversarialDiffusion(Posterior(0.0), Spy(), sigmas=CHAIN, terms=(Term("l1", 0.5, l1),), spread=SPREAD)
    x = torch.full((8, 1, 4, 4), 5.0)
    loss = model.loss(x, NOTHING, turn="generator", rng=torch_stream(0))
    assert float(loss["adversarial"]) == pytest.approx(math.log(2))
    assert float(loss["total"]) == pytest.approx(math.log(2) + float(loss["l1"]))
    assert 0 < float(loss["l1"]) < 0.5 * 4.7  # between the data's mean and x itself


class Points(nn.Module):
    """A small network of single voxels, [x_t, z] or a pair, and the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
        )

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        seen = torch.cat([x.flatten(1), noise[:, None]], dim=1)
        return self.layers(seen)[..., None, None]


def train(model: AdversarialDiffusion, steps: range, optimisers: dict[str, torch.optim.Optimizer]) -> None:
    for step in steps:
        rng = torch_stream(step)
        x = torch.randint(2, (256, 1, 1, 1), generator=rng) * 2.0 - 1 + 0.1 * torch.randn(256, 1, 1, 1, generator=rng)
        for turn in model.turns:
            optimisers[turn].zero_grad()
            model.loss(x, NOTHING, turn=turn, rng=rng)["total"].backward()
            optimisers[turn].step()
        model.after_step()


def fresh() -> tuple[AdversarialDiffusion, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(0)
    model = AdversarialDiffusion(Points(), Points(), sigmas=CHAIN, penalty=0.05, penalise_every=2, spread=1.0)
    return model, {turn: torch.optim.Adam(model.trainable(turn), 1e-3, (0.5, 0.9)) for turn in model.turns}


def test_four_learned_steps_draw_both_peaks_and_little_between_them() -> None:
    model, optimisers = fresh()
    train(model, range(600), optimisers)
    with torch.no_grad():
        drawn = model.sample(NOTHING, (2000, 1, 1, 1), rng=torch_stream(0)).flatten()
    assert 0.3 < float((drawn > 0).double().mean()) < 0.7
    assert float((drawn.abs() < 0.5).double().mean()) < 0.1
    off = (drawn.abs() - 1)[drawn.abs() > 0.5]
    assert float(off.mean().abs()) < 0.1
    assert float(off.std()) < 0.25


def test_training_goes_on_with_the_same_numbers_after_a_pause(tmp_path: Path) -> None:
    def plain() -> tuple[AdversarialDiffusion, dict[str, torch.optim.Optimizer]]:
        model, _ = fresh()
        model.penalise_every = 4
        return model, {turn: torch.optim.SGD(model.trainable(turn), 1e-2) for turn in model.turns}

    whole, optimisers = plain()
    train(whole, range(10), optimisers)
    half, optimisers = plain()
    train(half, range(5), optimisers)
    save_weights(tmp_path / "w.safetensors", half)
    again, optimisers = plain()
    load_tensors(again, tmp_path / "w.safetensors")
    assert int(again.step) == 5
    train(again, range(5, 10), optimisers)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


@pytest.mark.parametrize("dims", [2, 3])
def test_the_discriminator_hears_noise_and_image_and_judges_each_item_alone(dims: int) -> None:
    torch.manual_seed(0)
    network = TimeDiscriminator(dims, 2, (4, 6, 8), maps=(image_maps(1),))
    x = torch.randn(2, 2, *(9,) * dims, generator=torch_stream(0))
    noise, given = torch.tensor([0.1, -0.3]), Given(image=x[:, :1])
    scores = network(x, noise, given)
    assert scores.shape == (2, 1, *(3,) * dims)
    torch.testing.assert_close(network(x[1:], noise[1:], given[1:]), scores[1:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(x, noise + 0.2, given), scores, atol=1e-4)
    assert not torch.allclose(network(x, noise, Given(image=x[:, 1:])), scores, atol=1e-4)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(network(x, noise, given).sum(), x, create_graph=True)
    slope.square().sum().backward()  # R1 differentiates twice
    assert all(p.grad is not None for name, p in network.named_parameters() if name.endswith("weight"))


def test_examples_in_docstrings_are_true() -> None:
    done = doctest.testmod(adversarial_diffusion)
    assert done.attempted > 0
    assert done.failed == 0


def test_what_makes_no_adversarial_diffusion_is_refused() -> None:
    def make(
        sigmas: Tensor = CHAIN, latents: int = 1, penalty: float = 1.0, every: int = 1, spread: float = 1.0
    ) -> AdversarialDiffusion:  # fmt: skip
        return AdversarialDiffusion(nn.Identity(), nn.Identity(), sigmas=sigmas, latents=latents, penalty=penalty,
                                    penalise_every=every, spread=spread)  # fmt: skip

    for sigmas in (torch.tensor([1.0]), torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0])):
        with pytest.raises(RadloomError, match="does not fall to 0"):
            make(sigmas)
    for latents, penalty, every in ((0, 1.0, 1), (1, -1.0, 1), (1, math.nan, 1), (1, 1.0, 0)):
        with pytest.raises(RadloomError, match="latents"):
            make(CHAIN, latents, penalty, every)
    with pytest.raises(RadloomError, match="root mean square"):
        make(spread=0.0)
    with pytest.raises(RadloomError, match="0 steps"):
        large_steps(paths.cosine(), 0)
