"""Which samples of k-space are taken, as masks (1, 1, *s) of 0 and 1; lines differ along the last axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from radloom.errors import RadloomError

Size = tuple[int, ...]


def random_lines(size: Size, *, acceleration: float, centre_fraction: float, rng: torch.Generator) -> Tensor:
    """Lines kept at random with p = (N/R - n)/(N - n), besides the n = round(N f) in the centre.

    Zbontar et al., arXiv 2018:1811.08839; (R, f) is (4, 0.08) or (8, 0.04) there. R is met on average only.

    >>> mask = random_lines((1, 320), acceleration=4.0, centre_fraction=0.08, rng=torch.Generator().manual_seed(0))
    >>> mask.shape, bool(mask[..., 147:173].all())
    (torch.Size([1, 1, 1, 320]), True)
    """
    lines, n, low = _calibrated(size, acceleration, centre_fraction)
    p = (n / acceleration - low) / (n - low)
    lines = torch.maximum(lines, (torch.rand(n, generator=rng, device=rng.device).cpu() < p).float())
    return _spread(lines, size)


def equispaced_lines(size: Size, *, acceleration: float, centre_fraction: float, rng: torch.Generator) -> Tensor:
    """Lines at equal distance R(n - N)/(nR - N) from a random offset, besides the n in the centre: R overall.

    >>> mask = equispaced_lines((1, 320), acceleration=4.0, centre_fraction=0.08, rng=torch.Generator().manual_seed(0))
    >>> abs(int(mask.sum()) - 80) <= 3
    True
    """
    lines, n, low = _calibrated(size, acceleration, centre_fraction)
    apart = acceleration * (low - n) / (low * acceleration - n)
    offset = float(torch.rand(1, generator=rng, device=rng.device)) * apart
    lines[torch.arange(offset, n, apart).long().clamp(max=n - 1)] = 1
    return _spread(lines, size)


def gaussian_lines(
    size: Size, *, acceleration: float, centre_fraction: float, rng: torch.Generator, sd: float = 0.2
) -> Tensor:
    """Exactly round(N/R) lines, the centre's included, drawn with density exp(-k^2 / 2 sd^2), k in widths of k-space.

    >>> mask = gaussian_lines((1, 64), acceleration=4.0, centre_fraction=0.08, rng=torch.Generator().manual_seed(0))
    >>> int(mask.sum())
    16
    """
    lines, n, _ = _calibrated(size, acceleration, centre_fraction)
    return _spread(_drawn(lines, round(n / acceleration), (sd,), rng), size)


def gaussian_points(
    size: Size, *, acceleration: float, centre_fraction: float, rng: torch.Generator, sd: float = 0.2
) -> Tensor:
    """Exactly round(N/R) points of the last two axes, a full centre included, with a Gaussian density in both.

    The centre has `centre_fraction` of each side.

    >>> mask = gaussian_points((32, 32), acceleration=4.0, centre_fraction=0.1, rng=torch.Generator().manual_seed(0))
    >>> int(mask.sum())
    256
    """
    centre = _centre_block(size, acceleration, centre_fraction)
    return _spread(_drawn(centre, round(centre.numel() / acceleration), (sd, sd), rng), size)


def poisson_disc(size: Size, *, acceleration: float, centre_fraction: float, rng: torch.Generator) -> Tensor:
    """Points of the last two axes no closer than a radius that grows with |k|, and a full centre; R within 3 %.

    Variable-density Poisson disc by dart throwing (Cook, ACM Trans Graph 1986;5:51-72), the radius' scale found by
    bisection. The centre has `centre_fraction` of each side.

    >>> mask = poisson_disc((48, 48), acceleration=4.0, centre_fraction=0.1, rng=torch.Generator().manual_seed(0))
    >>> abs(int(mask.sum()) - 576) < 18
    True
    """
    centre = _centre_block(size, acceleration, centre_fraction)
    wanted, order = centre.numel() / acceleration, torch.randperm(centre.numel(), generator=rng, device=rng.device)
    low, high = 0.2, 4.0 * math.sqrt(acceleration)
    points = centre
    for _ in range(14):
        middle = 0.5 * (low + high)
        points = _thrown(centre, order.cpu(), middle)
        taken = float(points.sum())
        if abs(taken - wanted) < 0.01 * wanted:
            break
        low, high = (middle, high) if taken > wanted else (low, middle)
    return _spread(points, size)


def _thrown(centre: Tensor, order: Tensor, scale: float) -> Tensor:
    """The points that land in this order when each keeps the others `radius` away."""
    h, w = centre.shape
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    distance = torch.hypot((rows - h // 2) / (h / 2), (columns - w // 2) / (w / 2))
    radius = (scale * (0.3 + 0.7 * distance)).numpy()  # ours: the density falls about tenfold to the edge
    taken, free = centre.numpy().copy(), centre.numpy() == 0
    reach = math.ceil(float(radius.max()))
    near = (torch.hypot(*torch.meshgrid(*[torch.arange(-reach, reach + 1.0)] * 2, indexing="ij"))).numpy()
    for index in order.tolist():
        i, j = divmod(index, w)
        if not free[i, j]:
            continue
        taken[i, j] = 1
        r = int(radius[i, j])
        top, left, bottom, right = max(i - r, 0), max(j - r, 0), min(i + r + 1, h), min(j + r + 1, w)
        block = near[top - i + reach : bottom - i + reach, left - j + reach : right - j + reach]
        free[top:bottom, left:right] &= block >= radius[i, j]
        free[i, j] = False
    return torch.from_numpy(taken)


def _drawn(centre: Tensor, count: int, sd: tuple[float, ...], rng: torch.Generator) -> Tensor:
    density = torch.ones(centre.shape, dtype=torch.float64)
    for axis, (n, one) in enumerate(zip(centre.shape, sd, strict=True)):
        k = (torch.arange(n, dtype=torch.float64) - n // 2) / n
        density = density * torch.exp(-0.5 * (k / one) ** 2).reshape([-1 if i == axis else 1 for i in range(len(sd))])
    missing = count - int(centre.sum())
    mask = centre.clone()
    if missing > 0:
        weights = (density * (centre == 0)).flatten().to(rng.device)
        mask.view(-1)[torch.multinomial(weights, missing, generator=rng).cpu()] = 1
    return mask


def _calibrated(size: Size, acceleration: float, centre_fraction: float) -> tuple[Tensor, int, int]:
    """The mask of the central lines, the number of lines and that of the central ones."""
    n = size[-1]
    low = round(n * centre_fraction)
    _check(acceleration, centre_fraction, low, n)
    lines = torch.zeros(n)
    start = (n - low + 1) // 2
    lines[start : start + low] = 1
    return lines, n, low


def _centre_block(size: Size, acceleration: float, centre_fraction: float) -> Tensor:
    if len(size) < 2:
        raise RadloomError(f"points of k-space on a grid of {size}", expected="two axes or more")
    h, w = size[-2:]
    a, b = round(h * centre_fraction), round(w * centre_fraction)
    _check(acceleration, centre_fraction, a * b, h * w)
    block = torch.zeros(h, w)
    top, left = (h - a + 1) // 2, (w - b + 1) // 2
    block[top : top + a, left : left + b] = 1
    return block


def _check(acceleration: float, centre_fraction: float, low: int, n: int) -> None:
    if not (acceleration > 1 and 0 <= centre_fraction < 1 and low < n / acceleration):
        raise RadloomError(
            f"acceleration {acceleration:g} with a centre of {centre_fraction:g} ({low} of {n} samples)",
            expected="an acceleration above 1 and a centre below 1/R of the samples",
        )


def _spread(mask: Tensor, size: Size) -> Tensor:
    return mask.expand(1, 1, *size).clone()
