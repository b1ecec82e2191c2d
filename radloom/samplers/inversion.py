"""From images back to the noise that draws them: DDIM run upwards, naively and exactly."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.samplers.denoiser import Denoiser


def ddim_encode(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given) -> Tensor:
    """The x carried from sigmas[-1] > 0 up to sigmas[0] by Euler's steps (Song et al. 2021, section 4.3).

    Each step asks the network at its lower end where decoding asks at its upper one: the way back (solvers.euler on
    the same sigmas) misses x by the first order of the step. `exact_encode` does not.
    """
    levels = _ascending(sigmas)
    for now, then in pairwise(levels):
        clean = denoise(x, now, given)
        x = clean + (then / now) * (x - clean)
    return x


def exact_encode(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, *, iterations: int = 20) -> Tensor:
    """The x at sigmas[0] from which solvers.euler on the same sigmas comes back to x at sigmas[-1] > 0.

    Each upward step solves x_low = D(x; high) + (low / high) (x - D(x; high)) for x by fixed-point iterations that
    start at the naive step. They contract where (high / low - 1) ||dD/dx|| < 1: with neighbours within a factor of 2
    for a denoiser of slope at most 1. Raises RadloomError when the remainder grew instead.
    """
    levels = _ascending(sigmas)
    for now, then in pairwise(levels):
        clean = denoise(x, now, given)
        guess = clean + (then / now) * (x - clean)
        first = last = float("inf")
        for turn in range(iterations):
            clean = denoise(guess, then, given)
            better = clean + (then / now) * (x - clean)
            last = float((better - guess).norm())
            first = last if turn == 0 else first
            guess = better
        if not (last <= first or last <= 1e-4 * float(guess.norm())):
            raise RadloomError(f"inversion diverged between sigma {float(now):.3g} and {float(then):.3g}",
                               do="use more steps, so that neighbouring sigmas lie within a factor of 2")  # fmt: skip
        x = guess
    return x


def _ascending(sigmas: Tensor) -> Tensor:
    if not sigmas[-1] > 0:
        raise RadloomError("encoding from sigma 0", expected="a grid that ends above 0",
                           do="leave the last sigma of the grid out: sigmas[:-1]")  # fmt: skip
    return sigmas.flip(0)
