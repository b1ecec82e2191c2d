"""Samplers on Gaussian data, where the denoiser and the probability flow are closed forms."""

import doctest
import math

import numpy as np
import pytest
import torch
from gaussian_data import MEANS, SPREADS, flowed, gaussian, moments, normal, run
from scipy.integrate import solve_ivp
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.samplers import grids, likelihood, solvers, stochastic
from radloom.samplers.denoiser import Sampler, streams

ORDERS: dict[str, tuple[Sampler, int]] = {
    "Euler": (solvers.euler, 1),
    "DDIM": (stochastic.ddim(0.0), 1),
    "Heun": (solvers.heun, 2),
    "midpoint": (solvers.midpoint, 2),
    "flow Heun": (solvers.flow_heun, 2),
    "flow midpoint": (solvers.flow_midpoint, 2),
    "DPM-Solver++(2M)": (solvers.dpm_solver_2m, 2),
    "UniPC 1": (solvers.unipc(1), 2),
    "UniPC 2": (solvers.unipc(2), 3),
    "UniPC 3": (solvers.unipc(3), 4),
}


@pytest.mark.parametrize("name", ORDERS)
def test_solver_converges_at_its_order_to_the_exact_flow_and_at_no_other(name: str) -> None:
    sampler, order = ORDERS[name]
    x = 20.0 * normal(1)
    errors = []
    for steps in (40, 80):
        sigmas = grids.geometric(steps + 1, 0.1, 20.0)[:-1]
        errors.append((run(sampler, x, sigmas) - flowed(x, 20.0, 0.1)).norm().item())
    gaussian_order = 3 if name == "flow midpoint" else order  # its second-order error vanishes on Gaussian data
    assert math.log2(errors[0] / errors[1]) == pytest.approx(gaussian_order, abs=0.35)


def two_peaks(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
    """E[x0 | x] for even chances of N(-1, 0.5**2) and N(0.5, 0.3**2)."""
    means, variances = torch.tensor([-1.0, 0.5]).double(), torch.tensor([0.25, 0.09]).double()
    far = x[..., None] - means
    total = variances + sigma**2
    chances = (-0.5 * (far**2 / total + total.log())).softmax(-1)
    return (chances * (means + far * variances / total)).sum(-1)


@pytest.mark.parametrize("name", ORDERS)
def test_solver_converges_at_its_order_on_two_peaks_to_what_scipy_integrates(name: str) -> None:
    sampler, order = ORDERS[name]
    starts = torch.tensor([-2.0, -0.4, 0.7, 3.0], dtype=torch.float64)

    def slope(log_sigma: float, x: np.ndarray) -> np.ndarray:
        return (torch.from_numpy(x) - two_peaks(torch.from_numpy(x), torch.tensor(log_sigma).exp(), Given())).numpy()

    span = (math.log(3.0), math.log(0.2))
    exact = solve_ivp(slope, span, starts.numpy(), method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    errors = []
    for steps in (80, 160):
        sigmas = grids.geometric(steps + 1, 0.2, 3.0)[:-1]
        found = run(sampler, starts.view(4, 1, 1, 1), sigmas, denoise=two_peaks).flatten()
        errors.append((found - torch.from_numpy(exact)).norm().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.4)


def test_an_euler_step_that_poses_as_heun_is_found_out() -> None:
    x = 10.0 * normal(1)
    errors = [
        (run(solvers.euler, x, grids.geometric(n + 1, 0.1, 10.0)[:-1]) - flowed(x, 10.0, 0.1)).norm().item()
        for n in (40, 80)
    ]
    assert math.log2(errors[0] / errors[1]) < 1.65


@pytest.mark.parametrize("name", [name for name in ORDERS if name != "flow midpoint"])
def test_one_step_to_sigma_zero_is_the_denoised_image(name: str) -> None:
    x = 3.0 * normal(2)
    drawn = run(ORDERS[name][0], x, torch.tensor([3.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(drawn, gaussian()(x, torch.tensor(3.0), Given()))


# Worst relative error of the standard deviation over 8 dimensions on this Gaussian, from an independent run of the
# same solvers with 200,000 samples; a tenth more is granted.
SPREAD_ERRORS = {
    "EDM Heun 8": (solvers.heun, grids.karras(8, 0.002, 80.0), 0.49),
    "EDM Heun 18": (solvers.heun, grids.karras(18, 0.002, 80.0), 0.075),
    "EDM Heun 32": (solvers.heun, grids.karras(32, 0.002, 80.0), 0.020),
    "flow Euler 30": (solvers.euler, grids.uniform_in_time(30, 1 / 30, 0.9999, lambda t: t / (1 - t)), 0.081),
    "flow midpoint 15": (
        solvers.flow_midpoint,
        grids.uniform_in_time(15, 1 / 15, 0.9999, lambda t: t / (1 - t)),
        0.003,
    ),
}


@pytest.mark.parametrize("name", SPREAD_ERRORS)
def test_solver_reaches_the_spread_of_the_data_as_closely_as_measured_elsewhere(name: str) -> None:
    sampler, sigmas, worst = SPREAD_ERRORS[name]
    ends = [run(sampler, sigmas[0] * torch.full((1, 8, 1, 1), v, dtype=torch.float64), sigmas) for v in (-1.0, 1.0)]
    spread = (ends[1] - ends[0]) / 2  # the flow is affine in x: two points tell its slope
    assert ((spread / SPREADS - 1).abs().max()) < 1.1 * worst


STOCHASTIC: dict[str, tuple[Sampler, Tensor]] = {
    "ancestral": (stochastic.ancestral, grids.karras(150, 0.02, 80.0)),
    "DDIM, eta 1": (stochastic.ddim(1.0), grids.karras(150, 0.02, 80.0)),
    "DDIM, eta 0.5": (stochastic.ddim(0.5), grids.karras(150, 0.02, 80.0)),
    "Heun with noise": (stochastic.heun_with_noise(churn=40.0, inflation=1.0), grids.karras(80, 0.002, 80.0)),
    "predictor only": (stochastic.predictor_corrector(snr=0.1, corrections=0), grids.karras(200, 0.01, 80.0)),
    "annealed Langevin": (stochastic.annealed_langevin(step=0.2, repeats=15), grids.geometric(80, 0.02, 20.0)),
}


@pytest.mark.parametrize("name", STOCHASTIC)
def test_sampler_with_noise_draws_the_mean_and_the_spread_of_the_data(name: str) -> None:
    sampler, sigmas = STOCHASTIC[name]
    x = sigmas[0] * normal(3000).transpose(0, 2)  # one image of 8 channels and 3000 voxels
    mean, spread = (one.transpose(0, 2) for one in moments(run(sampler, x, sigmas).transpose(0, 2)))
    assert ((mean - MEANS).abs() < 4.5 * SPREADS / math.sqrt(3000)).all()
    assert ((spread / SPREADS - 1).abs() < 0.08).all()  # 1.3 % of sampling, the rest of the finite steps


def test_predictor_with_corrector_keeps_the_law_of_an_image_of_many_voxels() -> None:
    # The corrector's step is set by norms of whole images, so that it needs many voxels: 3000 of one law.
    denoise = gaussian(torch.tensor(0.2), torch.tensor(0.5))
    sigmas = grids.geometric(60, 0.02, 20.0)
    x = sigmas[0] * torch.randn((2, 1, 50, 60), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = run(stochastic.predictor_corrector(snr=0.1), x, sigmas, denoise=denoise)
    assert drawn.mean().item() == pytest.approx(0.2, abs=0.03)
    assert drawn.std().item() == pytest.approx(0.5, rel=0.05)


def test_heuns_step_with_noise_is_the_one_written_out_and_without_noise_heuns() -> None:
    sigmas, x = grids.karras(3, 0.5, 4.0), 4 * normal(2)
    torch.testing.assert_close(run(stochastic.heun_with_noise(churn=0.0), x, sigmas), run(solvers.heun, x, sigmas))
    denoise, own = gaussian(), streams(torch.Generator().manual_seed(1), 2)
    expected = x
    for i in range(3):  # Algorithm 2, with gamma = 0.6 / 3 where sigma lies within 1 and 10
        now, then = sigmas[i], sigmas[i + 1]
        if 1 <= now <= 10:
            raised = 1.2 * now
            expected = expected + 1.1 * (raised**2 - now**2).sqrt() * own.normal(x)
            now = raised
        slope = (expected - denoise(expected, now, Given())) / now
        ahead = expected + (then - now) * slope
        if then > 0:
            slope_ahead = (ahead - denoise(ahead, then, Given())) / then
            ahead = expected + (then - now) * (slope + slope_ahead) / 2
        expected = ahead
    sampler = stochastic.heun_with_noise(churn=0.6, lowest=1.0, highest=10.0, inflation=1.1)
    torch.testing.assert_close(run(sampler, x, sigmas), expected)
    assert not torch.allclose(expected, run(solvers.heun, x, sigmas), atol=0.01)


def test_ancestral_steps_are_those_of_ddpm_in_its_own_coordinates() -> None:
    """Ho et al. 2020, equations 6 and 7, from the chain's own beta and alpha bar."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = (1 - beta).cumprod(0)
    x0, xt = normal(3, 1), normal(3, 2)
    for t in (1, 10, 500, 999):
        ratio = ((1 - bar) / bar).sqrt()
        mean, deviation = stochastic.posterior(xt / bar[t].sqrt(), x0, ratio[t], ratio[t - 1])
        ho = (
            bar[t - 1].sqrt() * beta[t] / (1 - bar[t]) * x0
            + (1 - beta[t]).sqrt() * (1 - bar[t - 1]) / (1 - bar[t]) * xt
        )
        torch.testing.assert_close(mean * bar[t - 1].sqrt(), ho)
        variance = (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]
        torch.testing.assert_close((deviation * bar[t - 1].sqrt()) ** 2, variance)


def test_ddim_with_eta_one_is_ancestral_for_the_same_noise() -> None:
    sigmas = grids.karras(12, 0.02, 80.0)
    x = sigmas[0] * normal(5)
    torch.testing.assert_close(run(stochastic.ddim(1.0), x, sigmas), run(stochastic.ancestral, x, sigmas))


def test_items_of_a_batch_have_noise_of_their_own_and_in_order() -> None:
    two = streams(torch.Generator().manual_seed(3), 2)
    rng = torch.Generator().manual_seed(3)
    for i in range(2):
        one = streams(rng, 1)
        assert torch.equal(two.normal(torch.zeros(2, 4))[i], one.normal(torch.zeros(1, 4))[0])
        two = streams(torch.Generator().manual_seed(3), 2)
    noise = two.normal(torch.zeros(2, 1000))
    assert not torch.equal(noise[0], noise[1])
    assert set(two.signs(torch.zeros(2, 100)).unique().tolist()) == {-1.0, 1.0}


# Grids


@pytest.mark.parametrize(
    "sigmas",
    [grids.karras(9, 0.1, 5.0), grids.geometric(9, 0.1, 5.0), grids.linear(9, 0.1, 5.0), grids.cosine(9, 0.1, 5.0),
     grids.quantile(9, 0.1, 5.0, mean=-1.2, deviation=1.2),
     grids.uniform_in_time(9, 0.1, 5.0, lambda t: t)],
)  # fmt: skip
def test_grid_falls_from_the_highest_to_the_lowest_and_to_zero(sigmas: Tensor) -> None:
    assert len(sigmas) == 10
    assert sigmas[0].item() == pytest.approx(5.0)
    assert sigmas[-2].item() == pytest.approx(0.1)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_quantile_grid_parts_the_training_noise_into_equal_shares() -> None:
    sigmas = grids.quantile(5, 0.1, 5.0, mean=-1.2, deviation=1.2)[:-1]
    shares = [0.5 * (1 + math.erf((math.log(s) + 1.2) / 1.2 / math.sqrt(2))) for s in sigmas.tolist()]
    steps = torch.tensor(shares).diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("steps", "low", "high"), [(1, 0.1, 1.0), (5, 0.0, 1.0), (5, 1.0, 1.0), (5, 0.1, math.inf), (5, math.nan, 1.0)]
)
def test_impossible_grids_are_refused(steps: int, low: float, high: float) -> None:
    for grid in (grids.karras, grids.geometric, grids.linear, grids.cosine):
        with pytest.raises(RadloomError, match="a grid of"):
            grid(steps, low, high)


@pytest.mark.parametrize("module", [grids, likelihood])
def test_examples_in_docstrings_are_true(module: object) -> None:
    done = doctest.testmod(module, extraglobs={"torch": torch})  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0
