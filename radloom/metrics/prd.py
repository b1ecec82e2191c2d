"""The precision-recall curve of a set of synthetic images over joint clusters; balls around features: `manifold`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, as_numpy
from radloom.metrics.featuresets import Features, feature_pair


@dataclass(frozen=True, eq=False)
class PrdCurve:
    """Precision (angles,) and recall (angles,), unit 1, from high recall to high precision, and what they rest on."""

    precision: np.ndarray
    recall: np.ndarray
    n_real: int
    n_synthetic: int
    d: int
    clusters: int
    runs: int

    def f_beta(self, beta: Number) -> float:
        """The highest F_beta = (1 + beta^2) p r / (beta^2 p + r) on the curve, unit 1."""
        if not (np.isfinite(beta) and beta > 0):
            raise RadloomError(f"beta is {beta}", expected="a finite number above 0")
        below = beta**2 * self.precision + self.recall
        above = (1 + beta**2) * self.precision * self.recall
        return float(np.divide(above, below, out=np.zeros_like(below), where=below > 0).max())

    @property
    def f8(self) -> float:
        """F_8, which weighs recall."""
        return self.f_beta(8)

    @property
    def f1_8(self) -> float:
        """F_1/8, which weighs precision."""
        return self.f_beta(1 / 8)


def prd_curve(
    real: Features,
    synthetic: Features,
    clusters: int = 20,
    angles: int = 1001,
    *,
    runs: int = 10,
    rng: np.random.Generator,
) -> PrdCurve:
    """The precision-recall curve of Sajjadi et al., unit 1; F_8 (recall) and F_1/8 (precision) of 1 are best.

    Both sets are clustered together by k-means (scikit-learn, one start per run); the shares of the clusters are two
    histograms, which give the curve of `prd_from_histograms`; precision and recall are means over `runs` clusterings.
    real, synthetic (n, d): as many rows in both, for otherwise the larger set decides the clusters.
    Blind to: differences within a cluster, so a generator that draws the mean of each cluster looks perfect.
    Sajjadi MSM et al. Adv Neural Inf Process Syst 2018;31:5228-5237.

    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 100
    >>> half = np.concatenate([near, far])
    >>> found = prd_curve(half, np.concatenate([near, near]), 2, rng=rng)  # all good, half of the kinds missing
    >>> round(found.f1_8, 3), round(found.f8, 3), found.n_real, found.d  # best at precision 1, recall 1/2
    (0.985, 0.504, 100, 2)
    """
    x, y = feature_pair(real, synthetic)
    if len(x) != len(y):
        raise RadloomError(
            f"{len(x)} real and {len(y)} synthetic images",
            expected="as many in both",
            do=f"draw {min(len(x), len(y))} of the larger set",
        )
    if not 2 <= clusters <= len(x) or runs < 1:
        raise RadloomError(
            f"{clusters} clusters and {runs} runs for {len(x)} images per set",
            expected=f"2 to {len(x)} clusters and 1 run or more",
        )
    from sklearn.cluster import KMeans

    both = np.concatenate([x, y]).astype(np.float64)
    curves = []
    for _ in range(runs):
        seed = int(rng.integers(2**31 - 1))
        labels = KMeans(clusters, init="k-means++", random_state=seed).fit_predict(both)
        p, q = (np.bincount(part, minlength=clusters) / len(x) for part in np.split(labels, 2))
        curves.append(prd_from_histograms(p, q, angles))
    precision, recall = np.mean(curves, axis=0)
    return PrdCurve(precision, recall, len(x), len(y), x.shape[1], clusters, runs)


def prd_from_histograms(real: Features, synthetic: Features, angles: int = 1001) -> tuple[np.ndarray, np.ndarray]:
    """Precision (angles,) and recall (angles,) of one histogram against another, unit 1.

    precision(t) = sum_i min(t p_i, q_i), recall(t) = precision(t) / t at the slopes t = tan(angle), angles evenly
    between 0 and pi/2; p (bins,) is the real histogram and q (bins,) the synthetic one, each of sum 1.
    Blind to: how alike two bins are. Sajjadi MSM et al. Adv Neural Inf Process Syst 2018;31:5228-5237, Algorithm 1.

    >>> precision, recall = prd_from_histograms(np.array([0.5, 0.5]), np.array([1.0, 0.0]), 3)
    >>> precision.round(6).tolist(), recall.round(6).tolist()  # t near 0, t = 1, t near infinity
    ([0.0, 0.5, 1.0], [0.5, 0.5, 0.0])
    """
    p, q = (as_numpy(h).astype(np.float64) for h in (real, synthetic))
    if p.ndim != 1 or p.shape != q.shape or len(p) == 0:
        raise RadloomError(f"histograms of shapes {p.shape} and {q.shape}", expected="two vectors of the same bins")
    for name, h in (("real", p), ("synthetic", q)):
        if not np.isfinite(h).all() or (h < 0).any() or abs(h.sum() - 1) > 1e-6:
            raise RadloomError(f"the {name} histogram is no distribution", expected="shares of 0 or more that sum to 1")
    if angles < 3:
        raise RadloomError(f"angles={angles}", expected="3 or more")
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, angles))
    precision = np.minimum(slopes[:, None] * p, q).sum(axis=1)
    return np.clip(precision, 0, 1), np.clip(precision / slopes, 0, 1)
