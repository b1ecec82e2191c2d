"""What every metric of sets keeps: bounds, symmetry, order of the rows, chunk size, one process against two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.metrics import distribution, memorisation

SEEDS = st.integers(0, 2**31)
FEW = settings(max_examples=15, deadline=None)


def sets(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(8, 30), rng.integers(8, 30), rng.integers(1, 12)
    return rng.normal(size=(n, d)) * rng.uniform(0.1, 10), rng.normal(size=(m, d)) + rng.uniform(-3, 3)


@FEW
@given(SEEDS)
def test_distances_are_symmetric_and_do_not_see_the_order_of_the_rows(seed):
    x, y = sets(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    for metric in (lambda a, b: distribution.frechet_distance(a, b).value, distribution.mmd2_polynomial,
                   distribution.cmmd):  # fmt: skip
        value = metric(x, y)
        assert metric(y, x) == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert metric(x[order], y) == pytest.approx(value, rel=1e-9, abs=1e-9)


@FEW
@given(SEEDS)
def test_frechet_distance_is_zero_for_equal_sets_and_grows_by_the_square_of_a_shift(seed):
    x, _ = sets(seed)
    size = np.trace(np.atleast_2d(np.cov(x.T)))
    assert distribution.frechet_distance(x, x).value == pytest.approx(0, abs=1e-7 * size)
    moved = distribution.frechet_distance(x, x + 2.0).value
    assert moved == pytest.approx(4.0 * x.shape[1], rel=1e-7, abs=1e-7 * size)


@FEW
@given(SEEDS, st.integers(1, 12))
def test_moments_and_neighbours_of_two_processes_merge_to_those_of_one(seed, cut):
    x, y = sets(seed)
    cut = min(cut, len(x) - 3)
    whole, merged = distribution.Moments.of(x), distribution.Moments.of(x[cut:]).merge(distribution.Moments.of(x[:cut]))
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-9, atol=1e-9)
    k = min(cut, 3)
    one = distribution.nearest_neighbours(y, x, k, block=5)
    parts = [distribution.nearest_neighbours(y, x[a:b], k, first=a) for a, b in ((0, cut), (cut, len(x)))]
    for two in (parts[0].merge(parts[1]), parts[1].merge(parts[0])):
        np.testing.assert_array_equal(two.distances, one.distances)
        np.testing.assert_array_equal(two.indices, one.indices)
        assert two.seen == one.seen == len(x)


@FEW
@given(SEEDS, st.integers(1, 40))
def test_chunk_size_changes_nothing_and_shares_stay_within_bounds(seed, block):
    x, y = sets(seed)
    for metric in (distribution.prdc, distribution.improved_precision_recall):
        found = metric(x, y, 3, arithmetic="exact", block=block)
        assert found == metric(x, y, 3, arithmetic="exact")
        assert 0 <= found.precision <= 1
        assert 0 <= found.recall <= 1
    value = distribution.mmd2_polynomial(x, y)
    assert distribution.mmd2_polynomial(x, y, block=block) == pytest.approx(value, rel=1e-9, abs=1e-9)


@FEW
@given(SEEDS)
def test_authenticity_and_vendi_score_stay_within_bounds(seed):
    x, y = sets(seed)
    found = memorisation.authenticity(x, y, y, rng=np.random.default_rng(0))
    assert found.synthetic.estimate == found.held_out
    assert memorisation.authenticity(x, x, y, rng=np.random.default_rng(0)).synthetic.estimate == 0
    assert 1 - 1e-9 <= distribution.vendi_score(x) <= min(x.shape) + 1e-9
