"""Bootstrap and proportion intervals against scipy, published values and their own coverage."""

import math

import numpy as np
import pytest
from scipy import stats as scipy

from radloom.errors import RadloomError
from radloom.random import numpy_stream
from radloom.stats.intervals import bootstrap_ci, clopper_pearson, paired_bootstrap_ci, wilson


def rng(seed: int = 0) -> np.random.Generator:
    return numpy_stream(seed, "test")


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize(
    "statistic", [np.mean, np.median, np.std, lambda values: float(np.max(values) + np.mean(values))]
)
def test_bootstrap_agrees_with_scipy_within_its_own_noise(method, statistic):
    values = rng(1).exponential(size=25)
    ours = bootstrap_ci(values, patients=range(25), statistic=statistic, method=method, draws=20000, rng=rng())
    if statistic in (np.mean, np.median, np.std):
        theirs = scipy.bootstrap(
            (values,), statistic, n_resamples=20000, method={"bca": "BCa"}.get(method, method), rng=rng(2)
        ).confidence_interval
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.03)
    assert ours.estimate == statistic(values)
    assert ours.low < ours.estimate
    assert ours.n_patients == 25


def test_bca_shifts_towards_the_long_tail():
    values = rng(3).exponential(size=20) ** 2
    plain, bca = (bootstrap_ci(values, patients=range(20), method=m, rng=rng()) for m in ("percentile", "bca"))
    assert bca.high > plain.high
    assert bca.low > plain.low


@pytest.mark.parametrize("statistic", [np.mean, np.median, lambda values: float(np.mean(values))])
def test_bootstrap_draws_patients_not_cases(statistic):
    per_patient = rng(4).standard_normal(12)
    one = bootstrap_ci(per_patient, patients=range(12), statistic=statistic, rng=rng())
    repeated = bootstrap_ci(
        np.repeat(per_patient, 50), patients=np.repeat(np.arange(12), 50), statistic=statistic, rng=rng()
    )
    assert (one.low, one.high) == pytest.approx((repeated.low, repeated.high), rel=1e-12)
    assert repeated.n_patients == 12
    as_if_independent = bootstrap_ci(np.repeat(per_patient, 50), patients=range(600), statistic=statistic, rng=rng())
    assert as_if_independent.high - as_if_independent.low < (one.high - one.low) / 3


def test_the_three_ways_of_drawing_clusters_give_the_same_draws():
    values, even = rng(5).standard_normal(24), np.repeat(np.arange(8), 3)
    uneven = np.array([0] * 10 + [1] * 5 + list(range(2, 11)))

    def by_axis(values, axis=-1):
        return np.mean(values, axis=axis)

    def by_loop(values):
        return np.mean(values)

    for patients, ways in ((even, (by_axis, by_loop)), (uneven, (by_axis, by_loop))):
        want = bootstrap_ci(values, patients=patients, method="bca", rng=rng())
        for statistic in ways:
            got = bootstrap_ci(values, patients=patients, statistic=statistic, method="bca", rng=rng())
            assert (got.low, got.high) == pytest.approx((want.low, want.high), rel=1e-10)


def test_bootstrap_does_not_depend_on_the_order_or_the_names_of_patients():
    values, names = rng(6).standard_normal(15), [f"p{i // 2:02d}" for i in range(15)]
    order = rng(7).permutation(15)
    a = bootstrap_ci(values, patients=names, rng=rng())
    b = bootstrap_ci(values[order], patients=np.array(names)[order], rng=rng())
    assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), rel=1e-12)
    assert a == bootstrap_ci(values, patients=names, rng=rng())
    assert a != bootstrap_ci(values, patients=names, rng=rng(1))


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(300):
        values = rng(seed).standard_normal(40)
        interval = bootstrap_ci(values, patients=range(40), level=0.9, draws=300, rng=rng(seed))
        inside += interval.low <= 0 <= interval.high
    assert 0.84 <= inside / 300 <= 0.95


def test_paired_bootstrap_uses_the_differences():
    shared = 10 * rng(8).standard_normal(30)
    a, b = shared + 0.5 + 0.1 * rng(9).standard_normal(30), shared
    paired = paired_bootstrap_ci(a, b, patients=range(30), rng=rng())
    assert paired.estimate == pytest.approx(np.mean(a) - np.mean(b))
    assert 0.4 < paired.low < paired.high < 0.6
    with pytest.raises(RadloomError, match="same patients"):
        paired_bootstrap_ci(a, b[:-1], patients=range(30), rng=rng())


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_one_or_two_patients_get_no_invented_interval(n, method):
    interval = bootstrap_ci(np.arange(3 * n), patients=np.repeat(np.arange(n), 3), method=method, rng=rng())
    assert interval.estimate == (3 * n - 1) / 2
    assert interval.n_patients == n
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_equal_values_have_an_interval_of_no_width():
    for method in ("percentile", "bca"):
        interval = bootstrap_ci([0.5] * 6, patients=range(6), method=method, rng=rng())
        assert (interval.low, interval.high) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "patients", "level", "message"),
    [
        ([1.0, math.nan, 2.0], [1, 2, 3], 0.95, "1 NaN or infinite values of 3"),
        ([1.0, math.inf, 2.0], [1, 2, 3], 0.95, "state how many"),
        ([], [], 0.95, "at least one"),
        ([1.0, 2.0], [1], 0.95, "one patient per value"),
        ([1.0, 2.0, 3.0], [1, 2, 3], 95.0, "between 0 and 1"),
    ],
)
def test_bad_values_give_one_clear_line(values, patients, level, message):
    with pytest.raises(RadloomError, match=message):
        bootstrap_ci(values, patients=patients, level=level, rng=rng())


def test_proportions_have_newcombes_published_intervals():
    # Newcombe RG. Stat Med 1998;17:857-872, table I: methods 3 (score) and 5 (exact), printed digits
    published = [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ]
    for x, n, score, exact in published:
        for function, want in ((wilson, score), (clopper_pearson, exact)):
            got = function(x, n)
            assert (round(got.low, 4), round(got.high, 4)) == want
            assert got.estimate == x / n


@pytest.mark.parametrize(("function", "method"), [(wilson, "wilson"), (clopper_pearson, "exact")])
def test_proportions_agree_with_scipy_and_mirror(function, method):
    for n in (1, 2, 7, 50):
        for x in range(n + 1):
            for level in (0.8, 0.95):
                got = function(x, n, level=level)
                want = scipy.binomtest(x, n).proportion_ci(level, method)
                assert (got.low, got.high) == pytest.approx((want.low, want.high), rel=1e-9, abs=1e-12)
                mirror = function(n - x, n, level=level)
                assert (got.low, got.high) == pytest.approx((1 - mirror.high, 1 - mirror.low), abs=1e-12)
        assert function(0, n).low == 0
        assert function(n, n).high == 1


@pytest.mark.parametrize("function", [wilson, clopper_pearson])
def test_proportions_of_nothing_are_undefined_and_impossible_counts_refused(function):
    empty = function(0, 0)
    assert math.isnan(empty.estimate)
    assert math.isnan(empty.low)
    assert math.isnan(empty.high)
    for x, n in ((3, 2), (-1, 2)):
        with pytest.raises(RadloomError, match="successes"):
            function(x, n)
