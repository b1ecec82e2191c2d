"""What the analysis of a reader study keeps, whatever the ratings: names, order, scale and sign."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.errors import RadloomError
from radloom.stats import mrmc_dbm, mrmc_or, mrmc_power, mrmc_sample_size, pair_study, roc_study
from radloom.stats.mrmc import INFERENCES, Components, MultiReader

seeds = st.integers(0, 10_000)
inferences = st.sampled_from(INFERENCES)


def study_table(seed: int, modalities: int = 2, readers: int = 3) -> pd.DataFrame:
    """Whole ratings from 0 to 6, with ties."""
    rng = np.random.default_rng(seed)
    m, r, c = (index.ravel() for index in np.indices((modalities, readers, 16)))
    noise = rng.integers(0, 4, len(c)) + np.repeat(rng.integers(0, 3, (1, 16)), modalities * readers, 0).ravel()
    return pd.DataFrame({"modality": m, "reader": r, "case": c, "diseased": c % 2, "rating": noise + c % 2})


def numbers(result: MultiReader) -> list[float]:
    """The overall test, intervals and differences in one list."""
    each = [(d.estimate, d.low, d.high, d.p) for d in result.differences]
    means = [(one.estimate, one.low, one.high) for one in result.modalities.values()]
    return [result.f, result.df2, result.p, *np.ravel(each), *np.ravel(means)]


@settings(max_examples=25, deadline=None)
@given(seeds, inferences)
def test_the_order_of_rows_and_the_names_of_readers_and_cases_mean_nothing(seed, inference):
    table = study_table(seed)
    rng = np.random.default_rng(seed)
    renamed = table.sample(frac=1, random_state=seed).assign(
        reader=lambda t: np.array(["r7", "r1", "r4"])[t.reader], case=lambda t: rng.permutation(16)[t.case]
    )
    one, other = (mrmc_or(roc_study(t), inference=inference) for t in (table, renamed))
    assert numbers(other) == pytest.approx(numbers(one), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(seeds, inferences)
def test_swapping_two_modalities_turns_the_difference_and_keeps_p(seed, inference):
    table = study_table(seed)
    one = mrmc_or(roc_study(table), inference=inference)
    other = mrmc_or(roc_study(table.assign(modality=1 - table.modality)), inference=inference)
    assert (other.f, other.p) == pytest.approx((one.f, one.p), rel=1e-9, nan_ok=True)
    a, b = one.differences[0], other.differences[0]
    assert (b.estimate, b.low, b.high) == pytest.approx((-a.estimate, -a.high, -a.low), abs=1e-12, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_only_ranks_count_and_turning_them_round_turns_the_area_round(seed):
    table = study_table(seed)
    one = mrmc_or(roc_study(table))
    stretched = mrmc_or(roc_study(table.assign(rating=np.exp(table.rating))))
    assert numbers(stretched) == pytest.approx(numbers(one), nan_ok=True)
    turned = mrmc_or(roc_study(table.assign(rating=-table.rating)))
    assert turned.p == pytest.approx(one.p, rel=1e-9, nan_ok=True)
    for name, interval in turned.modalities.items():
        same = one.modalities[name]
        assert (interval.estimate, interval.low) == pytest.approx((1 - same.estimate, 1 - same.high), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds, inferences, st.integers(2, 4))
def test_bounds_hold_and_both_analyses_share_their_estimates(seed, inference, modalities):
    study = roc_study(study_table(seed, modalities))
    for result in (mrmc_or(study, inference=inference), mrmc_dbm(study, inference=inference)):
        assert len(result.differences) == math.comb(modalities, 2)
        assert math.isnan(result.p) or (0 <= result.p <= 1 and result.f >= 0)
        for interval in result.modalities.values():
            assert 0 <= interval.estimate <= 1
            assert interval.low <= interval.estimate <= interval.high
        for pair in result.differences:
            expected = result.modalities[pair.a].estimate - result.modalities[pair.b].estimate
            assert pair.estimate == pytest.approx(expected, abs=1e-12)
            # the interval holds 0 exactly when the pair's p is above 0.05
            if not math.isnan(pair.p) and abs(pair.p - 0.05) > 1e-6:
                assert (pair.low < 0 < pair.high) == (pair.p > 0.05)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_covariances_are_symmetric_without_negative_variances(seed):
    kernels = np.random.default_rng(seed).random((2, 2, 5, 6))
    weights = np.random.default_rng(seed).integers(1, 4, 5)
    for study in (pair_study(kernels, "AB", "xy"), pair_study(kernels, "AB", "xy", weights=weights),
                  pair_study(kernels, "AB", "xy", covariance="delong")):  # fmt: skip
        np.testing.assert_allclose(study.covariance, study.covariance.T, atol=1e-15)
        assert np.linalg.eigvalsh(study.covariance).min() > -1e-12
    same = pair_study(kernels, "AB", "xy", weights=np.full(5, 3))
    np.testing.assert_allclose(same.covariance, pair_study(kernels, "AB", "xy").covariance, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.2), st.integers(2, 12), st.integers(20, 400), st.floats(0.0, 0.002))
def test_power_grows_with_the_difference_and_the_readers(difference, readers, cases, between):
    pilot = Components(0.0008, 0.0004, 0.0004, 0.0003, 0.005, 0.003, between)

    def power(d: float, j: int, k: int) -> float:
        return mrmc_power(pilot, 100, difference=d, n_readers=j, n_cases=k).power

    least = power(difference, readers, cases)
    assert 0.05 - 1e-9 <= least <= 1
    assert power(difference * 1.2, readers, cases) >= least - 1e-9
    assert power(difference, readers + 1, cases) >= least - 1e-9
    assert power(-difference, readers, cases) == pytest.approx(least)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.03, 0.2), st.integers(2, 12), st.floats(0.0, 0.002))
def test_the_smallest_study_is_the_first_that_reaches_the_power(difference, readers, between):
    pilot = Components(0.0008, 0.0004, 0.0004, 0.0003, 0.005, 0.003, between)

    def power(k: int) -> float:
        return mrmc_power(pilot, 100, difference=difference, n_readers=readers, n_cases=k).power

    try:
        size = mrmc_sample_size(pilot, 100, difference=difference, n_readers=readers, most_cases=600)
    except RadloomError:
        assert max(map(power, range(4, 601, 40))) < 0.8
    else:
        assert power(size.n_cases) == pytest.approx(size.power, rel=1e-9)
        assert size.power >= 0.8
        assert all(power(k) < 0.8 for k in range(4, size.n_cases, max(1, size.n_cases // 10)))
