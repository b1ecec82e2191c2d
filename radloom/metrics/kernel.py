"""Maximum mean discrepancies between two sets of features: polynomial (KID) and Gaussian (CMMD) kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.featuresets import ROWS, Features, Patients, blocks, clusters, feature_pair, squared_distances

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SubsetDiscrepancy:
    """KID over random subsets: mean, standard error of the mean and standard deviation over subsets, unit 1.

    se tells how well the mean over all subsets is known, not how the number varies between samples of patients.
    """

    mean: float
    se: float
    sd: float
    subset_size: int
    subsets: int
    n_real: int
    n_synthetic: int
    d: int


@dataclass(frozen=True)
class Discrepancy:
    """A squared maximum mean discrepancy from all pairs, with its standard error over draws of patients, unit 1."""

    value: float
    se: float
    n_real: int
    n_synthetic: int
    d: int
    draws: int


def kid(
    real: Features, synthetic: Features, subset_size: int = 1000, subsets: int = 100, *, rng: np.random.Generator
) -> SubsetDiscrepancy:
    """The kernel inception distance over random subsets, unit 1; 0 is best, and it may fall below 0.

    KID = mean over `subsets` draws (without replacement within a draw) of the unbiased MMD^2 of `subset_size` real and
    as many synthetic rows, kernel (x.y/d + 1)^3; matrices (n, d), (m, d) with n and m of `subset_size` or more. It
    exists to compare with published values; `mmd2_polynomial` uses all pairs and has no chance in it.
    Blind to: what the extractor does not see; which images are copies. Says little where it is within a few se of 0.
    Bińkowski M et al. Int Conf Learn Represent 2018.

    >>> rng = np.random.default_rng(0)
    >>> found = kid(rng.normal(size=(60, 4)), rng.normal(size=(50, 4)) + 1, 40, 10, rng=rng)
    >>> found.mean > 3 * found.se > 0, found.subset_size, found.n_synthetic, found.d
    (True, 40, 50, 4)
    """
    x, y = feature_pair(real, synthetic, fewest=2)
    if subsets < 1 or not 2 <= subset_size <= min(len(x), len(y)):
        raise RadloomError(
            f"{subsets} subsets of {subset_size} from {len(x)} real and {len(y)} synthetic images",
            expected="1 subset or more, of 2 images or more that both sets have",
            do=f"pass a subset_size up to {min(len(x), len(y))}, or use mmd2_polynomial",
        )
    values = []
    for _ in range(subsets):
        parts = (z[rng.choice(len(z), subset_size, replace=False)] for z in (x, y))
        values.append(mmd2_polynomial(*parts))
    sd = float(np.std(values, ddof=1)) if subsets > 1 else np.nan
    return SubsetDiscrepancy(
        float(np.mean(values)), sd / subsets**0.5, sd, subset_size, subsets, len(x), len(y), x.shape[1]
    )


def mmd2_polynomial(
    real: Features, synthetic: Features, *, degree: int = 3, offset: Number = 1.0, block: int = ROWS
) -> float:
    """The unbiased squared maximum mean discrepancy over all pairs, polynomial kernel, unit 1; about 0 is best.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_ij k(x_i, y_j), k = (x.y/d + offset)^degree,
    matrices (n, d), (m, d) with n, m of 2 or more; float64, in blocks of `block` rows, so memory is block^2. The
    expectation does not depend on n; the value may fall below 0.
    Blind to: differences in moments above `degree`, and what the extractor does not see.
    Gretton A et al. J Mach Learn Res 2012;13:723-773.

    >>> mmd2_polynomial(np.array([[0.0], [0.0]]), np.array([[1.0], [1.0]]))  # 1 + 8 - 2 * 1
    7.0
    """
    x, y = feature_pair(real, synthetic, fewest=2)
    return float(_unbiased(x, y, _polynomial(degree, offset, x.shape[1]), None, None, block)[0])


def mmd2_interval(
    real: Features,
    synthetic: Features,
    *,
    patients_real: Patients = None,
    patients_synthetic: Patients = None,
    draws: int = 200,
    block: int = ROWS,
    rng: np.random.Generator,
) -> Discrepancy:
    """`mmd2_polynomial` (cubic) with a standard error: its standard deviation over bootstraps of patients.

    A bootstrap gives each patient's rows the number of times that the patient was drawn as weight; pairs of a row with
    itself stay out. All draws use the same pass over the kernel, so they cost draws/d of it.
    Blind to: what `mmd2_polynomial` is blind to. Where the true value is near 0 the se is too large (the statistic is
    degenerate there).

    >>> rng = np.random.default_rng(0)
    >>> found = mmd2_interval(rng.normal(size=(60, 4)), rng.normal(size=(50, 4)) + 1, rng=rng)
    >>> found.value > 3 * found.se > 0, found.n_real, found.draws
    (True, 60, 200)
    """
    x, y = feature_pair(real, synthetic, fewest=3)
    if draws < 2:
        raise RadloomError(f"draws={draws}", expected="2 or more")
    wx = _weights(clusters(patients_real, len(x), "the real set"), len(x), draws, rng)
    wy = _weights(clusters(patients_synthetic, len(y), "the synthetic set"), len(y), draws, rng)
    values = _unbiased(x, y, _polynomial(3, 1.0, x.shape[1]), wx, wy, block)
    return Discrepancy(float(values[0]), float(np.std(values[1:], ddof=1)), len(x), len(y), x.shape[1], draws)


def cmmd(
    real: Features, synthetic: Features, *, sigma: Number = 10.0, scale: Number = 1000.0, block: int = ROWS
) -> float:
    """The CLIP maximum mean discrepancy, unit 1 after `scale`; 0 is best.

    CMMD = scale * (mean_ij k(x_i, x_j) + mean_ij k(y_i, y_j) - 2 mean_ij k(x_i, y_j)), k = exp(-|x - y|^2 / 2 sigma^2),
    pairs of a row with itself included: biased upwards by about 1/n, never below 0. Matrices (n, d), (m, d). The preset
    is made for CLIP embeddings of length 1, which the caller provides; rows are not normalised here.
    Blind to: scales far below or above sigma; what the extractor does not see.
    Jayasumana S et al. Proc CVPR 2024:9307-9315.

    >>> a, b = np.array([[0.0]]), np.array([[10.0]])
    >>> round(cmmd(a, b), 9)  # 1000 (2 - 2 exp(-1/2))
    786.938680575
    """
    x, y = feature_pair(real, synthetic)
    if not (np.isfinite(sigma) and sigma > 0):
        raise RadloomError(f"sigma is {sigma}", expected="a finite number above 0")
    apart = squared_distances(np.zeros(x.shape[1]), "exact" if x.shape[1] <= 16 else "float64")
    means = [_sum(a, b, lambda u, v: np.exp(apart(u, v) / (-2 * sigma**2)), block) / (len(a) * len(b))
             for a, b in ((x, x), (y, y), (x, y))]  # fmt: skip
    return float(scale * max(means[0] + means[1] - 2 * means[2], 0.0))


def _polynomial(degree: int, offset: Number, d: int) -> Kernel:
    if degree < 1:
        raise RadloomError(f"degree={degree}", expected="1 or more")

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        left = x.astype(np.float64, copy=False)
        right = left if x is y else y.astype(np.float64, copy=False)
        base = left @ right.T  # of one array with itself the BLAS computes half
        base /= d
        base += offset
        powers = base.copy()
        for _ in range(degree - 1):  # ** is ten times slower
            powers *= base
        return powers

    return kernel


def _sum(x: np.ndarray, y: np.ndarray, kernel: Kernel, block: int) -> float:
    return sum(float(kernel(x[i], y[j]).sum()) for i in blocks(len(x), block) for j in blocks(len(y), block))


def _weights(patients: list[np.ndarray], rows: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(1 + draws, rows): ones, then how often each row's patient was drawn."""
    counts = rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), size=draws)
    weights = np.ones((1 + draws, rows))
    for patient, of in enumerate(patients):
        weights[1:, of] = counts[:, patient, None]
    return weights


def _unbiased(
    x: np.ndarray, y: np.ndarray, kernel: Kernel, wx: np.ndarray | None, wy: np.ndarray | None, block: int
) -> np.ndarray:
    """The unbiased MMD^2 for each row of weights, in one pass over the kernel."""
    wx = np.ones((1, len(x))) if wx is None else wx
    wy = np.ones((1, len(y))) if wy is None else wy
    across = _across(x, y, kernel, wx, wy, block)
    return _within(x, kernel, wx, block) + _within(y, kernel, wy, block) - 2 * across


def _within(x: np.ndarray, kernel: Kernel, weights: np.ndarray, block: int) -> np.ndarray:
    """Mean over ordered pairs of two different rows, weighted; NaN where all weight is on one row."""
    total = np.zeros(len(weights))
    parts = list(blocks(len(x), block))
    for number, i in enumerate(parts):
        for j in parts[number:]:
            rows = x[i]
            values = kernel(rows, rows if i == j else x[j])
            if i == j:
                np.fill_diagonal(values, 0)
            total += (1 if i == j else 2) * _weighted(values, weights[:, i], weights[:, j])
    pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    return np.divide(total, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def _across(x: np.ndarray, y: np.ndarray, kernel: Kernel, wx: np.ndarray, wy: np.ndarray, block: int) -> np.ndarray:
    total = np.zeros(len(wx))
    for i in blocks(len(x), block):
        for j in blocks(len(y), block):
            total += _weighted(kernel(x[i], y[j]), wx[:, i], wy[:, j])
    return total / (wx.sum(axis=1) * wy.sum(axis=1))


def _weighted(values: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("bj,bj->b", left @ values, right)
