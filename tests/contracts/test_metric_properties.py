"""What every metric and every interval keeps whatever the numbers: bounds, symmetry, invariances, order of cases."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from radloom.metrics import METRICS, agreement, fidelity, overlap
from radloom.metrics.structural import SCALE_WEIGHTS
from radloom.stats import (
    benjamini_hochberg,
    bootstrap_ci,
    clopper_pearson,
    friedman,
    holm,
    mann_whitney,
    mcnemar,
    paired_bootstrap_ci,
    wilcoxon,
    wilson,
)

few = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SHAPE = (22, 23)
seeds = st.integers(0, 2**32 - 1)
MORE = {"data_range": 1.0, "spacing_mm": (0.7, 1.3), "tolerance_mm": 1.0}
PAIRED = [name for name, metric in METRICS.items() if metric.needs[0] == "prediction" and name != "ssim_slices"]
MASKED = [name for name, metric in METRICS.items() if metric.needs[0] == "predicted"]
BOUNDS = {"ssim": (-1, 1), "ms_ssim": (0, 1), "dice": (0, 1), "iou": (0, 1), "surface_dice": (0, 1)}
ONE_WAY = ("nmse", "nrmse")  # divide by the target


def value(name: str, a: np.ndarray, b: np.ndarray) -> float:
    metric = METRICS[name]
    options = {key: MORE[key] for key in metric.needs if key in MORE}
    options |= {"weights": SCALE_WEIGHTS[:2]} if name == "ms_ssim" else {}
    return metric.value(a, b, **options)


def images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two images of every likeness, from nearly equal to unrelated, one per seed."""
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, *SHAPE))
    share = rng.random()
    return share * a + (1 - share) * b, b


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two masks of one small grid, neither of them empty."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7))
    a, b = (draw(hnp.arrays(np.bool_, shape)) for _ in range(2))
    assume(a.any() and b.any())
    return a, b


@pytest.mark.parametrize("name", PAIRED)
@few
@given(seed=seeds)
def test_image_metric_keeps_its_bounds_and_its_best_value(name, seed):
    p, t = images(seed)
    best = {"ssim": 1.0, "ms_ssim": 1.0, "psnr": math.inf}.get(name, 0.0)
    low, high = BOUNDS.get(name, (0 if name != "psnr" else -math.inf, math.inf))
    found = value(name, p, t)
    assert low <= found <= high
    assert value(name, t, t) == pytest.approx(best, abs=1e-12)
    assert found <= best if METRICS[name].better == "higher" else found >= best


@pytest.mark.parametrize("name", PAIRED)
@few
@given(seed=seeds)
def test_image_metric_is_symmetric_and_does_not_know_left_from_right(name, seed):
    p, t = images(seed)
    found = value(name, p, t)
    if name not in ONE_WAY:
        assert value(name, t, p) == pytest.approx(found, rel=1e-9, abs=1e-12)
    if name not in ("ms_ssim", "gmsd"):  # halving drops the odd last voxel, which a flip makes the first
        assert value(name, p[::-1, ::-1], t[::-1, ::-1]) == pytest.approx(found, rel=1e-9)
    assert value(name, p.T, t.T) == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "nmse", "nrmse"])
@few
@given(seed=seeds, factor=st.floats(0.01, 100))
def test_differences_scale_with_the_unit_as_declared(name, seed, factor):
    p, t = images(seed)
    power = {"image": 1, "image^2": 2, "1": 0}[METRICS[name].unit]
    assert value(name, factor * p, factor * t) == pytest.approx(factor**power * value(name, p, t), rel=1e-9)


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "psnr"])
@few
@given(seed=seeds, offset=st.floats(-2000, 2000))
def test_differences_do_not_see_a_shared_offset(name, seed, offset):
    p, t = images(seed)
    assert value(name, p + offset, t + offset) == pytest.approx(value(name, p, t), rel=1e-6)


@few
@given(seed=seeds, offset=st.floats(-2000, 2000), factor=st.floats(0.1, 4000))
def test_ssim_follows_the_data_range_and_keeps_its_digits_under_an_offset(seed, offset, factor):
    p, t = images(seed)
    scaled = fidelity.ssim(factor * p, factor * t, data_range=factor)
    assert scaled == pytest.approx(fidelity.ssim(p, t, data_range=1), rel=1e-9, abs=1e-12)
    # far from 0 the luminance factor is nearly 1, and the contrast factor does not see the offset
    far = fidelity.ssim(p + 1e5 + offset, t + 1e5 + offset, data_range=1)
    assert far == pytest.approx(fidelity.ssim(p + 2e5, t + 2e5, data_range=1), abs=1e-6)


@few
@given(seed=seeds)
def test_a_mask_of_everything_changes_no_difference_and_parts_add_up(seed):
    p, t = images(seed)
    everywhere = np.ones(SHAPE, bool)
    part = np.random.default_rng(seed).random(SHAPE) < 0.4
    for metric in (fidelity.mse, fidelity.mae):
        assert metric(p, t, mask=everywhere) == pytest.approx(metric(p, t), rel=1e-12)
        parts = part.sum() * metric(p, t, mask=part) + (~part).sum() * metric(p, t, mask=~part)
        assert parts / part.size == pytest.approx(metric(p, t), rel=1e-9)
    assert fidelity.mae(p, t) <= fidelity.rmse(p, t) + 1e-15


@pytest.mark.parametrize("name", MASKED)
@few
@given(pair=mask_pairs())
def test_mask_metric_is_symmetric_bounded_and_best_for_equal_masks(name, pair):
    a, b = pair
    low, high = BOUNDS.get(name, (0, overlap.diagonal_mm(a.shape, MORE["spacing_mm"]) + 1e-9))
    found = value(name, a, b)
    assert low <= found <= high + 1e-12
    assert value(name, b, a) == pytest.approx(found, rel=1e-12)
    assert value(name, a, a) == (1 if METRICS[name].better == "higher" else 0)
    assert value(name, np.pad(a, 2), np.pad(b, 2)) == pytest.approx(found, rel=1e-12)


@few
@given(pair=mask_pairs(), voxel=st.integers(0, 48))
def test_a_voxel_that_turns_right_never_lowers_the_overlap(pair, voxel):
    predicted, truth = pair
    at = np.unravel_index(voxel % truth.size, truth.shape)
    better = predicted.copy()
    better[at] = truth[at]
    for metric in (overlap.dice, overlap.iou):
        assert metric(better, truth) >= metric(predicted, truth)


@few
@given(pair=mask_pairs())
def test_distances_are_ordered_and_found_together_as_apart(pair):
    a, b = pair
    spacing = (0.7, 1.3)
    found = overlap.surface_distances(a, b, spacing_mm=spacing)
    assert found.average <= found.hausdorff + 1e-12
    assert found.hausdorff95 <= found.hausdorff + 1e-12
    assert found.average == overlap.average_surface_distance(a, b, spacing_mm=spacing)
    assert found.hausdorff == overlap.hausdorff(a, b, spacing_mm=spacing)
    assert found.hausdorff95 == overlap.hausdorff95(a, b, spacing_mm=spacing)


tables = hnp.arrays(np.int64, st.tuples(st.integers(4, 9), st.integers(2, 4)), elements=st.integers(1, 4))


def coefficients(table: np.ndarray) -> dict[str, float]:
    """Every agreement on a table of ratings, those of two readers on its first two columns."""
    rng = np.random.default_rng(0)
    alphas = {
        scale: agreement.krippendorff_alpha(table, scale=scale, draws=1, rng=rng).estimate
        for scale in ("nominal", "ordinal", "interval", "ratio")
    }
    return (
        alphas
        | {
            "fleiss": agreement.fleiss_kappa(table).estimate,
            "ac1": agreement.gwet_ac1(table).estimate,
            "ac2": agreement.gwet_ac1(table, weights="quadratic").estimate,
            "cohen": agreement.cohen_kappa(table[:, 0], table[:, 1]).estimate,
            "linear": agreement.cohen_kappa(table[:, 0], table[:, 1], weights="linear").estimate,
            "ccc": agreement.ccc(table[:, 0], table[:, 1]).estimate,
        }
        | {form: agreement.icc(table, form=form).estimate for form in agreement.FORMS}
    )


@few
@given(table=tables, seed=seeds)
def test_agreement_does_not_depend_on_the_order_of_cases_or_readers_and_is_at_most_one(table, seed):
    rng = np.random.default_rng(seed)
    found = coefficients(table)
    assert all(v <= 1 + 1e-12 for v in found.values() if not math.isnan(v))
    again = coefficients(rng.permutation(table, axis=0))
    assert again == pytest.approx(found, rel=1e-9, abs=1e-9, nan_ok=True)
    turned = coefficients(np.column_stack([table[:, 1::-1], table[:, :1:-1]]))
    assert turned == pytest.approx(found, rel=1e-9, abs=1e-9, nan_ok=True)


@few
@given(table=tables)
def test_agreement_on_categories_does_not_depend_on_their_names(table):
    names = np.array(["", "delta", "alpha", "charlie", "bravo"])[table]
    for measure in (agreement.fleiss_kappa, agreement.gwet_ac1):
        assert measure(names).estimate == pytest.approx(measure(table).estimate, rel=1e-9, nan_ok=True)
    want = agreement.cohen_kappa(table[:, 0], table[:, 1]).estimate
    assert agreement.cohen_kappa(names[:, 0], names[:, 1]).estimate == pytest.approx(want, rel=1e-9, nan_ok=True)


@few
@given(seed=seeds, factor=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_agreement_on_numbers_does_not_depend_on_their_unit(seed, factor, offset):
    table = np.random.default_rng(seed).standard_normal((8, 3))
    moved = factor * table + offset
    for form in agreement.FORMS:
        first, second = agreement.icc(table, form=form), agreement.icc(moved, form=form)
        assert (second.low, second.estimate, second.high) == pytest.approx(
            (first.low, first.estimate, first.high), rel=1e-6, abs=1e-6
        )
        assert first.low <= first.estimate <= first.high
    assert agreement.ccc(moved[:, 0], moved[:, 1]).estimate == pytest.approx(
        agreement.ccc(table[:, 0], table[:, 1]).estimate, rel=1e-6, abs=1e-8
    )
    limits, again = agreement.bland_altman(table[:, 0], table[:, 1]), agreement.bland_altman(moved[:, 0], moved[:, 1])
    assert (again.lower, again.upper) == pytest.approx(
        (factor * limits.lower, factor * limits.upper), rel=1e-6, abs=1e-6
    )
    back = agreement.bland_altman(table[:, 1], table[:, 0])
    assert (back.lower, back.upper) == pytest.approx((-limits.upper, -limits.lower))


samples = hnp.arrays(np.float64, st.integers(3, 12), elements=st.integers(-50, 50).map(float))


@few
@given(values=samples, seed=seeds, method=st.sampled_from(["percentile", "bca"]))
def test_bootstrap_ignores_the_order_of_cases_and_the_names_of_patients(values, seed, method):
    rng = np.random.default_rng(seed)
    who = rng.integers(0, 5, len(values))

    def interval(numbers, patients):
        found = bootstrap_ci(numbers, patients=patients, draws=60, method=method, rng=np.random.default_rng(1))
        return found.estimate, found.low, found.high, found.n_patients

    order = rng.permutation(len(values))
    want = interval(values, who)
    assert interval(values[order], who[order]) == pytest.approx(want, nan_ok=True)
    assert interval(values, [f"patient {w}" for w in who]) == pytest.approx(want, nan_ok=True)
    assert interval(values + 7, who) == pytest.approx((want[0] + 7, want[1] + 7, want[2] + 7, want[3]), nan_ok=True)
    if not math.isnan(want[1]):
        assert values.min() - 1e-9 <= want[1] <= want[2] <= values.max() + 1e-9


@few
@given(values=samples)
def test_paired_bootstrap_of_equal_arms_is_zero_and_changes_sign_with_them(values):
    who, other = range(len(values)), values[::-1]

    def interval(a, b):
        return paired_bootstrap_ci(a, b, patients=who, draws=60, rng=np.random.default_rng(1))

    same, there, back = interval(values, values), interval(values, other), interval(other, values)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low), abs=1e-9)


@pytest.mark.parametrize("proportion", [wilson, clopper_pearson])
@few
@given(n=st.integers(1, 400), share=st.floats(0, 1), level=st.floats(0.5, 0.999))
def test_proportion_interval_holds_its_estimate_and_grows_with_level_and_successes(proportion, n, share, level):
    x = round(share * n)
    found = proportion(x, n, level=level)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    wider = proportion(x, n, level=(1 + level) / 2)
    assert wider.low <= found.low + 1e-12
    assert wider.high >= found.high - 1e-12
    if x < n:
        more = proportion(x + 1, n, level=level)
        assert more.low >= found.low - 1e-12
        assert more.high >= found.high - 1e-12


@few
@given(a=samples, seed=seeds)
def test_two_sample_tests_give_one_p_whatever_the_order_of_arms_and_patients(a, seed):
    rng = np.random.default_rng(seed)
    b, order = rng.permutation(a) + rng.integers(-3, 4, len(a)), rng.permutation(len(a))
    for test in (wilcoxon, mann_whitney):
        p = test(a, b).p
        assert 0 <= p <= 1
        assert test(b, a).p == pytest.approx(p)
        assert test(a[order], b[order]).p == pytest.approx(p)
    yes, no = a > 0, b > 0
    assert mcnemar(yes, no).p == pytest.approx(mcnemar(no[order], yes[order]).p)
    assert 0 <= mcnemar(yes, no).p <= 1


@few
@given(
    table=hnp.arrays(np.int64, st.tuples(st.integers(3, 10), st.integers(3, 5)), elements=st.integers(0, 5)), seed=seeds
)
def test_friedman_sees_only_ranks_within_patients(table, seed):
    rng = np.random.default_rng(seed)
    want = friedman(table)
    assert 0 <= want.p <= 1
    moved = 2.0 ** table[rng.permutation(len(table))] + rng.permutation(len(table))[:, None]
    assert friedman(moved).p == pytest.approx(want.p)
    assert friedman(table[:, rng.permutation(table.shape[1])]).p == pytest.approx(want.p)


@few
@given(p=hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)), seed=seeds)
def test_adjusted_p_values_keep_the_order_and_are_never_smaller(p, seed):
    order = np.random.default_rng(seed).permutation(len(p))
    for adjust in (holm, benjamini_hochberg):
        found = adjust(p)
        assert np.all(found >= p - 1e-15)
        assert np.all(found <= 1)
        assert np.all(np.diff(found[np.argsort(p, kind="stable")]) >= -1e-15)
        assert adjust(p[order]) == pytest.approx(found[order])
    assert np.all(benjamini_hochberg(p) <= holm(p) + 1e-15)
