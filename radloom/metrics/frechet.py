"""The Frechet distance between two sets of features or their moments, and what it is for real against real.

Other metrics of sets are in `kernel`, `manifold`, `prd` and `diversity`; `distribution` names them all.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.featuresets import Features, Patients, as_features, centre_of, clusters, same_features
from radloom.metrics.moments import Moments

_SHAKY = 1e-10  # share of the largest eigenvalue below which the root of an eigenvalue has lost half its digits


@dataclass(frozen=True)
class FrechetDistance:
    """A squared Frechet distance, in squared units of the features, with its two parts and what it rests on."""

    value: float
    mean_term: float
    covariance_term: float
    n_real: int
    n_synthetic: int
    d: int

    @property
    def undersampled(self) -> bool:
        """Whether a set has no more images than features, so that sampling alone makes most of the value."""
        return min(self.n_real, self.n_synthetic) <= self.d


@dataclass(frozen=True)
class FrechetFloor:
    """Distances between disjoint halves of real images: mean and standard deviation over the splits; n is each half's.

    A synthetic set of n images is indistinguishable from real ones by this distance when it comes down to the mean.
    """

    mean: float
    sd: float
    n: int
    d: int
    splits: int


def fid(real: Features, synthetic: Features) -> float:
    """The Frechet (inception) distance between two sets of features, in squared units of the features; 0 is best.

    FID = |m_r - m_s|^2 + Tr(S_r + S_s - 2 (S_r S_s)^1/2), matrices (n, d) and (m, d) with n, m of 2 or more, means and
    covariances (denominator n - 1) in float64. No matrix root is taken: Tr (S_r S_s)^1/2 is the sum of the singular
    values of R^T S for any S_r = R R^T, S_s = S S^T, so few images need only a small matrix and no added epsilon.
    It is pytorch-fid's and torch-fidelity's value: to 1e-12 where images outnumber features, to 1e-8 where their root
    of a singular product is inexact; torch-fidelity averages float32 features in float32, which moves it by 1e-7.
    Blind to: anything but mean and covariance, which images are copies, and what the extractor does not see. Biased
    upwards by about 1/n: compare only at equal n, beside `frechet_floor` and `fid_infinity`. A set with no more images
    than features gives a warning. Heusel M et al. Adv Neural Inf Process Syst 2017;30:6626-6637.

    >>> real = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> round(fid(real, real + [3.0, 4.0]), 12)
    25.0
    """
    found = frechet_distance(real, synthetic)
    if found.undersampled:
        warnings.warn(
            f"fid of {found.n_real} and {found.n_synthetic} images with {found.d} features is mostly sampling bias; "
            "report frechet_floor at the same n and fid_infinity beside it",
            stacklevel=2,
        )
    return found.value


def frechet_distance(real: Features | Moments, synthetic: Features | Moments) -> FrechetDistance:
    """The squared Frechet distance with its parts, n and d, from matrices (n, d) or from `Moments`; as `fid`.

    Blind to: what `fid` is blind to. Dowson DC, Landau BV. J Multivar Anal 1982;12:450-455.

    >>> a, b = np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])  # N(0, 2) and N(3, 8)
    >>> found = frechet_distance(a, Moments.of(b))
    >>> round(found.mean_term, 12), round(found.covariance_term, 12), found.n_real, found.d
    (9.0, 2.0, 2, 1)
    """
    a, b = _gaussian(real, "the real set"), _gaussian(synthetic, "the synthetic set")
    same_features(a.mean[None], b.mean[None], "the real set", "the synthetic set")
    apart = float(np.sum((a.mean - b.mean) ** 2))
    together = a.trace + b.trace - 2 * _trace_of_root(a, b)
    covariance = max(together, 0.0)  # rounding alone makes it negative
    return FrechetDistance(apart + covariance, apart, covariance, a.n, b.n, len(a.mean))


def frechet_floor(
    real: Features, size: int, *, splits: int = 10, patients: Patients = None, rng: np.random.Generator
) -> FrechetFloor:
    """The Frechet distance of real against real at `size` images each: what a perfect generator would get.

    real (n, d) with n of 2 size or more; each split draws two sets without a patient in common (`patients` (n,); every
    image its own when None). Compare with `fid` of `size` real and `size` synthetic images.
    Blind to: differences between sites or years that a random split spreads over both halves.

    >>> real = np.random.default_rng(0).normal(size=(400, 3))
    >>> floor = frechet_floor(real, 200, rng=np.random.default_rng(1))
    >>> 0 < floor.mean < 0.1, floor.n, floor.d
    (True, 200, 3)
    """
    x = as_features(real, "the real set", fewest=4)
    if size < 2 or splits < 1 or 2 * size > len(x):
        raise RadloomError(
            f"a floor of {splits} splits at {size} of {len(x)} real images",
            expected="two disjoint sets of 2 images or more, and 1 split or more",
            do=f"pass a size from 2 to {len(x) // 2} and compare as many synthetic images",
        )
    who = clusters(patients, len(x), "the real set")
    values = []
    for _ in range(splits):
        order = [who[i] for i in rng.permutation(len(who))]
        ends = np.cumsum([len(rows) for rows in order])
        whole = int(np.searchsorted(ends, size)) + 1  # patients of the first half
        rest = np.concatenate(order[whole:]) if whole < len(order) else np.array([], int)
        if len(rest) < size:
            raise RadloomError(
                f"two sets of {size} images without a common patient do not fit into {len(who)} patients",
                expected="a smaller size",
            )
        first = rng.permutation(np.concatenate(order[:whole]))[:size]
        values.append(frechet_distance(x[first], x[rng.permutation(rest)[:size]]).value)
    return FrechetFloor(float(np.mean(values)), float(np.std(values)), size, x.shape[1], splits)


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """One set: mean (d,), trace of its covariance, and the covariance itself or centred rows C with C^T C = it."""

    n: int
    mean: np.ndarray
    trace: float
    covariance: np.ndarray | None
    rows: np.ndarray | None


def _gaussian(given: Features | Moments, name: str) -> _Gaussian:
    if isinstance(given, Moments):
        covariance = given.covariance
        return _Gaussian(given.n, given.mean, float(np.trace(covariance)), covariance, None)
    x = as_features(given, name, fewest=2)
    if len(x) <= x.shape[1]:
        mean = centre_of(x)
        rows = x - mean
        rows /= np.sqrt(len(x) - 1)
        return _Gaussian(len(x), mean, float(np.vdot(rows, rows)), None, rows)
    return _gaussian(Moments.of(x), name)


def _trace_of_root(a: _Gaussian, b: _Gaussian) -> float:
    """Tr (S_a S_b)^1/2, the sum of the singular values of A B^T with A^T A = S_a and B^T B = S_b."""
    if a.covariance is not None and b.covariance is not None:
        squares = _squares(a.covariance, b.covariance)
        if squares is not None and squares[0] > _SHAKY * squares[-1]:
            return float(np.sqrt(squares).sum())
    left, right = (_root(z) for z in (a, b))
    return float(np.linalg.svd(left @ right.T, compute_uv=False).sum())


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The eigenvalues of L^T b L with a = L L^T, lowest first, a third of the work of singular values; None: no L."""
    from scipy.linalg import eigvalsh, get_lapack_funcs

    potrf, sygst = get_lapack_funcs(("potrf", "sygst"), (a, b))
    factor, failed = potrf(a, lower=1, clean=0)
    if failed:
        return None
    product, _ = sygst(b, factor, itype=2, lower=1)  # both triangular: a quarter of two matrix products
    return eigvalsh(product, lower=True, overwrite_a=True, check_finite=False, driver="evd")


def _root(z: _Gaussian) -> np.ndarray:
    """Rows C (r, d) with C^T C the covariance and r no more than its rank can be."""
    if z.rows is not None:
        return z.rows
    assert z.covariance is not None
    values, vectors = np.linalg.eigh(z.covariance)
    kept = values > max(values[-1], 0) * len(values) * np.finfo(float).eps  # the others are rounding
    return (vectors[:, kept] * np.sqrt(values[kept])).T
