"""Guides: a denoiser that listens to a condition, a classifier, a worse denoiser, a measurement or a coarse image.

A guide maps a Denoiser to a Denoiser, so that it works inside every sampler. Gradients are taken of the denoiser with
respect to x where the formula has them; the answer carries none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.operators.base import LinearOperator, Measurement
from radloom.samplers.denoiser import Denoiser, Guide

LogProbability = Callable[[Tensor, Tensor, Given], Tensor]  # (x, sigma, given) -> log p(condition | x), (b,)
ENTRIES = ("image", "mask", "label", "text")


def classifier_free(weight: float, *, drop: tuple[str, ...]) -> Guide:
    """D_0 + weight (D_c - D_0), D_0 without the entries in `drop` (Ho & Salimans 2022, their w + 1 is our weight).

    weight 1 is the conditional denoiser, 0 the unconditional one. The model must have been trained with Dropout.
    """
    unknown = set(drop) - set(ENTRIES)
    if unknown or not drop:
        raise RadloomError(f"guidance drops {', '.join(sorted(unknown)) or 'nothing'}",
                           expected=f"some of {', '.join(ENTRIES)}")  # fmt: skip
    nothing = dict.fromkeys(drop)

    def guide(denoise: Denoiser) -> Denoiser:
        def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
            without = denoise(x, sigma, replace(given, **nothing))
            return without + weight * (denoise(x, sigma, given) - without)

        return guided

    return guide


def autoguidance(bad: Denoiser, weight: float) -> Guide:
    """D_bad + weight (D - D_bad), `bad` a smaller or less trained denoiser of the same data (Karras et al. 2024)."""

    def guide(denoise: Denoiser) -> Denoiser:
        def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
            worse = bad(x, sigma, given)
            return worse + weight * (denoise(x, sigma, given) - worse)

        return guided

    return guide


def classifier(log_probability: LogProbability, weight: float) -> Guide:
    """D + weight sigma**2 grad_x log p(condition | x) (Dhariwal & Nichol 2021, eq. 10-13, by Tweedie's formula).

    log_probability: a classifier of noisy images x0 + sigma n. weight 1 is Bayes' rule.
    """

    def guide(denoise: Denoiser) -> Denoiser:
        def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
            with torch.enable_grad():
                variable = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(log_probability(variable, sigma, given).sum(), variable)
            return denoise(x, sigma, given) + weight * sigma**2 * slope

        return guided

    return guide


def data_consistency(denoise: Denoiser) -> Denoiser:
    """D + A^+ (y - A D): the measured part exactly, the rest as denoised (Wang et al. 2023, DDNM).

    For noise-free measurements. The exact posterior where the measured and the unmeasured part of x are independent.
    """

    def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        measured, clean = _measured(given), denoise(x, sigma, given)
        return clean + measured.operator.pinv(measured.y - measured.operator(clean))

    return guided


def measured_posterior(*, noise: float, spread: float, iterations: int = 20) -> Guide:
    """D + sigma**2 grad_x log N(y; A D(x), noise**2 + r**2 A A^H) (Song et al. 2023, pseudo-inverse guidance).

    r**2 = sigma**2 spread**2 / (sigma**2 + spread**2), the variance of x0 given x for data of this standard deviation.
    noise: standard deviation of the measurement's noise. The gradient goes through the denoiser; the system is solved
    by `iterations` of conjugate gradients. Exact for data N(m, spread**2 I) and any linear A.
    """
    if noise < 0 or spread <= 0:
        raise RadloomError(f"guidance with noise {noise} and spread {spread}", expected="noise >= 0 and spread > 0")

    def guide(denoise: Denoiser) -> Denoiser:
        def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
            measured = _measured(given)
            uncertainty = float(sigma**2 * spread**2 / (sigma**2 + spread**2))
            with torch.enable_grad():
                variable = x.detach().requires_grad_()
                clean = denoise(variable, sigma, given)
                with torch.no_grad():
                    rest = measured.y - measured.operator(clean)
                    solved = _solve(measured.operator, rest, uncertainty, noise**2, iterations)
                    pull = measured.operator.adjoint(solved)
                (slope,) = torch.autograd.grad(clean, variable, pull)
            return (clean + sigma**2 * slope).detach()

        return guided

    return guide


def ilvr(factor: int, *, above: float) -> Guide:
    """D with the coarse part of given.image: D - f(D) + f(image) while sigma > above (Choi et al. 2021, ILVR).

    f averages over cells of factor x factor (x factor) voxels. ILVR refines x itself; on the denoised image it is the
    same up to the noise in the coarse part. Axes must be multiples of factor.
    """
    if factor < 2:
        raise RadloomError(f"ILVR with cells of {factor}", expected="at least 2")

    def guide(denoise: Denoiser) -> Denoiser:
        def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
            clean = denoise(x, sigma, given)
            if given.image is None or any(length % factor for length in x.shape[2:]):
                raise RadloomError(f"ILVR cannot average {tuple(x.shape[2:])} by {factor}",
                                   expected="a given image whose axes are multiples")  # fmt: skip
            return clean + coarse(given.image - clean, factor) if sigma > above else clean

        return guided

    return guide


def coarse(x: Tensor, factor: int) -> Tensor:
    """The x with every cell of factor voxels along each axis replaced by its mean."""
    pooled = (F.avg_pool2d if x.ndim == 4 else F.avg_pool3d)(x, factor)
    return F.interpolate(pooled, scale_factor=factor, mode="nearest")


def within(low: float, high: float, guide: Guide) -> Guide:
    """The guide while low < sigma <= high, else the denoiser alone (Kynkäänniemi et al. 2024)."""

    def limited(denoise: Denoiser) -> Denoiser:
        active = guide(denoise)
        return lambda x, sigma, given: (active if low < sigma <= high else denoise)(x, sigma, given)

    return limited


def inside_region(denoise: Denoiser) -> Denoiser:
    """D inside given.mask and 0 outside: the last guide of a model whose images are 0 outside the head."""

    def guided(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        clean = denoise(x, sigma, given)
        return clean if given.mask is None else clean * given.mask

    return guided


def _measured(given: Given) -> Measurement:
    if given.measured is None:
        raise RadloomError("guidance has no measurement", expected="Given(measured=Measurement(y, operator))")
    return given.measured


def _solve(operator: LinearOperator, b: Tensor, uncertainty: float, noise: float, iterations: int) -> Tensor:
    """(uncertainty A A^H + noise) solved for b by conjugate gradients, each item of the batch by itself."""

    def inner(p: Tensor, q: Tensor) -> Tensor:
        return (p.conj() * q).real.flatten(1).sum(1).view(-1, *(1,) * (p.ndim - 1))

    x, residual = torch.zeros_like(b), b
    direction, size = residual, inner(b, b)
    tiny = torch.finfo(size.dtype).tiny
    enough = torch.finfo(size.dtype).eps ** 2 * size
    for _ in range(iterations):
        image = uncertainty * operator(operator.adjoint(direction)) + noise * direction
        length = torch.where(size > enough, size / inner(direction, image).clamp_min(tiny), 0)
        x, residual = x + length * direction, residual - length * image
        new = inner(residual, residual)
        direction, size = residual + new / size.clamp_min(tiny) * direction, new
    return x
