"""Moments and neighbours that two processes found join to those of one process."""

import multiprocessing

import numpy as np

from radloom.metrics.moments import Moments
from radloom.metrics.neighbours import nearest_neighbours


def test_what_two_processes_found_joins_to_what_one_finds():
    rng = np.random.default_rng(0)
    queries, rows = rng.integers(0, 4, (9, 3)).astype(float), rng.integers(0, 4, (23, 3)) + 0.1
    whole, all_nearest = Moments.of(rows), nearest_neighbours(queries, rows, 4)
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(1) as first, fresh.Pool(1) as second:
        waiting = [
            (pool.apply_async(Moments.of, (part,)),
             pool.apply_async(nearest_neighbours, (queries, part, 4), {"first": start}))
            for pool, part, start in ((first, rows[:10], 0), (second, rows[10:], 10))
        ]  # fmt: skip
        (moments_a, near_a), (moments_b, near_b) = [(m.get(60), n.get(60)) for m, n in waiting]
    for merged in (moments_a.merge(moments_b), moments_b.merge(moments_a)):
        assert merged.n == whole.n == 23
        np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(merged.covariance, np.cov(rows.T), rtol=1e-12, atol=1e-14)
    for merged in (near_a.merge(near_b), near_b.merge(near_a)):  # many ties: the lowest number comes first
        np.testing.assert_array_equal(merged.distances, all_nearest.distances)
        np.testing.assert_array_equal(merged.indices, all_nearest.indices)
        assert merged.seen == 23
