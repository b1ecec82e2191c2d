"""Hounsfield units, photon and electronic noise of CT line integrals, and lower dose from a given scan; no rays."""

from __future__ import annotations

import torch
from torch import Tensor

from radloom.errors import RadloomError

WATER_PER_MM = 0.01929  # water at 70 keV, NIST mass attenuation


def hu_to_mu(hu: Tensor, *, water_per_mm: float = WATER_PER_MM) -> Tensor:
    """Linear attenuation in 1/mm from Hounsfield units: mu_w (1 + HU / 1000).

    >>> hu_to_mu(torch.tensor([-1000.0, 0.0]))
    tensor([0.0000, 0.0193])
    """
    return water_per_mm * (1 + hu / 1000)


def mu_to_hu(mu: Tensor, *, water_per_mm: float = WATER_PER_MM) -> Tensor:
    """Hounsfield units from linear attenuation in 1/mm.

    >>> mu_to_hu(torch.tensor([0.0, 0.01929]))
    tensor([-1000.,     0.])
    """
    return 1000 * (mu / water_per_mm - 1)


def noisy_scan(p: Tensor, *, photons: float, electronic_sd: float = 10.0**0.5, rng: torch.Generator) -> Tensor:
    """Line integrals p as a scan with `photons` for each unattenuated ray would give them.

    N = Poisson(photons e^-p) + Normal(0, electronic_sd^2) counts, and -ln(max(N, 1) / photons). The logarithm biases
    rays of few counts upwards. Blind to scatter, beam hardening and correlated cells.

    >>> p = noisy_scan(torch.full((10000,), 2.0), photons=1e5, rng=torch.Generator().manual_seed(0))
    >>> round(float(p.std()), 3)  # sqrt(e^2 / 1e5)
    0.009
    """
    _check(photons, electronic_sd)
    if not bool(torch.isfinite(p).all()):
        raise RadloomError("the line integrals hold NaN or infinite values")
    mean = (photons * torch.exp(-p.double())).to(rng.device)
    counts = torch.poisson(mean, generator=rng)
    counts = counts + electronic_sd * torch.randn(p.shape, generator=rng, device=rng.device, dtype=torch.float64)
    return -torch.log(torch.clamp(counts, min=1) / photons).to(p.device, p.dtype)


def low_dose(
    p: Tensor, *, fraction: float, photons: float, electronic_sd: float = 10.0**0.5, rng: torch.Generator
) -> Tensor:
    """Line integrals p of a scan with `photons` a ray, with the noise added that `fraction` of its dose would have.

    The added variance is (1-a)/a e^p/I0 [1 + (1+a)/a s^2 e^p/I0], the difference between the first-order variances
    e^p/I0 + s^2 e^2p/I0^2 at a I0 and at I0. p's own noise
    stays. Blind to the bias of the logarithm at few counts.

    >>> p = low_dose(torch.full((10000,), 2.0), fraction=0.25, photons=1e5, rng=torch.Generator().manual_seed(0))
    >>> round(float(p.std()), 3)  # sqrt(3 e^2 / 1e5)
    0.015
    """
    _check(photons, electronic_sd)
    if not 0 < fraction <= 1:
        raise RadloomError(f"a dose fraction of {fraction:g}", expected="more than 0 and at most 1")
    inverse = torch.exp(p) / photons
    variance = (1 - fraction) / fraction * inverse
    variance = variance * (1 + (1 + fraction) / fraction * electronic_sd**2 * inverse)
    noise = torch.randn(p.shape, generator=rng, device=rng.device, dtype=p.dtype).to(p.device)
    return p + variance.sqrt() * noise


def _check(photons: float, electronic_sd: float) -> None:
    if not photons > 0 or not electronic_sd >= 0:
        raise RadloomError(
            f"{photons:g} photons and electronic noise of {electronic_sd:g}",
            expected="photons above 0, noise 0 or more",
        )
