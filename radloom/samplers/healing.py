"""From an image to its pseudo-healthy version and a map of what differs, by a denoiser of healthy images; no training.

Every function works in x = x0 + sigma n, as the samplers do, and takes a slice or volume x from -1 to 1; what lies
outside given.mask stays as it is and has a map of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.samplers.denoiser import Denoiser, Streams
from radloom.samplers.stochastic import posterior


@dataclass(frozen=True)
class Healed:
    """healthy: the image as it would be without disease. map: at least 0, larger where it is more suspect."""

    healthy: Float[Tensor, "b c *s"]
    map: Float[Tensor, "b 1 *s"]


Heal = Callable[[Denoiser, Tensor, Given, Streams], Healed]


def noised_and_back(sigmas: Tensor) -> Heal:
    """The image noised to sigmas[0] and drawn back by DDPM's steps; map |x - healthy| (Wyatt et al. 2022, AnoDDPM)."""
    _falling(sigmas)

    def heal(denoise: Denoiser, x: Tensor, given: Given, rng: Streams) -> Healed:
        healthy = _inside(_back(denoise, x, sigmas, given, rng), x, given)
        return Healed(healthy, residual(x, healthy))

    return heal


def masked_and_resampled(first: Tensor, second: Tensor, *, share: float, repeats: int) -> Heal:
    """AutoDDPM: mask, stitch, re-sample (Bercea et al. 2023).

    first: sigmas of the draw that finds what to mask: `share` of the region, where the residual times the loss of
    structure is largest, grown by a voxel. second: sigmas along which the masked part is drawn anew, `repeats` times
    at each level, while the rest is the input's (Lugmayr et al. 2022). map: |x - healthy| times the first map.
    """
    _falling(first)
    if not 0 < share < 1:
        raise RadloomError(f"re-sampling {share} of the image", expected="a share between 0 and 1")
    again = within_mask(second, repeats=repeats)

    def heal(denoise: Denoiser, x: Tensor, given: Given, rng: Streams) -> Healed:
        drawn = _inside(_back(denoise, x, first, given, rng), x, given)
        coarse = suspicion(x, drawn, given)
        suspect = coarse > _quantile(coarse, given, 1 - share)
        healthy = again(denoise, x, suspect, given, rng, drawn)
        return Healed(healthy, residual(x, healthy) * coarse)

    return heal


Redraw = Callable[..., Tensor]  # (denoise, x, suspect, given, rng, start) -> x with what is suspect drawn anew


def within_mask(sigmas: Tensor, *, repeats: int) -> Redraw:
    """A mask, grown by a voxel, drawn anew along `sigmas`; the rest is the input's (Lugmayr et al. 2022, RePaint).

    Each level is walked `repeats` times, so that both parts agree. start: what the masked part is noised from; 0, which
    tells the draw nothing, unless given. Items without a mask come back as they are.
    """
    _falling(sigmas)
    if repeats < 1:
        raise RadloomError(f"re-sampling {repeats} times", expected="1 or more")

    def redraw(
        denoise: Denoiser, x: Tensor, suspect: Tensor, given: Given, rng: Streams, start: Tensor | None = None
    ) -> Tensor:
        mask = _largest(suspect.float(), 3) > 0
        z = torch.where(mask, torch.zeros_like(x) if start is None else start, x) + float(sigmas[0]) * rng.normal(x)
        for now, then in pairwise(sigmas):
            for turn in reversed(range(repeats)):
                mean, deviation = posterior(z, denoise(z, now, given), now, then)
                known, unknown = x + float(then) * rng.normal(x), mean + deviation * rng.normal(x)
                z = torch.where(mask, unknown, known).float()
                if turn:  # back up to the level
                    z = z + float((now**2 - then**2).sqrt()) * rng.normal(x)
        return _inside(z, x, given)

    return redraw


def harmonised(sigmas: Tensor, at: tuple[float, ...], *, reach: int) -> Heal:
    """THOR: a draw that is pulled back to the input where it need not differ (Bercea et al. 2024).

    Along `sigmas` from the noised input down, at the first level not above each of `at`: m = suspicion of E[x0], what
    is free to change is (m grown by `reach` voxels + m) / 2, the rest is the input's, and the sum is noised again with
    the noise that the draw began with. map: harmonic mean of all m and of the last one.
    """
    _falling(sigmas)
    below = [int((sigmas > level).sum()) for level in at]
    if not at or max(below) >= len(sigmas) - 1:
        raise RadloomError(f"harmonising at {at}", expected=f"levels from {float(sigmas[0]):.3g} down, above 0")

    def heal(denoise: Denoiser, x: Tensor, given: Given, rng: Streams) -> Healed:
        noise = rng.normal(x)
        z, maps = x + float(sigmas[0]) * noise, []
        for step, (now, then) in enumerate(pairwise(sigmas)):
            clean = denoise(z, now, given)
            if step in below:
                m = suspicion(x, clean, given)
                maps.append(m)
                free = (_closed(m, reach) + m) / 2
                z = free * clean + (1 - free) * x + float(now) * noise
                clean = denoise(z, now, given)
            mean, deviation = posterior(z, clean, now, then)
            z = (mean + deviation * rng.normal(x) if then > 0 else mean).float()
        healthy = _inside(z, x, given)
        maps.append(suspicion(x, healthy, given))
        inverse = torch.stack([1 / m.clamp_min(1e-6) for m in maps]).mean(0)
        return Healed(healthy, _inside(1 / inverse, torch.zeros_like(inverse), given))

    return heal


def residual(x: Float[Tensor, "b c *s"], healthy: Float[Tensor, "b c *s"]) -> Float[Tensor, "b 1 *s"]:
    """|x - healthy|, the mean over channels."""
    return (x - healthy).abs().mean(1, keepdim=True)


def suspicion(x: Float[Tensor, "b c *s"], healthy: Float[Tensor, "b c *s"], given: Given) -> Float[Tensor, "b 1 *s"]:
    """Residual over its 95th percentile in the region, cut at 1, times the loss of structure; its maximum is 1."""
    r = residual(x, healthy)
    m = (r / _quantile(r, given, 0.95).clamp_min(1e-6)).clamp(max=1) * lost_structure(x, healthy)
    m = _inside(m, torch.zeros_like(m), given)
    return m / m.flatten(1).amax(1).clamp_min(1e-6).view(-1, *(1,) * (m.ndim - 1))


def lost_structure(
    x: Float[Tensor, "b c *s"], y: Float[Tensor, "b c *s"], *, width: int = 5
) -> Float[Tensor, "b 1 *s"]:
    """(1 - SSIM) / 2 in a window around each voxel, the mean over channels, in [0, 1]; images from -1 to 1.

    SSIM of means, variances and covariance under a box of `width` voxels, with the constants of a data range of 2
    (Wang et al. 2004).
    """
    pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d

    def mean(z: Tensor) -> Tensor:
        return pool(z, width, stride=1, padding=width // 2, count_include_pad=False)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    one, two = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    ssim = (2 * mx * my + one) * (2 * both + two) / ((mx**2 + my**2 + one) * (vx + vy + two))
    return ((1 - ssim) / 2).clamp(0, 1).mean(1, keepdim=True)


def _back(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
    """The image noised to sigmas[0] and drawn down to the last."""
    z = x + float(sigmas[0]) * rng.normal(x)
    for now, then in pairwise(sigmas):
        mean, deviation = posterior(z, denoise(z, now, given), now, then)
        z = (mean + deviation * rng.normal(x) if then > 0 else mean).float()
    return z


def _inside(drawn: Tensor, outside: Tensor, given: Given) -> Tensor:
    """What was drawn, cut to the window in the region; `outside` elsewhere."""
    return drawn.clamp(-1, 1) if given.mask is None else torch.where(given.mask > 0, drawn.clamp(-1, 1), outside)


def _quantile(m: Tensor, given: Given, share: float) -> Tensor:
    """The quantile of each item's map inside its region (b, 1, 1, ...)."""
    found = []
    for i, one in enumerate(m):
        inside = one if given.mask is None else one[given.mask[i] > 0]
        found.append(inside.flatten().quantile(share) if inside.numel() else one.new_zeros(()))
    return torch.stack(found).view(-1, *(1,) * (m.ndim - 1))


def _largest(m: Tensor, width: int) -> Tensor:
    pool = F.max_pool2d if m.ndim == 4 else F.max_pool3d
    return pool(m, width, stride=1, padding=width // 2)


def _closed(m: Tensor, width: int) -> Tensor:
    """A grey-scale closing, then a dilation."""
    return _largest(-_largest(-_largest(m, width), width), width)


def _falling(sigmas: Tensor) -> None:
    if sigmas.ndim != 1 or len(sigmas) < 2 or not (sigmas.diff() < 0).all() or sigmas[-1] != 0:
        raise RadloomError("the grid of noise does not fall to 0", expected="two or more decreasing sigmas, 0 at last")
