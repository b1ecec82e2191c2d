"""Radiographs with the whole spectrum of the tube: beam hardening, effective attenuation, exact decomposition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.xray import Beam, Exposure, Thickness
from radloom.operators.xray_table import BEAM_NAMES, ROWS

CSI_MM = 0.6  # of the detector's caesium iodide
BEHIND_MM, STEP_MM = 120.0, 5.0  # of soft tissue that hardens a beam before its effective attenuation is told
NEWTON_STEPS, CLOSE_MM = 12, 1e-7  # the error squares in each step: a change of 1e-7 mm was the last


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a detector weighs each energy with, and how soft tissue and bone attenuate it.

    kev (n,), weight (n,) summing to 1 without an object, soft and bone (n,) in 1/mm.
    """

    kev: np.ndarray
    weight: np.ndarray
    soft: np.ndarray
    bone: np.ndarray


def shipped(name: str) -> Spectrum:
    """The spectrum of one of `radloom.operators.xray.BEAMS` as an energy-integrating detector of 0.6 mm CsI sees it.

    >>> tube = shipped("60 kVp")
    >>> round(float(tube.weight.sum()), 6), tube.kev[tube.weight > 0].max()
    (1.0, np.float64(59.5))
    """
    if name not in BEAM_NAMES:
        raise RadloomError(f"no spectrum is called {name!r}", expected=f"one of {'; '.join(BEAM_NAMES)}")
    table = np.array(ROWS)
    return seen(table[:, 4 + BEAM_NAMES.index(name)])


def from_spekpy(kvp: float, filters_mm: Mapping[str, float]) -> Spectrum:
    """The spectrum of a tungsten tube at `kvp` behind these filters, mm by material, such as {"Al": 2.5, "Cu": 0.1}.

    Needs the package spekpy (Poludniowski et al., Med Phys 2021;48:3630-3637). Raises RadloomError without it.
    """
    try:
        import spekpy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RadloomError(
            "the package spekpy is not installed", expected="it, or a spectrum of `shipped`", do="pip install spekpy"
        ) from error
    energies = np.array(ROWS)[:, 0]
    if not energies[0] < kvp <= energies[-1] + 0.5:
        raise RadloomError(f"a tube at {kvp:g} kVp", expected=f"16 to {energies[-1] + 0.5:g}")
    tube = spekpy.Spek(kvp=kvp, th=12, dk=1.0)
    tube.multi_filter(list(filters_mm.items()))
    kev, photons = tube.get_spectrum(edges=False)
    return seen(np.interp(energies, kev, photons, left=0.0, right=0.0))


def seen(photons: np.ndarray) -> Spectrum:
    """The spectrum of `photons` in each bin of the table, weighed by the energy that the detector absorbs.

    Phi(E) E (1 - exp(-mu_CsI(E) 0.6 mm)), scaled to a sum of 1. Blind to the light and electrons that escape.
    """
    kev, soft, bone, csi = np.array(ROWS)[:, :4].T
    weight = photons * kev * (1 - np.exp(-csi * CSI_MM))
    return Spectrum(kev, weight / weight.sum(), soft, bone)


def expose_hardened(t: Thickness, *, low: Spectrum, high: Spectrum) -> Exposure:
    """Noise-free log-attenuation of both exposures, -ln sum_E w exp(-mu_soft t_soft - mu_bone t_bone).

    The beam hardens: the thicker the patient, the less each further millimetre takes away. Blind to scatter.

    >>> pair = {"low": shipped("60 kVp"), "high": shipped("120 kVp")}
    >>> e = expose_hardened(Thickness(torch.tensor(120.0), torch.tensor(0.0)), **pair)
    >>> round(float(e.low), 2)  # 0.02693 * 120 = 3.23 had the beam been hardened before
    3.52
    """
    return Exposure(*(log_attenuation(t, one) for one in (low, high)))


def log_attenuation(t: Thickness, spectrum: Spectrum) -> Tensor:
    """-ln of the share of the detector's signal that is left behind `t`; without unit."""
    return -torch.log(_left(t, spectrum)[0])


def effective_beam(spectrum: Spectrum) -> Beam:
    """Attenuation, 1/mm, of the next 5 mm of soft tissue and of bone behind 120 mm of soft tissue.

    >>> low, high = (effective_beam(shipped(one)) for one in ("60 kVp", "120 kVp"))
    >>> round(high.bone / low.bone, 3), round(high.soft / low.soft, 3)
    (0.576, 0.809)
    """
    soft = torch.tensor([BEHIND_MM, BEHIND_MM + STEP_MM, BEHIND_MM], dtype=torch.float64)
    bone = torch.tensor([0.0, 0.0, STEP_MM], dtype=torch.float64)
    start, more_soft, more_bone = log_attenuation(Thickness(soft, bone), spectrum).tolist()
    return Beam((more_soft - start) / STEP_MM, (more_bone - start) / STEP_MM)


def decompose(e: Exposure, *, low: Spectrum, high: Spectrum) -> Thickness:
    """Millimetres of soft tissue and bone whose hardened exposures are `e`: Newton's method in every pixel.

    Weighted subtraction holds for one thickness of the patient; this holds for all (Alvarez and Macovski, Phys Med
    Biol 1976;21:733-744). Noise passes through without bound; negative thickness is an answer. Raises RadloomError
    for NaN. Blind to scatter and to a third material.

    >>> pair = {"low": shipped("60 kVp"), "high": shipped("120 kVp")}
    >>> t = decompose(expose_hardened(Thickness(torch.tensor(90.0), torch.tensor(15.0)), **pair), **pair)
    >>> round(float(t.soft), 2), round(float(t.bone), 2)
    (90.0, 15.0)
    """
    if not all(bool(torch.isfinite(one).all()) for one in e) or e.low.shape != e.high.shape:
        raise RadloomError(
            f"exposures of shapes {tuple(e.low.shape)} and {tuple(e.high.shape)}", expected="one shape, no NaN"
        )
    y = [one.double() for one in e]
    beams = [effective_beam(one) for one in (low, high)]
    soft, bone = _solved(y, [(one.soft, one.bone) for one in beams])
    for _ in range(NEWTON_STEPS):  # noise-free films need four
        found = [_left(Thickness(soft, bone), spectrum) for spectrum in (low, high)]
        rest = [measured + torch.log(whole) for measured, (whole, _, _) in zip(y, found, strict=True)]
        slopes = [(by_soft / whole, by_bone / whole) for whole, by_soft, by_bone in found]
        more_soft, more_bone = _solved(rest, slopes)
        soft, bone = soft + more_soft, bone + more_bone
        if bool((torch.maximum(more_soft.abs(), more_bone.abs()) < CLOSE_MM).all()):
            break
    return Thickness(soft.to(e.low.dtype), bone.to(e.low.dtype))


def _left(t: Thickness, spectrum: Spectrum) -> tuple[Tensor, Tensor, Tensor]:
    """The signal behind `t`, and its sums weighed by the attenuation of soft tissue and of bone.

    Energies are visited one by one: an image for each would not fit in memory.
    """
    whole, by_soft, by_bone = (torch.zeros_like(t.soft) for _ in range(3))
    for w, s, b in zip(spectrum.weight.tolist(), spectrum.soft.tolist(), spectrum.bone.tolist(), strict=True):
        if w > 0:
            part = w * torch.exp(-(s * t.soft + b * t.bone))
            whole, by_soft, by_bone = whole + part, by_soft + s * part, by_bone + b * part
    return whole, by_soft, by_bone


def _solved(y: Sequence[Tensor], slopes: Sequence[tuple]) -> tuple[Tensor, Tensor]:
    """(soft, bone) with slopes[k] . (soft, bone) = y[k] for both exposures."""
    (soft_l, bone_l), (soft_h, bone_h) = slopes
    determinant = soft_l * bone_h - soft_h * bone_l
    return (y[0] * bone_h - y[1] * bone_l) / determinant, (soft_l * y[1] - soft_h * y[0]) / determinant
