"""Diffusion normalizing flow: its bound against DDPM's, worked out from closed forms."""

import math

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths
from radloom.models.diffusion_flow import DiffusionFlow
from radloom.random import torch_stream

NOTHING = Given()
PATH = paths.variance_preserving()
TIMES = torch.linspace(0.05, 1.0, 12)


class Linear(nn.Module):
    """A wrong guess of the noise, so that every term of the bound counts."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        return self.slope * x + 0.1 * noise.view(-1, 1, 1, 1)


def variational_bound(x: Tensor, network: nn.Module, rng: torch.Generator) -> Tensor:
    """DDPM's -L_vlb of each x in nats by its closed-form divergences (Ho et al. 2020, eq. 5), variances beta."""
    alpha = PATH.alpha(TIMES)
    beta = 1 - (alpha / torch.cat([torch.ones(1), alpha[:-1]])) ** 2
    variance, numbers = 1 - alpha**2, x[0].numel()

    def each(values: Tensor) -> Tensor:
        return values.flatten(1).sum(1)

    prior = each((alpha[-1] * x) ** 2 + variance[-1] - 1 - variance[-1].log()) / 2
    total = -prior
    for t in range(len(TIMES)):
        noisy = alpha[t] * x + variance[t].sqrt() * torch.randn(x.shape, generator=rng)
        guess = network(noisy, (variance[t].sqrt() / alpha[t]).log().expand(len(x)) / 4, NOTHING)
        mean = (noisy - beta[t] / variance[t].sqrt() * guess) / (1 - beta[t]).sqrt()
        if t == 0:
            total = total - each((x - mean) ** 2 / beta[0]) / 2 - numbers / 2 * torch.log(2 * math.pi * beta[0])
            continue
        least = variance[t - 1] / variance[t] * beta[t]
        right = (alpha[t - 1] * beta[t] * x + (1 - beta[t]).sqrt() * variance[t - 1] * noisy) / variance[t]
        apart = (right - mean) ** 2 / beta[t] + least / beta[t] - 1 - (least / beta[t]).log()
        total = total - each(apart) / 2
    return total


def test_without_a_drift_the_bound_is_ddpms_within_monte_carlo_error() -> None:
    x = 0.7 * torch.randn(1, 1, 2, 2, generator=torch_stream(0)).expand(40_000, -1, -1, -1) + 0.2
    network = Linear(0.6).requires_grad_(False)
    ours = DiffusionFlow(None, network, PATH, TIMES).bound(x, NOTHING, rng=torch_stream(1))
    right = variational_bound(x, network, torch_stream(2))
    error = ((ours.var() + right.var()) / len(x)).sqrt()
    assert float((ours.mean() - right.mean()).abs()) < 4 * float(error)
    assert float(error) < 0.005 * abs(float(right.mean()))


class Exact(nn.Module):
    """The noise in x = alpha x0 + sigma n when x0 ~ N(0, deviation**2)."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.variance = deviation**2

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        ratio = (4 * noise).exp().view(-1, 1, 1, 1)
        sigma, alpha = ratio / (1 + ratio**2).sqrt(), 1 / (1 + ratio**2).sqrt()
        return x * sigma / (sigma**2 + alpha**2 * self.variance)


def test_with_the_exact_score_of_standard_normal_data_the_bound_is_the_likelihood_itself() -> None:
    # the chain is then reversible: every step back has exactly the variance beta
    x = torch.randn(4000, 1, 1, 2, generator=torch_stream(0))
    likelihood = torch.distributions.Normal(0, 1.0).log_prob(x).flatten(1).sum(1).mean()
    model = DiffusionFlow(None, Exact(1.0), PATH, torch.linspace(0, 1, 11)[1:])
    assert float(model.bound(x, NOTHING, rng=torch_stream(1)).mean()) == pytest.approx(float(likelihood), abs=1e-4)


def test_draws_with_the_exact_score_have_the_spread_of_the_data() -> None:
    times = torch.linspace(0, 1, 201)[1:]
    drawn = DiffusionFlow(None, Exact(0.6), PATH, times).sample(NOTHING, (4, 1, 40, 40), rng=torch_stream(0))
    assert float(drawn.std()) == pytest.approx(0.6, rel=0.05)


def test_a_drift_is_taken_in_both_directions_and_gets_a_gradient() -> None:
    x = torch.randn(3, 1, 2, 2, generator=torch_stream(0))
    model = DiffusionFlow(Linear(0.3), Linear(0.6), PATH, TIMES)
    loss = model.loss(x, NOTHING, rng=torch_stream(1))["total"]
    slope = torch.autograd.grad(loss, model.drift.slope)[0]
    step = 1e-2
    ends = []
    for sign in (1, -1):
        other = DiffusionFlow(Linear(0.3 + sign * step), Linear(0.6), PATH, TIMES)
        ends.append(float(other.loss(x, NOTHING, rng=torch_stream(1))["total"].detach()))
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.02)


def test_a_path_that_does_not_preserve_the_variance_and_times_that_fall_are_refused() -> None:
    with pytest.raises(RadloomError, match="changes the variance"):
        DiffusionFlow(None, Linear(0.0), paths.rectified_flow(), torch.tensor([0.3, 0.6]))
    for times in (torch.tensor([0.5, 0.2]), torch.tensor([0.5])):
        with pytest.raises(RadloomError, match="rising times"):
            DiffusionFlow(None, Linear(0.0), PATH, times)
