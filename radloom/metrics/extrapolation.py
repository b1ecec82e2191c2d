"""The Frechet distance that unlimited images would have, from a line through its values at several sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.featuresets import Features, Patients, clusters, feature_pair
from radloom.metrics.frechet import frechet_distance


@dataclass(frozen=True)
class ExtrapolatedDistance:
    """The extrapolated squared Frechet distance with its bootstrap standard error, and the biased one at full size.

    se is NaN when no bootstrap was asked for. low and high: value -+ 1.96 se.
    """

    value: float
    se: float
    biased: float
    n_real: int
    n_synthetic: int
    d: int
    sizes: int
    draws: int

    @property
    def low(self) -> float:
        """Lower end of the 95 % normal interval."""
        return self.value - 1.959963984540054 * self.se

    @property
    def high(self) -> float:
        """Upper end of the 95 % normal interval."""
        return self.value + 1.959963984540054 * self.se


def fid_infinity(
    real: Features,
    synthetic: Features,
    *,
    sizes: int = 15,
    smallest: float = 0.25,
    draws: int = 20,
    patients_real: Patients = None,
    patients_synthetic: Patients = None,
    rng: np.random.Generator,
) -> ExtrapolatedDistance:
    """The Frechet distance extrapolated to infinitely many images, in squared units of the features; 0 is best.

    FID at a share f of BOTH sets is close to FID_inf + c / f, because each bias is proportional to 1/n; ordinary least
    squares over `sizes` shares from `smallest` to 1 gives the intercept at 1/f = 0. At a share f the distance is the
    mean over floor(1/f) disjoint pairs of subsets. real (n, d), synthetic (m, d); n and m may differ. Chong and Forsyth
    shrink only the synthetic set, which leaves the bias of a small real set in (ours removes both). se: standard
    deviation over `draws` bootstraps of the patients of both sets; 0 draws: NaN. May come out below 0.
    Blind to: what `fid` is blind to; with fewer images than features the law of 1/n fails and the value stays biased
    upwards: fewer features, or more images. Chong MJ, Forsyth D. Proc CVPR 2020:6070-6079.

    >>> rng = np.random.default_rng(0)
    >>> real, synthetic = rng.normal(size=(2000, 8)), rng.normal(size=(2000, 8)) + 0.5  # truth: 8 * 0.25 = 2
    >>> found = fid_infinity(real, synthetic, draws=0, rng=rng)
    >>> round(found.value, 1), found.value < found.biased, found.n_real, found.d
    (2.0, True, 2000, 8)
    """
    x, y = feature_pair(real, synthetic, fewest=8)
    if sizes < 2 or not 0 < smallest < 1 or draws < 0:
        raise RadloomError(
            f"sizes={sizes}, smallest={smallest}, draws={draws}",
            expected="2 sizes or more, a smallest share between 0 and 1, draws of 0 or more",
        )
    if smallest * min(len(x), len(y)) < 2:
        raise RadloomError(
            f"{smallest:g} of {min(len(x), len(y))} images", expected="at least 2 images", do="pass a larger share"
        )
    shares = np.linspace(smallest, 1, sizes)
    value, biased = _intercept(x, y, shares, rng)
    who = clusters(patients_real, len(x), "the real set"), clusters(patients_synthetic, len(y), "the synthetic set")
    drawn = [_intercept(_resampled(x, who[0], rng), _resampled(y, who[1], rng), shares, rng)[0] for _ in range(draws)]
    se = float(np.std(drawn, ddof=1)) if draws > 1 else np.nan
    return ExtrapolatedDistance(value, se, biased, len(x), len(y), x.shape[1], sizes, draws)


def _intercept(x: np.ndarray, y: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    values = np.array([_at_share(x, y, share, rng) for share in shares])
    return float(np.polyfit(1 / shares, values, 1)[1]), float(values[-1])


def _at_share(x: np.ndarray, y: np.ndarray, share: float, rng: np.random.Generator) -> float:
    """The mean distance over as many disjoint pairs of subsets of this share as fit."""
    pairs = int(1 / share + 1e-9)
    halves = []
    for z in (x, y):
        size = round(share * len(z))
        order = rng.permutation(len(z))
        halves.append([z[order[i * size : (i + 1) * size]] for i in range(min(pairs, len(z) // size))])
    return float(np.mean([frechet_distance(a, b).value for a, b in zip(*halves, strict=False)]))


def _resampled(z: np.ndarray, patients: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(len(patients), size=len(patients))
    return z[np.concatenate([patients[i] for i in drawn])]
