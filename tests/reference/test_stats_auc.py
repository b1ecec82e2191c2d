"""DeLong's intervals and test, the bootstrap of the AUC and Newcombe's interval against hand and other code."""

import math
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from radloom.errors import RadloomError
from radloom.stats.auc import auc, bootstrap_auc, delong_ci, delong_covariance, delong_test, mid_ranks
from radloom.stats.proportions import newcombe

SIX = ([0.1, 0.4, 0.35, 0.8, 0.3, 0.6], [0, 0, 1, 1, 0, 1])


def study(seed: int, n: int = 60, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two correlated scores (2, n) of the same cases, with ties when `levels` is given, and the truth."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3 == 0
    shared = rng.normal(size=n)
    scores = np.stack([truth * shift + shared + rng.normal(size=n) for shift in (1.5, 0.8)])
    return (np.round(scores * levels / 4) if levels else scores), truth


def over_all_pairs(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas and covariance from the matrix of all pairs of a positive and a negative, as DeLong 1988 writes it."""
    gap = scores[:, truth][:, :, None] - scores[:, ~truth][:, None, :]
    psi = (gap > 0) + 0.5 * (gap == 0)
    areas, m, n = psi.mean(axis=(1, 2)), truth.sum(), (~truth).sum()
    a, b = psi.mean(axis=2) - areas[:, None], psi.mean(axis=1) - areas[:, None]
    return areas, a @ a.T / (m - 1) / m + b @ b.T / (n - 1) / n


def test_delong_has_the_variance_worked_by_hand():
    # placements of the positives 2/3 1 1 and of the negatives 1 2/3 1: each variance 1/27, over 3 cases
    areas, covariance = delong_covariance([SIX[0]], SIX[1])
    assert areas[0] == pytest.approx(8 / 9)
    assert covariance[0, 0] == pytest.approx(2 / 81)
    interval = delong_ci(*SIX)
    assert (interval.low, interval.high) == (pytest.approx(8 / 9 - 1.959964 * math.sqrt(2) / 9), 1)
    inside = delong_ci(*SIX, method="logit")
    reach = 1.959964 * math.sqrt(2) / 9 * 81 / 8
    assert inside.low == pytest.approx(1 / (1 + math.exp(reach - math.log(8))))
    assert inside.high == pytest.approx(1 / (1 + math.exp(-reach - math.log(8))))


@pytest.mark.parametrize("levels", [None, 6])
def test_delong_and_auc_agree_with_all_pairs_and_scikit_learn(levels):
    for seed in range(5):
        scores, truth = study(seed, levels=levels)
        areas, covariance = delong_covariance(scores, truth)
        want_areas, want = over_all_pairs(scores, truth)
        np.testing.assert_allclose(areas, want_areas, rtol=1e-12)
        np.testing.assert_allclose(covariance, want, rtol=1e-10)
        assert auc(scores[0], truth) == pytest.approx(roc_auc_score(truth, scores[0]), rel=1e-12)
        z = (want_areas[0] - want_areas[1]) / math.sqrt(want[0, 0] + want[1, 1] - 2 * want[0, 1])
        result = delong_test(*scores, truth)
        assert result.z == pytest.approx(z, rel=1e-9)
        assert result.p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=1e-9)
        assert (result.low <= 0 <= result.high) == (result.p >= 0.05)


def test_mid_ranks_agree_with_scipy():
    from scipy.stats import rankdata

    values = np.random.default_rng(0).integers(0, 9, 50).astype(float)
    np.testing.assert_array_equal(mid_ranks(values), rankdata(values))


def test_equal_scores_have_p_of_one_and_a_difference_without_variance_has_none():
    scores, truth = study(0)
    same = delong_test(scores[0], 2 * scores[0] + 1, truth)
    assert (same.difference, same.z, same.p) == (0, 0, 1)
    one_pair = np.where(np.arange(60) == np.argmin(scores[0]), scores[0].max() + 1, scores[0])
    assert 0 < delong_test(scores[0], one_pair, truth).p < 1
    perfect = delong_test(truth * 1.0, np.zeros(len(truth)), truth)
    assert perfect.difference == 0.5
    assert math.isnan(perfect.p)
    assert math.isnan(perfect.low)


@pytest.mark.parametrize(("scores", "area"), [([1, 2, 3, 4], 1), ([4, 3, 2, 1], 0), ([1, 1, 1, 1], 0.5)])
def test_an_area_without_variance_says_so_and_has_no_interval(scores, area):
    with pytest.warns(UserWarning, match="variance is 0.*clopper_pearson"):
        interval = delong_ci(scores, [0, 0, 1, 1])
    assert interval.estimate == area
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_one_case_of_a_class_has_an_area_and_no_interval():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interval = delong_ci([1, 3, 2], [0, 1, 0])
    assert interval.estimate == 1
    assert math.isnan(interval.low)


def test_bootstrap_agrees_with_a_scikit_learn_loop_in_its_quantiles():
    scores, truth = study(3, n=90, levels=12)
    rng = np.random.default_rng(1)
    loop = []
    while len(loop) < 800:
        chosen = rng.integers(90, size=90)
        loop.append(roc_auc_score(truth[chosen], scores[0][chosen]))
    interval = bootstrap_auc(scores[0], truth, patients=np.arange(90), draws=20_000, rng=np.random.default_rng(2))
    want = np.quantile(loop, [0.025, 0.975])
    assert interval.estimate == pytest.approx(roc_auc_score(truth, scores[0]))
    assert (interval.low, interval.high) == (pytest.approx(want[0], abs=0.012), pytest.approx(want[1], abs=0.012))


def test_every_draw_of_the_bootstrap_is_the_area_of_the_cases_drawn(monkeypatch):
    # three patients with several cases each; of a known draw the area is that of the repeated cases
    scores, truth, who = [1, 2, 2, 3, 5, 4.0], [0, 1, 0, 1, 1, 0], list("aabbcc")
    times = np.array([2, 0, 1])
    module = sys.modules[bootstrap_auc.__module__]  # by its path one finds the function `auc`
    monkeypatch.setattr(module, "_times_drawn", lambda strata, n, draws, rng: np.tile(times, (draws, 1)))
    interval = bootstrap_auc(scores, truth, patients=who, draws=4, rng=np.random.default_rng(0))
    rows = [0, 1, 0, 1, 4, 5]
    want = roc_auc_score(np.array(truth)[rows], np.array(scores)[rows])
    assert interval.low == pytest.approx(want)
    assert interval.high == pytest.approx(want)


def test_patients_with_copied_cases_have_the_interval_of_patients_and_not_of_cases():
    scores, truth = study(5)
    one = bootstrap_auc(scores[1], truth, patients=np.arange(60), rng=np.random.default_rng(0))
    four = bootstrap_auc(
        np.repeat(scores[1], 4), np.repeat(truth, 4), patients=np.repeat(np.arange(60), 4), rng=np.random.default_rng(0)
    )
    assert (four.low, four.high) == (pytest.approx(one.low), pytest.approx(one.high))
    assert four.n_patients == 60


def test_stratified_draws_keep_both_classes_even_when_one_is_rare():
    truth = np.arange(30) == 7
    scores = np.arange(30.0) % 11
    interval = bootstrap_auc(scores, truth, patients=np.arange(30), draw="stratified", rng=np.random.default_rng(0))
    # the one positive is always there: each draw is a mean over 29 negatives, so binomial theory gives the width
    error = math.sqrt(interval.estimate * (1 - interval.estimate) / 29)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.2)


def test_too_few_patients_and_perfect_areas_have_no_bootstrap_interval():
    rng = np.random.default_rng(0)
    for scores, truth in (([1, 2], [0, 1]), ([1, 2, 3, 4], [0, 0, 1, 1])):
        assert math.isnan(bootstrap_auc(scores, truth, patients=range(len(truth)), rng=rng).low)


def test_torch_scores_are_taken():
    assert auc(torch.tensor(SIX[0], requires_grad=True), torch.tensor(SIX[1])) == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([1, math.nan, 2], [0, 1, 1], "NaN"),
        ([1, 2], [0, 1, 1], "2 and 3"),
        ([], [], "shape"),
        ([1, 2, 3], [1, 1, 1], "all 3 cases are positive"),
        ([1, 2, 3], [0, 0, 0], "all 3 cases are negative"),
        ([0, 1, 1], [0.3, 0.2, 0.9], "scores first"),
    ],
)
def test_bad_input_gives_one_clear_line(scores, truth, message):
    rng = np.random.default_rng(0)
    for call in (
        lambda: auc(scores, truth),
        lambda: delong_ci(scores, truth),
        lambda: delong_test(scores, scores, truth),
        lambda: bootstrap_auc(scores, truth, patients=range(len(scores)), rng=rng),
    ):
        with pytest.raises(RadloomError, match=message) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_settings_that_mean_nothing_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(RadloomError, match="level"):
        delong_ci(*SIX, level=1.5)
    for call in (
        lambda: delong_ci(*SIX, method="exact"),
        lambda: bootstrap_auc(*SIX, patients=range(6), draw="cases", rng=rng),
    ):
        with pytest.raises((RadloomError, TypeError)):
            call()
    with pytest.raises(RadloomError, match="one patient per score"):
        bootstrap_auc(*SIX, patients=range(5), rng=rng)
    with pytest.raises(RadloomError, match="draws"):
        bootstrap_auc(*SIX, patients=range(6), draws=0, rng=rng)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998, Table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_has_the_published_intervals(counts, low, high):
    interval = newcombe(*counts)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    back = newcombe(*counts[2:], *counts[:2])
    assert (back.low, back.high) == (pytest.approx(-interval.high), pytest.approx(-interval.low))


def test_newcombe_of_an_empty_group_is_not_to_be_had_and_of_too_many_is_refused():
    assert math.isnan(newcombe(0, 0, 3, 10).low)
    with pytest.raises(RadloomError, match="successes"):
        newcombe(4, 3, 1, 2)
