"""Ratios of the confusion table, curves, partial areas and calibration against hand, scikit-learn and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from radloom.errors import RadloomError
from radloom.metrics import classification as ours
from radloom.stats.intervals import clopper_pearson

RATIOS = (
    ours.accuracy, ours.sensitivity, ours.specificity, ours.ppv, ours.npv, ours.f1, ours.balanced_accuracy, ours.mcc,
)  # fmt: skip
# 10 true positives, 5 false positives, 3 false negatives, 12 true negatives
PREDICTED = np.repeat([1, 1, 0, 0], [10, 5, 3, 12])
TRUTH = np.repeat([1, 0, 1, 0], [10, 5, 3, 12])


def forecast(seed: int, n: int = 200, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose log-odds are `stretch` times the true ones, and outcomes."""
    rng = np.random.default_rng(seed)
    eta = rng.normal(size=n)
    return 1 / (1 + np.exp(-stretch * eta)), (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)


def test_ratios_have_the_values_worked_by_hand():
    assert ours.confusion(PREDICTED, TRUTH) == ours.Confusion(tp=10, fp=5, fn=3, tn=12)
    want = (22 / 30, 10 / 13, 12 / 17, 10 / 15, 12 / 15, 20 / 28, (10 / 13 + 12 / 17) / 2,
            (120 - 15) / math.sqrt(15 * 13 * 17 * 15))  # fmt: skip
    for ratio, value in zip(RATIOS, want, strict=True):
        assert ratio(PREDICTED, TRUTH) == pytest.approx(value, rel=1e-14), ratio.__name__


def test_ratios_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(5):
        truth, predicted = rng.integers(0, 2, (2, 40))
        tn, fp, fn, tp = sk.confusion_matrix(truth, predicted).ravel().tolist()
        assert ours.confusion(predicted, truth) == ours.Confusion(tp, fp, fn, tn)
        theirs = (
            sk.accuracy_score(truth, predicted), sk.recall_score(truth, predicted),
            sk.recall_score(truth, predicted, pos_label=0), sk.precision_score(truth, predicted),
            sk.precision_score(truth, predicted, pos_label=0), sk.f1_score(truth, predicted),
            sk.balanced_accuracy_score(truth, predicted), sk.matthews_corrcoef(truth, predicted),
        )  # fmt: skip
        for ratio, value in zip(RATIOS, theirs, strict=True):
            assert ratio(predicted, truth) == pytest.approx(value, rel=1e-12), ratio.__name__


@pytest.mark.parametrize(
    ("predicted", "truth", "undefined"),
    [
        ([1, 0], [0, 0], {"sensitivity", "balanced_accuracy", "mcc"}),
        ([1, 0], [1, 1], {"specificity", "balanced_accuracy", "mcc"}),
        ([0, 0], [1, 0], {"ppv", "mcc"}),
        ([1, 1], [1, 0], {"npv", "mcc"}),
        ([0, 0], [0, 0], {"sensitivity", "ppv", "f1", "balanced_accuracy", "mcc"}),
    ],
)
def test_a_ratio_over_nothing_is_nan_and_never_zero(predicted, truth, undefined):
    assert {ratio.__name__ for ratio in RATIOS if math.isnan(ratio(predicted, truth))} == undefined


def test_each_proportion_has_the_interval_of_its_counts():
    interval = ours.proportion(PREDICTED, TRUTH, of="sensitivity")
    # Wilson for 10 of 13, worked by hand: (p + z^2/2n -+ ...) / (1 + z^2/n)
    assert (interval.estimate, interval.n_patients) == (10 / 13, 13)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.4974, 0.9182)
    exact = ours.proportion(PREDICTED, TRUTH, of="npv", method=clopper_pearson)
    assert (exact.low, exact.high) == (clopper_pearson(12, 15).low, clopper_pearson(12, 15).high)
    for of in ("accuracy", "sensitivity", "specificity", "ppv", "npv"):
        assert ours.proportion(PREDICTED, TRUTH, of=of).estimate == getattr(ours, of)(PREDICTED, TRUTH)
    assert math.isnan(ours.proportion([0], [0], of="sensitivity").estimate)


def test_roc_curve_agrees_with_scikit_learn_also_with_ties():
    rng = np.random.default_rng(0)
    for levels in (4, 1000):
        truth, scores = np.arange(50) % 2, rng.integers(0, levels, 50).astype(float)
        curve = ours.roc_curve(scores, truth)
        for got, want in zip(
            (curve.fpr, curve.tpr, curve.thresholds), sk.roc_curve(truth, scores, drop_intermediate=False), strict=True
        ):
            np.testing.assert_allclose(got, want, rtol=1e-14)
        assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(ours.auc(scores, truth), rel=1e-12)


def test_partial_areas_agree_with_scikit_learns_mcclish():
    rng = np.random.default_rng(1)
    for seed in range(4):
        truth, scores = np.arange(60) % 2, np.round(rng.normal(size=60) + np.arange(60) % 2, seed)
        for bound in (0.1, 0.33, 0.9):
            want = sk.roc_auc_score(truth, scores, max_fpr=bound)
            got = ours.partial_auc(scores, truth, low=1 - bound, high=1, scale="mcclish")
            assert got == pytest.approx(want, rel=1e-10)


def test_partial_areas_have_the_values_worked_by_hand():
    scores, truth = [1, 2, 3, 4], [0, 1, 0, 1]  # the curve goes (0,0) (0,.5) (.5,.5) (.5,1) (1,1)
    assert ours.partial_auc(scores, truth, low=0, high=1) == 0.75 == ours.auc(scores, truth)
    assert ours.partial_auc(scores, truth, low=0.75, high=1) == 0.125
    assert ours.partial_auc(scores, truth, low=0.25, high=0.5) == 0.25
    assert ours.partial_auc(scores, truth, low=0.25, high=0.75, over="sensitivity") == pytest.approx(0.25 + 0.125)
    # between specificity 0.75 and 1 chance has 1/32 and perfection 1/4
    want = (1 + (1 / 8 - 1 / 32) / (1 / 4 - 1 / 32)) / 2
    assert ours.partial_auc(scores, truth, low=0.75, high=1, scale="mcclish") == pytest.approx(want)
    mirrored = ours.partial_auc([4, 3, 2, 1], truth, low=0, high=1, scale="mcclish")
    assert mirrored == pytest.approx(0.25)  # below chance stays below: nothing is turned round


def test_brier_and_calibration_error_agree_with_other_code():
    from torchmetrics.functional.classification import binary_calibration_error

    for seed in range(4):
        p, y = forecast(seed)
        assert ours.brier(p, y) == pytest.approx(sk.brier_score_loss(y, p), rel=1e-12)
        for bins in (5, 10, 15):
            want = binary_calibration_error(torch.tensor(p), torch.tensor(y), n_bins=bins, norm="l1").item()
            assert ours.ece(p, y, bins=bins) == pytest.approx(want, rel=1e-6)


def test_bins_of_the_calibration_error_hold_their_lower_bound_and_the_last_both():
    # 0.5 joins 0.6 and 1.0 in the upper bin: |0.7 - 1/3| * 3/4, and 0.25 in the lower: 0.25 * 1/4
    assert ours.ece([0.25, 0.5, 0.6, 1.0], [0, 0, 0, 1], bins=2) == pytest.approx((2.1 - 1) / 4 + 0.25 / 4)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
def test_calibration_slope_agrees_with_scikit_learn_and_finds_a_planted_overconfidence(stretch):
    p, y = forecast(7, n=4000, stretch=stretch)
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.log(p / (1 - p))[:, None], y)
    assert ours.calibration_slope(p, y) == pytest.approx(fit.coef_.item(), rel=1e-5)
    assert ours.calibration_slope(p, y) == pytest.approx(1 / stretch, rel=0.15)


def test_calibration_slope_is_nan_where_no_maximum_exists():
    assert math.isnan(ours.calibration_slope([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]))
    assert math.isnan(ours.calibration_slope([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1]))
    assert math.isnan(ours.calibration_slope([0.3, 0.3, 0.3], [0, 1, 1]))


def test_decisions_may_be_boolean_torch_or_lists():
    want = ours.mcc(PREDICTED, TRUTH)
    assert ours.mcc(torch.tensor(PREDICTED), torch.tensor(TRUTH).bool()) == want
    assert ours.mcc(PREDICTED.tolist(), TRUTH.astype(float)) == want


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([0.3, 0.9], [0, 1], "scores >= threshold"),
        ([1, math.nan], [0, 1], "other values"),
        ([1, 0, 1], [0, 1], "3 predicted and 2 true"),
        ([], [], "at least one"),
        ([[1, 0]], [[1, 0]], "one label per case"),
    ],
)
def test_bad_decisions_give_one_clear_line(predicted, truth, message):
    for ratio in RATIOS:
        with pytest.raises(RadloomError, match=message):
            ratio(predicted, truth)


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([0.3, 1.2], [0, 1], "outside"),
        ([0.3, math.nan], [0, 1], "NaN"),
        ([0.3, 0.2, 0.1], [0, 1], "3 and 2"),
        ([], [], "shape"),
        ([0.3, 0.2], [0, 2], "other values"),
    ],
)
def test_bad_probabilities_give_one_clear_line(p, y, message):
    for metric in (ours.brier, ours.ece, ours.calibration_slope):
        with pytest.raises(RadloomError, match=message):
            metric(p, y)


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(RadloomError, match="strictly between"):
        ours.calibration_slope([0, 0.4, 0.6], [0, 1, 0])
    with pytest.raises(RadloomError, match="all 2 cases"):
        ours.calibration_slope([0.4, 0.6], [1, 1])
    with pytest.raises(RadloomError, match="bins"):
        ours.ece([0.4, 0.6], [0, 1], bins=0)
    with pytest.raises(RadloomError, match="low < high"):
        ours.partial_auc([1, 2], [0, 1], low=0.9, high=0.1)
    with pytest.raises((RadloomError, TypeError)):
        ours.proportion([1], [1], of="mcc")
