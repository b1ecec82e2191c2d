"""Screening in float32 changes no decision: counts are those of distances between all pairs in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from radloom.metrics import distribution

KINDS = {
    "smooth": lambda rng, n, d: rng.normal(size=(n, d)),
    "quantised": lambda rng, n, d: rng.integers(0, 3, (n, d)),
    "far from 0": lambda rng, n, d: (0.1 * rng.integers(0, 2, (n, d)) + 1000).astype(np.float32),
    "one outlier": lambda rng, n, d: rng.normal(size=(n, d)) * np.where(np.arange(n) == 0, 1e6, 1)[:, None],
    "a tight group": lambda rng, n, d: rng.normal(size=(n, d)) * np.where(np.arange(n) < 6, 1e-9, 1)[:, None],
    "huge": lambda rng, n, d: 1e25 * rng.normal(size=(n, d)),
    "tiny": lambda rng, n, d: 1e-25 * rng.normal(size=(n, d)),
}


def by_all_pairs(x, y, k, nearer):
    x, y = x.astype(float), y.astype(float)
    radii = [np.sort(cdist(z, z, "sqeuclidean") + np.diag(np.full(len(z), np.inf)), axis=1)[:, k - 1] for z in (x, y)]
    apart = cdist(x, y, "sqeuclidean")
    in_real, in_synthetic = nearer(apart, radii[0][:, None]), nearer(apart, radii[1])
    return (
        in_real.any(axis=0).mean(),
        in_synthetic.any(axis=1).mean(),
        in_real.sum() / (k * len(y)),
        in_real.any(axis=1).mean(),
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 3, 7]), st.integers(8, 40))
def test_screened_counts_are_those_of_all_pairs(kind, seed, k, block):
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(9, 25), rng.integers(9, 25), rng.integers(1, 30)
    x, y = (KINDS[kind](rng, rows, d) for rows in (n, m))
    y[:2] = x[:2]  # copies lie on the edge of nothing and inside balls of any size
    found = distribution.prdc(x, y, k, block=block)
    want = by_all_pairs(x, y, k, np.less)
    np.testing.assert_allclose((found.precision, found.recall, found.density, found.coverage), want, rtol=1e-12)
    found = distribution.improved_precision_recall(x, y, k, block=block)
    assert (found.precision, found.recall) == by_all_pairs(x, y, k, np.less_equal)[:2]


def test_distances_that_float32_takes_for_equal_are_told_apart():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(40, 64))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    real = np.concatenate([np.zeros((1, 64)), directions * (1 + 1e-9 * np.arange(40))[:, None]])  # a shell around one
    outer = real[3:4] * (1 + 3e-9)  # further from the centre than its third neighbour, by 3e-9
    synthetic = np.concatenate([outer, 50 + rng.normal(size=(9, 64))])
    want = by_all_pairs(real, synthetic, 3, np.less)
    found = distribution.prdc(real, synthetic, 3)
    assert (found.precision, found.density, found.coverage) == pytest.approx((want[0], want[2], want[3]), rel=1e-12)
