"""Samplers, guides, inversion and likelihood on Gaussian data, where the denoiser and every answer are closed forms."""

import doctest
import math
from collections.abc import Callable
from typing import final

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.operators.base import LinearOperator, Measurement
from radloom.samplers import grids, guidance, inversion, likelihood, solvers, stochastic
from radloom.samplers.denoiser import Denoiser, Sampler, streams

MEANS = torch.tensor([-0.6, -0.2, 0.0, 0.1, 0.3, 0.4, 0.5, 0.7], dtype=torch.float64).view(1, 8, 1, 1)
SPREADS = torch.tensor([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6], dtype=torch.float64).view(1, 8, 1, 1)


def gaussian(means: Tensor = MEANS, spreads: Tensor = SPREADS) -> Denoiser:
    """E[x0 | x] for independent N(mean, spread**2): the prior's mean and x, weighted by their precisions."""
    return lambda x, sigma, given: (means * sigma**2 + x * spreads**2) / (sigma**2 + spreads**2)


def flowed(x: Tensor, start: float, end: float) -> Tensor:
    """The exact probability flow: distance from the mean, in units of sqrt(spread**2 + sigma**2), is conserved."""
    return MEANS + (x - MEANS) * ((SPREADS**2 + end**2) / (SPREADS**2 + start**2)).sqrt()


def normal(count: int, seed: int = 0) -> Tensor:
    return torch.randn((count, 8, 1, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def run(
    sampler: Sampler, x: Tensor, sigmas: Tensor, given: Given | None = None, *, denoise: Denoiser | None = None
) -> Tensor:
    own = streams(torch.Generator().manual_seed(1), len(x))
    return sampler(denoise or gaussian(), x, sigmas, given or Given(), own)


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


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(0, keepdim=True), x.std(0, keepdim=True)


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


# Guides


@final
class Mix(LinearOperator):
    """A dense matrix on the flattened image."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.matrix.T

    def adjoint(self, y: Tensor) -> Tensor:
        return (y @ self.matrix).view(-1, 8, 1, 1)

    def pinv(self, y: Tensor) -> Tensor:
        return (y @ torch.linalg.pinv(self.matrix).T).view(-1, 8, 1, 1)


def matrix(rows: int) -> Tensor:
    return torch.randn((rows, 8), generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def test_posterior_guidance_draws_the_linear_gaussian_posterior() -> None:
    """Bayes: precision I / s**2 + A^T A / noise**2, for a prior N(0, s**2 I) and any A."""
    s, noise, a = 0.5, 0.2, matrix(3)
    y = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
    covariance = torch.linalg.inv(torch.eye(8, dtype=torch.float64) / s**2 + a.T @ a / noise**2)
    mean = covariance @ a.T @ y / noise**2
    guided = guidance.measured_posterior(noise=noise, spread=s)(gaussian(torch.zeros(1), torch.tensor(s).double()))
    given = Given(measured=Measurement(y.expand(3000, 3), Mix(a)))
    sigmas = grids.karras(40, 0.005, 80.0)
    drawn = run(solvers.dpm_solver_2m, sigmas[0] * normal(3000), sigmas, given, denoise=guided).flatten(1)
    assert ((drawn.mean(0) - mean).abs() < 4.5 * (covariance.diagonal() / 3000).sqrt() + 0.005).all()
    torch.testing.assert_close(drawn.T.cov(), covariance, rtol=0.0, atol=0.02)
    point = guided(torch.zeros(3000, 8, 1, 1, dtype=torch.float64), torch.tensor(100.0), given)
    torch.testing.assert_close(point[0].flatten(), mean, rtol=0.01, atol=1e-3)  # without any image, the mean


def test_data_consistency_is_the_posterior_of_independent_coordinates_and_fits_the_measurement() -> None:
    keep = torch.eye(8, dtype=torch.float64)[[1, 4]]
    y = torch.tensor([[0.9, -0.4]], dtype=torch.float64).expand(3000, 2)
    given = Given(measured=Measurement(y, Mix(keep)))
    sigmas = grids.karras(40, 0.005, 80.0)
    guided = guidance.data_consistency(gaussian())
    drawn = run(solvers.dpm_solver_2m, sigmas[0] * normal(3000), sigmas, given, denoise=guided)
    torch.testing.assert_close(Mix(keep)(drawn), y)
    free = [0, 2, 3, 5, 6, 7]
    mean, spread = moments(drawn)
    assert ((mean - MEANS)[:, free].abs() < 4.5 * SPREADS[:, free] / math.sqrt(3000) + 0.005).all()
    assert ((spread / SPREADS - 1)[:, free].abs() < 0.06).all()
    dense = Given(measured=Measurement(y[:2] @ torch.ones(2, 3).double(), Mix(matrix(3))))
    fits = run(solvers.euler, sigmas[0] * normal(2), sigmas, dense, denoise=guided)
    torch.testing.assert_close(Mix(matrix(3))(fits), dense.measured.y)


def test_projections_between_sub_steps_end_on_the_measurement() -> None:
    given = Given(measured=Measurement(torch.tensor([[0.9, -0.4, 0.1]]).double(), Mix(matrix(3))))
    sampler = stochastic.predictor_corrector(snr=0.1, project=stochastic.measured_projection)
    drawn = run(sampler, 80 * normal(1), grids.karras(20, 0.01, 80.0), given)
    torch.testing.assert_close(Mix(matrix(3))(drawn), given.measured.y)


def test_classifier_guidance_draws_from_bayes_rule() -> None:
    """Data N(0, s**2), classifier log p(c | x0) = k x0: the posterior is N(k s**2, s**2), at every noise level."""
    s, k = 0.5, 3.0
    plain = gaussian(torch.zeros(1), torch.tensor(s).double())

    def log_probability(x: Tensor, sigma: Tensor, given: Given) -> Tensor:  # ln E[exp(k x0) | x]
        return k * x.flatten(1).sum(1) * s**2 / (s**2 + sigma**2)

    guided = guidance.classifier(log_probability, 1.0)(plain)
    x = normal(4)
    sigma = torch.tensor(0.7, dtype=torch.float64)
    torch.testing.assert_close(
        guided(x, sigma, Given()), gaussian(torch.tensor(k * s**2), torch.tensor(s).double())(x, sigma, Given())
    )


def test_classifier_free_guidance_and_autoguidance_extrapolate_from_the_weaker_denoiser() -> None:
    def denoise(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        return x * 0 + (5.0 if given.label is not None else 1.0) + (0.5 if given.mask is not None else 0.0)

    given, x, one = Given(label=torch.ones(1, 1), mask=torch.ones(1, 1, 1, 1)), torch.zeros(1, 1, 1, 1), torch.ones(())
    for weight, value in ((0.0, 1.5), (1.0, 5.5), (3.0, 13.5)):
        assert guidance.classifier_free(weight, drop=("label",))(denoise)(x, one, given).item() == value
    bad: Denoiser = lambda x, sigma, given: x * 0 + 2.0  # noqa: E731
    assert guidance.autoguidance(bad, 2.0)(denoise)(x, one, given).item() == 9.0
    limited = guidance.within(0.5, 2.0, guidance.autoguidance(bad, 2.0))(denoise)
    assert [limited(x, torch.tensor(v), given).item() for v in (0.5, 1.0, 2.0, 2.1)] == [5.5, 9.0, 9.0, 5.5]
    for wrong in ((), ("colour",)):
        with pytest.raises(RadloomError, match="guidance drops"):
            guidance.classifier_free(1.0, drop=wrong)


@pytest.mark.parametrize("dims", [2, 3])
def test_ilvr_keeps_the_coarse_image_and_frees_the_fine_one(dims: int) -> None:
    rng = torch.Generator().manual_seed(0)
    reference = torch.randn((2, 1, *(8,) * dims), generator=rng, dtype=torch.float64)
    x = 80 * torch.randn((2, 1, *(8,) * dims), generator=rng, dtype=torch.float64)
    plain = gaussian(torch.zeros(1), torch.tensor(0.5).double())
    guided = guidance.ilvr(4, above=0.0)(plain)
    drawn = run(solvers.euler, x, grids.karras(10, 0.01, 80.0), Given(image=reference), denoise=guided)
    torch.testing.assert_close(guidance.coarse(drawn, 4), guidance.coarse(reference, 4))
    assert (drawn - reference).std() > 0.3
    late = guidance.ilvr(4, above=100.0)(plain)
    assert torch.equal(late(x, torch.tensor(1.0), Given(image=reference)), plain(x, torch.tensor(1.0), Given()))
    with pytest.raises(RadloomError, match="cannot average"):
        guidance.ilvr(3, above=0.0)(plain)(x, torch.tensor(1.0), Given(image=reference))


def test_repaint_keeps_the_known_part_and_paints_the_rest_by_its_correlation() -> None:
    """Two voxels, standard normal with correlation 0.9: given x1 = 1, x2 is N(0.9, 0.19)."""
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)

    def denoise(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(2, dtype=torch.float64))
        return torch.einsum("ij,bjyz->biyz", gain, x)

    image = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, 1500, 1)
    mask = torch.tensor([0.0, 1.0], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, 1500, 1)
    sigmas = grids.geometric(40, 0.02, 20.0)
    x = sigmas[0] * torch.randn((1, 2, 1500, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    means = {}
    for jumps in (1, 8):
        drawn = run(stochastic.repaint(jumps=jumps), x, sigmas, Given(image=image, mask=mask), denoise=denoise)
        assert torch.equal(drawn[:, 0], image[:, 0])
        means[jumps] = drawn[:, 1].mean().item()
    assert abs(means[8] - 0.9) < 0.06
    assert abs(means[8] - 0.9) < abs(means[1] - 0.9)  # going back and forth is what brings the parts together
    assert drawn[:, 1].std().item() == pytest.approx(math.sqrt(0.19), rel=0.15)


def test_what_a_guide_or_sampler_needs_and_lacks_is_said() -> None:
    x, sigmas = normal(1), grids.karras(3, 0.1, 1.0)
    for guide in (guidance.data_consistency, guidance.measured_posterior(noise=0.1, spread=0.5)):
        with pytest.raises(RadloomError, match="no measurement"):
            guide(gaussian())(x, sigmas[0], Given())
    with pytest.raises(RadloomError, match="no measurement"):
        run(stochastic.predictor_corrector(snr=0.1, project=stochastic.measured_projection), x, sigmas)
    with pytest.raises(RadloomError, match="no image or no mask"):
        run(stochastic.repaint(jumps=2), x, sigmas)
    wrong: list[Callable[[], object]] = [
        lambda: stochastic.ddim(1.5), lambda: stochastic.repaint(jumps=0), lambda: solvers.unipc(0),
        lambda: stochastic.heun_with_noise(churn=-1.0), lambda: stochastic.heun_with_noise(churn=1.0, lowest=60.0),
        lambda: guidance.ilvr(1, above=0.0), lambda: guidance.measured_posterior(noise=-1.0, spread=1.0),
    ]  # fmt: skip
    for make in wrong:
        with pytest.raises(RadloomError):
            make()


# Inversion and likelihood


def test_exact_encoding_comes_back_where_the_naive_one_misses() -> None:
    x = MEANS + SPREADS * normal(20)
    sigmas = grids.geometric(30, 0.02, 80.0)[:-1]
    back = {
        encode.__name__: run(solvers.euler, encode(gaussian(), x, sigmas, Given()), sigmas)
        for encode in (inversion.exact_encode, inversion.ddim_encode)
    }
    torch.testing.assert_close(back["exact_encode"], x, rtol=0.0, atol=1e-4)
    naive = (back["ddim_encode"] - x).abs().max()
    assert naive > 100 * (back["exact_encode"] - x).abs().max()
    fine = grids.geometric(300, 0.02, 80.0)[:-1]
    better = (run(solvers.euler, inversion.ddim_encode(gaussian(), x, fine, Given()), fine) - x).abs().max()
    assert better < 0.2 * naive  # the naive error is of the first order


def test_inversion_that_cannot_work_is_refused() -> None:
    with pytest.raises(RadloomError, match="diverged"):
        inversion.exact_encode(gaussian(), normal(2), torch.tensor([0.5, 0.01]).double(), Given())
    for encode in (inversion.exact_encode, inversion.ddim_encode):
        with pytest.raises(RadloomError, match="from sigma 0"):
            encode(gaussian(), normal(2), grids.karras(5, 0.1, 1.0), Given())


def exact_log_density(x: Tensor, sigma: float) -> Tensor:
    variance = SPREADS**2 + sigma**2
    return (-0.5 * ((x - MEANS) ** 2 / variance + (2 * math.pi * variance).log())).flatten(1).sum(1)


@pytest.mark.parametrize("trace", [likelihood.exact_trace, likelihood.hutchinson])
def test_likelihood_by_the_flow_is_that_of_the_gaussian(trace: likelihood.Trace) -> None:
    x = MEANS + SPREADS * normal(6, 4)
    sigmas = grids.geometric(400, 1e-3, 300.0)[:-1]
    own = streams(torch.Generator().manual_seed(0), 6)
    found = likelihood.log_likelihood(gaussian(), x, sigmas, Given(), own, trace=trace)
    torch.testing.assert_close(found, exact_log_density(x, 1e-3), rtol=0.0, atol=0.02)


def test_hutchinson_is_without_bias_where_the_jacobian_is_not_diagonal() -> None:
    m = torch.randn((8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    function = lambda x: (x.flatten(1) @ m.T).view(x.shape)  # noqa: E731
    x = normal(4000)
    own = streams(torch.Generator().manual_seed(1), 4000)
    value, traces = likelihood.hutchinson(function, x, own)
    torch.testing.assert_close(value, function(x))
    assert abs(traces.mean() - m.trace()) < 4 * traces.std() / math.sqrt(4000)
    assert traces.std() > 0.1
    torch.testing.assert_close(likelihood.exact_trace(function, x[:2], own)[1], m.trace().expand(2))


def test_bits_per_voxel_of_a_uniform_image_of_8_bits_is_8() -> None:
    for voxels in (1, 100):
        bits = likelihood.bits_per_voxel(torch.zeros(2), voxels, bin_width=1 / 256)  # density 1 on [0, 1]
        assert bits.tolist() == [8.0, 8.0]
