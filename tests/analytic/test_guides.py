"""Guides on Gaussian data, where the posterior that they should draw from is a closed form."""

import math
from collections.abc import Callable
from typing import final

import pytest
import torch
from gaussian_data import MEANS, SPREADS, gaussian, moments, normal, run
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.operators.base import LinearOperator, Measurement
from radloom.samplers import grids, guidance, solvers, stochastic
from radloom.samplers.denoiser import Denoiser

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
