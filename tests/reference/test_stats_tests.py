"""Rank tests, McNemar and adjusted p-values against scipy, enumeration, R's printed examples and hand-worked values."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy

from radloom.errors import RadloomError
from radloom.stats.tests import benjamini_hochberg, dunn, friedman, holm, mann_whitney, mcnemar, wilcoxon

# Hollander M, Wolfe DA. Nonparametric Statistical Methods: depression scale before and after (R's ?wilcox.test)
BEFORE = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
AFTER = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)


def test_wilcoxon_gives_the_published_example():
    result = wilcoxon(BEFORE, AFTER)
    assert result.statistic == 40
    assert result.p == pytest.approx(0.0390625, abs=1e-12)  # R prints one-sided 0.01953
    assert result.effect == pytest.approx(0.46, abs=1e-9)  # Hollander & Wolfe, example 3.3
    assert (result.n, result.zeros, result.method) == (9, 0, "exact")


def test_wilcoxon_counts_like_an_enumeration_of_all_signs():
    for seed in range(5):
        d = np.random.default_rng(seed).standard_normal(7) + 0.5
        ranks = scipy.rankdata(np.abs(d))
        sums = np.array([np.dot(signs, ranks) for signs in itertools.product([0, 1], repeat=7)])
        w = ranks[d > 0].sum()
        result = wilcoxon(d, np.zeros(7))
        assert result.statistic == w
        assert result.p == pytest.approx(min(1, 2 * min(np.mean(sums <= w), np.mean(sums >= w))))


@pytest.mark.parametrize("n", [6, 20, 49, 50, 120])
def test_wilcoxon_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal(n) + 0.3, rng.standard_normal(n)
    options = {"method": "exact"} if n < 50 else {"method": "asymptotic", "correction": True}
    assert wilcoxon(a, b).p == pytest.approx(scipy.wilcoxon(a, b, **options).pvalue, rel=1e-9)


def test_wilcoxon_with_zeros_and_ties_agrees_with_scipys_normal_approximation():
    for seed in range(5):
        a, b = np.random.default_rng(seed).integers(1, 6, (2, 30))
        want = scipy.wilcoxon(a, b, zero_method="wilcox", method="asymptotic", correction=True).pvalue
        result = wilcoxon(a, b)
        assert result.p == pytest.approx(want, rel=1e-9)
        assert (result.method, result.zeros) == ("normal", np.sum(a == b))


def test_hodges_lehmann_interval_holds_what_the_test_would_not_reject():
    for seed in range(3):
        for a, b in (np.random.default_rng(seed).standard_normal((2, 12)), np.random.default_rng(seed).random((2, 9))):
            result = wilcoxon(a, b)
            averages = [(x + y) / 2 for x, y in itertools.combinations_with_replacement(a - b, 2)]
            assert result.effect == pytest.approx(np.median(averages))
            for bound, outwards in ((result.low, -1), (result.high, 1)):
                assert wilcoxon(a - b - bound - 1e-9 * outwards, 0 * a).p < 0.05
                assert wilcoxon(a - b - bound + 1e-9 * outwards, 0 * a).p > 0.05


def test_hodges_lehmann_interval_covers_the_truth_at_least_as_often_as_it_says():
    inside = 0
    for seed in range(400):
        d = np.random.default_rng(seed).laplace(size=60 if seed % 2 else 15)
        result = wilcoxon(d, np.zeros(len(d)), level=0.9)
        inside += result.low <= 0 <= result.high
    assert 0.86 <= inside / 400 <= 0.96


def test_wilcoxon_with_too_few_patients_has_p_but_no_invented_interval():
    for n, p in ((1, 1.0), (2, 0.5), (5, 0.0625)):
        result = wilcoxon(np.arange(1, n + 1), np.zeros(n))
        assert (result.n, result.p) == (n, p)
        assert math.isnan(result.low)
        assert math.isnan(result.high)
    assert wilcoxon(np.arange(1, 7), np.zeros(6)).low == 1
    assert wilcoxon([1, 2, 3, 4, 5], [0] * 5, level=0.9).low == 1


def test_wilcoxon_of_equal_samples_finds_nothing():
    result = wilcoxon([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert (result.p, result.effect, result.low, result.high, result.zeros) == (1, 0, 0, 0, 6)


def test_paired_and_unpaired_tests_change_sign_with_the_order_and_not_with_shifts():
    for seed in range(3):
        a, b = np.random.default_rng(seed).standard_normal((2, 11))
        for test in (wilcoxon, mann_whitney):
            there, back, moved = test(a, b), test(b, a), test(3 * a + 5, 3 * b + 5)
            assert there.p == pytest.approx(back.p) == pytest.approx(moved.p)
            assert (there.effect, there.low, there.high) == pytest.approx((-back.effect, -back.high, -back.low))
            assert moved.effect == pytest.approx(3 * there.effect)
            shuffle = np.random.default_rng(seed).permutation(11)
            assert test(a[shuffle], b[shuffle]).p == there.p


def test_mann_whitney_gives_the_published_example():
    # Hollander & Wolfe, permeability of human chorioamnion (R's ?wilcox.test): W = 35, one-sided p 0.1272
    at_term = (0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46)
    earlier = (1.15, 0.88, 0.90, 0.74, 1.21)
    result = mann_whitney(at_term, earlier)
    assert result.statistic == 35
    assert result.p == pytest.approx(2 * 0.1272, abs=1e-4)
    assert result.effect == pytest.approx(0.305, abs=1e-9)
    assert result.superiority == 35 / 50


@pytest.mark.parametrize(("m", "n"), [(3, 4), (10, 7), (30, 49), (60, 20)])
def test_mann_whitney_agrees_with_scipy(m, n):
    rng = np.random.default_rng(m)
    a, b = rng.standard_normal(m) + 0.4, rng.standard_normal(n)
    want = scipy.mannwhitneyu(a, b, method="exact" if max(m, n) < 50 else "asymptotic")
    result = mann_whitney(a, b)
    assert (result.p, result.statistic) == pytest.approx((want.pvalue, want.statistic), rel=1e-9)
    a, b = rng.integers(0, 5, m), rng.integers(0, 5, n)
    assert mann_whitney(a, b).p == pytest.approx(scipy.mannwhitneyu(a, b, method="asymptotic").pvalue, rel=1e-9)


def test_mann_whitney_interval_holds_what_the_test_would_not_reject():
    a, b = np.random.default_rng(1).standard_normal(9) + 1, np.random.default_rng(2).standard_normal(8)
    result = mann_whitney(a, b)
    assert result.effect == pytest.approx(np.median(np.subtract.outer(a, b)))
    for bound, outwards in ((result.low, -1), (result.high, 1)):
        assert mann_whitney(a - bound - 1e-9 * outwards, b).p < 0.05
        assert mann_whitney(a - bound + 1e-9 * outwards, b).p > 0.05


def test_mann_whitney_with_too_few_patients_has_no_invented_interval():
    result = mann_whitney([1.0], [2.0, 3.0])
    assert result.p == pytest.approx(2 / 3)
    assert math.isnan(result.low)
    assert mann_whitney([1, 1, 1], [1, 1]).p == 1


def test_friedman_agrees_with_scipy_with_and_without_ties():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        for table in (rng.standard_normal((12, 4)), rng.integers(0, 4, (15, 5)).astype(float)):
            want = scipy.friedmanchisquare(*table.T)
            result = friedman(table)
            assert (result.statistic, result.p) == pytest.approx((want.statistic, want.pvalue), rel=1e-9)
            assert 0 <= result.kendall_w <= 1


def test_friedman_names_its_arms_and_finds_perfect_agreement():
    table = pd.DataFrame({"zero": [1, 2, 3], "model": [2, 3, 4], "real": [5, 6, 7]})
    result = friedman(table)
    assert result.mean_ranks == {"zero": 1, "model": 2, "real": 3}
    assert (result.kendall_w, result.statistic, result.degrees, result.n) == (1, 6, 2, 3)
    assert [(c.first, c.second) for c in dunn(table)] == [("zero", "model"), ("zero", "real"), ("model", "real")]


def test_friedman_of_equal_arms_and_of_too_few_patients():
    flat = friedman(np.ones((5, 3)))
    assert flat.p == 1
    assert math.isnan(flat.kendall_w)
    assert math.isnan(friedman([[1, 2, 3], [1, 2, 3]]).p)
    assert all(math.isnan(c.p) for c in dunn([[1, 2, 3], [1, 2, 3]]))
    assert all(c.p == 1 for c in dunn(np.ones((5, 3))))


def test_dunn_has_the_values_worked_by_hand():
    table = [[1, 2, 3]] * 5 + [[2, 1, 3]]  # mean ranks 7/6, 11/6, 3; sd of a difference sqrt(3 * 4 / 36)
    first, second, third = dunn(table)
    sd = math.sqrt(1 / 3)
    assert (first.z, second.z, third.z) == pytest.approx((-4 / 6 / sd, -11 / 6 / sd, -7 / 6 / sd))
    assert second.p == pytest.approx(2 * scipy.norm.sf(11 / 6 / sd))
    assert second.p_adjusted == pytest.approx(3 * second.p)
    assert first.p_adjusted == pytest.approx(min(1, 3 * first.p))


def test_dunn_of_two_arms_is_friedmans_statistic_with_ties():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 3, (20, 2)).astype(float)
    wins = np.sum(table[:, 0] > table[:, 1]) - np.sum(table[:, 0] < table[:, 1])
    (only,) = dunn(table)
    # with two arms Friedman's test is the sign test's chi-square over the patients that differ
    assert only.z**2 == pytest.approx(wins**2 / np.sum(table[:, 0] != table[:, 1]))


def test_holm_and_benjamini_hochberg_give_rs_p_adjust():
    p = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert holm(p) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert benjamini_hochberg(p) == pytest.approx([0.05] * 5)
    assert holm([0.04, 0.001, 0.9]) == pytest.approx([0.08, 0.003, 0.9])
    for seed in range(5):
        p = np.random.default_rng(seed).random(9) ** 2
        assert benjamini_hochberg(p) == pytest.approx(scipy.false_discovery_control(p))
        assert np.all(holm(p) >= benjamini_hochberg(p))
        assert np.all(benjamini_hochberg(p) >= p)
        order = np.random.default_rng(seed).permutation(9)
        assert holm(p[order]) == pytest.approx(holm(p)[order])


def test_adjusted_p_values_leave_tests_that_were_not_made_alone():
    for adjust in (holm, benjamini_hochberg):
        got = adjust([0.01, math.nan, 0.04])
        assert math.isnan(got[1])
        assert got[[0, 2]] == pytest.approx(adjust([0.01, 0.04]))
        assert len(adjust([])) == 0
        with pytest.raises(RadloomError, match="p-values"):
            adjust([0.5, 1.5])


def readings(x: int, y: int, agree: int) -> tuple[list[int], list[int]]:
    return [1] * x + [0] * y + [1] * agree, [0] * x + [1] * y + [1] * agree


def test_mcnemar_gives_fagerlands_published_example():
    # Fagerland et al. 2013, airway hyper-responsiveness before and after stem cell transplantation: 1 against 7 of 21
    a, b = readings(1, 7, 13)
    got = {m: mcnemar(a, b, method=m).p for m in ("exact", "mid_p", "chi2", "chi2_corrected")}
    assert got["exact"] == pytest.approx(0.0703, abs=5e-5)
    assert got["mid_p"] == pytest.approx(0.0391, abs=5e-5)
    assert got["chi2"] == pytest.approx(0.0339, abs=5e-5)
    assert got["chi2_corrected"] == pytest.approx(0.0771, abs=5e-5)
    result = mcnemar(np.array(a, bool), np.array(b, bool))
    assert (result.n, result.only_a, result.only_b) == (21, 1, 7)
    assert result.difference == pytest.approx(-6 / 21)


def test_mcnemar_agrees_with_the_binomial_test_and_is_one_without_difference():
    for x, y in itertools.product(range(7), repeat=2):
        p = mcnemar(*readings(x, y, 3)).p
        assert p == pytest.approx(scipy.binomtest(x, x + y).pvalue if x + y else 1)
        assert mcnemar(*readings(y, x, 9)).p == p
    for method in ("exact", "mid_p", "chi2", "chi2_corrected"):
        assert mcnemar(*readings(4, 4, 0), method=method).p == 1


@pytest.mark.parametrize("test", [wilcoxon, mcnemar])
def test_paired_tests_refuse_samples_of_different_patients(test):
    with pytest.raises(RadloomError, match="same patients"):
        test([1, 0, 1], [1, 0])


@pytest.mark.parametrize("test", [wilcoxon, mann_whitney, mcnemar])
def test_missing_values_give_one_clear_line(test):
    with pytest.raises(RadloomError, match="1 NaN"):
        test([1, math.nan, 1], [1, 0, 1])
    with pytest.raises(RadloomError, match="at least one"):
        test([], [])


def test_tables_that_cannot_be_ranked_are_refused():
    for table in ([[1, 2, math.nan]], [1, 2, 3], np.ones((0, 3)), np.ones((4, 1))):
        with pytest.raises(RadloomError, match="a row of finite numbers per patient"):
            friedman(table)
    with pytest.raises(RadloomError, match="use wilcoxon"):
        friedman(np.ones((4, 2)))
    with pytest.raises(RadloomError, match="yes or no"):
        mcnemar([0, 2], [0, 1])
