"""The three-sample test of data copying, C_T; other signs of memorisation are in `memorisation`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.featuresets import Features, feature_triple
from radloom.metrics.neighbours import nearest_neighbours


@dataclass(frozen=True)
class DataCopying:
    """C_T and what it rests on: cells that held enough synthetic images, and the share of held-out images in them."""

    value: float
    cells_used: int
    cells: int
    held_out_share: float
    n_training: int
    n_synthetic: int
    n_held_out: int
    d: int


def data_copying(
    training: Features,
    synthetic: Features,
    held_out: Features,
    *,
    cells: int = 1,
    fewest: int = 20,
    rng: np.random.Generator,
) -> DataCopying:
    """C_T of Meehan et al., in standard deviations: below 0 synthetic images lie nearer to the training set than real
    held-out ones do (copying), above 0 further away (underfitting); -+ 3 is clear.

    In each of `cells` k-means cells of the training set, Z = (U - nm/2)/sd of the Mann-Whitney statistic U = number of
    pairs (synthetic, held-out) in which the synthetic distance to the cell's nearest training image is the larger one,
    ties 1/2; C_T = mean of Z weighted by the cell's share of held-out images, over cells with `fewest` or more
    synthetic and at least one held-out image. sd is corrected for ties. Matrices (n, d); other real images in place of
    the synthetic ones give a normal number of SD 1 with one cell.
    Blind to: a few copies among many new images, which a mean of ranks does not notice; that images of one patient are
    no independent evidence. Meehan C, Chaudhuri K, Dasgupta S. Proc Int Conf Artif Intell Stat 2020;108:3546-3556.

    >>> rng = np.random.default_rng(0)
    >>> train, other = rng.normal(size=(100, 4)), rng.normal(size=(80, 4))
    >>> data_copying(train, train[:50] + 0.01, other, rng=rng).value < -5
    True
    """
    t, s, h = feature_triple(training, synthetic, held_out)
    if not 1 <= cells <= len(t) or fewest < 1:
        raise RadloomError(
            f"{cells} cells of {len(t)} training images, fewest={fewest}", expected=f"1 to {len(t)} cells, fewest of 1"
        )
    of = _cells(t, cells, rng)
    of_t, of_s, of_h = of(t), of(s), of(h)
    scores, weights = [], []
    for cell in range(cells):
        own, drawn, real = t[of_t == cell], s[of_s == cell], h[of_h == cell]
        if len(own) and len(drawn) >= fewest and len(real):
            scores.append(_rank_score(*(nearest_neighbours(z, own).distances[:, 0] for z in (drawn, real))))
            weights.append(len(real) / len(h))
    if not scores:
        raise RadloomError(
            f"no cell holds {fewest} synthetic images and a held-out one", expected="more images or fewer cells"
        )
    value = float(np.average(scores, weights=weights))
    return DataCopying(value, len(scores), cells, float(sum(weights)), len(t), len(s), len(h), t.shape[1])


def _cells(t: np.ndarray, cells: int, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """The function that gives each row's cell."""
    if cells == 1:
        return lambda z: np.zeros(len(z), np.int64)
    from sklearn.cluster import k_means

    centres = k_means(t.astype(np.float64), cells, n_init="auto", random_state=int(rng.integers(2**31 - 1)))[0]
    return lambda z: nearest_neighbours(z, centres).indices[:, 0]


def _rank_score(first: np.ndarray, second: np.ndarray) -> float:
    """The z-score of the Mann-Whitney statistic that counts first > second; 0 when all values are equal."""
    from scipy.stats import rankdata, tiecorrect

    n, m = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    larger = ranks[:n].sum() - n * (n + 1) / 2
    variance = tiecorrect(ranks) * n * m * (n + m + 1) / 12
    return float((larger - n * m / 2) / np.sqrt(variance)) if variance > 0 else 0.0
