"""Dual-energy radiographs of CT-like volumes and their bone and soft-tissue images; line integrals along one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators.base import LinearOperator

BONE_HU, ONSET_HU = 1558.0, 60.0  # cortical bone at 70 keV; where a voxel begins to count as partly bone


class Beam(NamedTuple):
    """Effective attenuation, 1/mm, behind 12 cm of soft tissue with a CsI detector."""

    soft: float
    bone: float


BEAMS = {
    "60 kVp": Beam(0.02693, 0.10785),
    "120 kVp": Beam(0.02178, 0.06207),
    "120 kVp, 1 mm Cu": Beam(0.01991, 0.04774),
    "130 kVp, 0.1 mm Cu": Beam(0.02112, 0.05709),
}


class Thickness(NamedTuple):
    """Soft tissue, scaled to water's density, and cortical bone along each ray, mm."""

    soft: Tensor
    bone: Tensor


class Exposure(NamedTuple):
    """Log-attenuation of the low- and of the high-energy exposure, without unit."""

    low: Tensor
    high: Tensor


@dataclass(frozen=True, eq=False)
class Projection(LinearOperator):
    """Integral of x (b, c, *s) along spatial axis `axis` of `voxels` voxels of `spacing_mm`; that axis is gone in y."""

    axis: int
    voxels: int
    spacing_mm: float

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        if x.shape[self.axis + 2] != self.voxels:
            raise RadloomError(f"{x.shape[self.axis + 2]} voxels along the rays", expected=f"{self.voxels}")
        return x.sum(self.axis + 2) * self.spacing_mm

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        shape = [-1] * (y.ndim + 1)
        shape[self.axis + 2] = self.voxels
        return (y * self.spacing_mm).unsqueeze(self.axis + 2).expand(shape)

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return self.adjoint(y) / (self.voxels * self.spacing_mm**2)


def thickness(hu: Tensor, projection: Projection) -> Thickness:
    """Millimetres of soft tissue and bone along each ray of a volume (b, c, *s) in HU.

    A voxel is bone to clip((HU - 60) / 1498, 0, 1) and the rest is soft tissue of its water-equivalent density.
    Blind to fat and iodine, which are taken for thin tissue and for bone.

    >>> hu = torch.tensor([[[-1000.0, 0.0, 1558.0]]])
    >>> thickness(hu, Projection(0, 3, 2.0))
    Thickness(soft=tensor([[2.]]), bone=tensor([[2.]]))
    """
    share = torch.clamp((hu - ONSET_HU) / (BONE_HU - ONSET_HU), 0, 1)
    return Thickness(projection((1 - share) * torch.clamp(1 + hu / 1000, min=0)), projection(share))


def expose(t: Thickness, *, low: Beam, high: Beam) -> Exposure:
    """Noise-free log-attenuation of both exposures: mu_soft t_soft + mu_bone t_bone, one effective energy each.

    Blind to beam hardening: the beam has the same quality behind every thickness.

    >>> e = expose(Thickness(torch.tensor(100.0), torch.tensor(0.0)), low=BEAMS["60 kVp"], high=BEAMS["120 kVp"])
    >>> round(float(e.low), 3), round(float(e.high), 3)
    (2.693, 2.178)
    """
    return Exposure(*(beam.soft * t.soft + beam.bone * t.bone for beam in (low, high)))


def soft_tissue_image(e: Exposure, *, low: Beam, high: Beam) -> Tensor:
    """High minus w times low with w = mu_bone,high / mu_bone,low: bone cancels, log-attenuation of soft tissue stays.

    >>> pair = {"low": BEAMS["60 kVp"], "high": BEAMS["120 kVp"]}
    >>> e = expose(Thickness(torch.tensor(0.0), torch.tensor(20.0)), **pair)
    >>> abs(float(soft_tissue_image(e, **pair))) < 1e-6
    True
    """
    return e.high - high.bone / low.bone * e.low


def bone_image(e: Exposure, *, low: Beam, high: Beam) -> Tensor:
    """W times low minus high with w = mu_soft,high / mu_soft,low: soft tissue cancels, bone is bright.

    >>> pair = {"low": BEAMS["60 kVp"], "high": BEAMS["120 kVp"]}
    >>> e = expose(Thickness(torch.tensor(100.0), torch.tensor(0.0)), **pair)
    >>> abs(float(bone_image(e, **pair))) < 1e-6
    True
    """
    return high.soft / low.soft * e.low - e.high


@dataclass(frozen=True, eq=False)
class DetectorMTF(LinearOperator):
    """Filters images (b, c, *s) with the modulation transfer exp(-f / f0), f in line pairs per mm; periodic borders."""

    f0: float
    pixel_mm: float

    def __call__(self, x: Tensor) -> Tensor:
        """A x."""
        return self._filtered(x, 1.0)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return self._filtered(y, 1.0)  # real and even, so its own transpose

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y."""
        return self._filtered(y, -1.0)

    def _filtered(self, x: Tensor, sign: float) -> Tensor:
        axes = tuple(range(2, x.ndim))
        real = {"dtype": x.dtype, "device": x.device}
        grids = [torch.fft.fftfreq(n, self.pixel_mm, **real) for n in x.shape[2:]]
        f = torch.stack(torch.meshgrid(*grids, indexing="ij")).square().sum(0).sqrt()
        return torch.fft.ifftn(torch.fft.fftn(x, dim=axes) * torch.exp(-sign * f / self.f0), dim=axes).real


def add_noise(log_attenuation: Tensor, *, photons: float, rng: torch.Generator) -> Tensor:
    """The log-attenuation image with Poisson noise of `photons` for each unattenuated pixel (5e3-5e4 in chest films).

    >>> y = add_noise(torch.zeros(10000), photons=1e4, rng=torch.Generator().manual_seed(0))
    >>> round(float(y.std()), 3)  # 1 / sqrt(1e4)
    0.01
    """
    if not photons > 0:
        raise RadloomError(f"{photons:g} photons", expected="more than 0")
    mean = photons * torch.exp(-log_attenuation.double())
    counts = torch.poisson(mean.to(rng.device), generator=rng).to(log_attenuation.device)
    return -torch.log(torch.clamp(counts, min=1) / photons).to(log_attenuation.dtype)


def display(log_attenuation: Tensor, *, window: tuple[float, float], gamma: float = 1.0) -> Tensor:
    """Grey values in [0, 1] through a vendor's look-up table: dense tissue is bright, `gamma` 0.8-1.2 bends the curve.

    >>> display(torch.tensor([0.0, 1.0, 5.0]), window=(0.0, 4.0))
    tensor([0.0000, 0.2500, 1.0000])
    """
    low, high = window
    if not low < high or not (gamma > 0 and math.isfinite(gamma)):
        raise RadloomError(f"a window {window} with gamma {gamma:g}", expected="low < high and gamma above 0")
    return torch.clamp((log_attenuation - low) / (high - low), 0, 1) ** gamma
