"""Improved DDPM: the learned variance and the bound, against torch.distributions and data of known variance."""

import doctest
from typing import final

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import improved_ddpm, paths
from radloom.models.improved_ddpm import ImprovedDDPM, gaussian_kl, learned_log_variance


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@final
class NoiseOracle(nn.Module):
    """The best noise for data N(0, s**2), and the same v everywhere."""

    def __init__(self, spread: float, share: float) -> None:
        super().__init__()
        self.spread, self.share = spread, share

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        sigma = (4 * noise).exp().view(-1, 1, 1, 1)
        seen = x * (1 + sigma**2).sqrt()
        best = seen * sigma / (sigma**2 + self.spread**2)
        return torch.cat([best, torch.full_like(best, 2 * self.share - 1)], dim=1)


def test_gaussian_divergence_is_that_of_torch_distributions() -> None:
    a, b, c, d = (torch.randn(50, generator=rng(seed), dtype=torch.float64) for seed in range(4))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(a, (b / 2).exp()), normal(c, (d / 2).exp()))
    torch.testing.assert_close(gaussian_kl(a, b, c, d), expected)


def test_learned_variance_runs_from_beta_tilde_to_beta_of_the_chain() -> None:
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = (1 - beta).cumprod(0)
    ratio = ((1 - bar) / bar).sqrt()
    for t in (1, 500, 999):
        tilde = (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]
        ends = [learned_log_variance(torch.tensor(v), ratio[t], ratio[t - 1]).exp() * bar[t - 1] for v in (0.0, 1.0)]
        torch.testing.assert_close(ends[0], tilde)
        torch.testing.assert_close(ends[1], beta[t])


def test_the_bound_prefers_the_variance_that_the_data_have() -> None:
    """beta is right for N(0, 1) data, beta~ for data that are one point (Ho et al. 2020, section 3.2)."""
    for spread, better in ((1.0, 1.0), (1e-3, 0.0)):
        bounds = {}
        for share in (0.0, 1.0):
            model = ImprovedDDPM(NoiseOracle(spread, share), paths.cosine(), steps=20, draws=10)
            x = spread * torch.randn((400, 1, 8, 8), generator=rng(1))
            losses = model.loss(x, Given(), rng=rng(2))
            assert losses["total"].item() == pytest.approx(losses["simple"].item() + 0.02 * losses["bound"].item())
            bounds[share] = losses["bound"].item()
        assert bounds[better] < bounds[1 - better] - 0.01


def test_the_bound_is_the_density_of_normal_data_and_looser_where_the_variance_is_wrong_or_the_steps_are_few() -> None:
    """For N(0, 1) data beta is the exact variance, of any number of steps (Ho et al. 2020, section 3.2)."""
    missed = {}
    for spread, share, draws in ((1.0, 1.0, 10), (1.0, 1.0, 100), (1.0, 0.0, 10), (0.3, 1.0, 10), (0.3, 1.0, 100)):
        x = spread * torch.randn((40, 1, 32, 32), generator=rng(1))
        exact = torch.distributions.Normal(0.0, spread).log_prob(x).mean().item()
        model = ImprovedDDPM(NoiseOracle(spread, share), paths.cosine(), steps=100, draws=draws)
        bound = model.bound(x, Given(), rng=rng(2))
        assert bound.shape == (40,)
        missed[spread, share, draws] = exact - bound.mean().item() / 1024
    for draws in (10, 100):  # the noise of x_t moves it by about 0.01
        assert missed[1.0, 1.0, draws] == pytest.approx(0, abs=0.04)
    assert missed[1.0, 0.0, 10] > 0.1
    assert missed[0.3, 1.0, 10] > missed[0.3, 1.0, 100] + 0.05 > 0.05


def test_what_strays_beyond_the_variances_that_can_be_right_is_drawn_as_the_nearest_of_them() -> None:
    drawn = [
        ImprovedDDPM(NoiseOracle(1.0, share), paths.cosine(), steps=50, draws=5).sample(
            Given(), (1, 1, 8, 8), rng=rng()
        )
        for share in (1.0, 30.0)
    ]
    torch.testing.assert_close(drawn[0], drawn[1])


def test_a_short_chain_with_the_learned_variance_draws_the_data_where_the_lower_bound_is_too_narrow() -> None:
    spreads = {}
    for share in (0.0, 1.0):
        model = ImprovedDDPM(NoiseOracle(1.0, share), paths.cosine(), steps=200, draws=8)
        spreads[share] = model.sample(Given(), (1, 1, 80, 80), rng=rng()).std().item()
    assert spreads[1.0] == pytest.approx(1.0, rel=0.04)
    assert spreads[0.0] < 0.95
    x = torch.randn((2, 1, 4, 4), generator=rng())
    torch.testing.assert_close(model.denoise(x, torch.tensor(1.0), Given()), x / 2)
    with pytest.raises(RadloomError, match="draws from a chain"):
        ImprovedDDPM(NoiseOracle(1.0, 0.0), paths.cosine(), steps=5, draws=6)


@pytest.mark.parametrize("module", [improved_ddpm])
def test_examples_in_docstrings_are_true(module: object) -> None:
    done = doctest.testmod(module, extraglobs={"torch": torch})  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0
