"""Whether a generator collapses while it trains: variety of its draws beside that of real images, with alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.diversity import Images, ms_ssim_diversity
from radloom.metrics.featuresets import Features, as_features
from radloom.metrics.manifold import prdc
from radloom.metrics.neighbours import nearest_neighbours
from radloom.metrics.structural import SCALE_WEIGHTS


@dataclass(frozen=True)
class Variety:
    """How varied one set of draws is; unit 1.

    coverage, recall: as `prdc`. spread: by class, distinct nearest real images over what as many draws from the real
    images themselves would give on average (1: as spread as they are; near 0: a few images are drawn over and over).
    likeness: mean MS-SSIM between draws minus that between real images, above 0 when draws are too alike; NaN when no
    images were given.
    """

    step: int
    coverage: float
    recall: float
    spread: dict[str, float]
    likeness: float
    n_real: int
    n_synthetic: int


def variety(
    step: int,
    real: Features,
    synthetic: Features,
    *,
    k: int = 5,
    classes: tuple[Sequence[str], Sequence[str]] | None = None,
    likeness: float = float("nan"),
) -> Variety:
    """The variety of the synthetic features (m, d) beside the real ones (n, d) at a training step.

    real and synthetic have k + 1 rows or more. classes: of real and synthetic rows, by name; draws of a class are
    compared with real images of that class. likeness: see `likeness_excess`. Raises RadloomError on NaN, unequal
    widths, too few rows, or a class of draws that no real image has.
    Blind to: realism; a generator that draws noise near every real image covers them all. Depends on n and m: look at
    equal ones at each step. Naeem MF et al. Proc Int Conf Mach Learn 2020;119:7176-7185.

    >>> real = np.arange(8.0)[:, None]
    >>> found = variety(0, real, np.full((8, 1), 2.1), k=1)
    >>> found.coverage, round(found.spread["all"], 3)
    (0.25, 0.19)
    """
    x, y = as_features(real, "the real set"), as_features(synthetic, "the synthetic set")
    found = prdc(x, y, k)
    names = (["all"] * len(x), ["all"] * len(y)) if classes is None else tuple(list(part) for part in classes)
    if (len(names[0]), len(names[1])) != (len(x), len(y)):
        raise RadloomError(f"{len(names[0])} and {len(names[1])} classes of {len(x)} and {len(y)} images",
                           expected="one for each image")  # fmt: skip
    spread = {}
    for name in sorted(set(names[1])):
        of_class = [np.array([one == name for one in part]) for part in names]
        if not of_class[0].any():
            raise RadloomError(f"draws of class {name}", expected=f"one of {', '.join(sorted(set(names[0])))}")
        spread[name] = _spread(x[of_class[0]], y[of_class[1]])
    return Variety(step, found.coverage, found.recall, spread, float(likeness), len(x), len(y))


def _spread(real: np.ndarray, synthetic: np.ndarray) -> float:
    distinct = len(np.unique(nearest_neighbours(synthetic, real).indices))
    n, m = len(real), len(synthetic)
    return distinct / (n * (1 - (1 - 1 / n) ** m))  # of m draws with replacement from n


def likeness_excess(
    real: Images, synthetic: Images, *, data_range: float, scales: int = 5, pairs: int = 100, rng: np.random.Generator
) -> float:
    """Mean MS-SSIM over `pairs` random pairs of draws minus that over pairs of real images, unit 1, in [-1, 1].

    real and synthetic: images of one shape, (x, y) or (x, y, z), at least 2 of each; all pairs where there are fewer
    than `pairs`. scales: of MS-SSIM, whose published weights they use from the first on (64 voxels allow 3).
    Blind to: which images are repeated, and to a collapse onto a handful of very different ones.
    Odena A et al. Proc Int Conf Mach Learn 2017;70:2642-2651.
    """
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise RadloomError(f"MS-SSIM of {scales} scales", expected=f"1 to {len(SCALE_WEIGHTS)}")
    weights = np.asarray(SCALE_WEIGHTS[:scales]) / np.sum(SCALE_WEIGHTS[:scales])
    found = []
    for images in (synthetic, real):
        most = len(images) * (len(images) - 1) // 2
        drawn = pairs if pairs < most else None
        found.append(ms_ssim_diversity(images, data_range=data_range, weights=weights, pairs=drawn, rng=rng).mean)
    return found[0] - found[1]


def alarms(looks: Sequence[Variety], *, fall: float = 0.2, excess: float = 0.1) -> tuple[str, ...]:
    """What speaks for collapse in the last look, one sentence each; empty when nothing does.

    Coverage, recall or a class's spread has fallen by more than `fall` (a share) from its best earlier look; draws are
    more alike than real images by more than `excess`; or a class is drawn from fewer than half as many different
    neighbours as real images would be. The limits are ours.
    Blind to: a collapse before the first look, where spread and likeness alone can tell.

    >>> good, bad = (Variety(step, cover, 0.5, {"all": 0.9}, 0.0, 50, 50) for step, cover in ((0, 0.8), (100, 0.6)))
    >>> alarms([good, bad])
    ('coverage fell from 0.80 at step 0 to 0.60 at step 100',)
    """
    if not looks:
        raise RadloomError("no look at the draws", expected="one or more")
    last, before = looks[-1], looks[:-1]
    found = []
    for name, value, earlier in (
        ("coverage", last.coverage, [(look.coverage, look.step) for look in before]),
        ("recall", last.recall, [(look.recall, look.step) for look in before]),
        *((f"spread of {key}", value, [(look.spread[key], look.step) for look in before if key in look.spread])
          for key, value in last.spread.items()),
    ):  # fmt: skip
        best, step = max(earlier, default=(0.0, 0))
        if value < (1 - fall) * best:
            found.append(f"{name} fell from {best:.2f} at step {step} to {value:.2f} at step {last.step}")
    found += [
        f"draws of {key} have {value:.0%} of the different real neighbours that real images have"
        for key, value in last.spread.items()
        if value < 0.5
    ]
    if last.likeness > excess:
        found.append(f"draws are more alike than real images, by {last.likeness:.2f} of MS-SSIM")
    return tuple(found)
