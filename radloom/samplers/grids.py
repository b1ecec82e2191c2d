"""Grids of noise levels: decreasing sigmas (steps + 1,) in float64 whose last entry is 0; no solver.

sigma is the ratio of noise to signal, sigma(t) / alpha(t): every path shares it. `lowest` and `highest` are the least
and the greatest sigma at which the network is asked.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError


def karras(steps: int, lowest: float, highest: float, *, rho: float = 7.0) -> Float[Tensor, " n"]:
    """Uniform in sigma**(1 / rho) (Karras et al. 2022, eq. 5).

    >>> [round(v, 3) for v in karras(3, 0.002, 80.0).tolist()]
    [80.0, 2.515, 0.002, 0.0]
    """
    _check(steps, lowest, highest)
    u = _fractions(steps)
    return _closed((highest ** (1 / rho) * (1 - u) + lowest ** (1 / rho) * u) ** rho)


def geometric(steps: int, lowest: float, highest: float) -> Float[Tensor, " n"]:
    """Uniform in log sigma (Song & Ermon 2019).

    >>> [round(v, 3) for v in geometric(3, 0.1, 10.0).tolist()]
    [10.0, 1.0, 0.1, 0.0]
    """
    _check(steps, lowest, highest)
    u = _fractions(steps)
    return _closed(highest ** (1 - u) * lowest**u)


def linear(steps: int, lowest: float, highest: float) -> Float[Tensor, " n"]:
    """Uniform in sigma itself.

    >>> linear(3, 1.0, 3.0).tolist()
    [3.0, 2.0, 1.0, 0.0]
    """
    _check(steps, lowest, highest)
    u = _fractions(steps)
    return _closed(highest * (1 - u) + lowest * u)


def uniform_in_time(
    steps: int, earliest: float, latest: float, ratio: Callable[[Tensor], Tensor]
) -> Float[Tensor, " n"]:
    """The sigma = ratio(t) for t uniform from `latest` to `earliest`: DDPM's grid, or a flow's with t / (1 - t).

    >>> [round(v, 3) for v in uniform_in_time(3, 0.2, 0.8, lambda t: t / (1 - t)).tolist()]
    [4.0, 1.0, 0.25, 0.0]
    """
    _check(steps, earliest, latest)
    u = _fractions(steps)
    return _closed(ratio(latest * (1 - u) + earliest * u))


def cosine(steps: int, lowest: float, highest: float) -> Float[Tensor, " n"]:
    """Uniform in the angle atan(sigma), between signal (0) and noise (pi / 2).

    >>> [round(v, 3) for v in cosine(3, 0.5, 2.0).tolist()]
    [2.0, 1.0, 0.5, 0.0]
    """
    _check(steps, lowest, highest)
    u = _fractions(steps)
    ends = torch.tensor([lowest, highest], dtype=torch.float64).atan()
    return _closed((ends[1] * (1 - u) + ends[0] * u).tan())


def quantile(steps: int, lowest: float, highest: float, *, mean: float, deviation: float) -> Float[Tensor, " n"]:
    """Equal shares of training between neighbours, where ln sigma was drawn from N(mean, deviation**2).

    >>> [round(v, 3) for v in quantile(3, 0.1, 10.0, mean=0.0, deviation=1.0).tolist()]
    [10.0, 1.0, 0.1, 0.0]
    """
    _check(steps, lowest, highest)
    normal = torch.distributions.Normal(torch.tensor(mean, dtype=torch.float64), deviation)
    shares = normal.cdf(torch.tensor([lowest, highest], dtype=torch.float64).log())
    u = _fractions(steps)
    inner = normal.icdf(shares[1] * (1 - u) + shares[0] * u).exp()
    return _closed(torch.cat([torch.tensor([highest]).double(), inner[1:-1], torch.tensor([lowest]).double()]))


def _fractions(steps: int) -> Tensor:
    return torch.linspace(0, 1, steps, dtype=torch.float64, device="cpu")


def _closed(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def _check(steps: int, low: float, high: float) -> None:
    if steps < 2:
        raise RadloomError(f"a grid of {steps} steps", expected="at least 2")
    if not 0 < low < high < float("inf"):
        raise RadloomError(f"a grid of noise from {low} to {high}", expected="0 < lowest < highest")
