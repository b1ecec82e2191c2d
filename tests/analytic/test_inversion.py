"""Inversion and likelihood on Gaussian data, where the flow and its density are closed forms."""

import math

import pytest
import torch
from gaussian_data import MEANS, SPREADS, gaussian, normal, run
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.samplers import grids, inversion, likelihood, solvers
from radloom.samplers.denoiser import streams


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
