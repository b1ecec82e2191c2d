"""What every diagnostic metric keeps, whatever the data: bounds, order of cases, monotone scores, swapped classes."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from radloom.metrics import classification as cl
from radloom.metrics import detection as det
from radloom.metrics import froc as fr
from radloom.stats.auc import bootstrap_auc, delong_ci, delong_covariance, delong_test
from radloom.stats.proportions import newcombe

quick = settings(max_examples=40, deadline=None)
INF = math.inf


@st.composite
def scored(draw, fewest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties and a truth with at least `fewest` cases of both classes."""
    n = draw(st.integers(2 * fewest, 30))
    truth = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(fewest <= truth.sum() <= n - fewest)
    return np.array(draw(st.lists(st.integers(-8, 8), min_size=n, max_size=n)), float), truth


@st.composite
def readers(draw) -> fr.ReaderMarks:
    """A reader with unmarked lesions and cases, ties and several lesions."""
    ratings = st.sampled_from([-INF, 1.0, 2.0, 3.0, 4.0])
    normal, diseased = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    nl = draw(
        st.lists(st.lists(ratings, min_size=2, max_size=2), min_size=normal + diseased, max_size=normal + diseased)
    )
    counts = draw(st.lists(st.integers(1, 3), min_size=diseased, max_size=diseased))
    ll = np.full((diseased, 3), math.nan)
    for row, count in zip(ll, counts, strict=True):
        row[:count] = draw(st.lists(ratings, min_size=count, max_size=count))
    weights = ~np.isnan(ll) / np.array(counts)[:, None]
    return fr.ReaderMarks(np.array(nl), np.arange(normal + diseased) >= normal, ll, weights)


@st.composite
def detected(draw) -> fr.MatchedMarks:
    """Hits, misses and false marks of a few scans."""
    scans = draw(st.integers(1, 6))
    events = st.lists(st.tuples(st.integers(0, scans - 1), st.integers(0, 9)), min_size=1, max_size=15)
    hits, false = np.array(draw(events)), np.array(draw(events))
    scores = np.where(hits[:, 1] == 0, -INF, hits[:, 1])
    return fr.MatchedMarks(scores, hits[:, 0], false[:, 1].astype(float), false[:, 0], scans)


@quick
@given(scored(), st.randoms(use_true_random=False))
def test_areas_are_bounded_and_know_neither_order_nor_monotone_change(data, random):
    scores, truth = data
    area = cl.auc(scores, truth)
    assert 0 <= area <= 1
    order = np.array(random.sample(range(len(scores)), len(scores)))
    for metric in (cl.auc, lambda s, t: cl.partial_auc(s, t, low=0.3, high=0.9)):
        assert metric(scores[order], truth[order]) == pytest.approx(metric(scores, truth), abs=1e-12)
        assert metric(scores**3 + scores, truth) == pytest.approx(metric(scores, truth), abs=1e-12)
    assert cl.auc(-scores, truth) == pytest.approx(1 - area)
    assert cl.auc(scores, ~truth) == pytest.approx(1 - area)


@quick
@given(scored())
def test_curves_rise_from_nothing_to_everything_and_parts_add_up(data):
    curve = cl.roc_curve(*data)
    for rate in (curve.fpr, curve.tpr):
        assert (rate[0], rate[-1]) == (0, 1)
        assert (np.diff(rate) >= 0).all()
    assert (np.diff(curve.thresholds) < 0).all()
    for over in ("specificity", "sensitivity"):
        parts = [cl.partial_auc(*data, low=a, high=b, over=over) for a, b in ((0, 0.4), (0.4, 0.7), (0.7, 1))]
        assert sum(parts) == pytest.approx(cl.auc(*data))


@quick
@given(scored(), st.integers(0, 10**6))
def test_covariances_are_positive_and_the_paired_test_is_antisymmetric(data, seed):
    scores, truth = data
    other = np.random.default_rng(seed).integers(-5, 5, len(scores)).astype(float)
    areas, covariance = delong_covariance([scores, other], truth)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12
    assert areas[0] == pytest.approx(cl.auc(scores, truth))
    there, back = delong_test(scores, other, truth), delong_test(other, scores, truth)
    assert there.difference == pytest.approx(-back.difference, abs=1e-15)
    assert there.p == pytest.approx(back.p, rel=1e-6, nan_ok=True)
    assert math.isnan(there.p) or 0 <= there.p <= 1


@quick
@given(scored(fewest=3))
def test_intervals_of_the_area_hold_it_and_widen_with_the_level(data):
    scores, truth = data
    assume(delong_covariance([scores], truth)[1].item() > 1e-9)
    for method in ("wald", "logit"):
        narrow, wide = (delong_ci(scores, truth, level=level, method=method) for level in (0.8, 0.99))
        assert 0 <= wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high <= 1
    draws = bootstrap_auc(scores, truth, patients=range(len(scores)), draws=50, rng=np.random.default_rng(0))
    assert math.isnan(draws.low) or 0 <= draws.low <= draws.high <= 1


@quick
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_ratios_are_bounded_and_swap_with_the_classes(pairs):
    predicted, truth = np.array(pairs).T
    table = cl.confusion(predicted, truth)
    assert table.tp + table.fp + table.fn + table.tn == len(pairs)

    def same(a: float, b: float) -> bool:
        return a == pytest.approx(b, nan_ok=True)

    assert same(cl.sensitivity(~predicted, ~truth), cl.specificity(predicted, truth))
    assert same(cl.ppv(~predicted, ~truth), cl.npv(predicted, truth))
    assert same(cl.ppv(predicted, truth), cl.sensitivity(truth, predicted))
    assert same(cl.mcc(~predicted, truth), -cl.mcc(predicted, truth))
    assert same(cl.f1(predicted, truth), cl.f1(truth, predicted))
    for ratio in (cl.accuracy, cl.sensitivity, cl.specificity, cl.ppv, cl.npv, cl.f1, cl.balanced_accuracy):
        value = ratio(predicted, truth)
        assert math.isnan(value) or 0 <= value <= 1


@quick
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_calibration_scores_are_bounded_and_zero_for_certain_truth(pairs):
    p, y = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    assert 0 <= cl.brier(p, y) <= 1
    assert 0 <= cl.ece(p, y) <= 1
    assert cl.brier(y * 1.0, y) == 0 == cl.ece(y * 1.0, y)
    assert cl.ece(p, y, bins=1) <= cl.ece(p, y, bins=2) + 1e-12  # a cut bin cannot cancel more


@quick
@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))
def test_differences_of_proportions_lie_in_their_interval(a, more_a, b, more_b):
    interval = newcombe(a, a + more_a, b, b + more_b)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1


@quick
@given(st.integers(0, 10**6))
def test_average_precision_is_bounded_and_knows_only_the_order_of_scores(seed):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(3):
        low = rng.integers(0, 20, (4, 2))
        truth.append(det.Truth(np.concatenate([low, low + rng.integers(1, 9, (4, 2))], axis=1)))
        low = low + rng.integers(-2, 3, (4, 2))
        boxes = np.concatenate([low, low + rng.integers(1, 9, (4, 2))], axis=1)
        found.append(det.Detections(boxes, rng.permutation(1000)[:4] + 0.1 * len(found)))
    value = det.average_precision(found, truth, iou=(0.1, 0.3))
    assert 0 <= value <= det.average_recall(found, truth, iou=(0.1, 0.3)) + 0.01 <= 1.01
    squeezed = [det.Detections(f.boxes, f.scores / 2000) for f in found]
    assert det.average_precision(squeezed, truth, iou=(0.1, 0.3)) == value
    assert det.average_precision(found[::-1], truth[::-1], iou=(0.1, 0.3)) == pytest.approx(value)
    third = [
        det.Detections(np.insert(np.insert(f.boxes, 2, 0, axis=1), 5, 1, axis=1), f.scores) for f in found
    ]  # fmt: skip
    deep = [det.Truth(np.insert(np.insert(t.boxes, 2, 0, axis=1), 5, 1, axis=1)) for t in truth]
    assert det.average_precision(third, deep, iou=(0.1, 0.3)) == pytest.approx(value)
    overlap = det.box_iou(found[0].boxes, truth[0].boxes)
    np.testing.assert_allclose(overlap, det.box_iou(truth[0].boxes, found[0].boxes).T)
    assert (overlap >= 0).all()
    assert (overlap <= 1).all()


@quick
@given(detected())
def test_free_response_scores_are_bounded_and_only_a_better_hit_raises_them(matched):
    value = fr.cpm(matched)
    assert 0 <= value <= 1
    curve = fr.froc(matched)
    assert (np.diff(curve.false_positives) >= 0).all()
    assert (np.diff(curve.sensitivity) >= 0).all()
    best = fr.MatchedMarks(np.full(len(matched.hit_scores), 99.0), *_rest(matched))
    assert fr.cpm(best) == 1
    worse = fr.MatchedMarks(
        np.where(np.arange(len(matched.hit_scores)) == 0, -INF, matched.hit_scores), *_rest(matched)
    )
    assert fr.cpm(worse) <= value + 1e-12
    assert fr.cpm(fr.MatchedMarks(2 * matched.hit_scores, matched.hit_cases, 2 * matched.false_scores,
                                  matched.false_cases, matched.n_cases)) == value  # fmt: skip


def _rest(matched: fr.MatchedMarks) -> tuple:
    return matched.hit_cases, matched.false_scores, matched.false_cases, matched.n_cases


@quick
@given(readers())
def test_figures_of_merit_are_bounded_and_equal_where_they_must(reader):
    figures = (fr.afroc, fr.wafroc, fr.afroc1, fr.wafroc1, fr.hr_auc)
    for figure in figures:
        assert 0 <= figure(reader) <= 1
    louder = fr.ReaderMarks(2 * reader.nl + 1, reader.diseased, 2 * reader.ll + 1, reader.weights)
    assert [f(louder) for f in figures] == pytest.approx([f(reader) for f in figures])
    # the definition: all pairs of a normal case and a lesion
    normal = reader.nl[~reader.diseased].max(axis=1)
    psi = (reader.ll[None] > normal[:, None, None]) + 0.5 * (reader.ll[None] == normal[:, None, None])
    lesions = ~np.isnan(reader.ll)
    assert fr.afroc(reader) == pytest.approx(psi[:, lesions].mean())
    assert fr.wafroc(reader) == pytest.approx((psi * reader.weights).sum(axis=2).mean())
    # with one lesion in each case the weights change nothing
    single = fr.ReaderMarks(reader.nl, reader.diseased, reader.ll[:, :1], np.ones((len(reader.ll), 1)))
    assert fr.wafroc(single) == pytest.approx(fr.afroc(single))
    curves = [fr.lroc(single, fpf=x) for x in (0.1, 0.5, 1.0)]
    assert all(0 <= c.area <= x for c, x in zip(curves, (0.1, 0.5, 1.0), strict=True))
    assert [c.area for c in curves] == sorted(c.area for c in curves)
