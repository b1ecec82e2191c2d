"""A bridge between images against the closed forms of Gaussian pairs."""

import doctest
import math
from itertools import pairwise
from typing import final

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import bridge as bridge_module
from radloom.models import predictions
from radloom.models.bridge import Bridge, even_in_root, walk
from radloom.models.model import Batch
from radloom.random import torch_stream
from radloom.samplers import guidance
from radloom.samplers.denoiser import streams

NOTHING = Given()
SCALE, SLOPE, SHIFT, NOISE = 0.8, 0.7, 0.2, 0.3  # x0 = SHIFT + SLOPE source + NOISE n
PREDICTIONS = {
    "noise": predictions.noise, "image": predictions.image, "v": predictions.v,
    "EDM": predictions.preconditioned(0.5),
}  # fmt: skip


def best(x: Tensor, source: Tensor, t: Tensor, scale: float = SCALE) -> Tensor:
    """E[x0 | x_t, source] by the product of two Gaussians: the prior given the source, and x_t's (1 - t) x0."""
    prior, mean = 1 / NOISE**2, SHIFT + SLOPE * source
    seen = (1 - t) ** 2 / (scale**2 * t * (1 - t)).clamp_min(1e-12)
    pulled = (1 - t) * (x - t * source) / (scale**2 * t * (1 - t)).clamp_min(1e-12)
    return (mean * prior + pulled) / (prior + seen)


def exact(source: Tensor, scale: float = SCALE):
    """That denoiser, hearing sigma = scale sqrt(t)."""
    return lambda x, sigma, given: best(x, source, (sigma / scale) ** 2, scale)


@final
class Oracle(nn.Module):
    """The answer of that denoiser for one prediction."""

    def __init__(self, kind: str, spread: float) -> None:
        super().__init__()
        self.kind, self.spread = kind, spread

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        s = (4 * noise).exp().view(-1, 1, 1, 1)
        t = (s / SCALE) ** 2
        seen = x * (self.spread**2 + SCALE**2 * t * (1 - t)).sqrt()
        assert given.image is not None
        clean = best(seen, given.image, t)
        return PREDICTIONS[self.kind].target(clean, (seen - clean) / s, torch.ones_like(s), s)


def bridge(kind: str, steps: int = 10, eta: float = 1.0, *, spread: float = 0.5) -> Bridge:
    return Bridge(Oracle(kind, spread), PREDICTIONS[kind], times=even_in_root(steps), sampler=walk(eta),
                  scale=SCALE, spread=spread)  # fmt: skip


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_perfect_network_draws_the_posterior_given_the_source(kind: str, eta: float) -> None:
    source = torch.tensor([-1.0, 0.4]).view(2, 1, 1, 1).expand(2, 1, 80, 80)
    drawn = bridge(kind, 80, eta, spread=0.7).sample(Given(image=source), (2, 1, 80, 80), rng=torch_stream(0))
    for i, value in enumerate((-1.0, 0.4)):
        assert float(drawn[i].mean()) == pytest.approx(SHIFT + SLOPE * value, abs=0.02)
        assert float(drawn[i].std()) == pytest.approx(NOISE, rel=0.05)


def spread_after(steps: int, eta: float) -> float:
    """The exact standard deviation of a draw: both walks are linear in independent noises, x = k n on a source of 0."""
    variance = 0.0
    times = even_in_root(steps).tolist()
    for i, (now, then) in enumerate(pairwise(times)):
        gain = (1 - now) * NOISE**2 / ((1 - now) ** 2 * NOISE**2 + SCALE**2 * now * (1 - now)) if i else 0.0
        total = SCALE**2 * then * (1 - then)
        fresh = total if not i else eta**2 * SCALE**2 * then * (1 - then / now)
        kept = math.sqrt((total - fresh) / (SCALE**2 * now * (1 - now))) if i else 0.0
        variance = variance * ((1 - then) * gain + kept * (1 - (1 - now) * gain)) ** 2 + fresh
    return math.sqrt(variance)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_few_steps_have_the_spread_that_their_recursion_says(steps: int, eta: float) -> None:
    times, zero = even_in_root(steps), torch.zeros(1, 1, 200, 200).double()
    drawn = walk(eta)(exact(zero), zero, SCALE, times, NOTHING, streams(torch_stream(0), 1))
    assert float(drawn.std()) == pytest.approx(spread_after(steps, eta), rel=0.02, abs=1e-9)
    assert spread_after(1, eta) == 0  # one step is the regression's answer: the mean


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_missing_spread_halves_with_twice_the_steps(eta: float) -> None:
    missing = [NOISE - spread_after(steps, eta) for steps in (100, 200, 400)]
    assert missing[2] > 0
    assert missing[0] / missing[1] == pytest.approx(2, rel=0.15)
    assert missing[1] / missing[2] == pytest.approx(2, rel=0.1)


def test_the_walk_at_eta_one_is_the_brownian_bridge_between_the_denoised_image_and_where_it_is() -> None:
    """From t to s: mean x0 + (s / t)(x_t - x0), variance scale**2 s (1 - s / t) (the bridge's own law)."""
    x0, source = 0.3, torch.full((1, 1, 300, 300), 2.0, dtype=torch.float64)
    places: list[Tensor] = []

    def stays(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        places.append(x)
        return torch.full_like(x, x0)

    times = torch.tensor([1.0, 0.6, 0.25, 0.0])
    drawn = walk(1.0)(stays, source, SCALE, times, NOTHING, streams(torch_stream(0), 1))
    rest = places[2] - (x0 + 0.25 / 0.6 * (places[1] - x0))
    assert float(rest.mean()) == pytest.approx(0, abs=0.005)
    assert float(rest.var()) == pytest.approx(SCALE**2 * 0.25 * (1 - 0.25 / 0.6), rel=0.02)
    assert abs(float((rest * places[1]).mean())) < 0.01  # fresh
    for t, x in zip((0.6, 0.25), places[1:], strict=True):
        assert float(x.mean()) == pytest.approx((1 - t) * x0 + t * 2.0, abs=0.005)
        assert float(x.var()) == pytest.approx(SCALE**2 * t * (1 - t), rel=0.02)
    assert torch.equal(places[0], source)
    assert drawn.unique().tolist() == [x0]


@pytest.mark.parametrize(("eta", "draws"), [(0.0, 1), (0.3, 7), (1.0, 7)])
def test_noise_is_added_once_at_eta_zero_and_otherwise_at_each_step_but_the_last(eta: float, draws: int) -> None:
    source = torch.zeros(1, 1, 4, 4).double()
    used, fresh = streams(torch_stream(0), 1), streams(torch_stream(0), 1)
    walk(eta)(exact(source), source, SCALE, even_in_root(8), NOTHING, used)
    for _ in range(draws):
        fresh.normal(source)
    assert torch.equal(used.normal(source), fresh.normal(source))


def test_the_loss_is_least_at_the_posterior_mean_and_is_then_the_variance_that_is_left() -> None:
    source = torch.randn(4000, 1, 4, 4, generator=torch_stream(0))
    x = SHIFT + SLOPE * source + NOISE * torch.randn(4000, 1, 4, 4, generator=torch_stream(1))
    loss = float(bridge("image").loss(x, Given(image=source), rng=torch_stream(2))["total"])
    t = torch.linspace(0, 1, 20_001)[1:-1].double()
    expected = float((1 / (1 / NOISE**2 + (1 - t) / (SCALE**2 * t))).mean())  # precisions add up
    assert loss == pytest.approx(expected, rel=0.02)

    class Off(nn.Module):
        def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
            return Oracle("image", 0.5)(x, noise, given) + 0.1

    model = Bridge(Off(), predictions.image, times=torch.tensor([1.0, 0.0]), sampler=walk(1.0), scale=SCALE, spread=0.5)
    worse = float(model.loss(x, Given(image=source), rng=torch_stream(2))["total"])
    assert worse == pytest.approx(loss + 0.01, abs=5e-4)


def test_a_learned_bridge_draws_means_and_spreads_of_its_pairs() -> None:
    """One voxel: the network is linear in x_t and the source with coefficients that time sets."""

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.waves = nn.Parameter(torch.zeros(3, 9))

        def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
            root = (4 * noise).exp() / SCALE
            a, b, c = (self.waves @ (math.pi * root * torch.arange(9)[:, None]).cos())[..., None, None, None]
            assert given.image is not None
            return a * x + b * given.image + c

    model = Bridge(Small(), predictions.image, times=even_in_root(60), sampler=walk(0.5), scale=SCALE)
    source = torch.randn(20_000, 1, 1, 1, generator=torch_stream(0))
    x = SHIFT + SLOPE * source + NOISE * torch.randn(source.shape, generator=torch_stream(1))
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=100, history_size=30, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = model.loss(x, Given(image=source), rng=torch_stream(2))["total"]
        total.backward()
        return total

    optimiser.step(closure)
    source = torch.tensor([-1.0, 0.5]).repeat_interleave(2000).view(-1, 1, 1, 1)
    with torch.no_grad():
        drawn = model.sample(Given(image=source), tuple(source.shape), rng=torch_stream(0)).view(2, 2000)
    for i, value in enumerate((-1.0, 0.5)):
        assert float(drawn[i].mean()) == pytest.approx(SHIFT + SLOPE * value, abs=0.05)
        assert float(drawn[i].std()) == pytest.approx(NOISE, rel=0.12)


def test_begin_measures_the_spread_and_guides_come_outermost_last() -> None:
    model = Bridge(Oracle("image", 0.5), predictions.preconditioned, times=torch.tensor([1.0, 0.5, 0.0]),
                   sampler=walk(1.0), scale=SCALE, guides=(guidance.inside_region,))  # fmt: skip
    x = torch.tensor([3.0, 4.0]).view(1, 1, 1, 2)
    model.begin(lambda: [Batch(x, NOTHING, torch.ones(1, 1, 1, 2, dtype=torch.bool))])
    assert float(model.spread) == pytest.approx(12.5**0.5)
    mask = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    drawn = model.sample(Given(image=x, mask=mask), (1, 1, 1, 2), rng=torch_stream(0))
    assert float(drawn[..., 1]) == 0
    assert float(drawn[..., 0]) != 0


def test_examples_in_docstrings_are_true() -> None:
    done = doctest.testmod(bridge_module)
    assert done.attempted > 0
    assert done.failed == 0


def test_what_makes_no_bridge_is_refused() -> None:
    def make(times: Tensor, scale: float = 1.0) -> Bridge:
        return Bridge(nn.Identity(), predictions.image, times=times, sampler=walk(1.0), scale=scale)

    for times in ([1.0], [1.0, 0.5], [0.9, 0.0], [1.0, 0.5, 0.5, 0.0]):
        with pytest.raises(RadloomError, match="do not fall from 1 to 0"):
            make(torch.tensor(times))
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(RadloomError, match="scale"):
            make(torch.tensor([1.0, 0.0]), scale)
    with pytest.raises(RadloomError, match="0 steps"):
        even_in_root(0)
    with pytest.raises(RadloomError, match="eta"):
        walk(1.1)
    with pytest.raises(RadloomError, match="one shape"):
        bridge("image").sample(Given(image=torch.zeros(1, 2, 4, 4)), (1, 1, 4, 4), rng=torch_stream(0))
    with pytest.raises(RadloomError, match="no image"):
        bridge("image").sample(NOTHING, (1, 1, 4, 4), rng=torch_stream(0))
