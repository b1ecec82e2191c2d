"""Equivalence, non-inferiority and Cliff's delta against hand-worked values and closed forms of Student's t."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.errors import RadloomError
from radloom.metrics.likert import likert_groups
from radloom.stats import auc, cliffs_delta, delong_ci, mann_whitney, non_inferiority, tost, two_one_sided

numbers = st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=12)


def above_4(t: float) -> float:
    """P(T > t) of Student's t with 4 degrees of freedom, from its closed form."""
    share = t / math.sqrt(1 + t**2 / 4)
    return 0.5 - 3 / 8 * share * (1 - share**2 / 12)


def above_2(t: float) -> float:
    return 0.5 - t / (2 * math.sqrt(2 + t**2))


def test_the_paired_test_is_the_hand_worked_one():
    """Differences 1, 2, 3, 4, 5: mean 3, sd^2 = 2.5, se = sqrt(0.5); margin 4."""
    a, b = [11, 22, 33, 44, 55], [10, 20, 30, 40, 50]
    result = tost(a, b, margin=4)
    assert result.p_low == pytest.approx(above_4(7 / math.sqrt(0.5)), rel=1e-9)
    assert result.p_high == pytest.approx(above_4(1 / math.sqrt(0.5)), rel=1e-9)
    assert (result.p, result.n, result.difference) == (result.p_high, 5, 3)
    assert not result.equivalent
    reach = 2.1318467863 * math.sqrt(0.5)  # the 95 % quantile of t with 4 degrees in every table: 2.132
    assert (result.low, result.high) == pytest.approx((3 - reach, 3 + reach), rel=1e-8)
    assert tost(a, b, margin=(-1.0, 6.0)).p == pytest.approx(above_4(3 / math.sqrt(0.5)), rel=1e-9)


def test_the_unpaired_test_is_the_hand_worked_one():
    """Two groups of 3 with variance 1: se = sqrt(2/3), Welch's degrees 4."""
    result = tost([1, 2, 3], [1.5, 2.5, 3.5], margin=2, design="independent")
    assert result.difference == -0.5
    assert result.p == pytest.approx(above_4(1.5 / math.sqrt(2 / 3)), rel=1e-9)


def test_unequal_groups_have_welchs_degrees_of_scipy():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 8), rng.normal(0.2, 3, 15)
    _, p = ttest_ind(a - 1.0, b, equal_var=False, alternative="less")
    result = tost(a, b, margin=1.0, design="independent")
    assert result.p_high == pytest.approx(p, rel=1e-10)
    assert result.n == 8


def test_without_spread_the_answer_is_certain():
    assert tost([1, 1, 1], [0, 0, 0], margin=1.5).p == 0
    assert tost([1, 1, 1], [0, 0, 0], margin=1).p == 1
    assert non_inferiority([0, 0, 0], [1, 1, 1], margin=1).p == 1
    assert non_inferiority([0, 0, 0], [1, 1, 1], margin=1.1).non_inferior


def test_the_sentence_never_takes_absence_of_proof_for_proof():
    assert "equivalent within -0.5 to 0.5" in two_one_sided(0.0, 0.01, math.inf, margin=0.5, n=9).verdict
    assert "no proof of a difference" in two_one_sided(0.4, 0.3, math.inf, margin=0.5, n=9).verdict
    assert "not shown to be non-inferior" in non_inferiority([1, 2, 4], [2, 2, 3], margin=0.1).verdict
    assert "non-inferior within a margin of 0.1 (p" in non_inferiority([5, 6, 7], [2, 2, 3], margin=0.1).verdict


@settings(max_examples=60, deadline=None)
@given(numbers, st.floats(0.1, 30), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_lies_within_the_margin_exactly_when_p_is_small(differences, margin, alpha):
    result = tost(differences, [0.0] * len(differences), margin=margin, alpha=alpha)
    if abs(result.p - alpha) > 1e-9:
        assert result.equivalent == (-margin < result.low and result.high < margin)
    one = non_inferiority(differences, [0.0] * len(differences), margin=margin, alpha=alpha)
    if abs(one.p - alpha) > 1e-9:
        assert one.non_inferior == (one.bound > -margin)


@settings(max_examples=40, deadline=None)
@given(numbers, st.floats(0.1, 30))
def test_swapping_the_arms_turns_the_sign_and_keeps_p(values, margin):
    zeros = [0.0] * len(values)
    one, other = tost(values, zeros, margin=margin), tost(zeros, values, margin=margin)
    assert (one.difference, one.low, one.p) == pytest.approx((-other.difference, -other.high, other.p), abs=1e-12)
    high = non_inferiority(values, zeros, margin=margin)
    low = non_inferiority(zeros, values, margin=margin, better="lower")
    assert (high.p, high.bound, high.limit) == pytest.approx((low.p, -low.bound, -low.limit), abs=1e-12)


def test_non_inferiority_is_one_side_of_the_equivalence_test():
    a, b = [11, 22, 33, 44, 55], [10, 20, 30, 40, 50]
    both = tost(a, b, margin=4, alpha=0.025)
    result = non_inferiority(a, b, margin=4)
    assert (result.p, result.bound, result.limit) == (both.p_low, both.low, -4)
    worse = non_inferiority(a, b, margin=4, better="lower")
    assert (worse.p, worse.bound, worse.limit) == (both.p_high, both.high, 4)
    assert not worse.non_inferior


def test_non_inferiority_of_three_patients_by_hand():
    """Differences -1, 0, 1: mean 0, se = 1/sqrt(3); margin 2: t = 2 sqrt(3)."""
    result = non_inferiority([1, 2, 3], [2, 2, 2], margin=2)
    assert result.p == pytest.approx(above_2(2 * math.sqrt(3)), rel=1e-9)
    assert result.non_inferior == (result.p < 0.025)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(RadloomError, match="margin is 0"):
        tost([1, 2], [1, 2], margin=0)
    with pytest.raises(RadloomError, match="margin is"):
        tost([1, 2], [1, 2], margin=(0.1, 0.2))
    with pytest.raises(RadloomError, match="margin is -1"):
        non_inferiority([1, 2], [1, 2], margin=-1)
    for test in (tost, non_inferiority):
        with pytest.raises(RadloomError, match="fewer than two"):
            test([1], [2], margin=1)
        with pytest.raises(RadloomError, match="NaN"):
            test([1, math.nan], [2, 1], margin=1)
        with pytest.raises(RadloomError, match="3 and 2"):
            test([1, 2, 3], [2, 1], margin=1)
        with pytest.raises(RadloomError, match="at least one"):
            test([], [], margin=1)
    with pytest.raises(RadloomError, match="level is"):
        tost([1, 2], [1, 2], margin=1, alpha=0.5)


def test_cliffs_delta_has_the_interval_of_rs_effsize():
    """The example of the manual of R's package effsize: -0.25, from -0.7265846 to 0.3890062."""
    treatment, control = [10, 10, 20, 20, 20, 30, 30, 30, 40, 50], [10, 20, 30, 40, 40, 50]
    interval = cliffs_delta(treatment, control)
    assert interval.estimate == -0.25
    assert (interval.low, interval.high) == pytest.approx((-0.7265846, 0.3890062), abs=5e-8)
    assert interval.n_patients == 16


def test_cliffs_delta_is_the_area_stretched_to_minus_one_and_one():
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 6, 200), rng.integers(2, 6, 150)
    interval = cliffs_delta(a, b)
    assert interval.estimate == pytest.approx(2 * mann_whitney(a, b).superiority - 1, abs=1e-12)
    scores, truth = np.concatenate([a, b]), np.arange(350) < 200
    area = delong_ci(scores, truth)
    assert interval.estimate == pytest.approx(2 * auc(scores, truth) - 1, abs=1e-12)
    # the same variance up to 1/n, and a shape that differs little this far from 1
    assert interval.high - interval.low == pytest.approx(2 * (area.high - area.low), rel=0.02)


@settings(max_examples=60, deadline=None)
@given(numbers, numbers)
def test_cliffs_delta_keeps_its_bounds_and_its_sign(a, b):
    one, other = cliffs_delta(a, b), cliffs_delta(b, a)
    assert one.estimate == pytest.approx(-other.estimate, abs=1e-12)
    if abs(one.estimate) < 1:
        assert -1 <= one.low <= one.estimate <= one.high <= 1
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    else:
        assert math.isnan(one.low)
    assert cliffs_delta(np.exp(np.array(a) / 10), np.exp(np.array(b) / 10)).estimate == pytest.approx(one.estimate)


def test_cliffs_delta_says_when_there_is_no_interval():
    assert cliffs_delta([3, 4], [1, 2]).estimate == 1
    assert math.isnan(cliffs_delta([3, 4], [1, 2]).low)
    assert math.isnan(cliffs_delta([3], [1, 4]).high)
    constant = cliffs_delta([2, 2, 2], [2, 2, 2])
    assert (constant.estimate, constant.low < 0 < constant.high) == (0, True)
    with pytest.raises(RadloomError, match="b has 1 NaN"):
        cliffs_delta([1, 2], [math.nan, 1])
    with pytest.raises(RadloomError, match="at least one"):
        cliffs_delta([], [1])


def test_cliffs_delta_covers_the_truth_about_as_often_as_it_says():
    """Normal groups 0.8 apart: delta = 2 Phi(0.8 / sqrt 2) - 1 = 0.4284. 400 rounds: standard error 0.011."""
    rng = np.random.default_rng(0)
    intervals = [cliffs_delta(rng.normal(0.8, 1, 25), rng.normal(0, 1, 20)) for _ in range(400)]
    assert 0.92 <= np.mean([one.low <= 0.4284 <= one.high for one in intervals]) <= 0.985


def test_groups_of_scores_have_delta_and_test_of_the_same_scores():
    a, b = [5, 4, 4, 3, 5], [3, 2, 4, 3]
    found = likert_groups(a, b, points=5)
    assert found.delta == cliffs_delta(a, b)
    assert found.test == mann_whitney(a, b)
    with pytest.raises(RadloomError, match="other values than 1 to 5"):
        likert_groups([0, 1], b, points=5)
