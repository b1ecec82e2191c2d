"""Monotone rational-quadratic splines with linear tails (Durkan et al. 2019; Gregory & Delbourgo 1982)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST = 1e-3  # of a bin's width and height against the whole, and of a slope


def spline(x: Tensor, answer: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """z(x) and ln dz/dx, both of x's shape; answer (..., 3 K - 1) holds widths, heights and inner slopes, all free.

    In a bin from (x0, z0) of width w, height h, mean slope s = h / w and end slopes d0, d1, with t = (x - x0) / w:
    z = z0 + h (s t**2 + d0 t (1 - t)) / (s + (d0 + d1 - 2 s) t (1 - t)) (eq. 4). All zero is the identity.
    """
    xs, zs, slopes = _knots(answer, bound)
    inside = (x > -bound) & (x < bound)
    clipped = x.clamp(-bound, bound)
    x0, w, z0, h, d0, d1 = _bin(clipped, xs, xs, zs, slopes)
    s, t = h / w, ((clipped - x0) / w).clamp(0, 1)
    below = s + (d0 + d1 - 2 * s) * t * (1 - t)
    z = z0 + h * (s * t**2 + d0 * t * (1 - t)) / below
    rise = s**2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) / below**2  # eq. 5
    return torch.where(inside, z, x), torch.where(inside, rise.log(), torch.zeros_like(x))


def spline_inverse(z: Tensor, answer: Tensor, bound: float) -> Tensor:
    """The x of z, by the quadratic's root in the form that does not cancel (eq. 6-8)."""
    xs, zs, slopes = _knots(answer, bound)
    inside = (z > -bound) & (z < bound)
    clipped = z.clamp(-bound, bound)
    x0, w, z0, h, d0, d1 = _bin(clipped, zs, xs, zs, slopes)
    s, up = h / w, clipped - z0
    bend = up * (d0 + d1 - 2 * s)
    a, b, c = h * (s - d0) + bend, h * d0 - bend, -s * up
    t = 2 * c / (-b - (b**2 - 4 * a * c).clamp_min(0).sqrt())
    return torch.where(inside, x0 + w * t.clamp(0, 1), z)


def _knots(answer: Tensor, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places along x and along z (..., K + 1), and slopes there; 1 at both ends, where the identity goes on."""
    bins = (answer.shape[-1] + 1) // 3
    widths, heights, inner = answer.split([bins, bins, bins - 1], dim=-1)
    slopes = _LEAST + F.softplus(inner + math.log(math.expm1(1 - _LEAST)))
    ones = torch.ones_like(answer[..., :1])
    return _places(widths, bound), _places(heights, bound), torch.cat([ones, slopes, ones], dim=-1)


def _places(free: Tensor, bound: float) -> Tensor:
    bins = free.shape[-1]
    share = _LEAST + (1 - _LEAST * bins) * free.softmax(-1)
    ends = F.pad(share.cumsum(-1)[..., :-1], (1, 0))
    return torch.cat([2 * bound * ends - bound, torch.full_like(free[..., :1], bound)], dim=-1)


def _bin(value: Tensor, along: Tensor, xs: Tensor, zs: Tensor, slopes: Tensor) -> tuple[Tensor, ...]:
    """x0, width, z0, height and both end slopes of the bin whose knots `along` enclose the value."""
    index = (value[..., None] >= along[..., 1:-1]).sum(-1, keepdim=True)

    def at(knots: Tensor, step: int) -> Tensor:
        return knots.gather(-1, index + step)[..., 0]

    x0, z0 = at(xs, 0), at(zs, 0)
    return x0, at(xs, 1) - x0, z0, at(zs, 1) - z0, at(slopes, 0), at(slopes, 1)
