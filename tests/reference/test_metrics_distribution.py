"""Metrics of sets against independent implementations, formulas restated and values worked by hand."""

import doctest
import importlib
import inspect
import math

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors

from radloom.errors import RadloomError
from radloom.metrics import SET_METRICS, distribution, memorisation

MODULES = ("moments", "frechet", "extrapolation", "kernel", "neighbours", "manifold", "prd", "diversity",
           "radiomic_distance", "copies", "membership", "memorisation", "data_copying")  # fmt: skip


def pair(n: int, m: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d))
    return rng.normal(size=(n, d)) @ mix + 5, rng.normal(size=(m, d)) @ (mix + 0.3) + 5.2


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_of_sets_has_an_example_that_runs(name):
    module = importlib.import_module(f"radloom.metrics.{name}")
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 12), (10, 14, 30), (20, 200, 40), (200, 20, 40)])
def test_frechet_distance_agrees_with_the_eigenvalues_of_the_product(n, m, d):
    from torchmetrics.image.fid import _compute_fid

    x, y = pair(n, m, d)
    want = float(_compute_fid(*(torch.from_numpy(s) for s in (x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T)))))
    tolerance = 1e-9 if min(n, m) > d else 1e-5  # the peer loses digits in the roots of rounding errors
    found = distribution.frechet_distance(x, y)
    assert found.value == pytest.approx(want, rel=tolerance)
    of_moments = distribution.frechet_distance(distribution.Moments.of(x), distribution.Moments.of(y))
    assert of_moments.value == pytest.approx(found.value, rel=1e-7)
    assert distribution.fid(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(found.value, rel=1e-12)


def test_frechet_distance_agrees_with_the_matrix_root():
    x, y = pair(90, 80, 6, seed=3)
    a, b = np.cov(x.T), np.cov(y.T)
    want = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert distribution.fid(x, y) == pytest.approx(want, rel=1e-9)


def test_frechet_distance_of_dead_features_is_that_without_them():
    x, y = pair(90, 80, 6, seed=4)
    dead = [np.concatenate([z, np.full((len(z), 3), 7.0)], axis=1) for z in (x, y)]
    assert distribution.fid(*dead) == pytest.approx(distribution.fid(x, y), rel=1e-9)


def test_float32_features_with_an_offset_keep_their_digits():
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(500, 4)).astype(np.float32) + np.float32(1000) for _ in range(2))
    assert distribution.fid(x, y) == pytest.approx(distribution.fid(x - 1000.0, y - 1000.0), rel=1e-6)


def test_polynomial_discrepancy_agrees_with_the_sums_of_its_definition_and_with_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    x, y = pair(40, 40, 7)
    xx, yy, xy = ((a @ b.T / 7 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    want = (xx.sum() - np.trace(xx)) / (40 * 39) + (yy.sum() - np.trace(yy)) / (40 * 39) - 2 * xy.mean()
    assert distribution.mmd2_polynomial(x, y, block=16) == pytest.approx(want, rel=1e-9)
    assert distribution.mmd2_polynomial(x, y) == pytest.approx(
        float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y))), rel=1e-9
    )
    whole = distribution.kid(x, y, 40, 3, rng=np.random.default_rng(0))  # every subset is the set
    assert whole.mean == pytest.approx(want, rel=1e-9)
    assert whole.se == pytest.approx(0, abs=1e-9 * abs(want))


def test_the_interval_of_the_discrepancy_has_its_value_and_a_standard_error_of_the_right_size():
    def sets(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        return rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) + 0.8

    spread = np.std([distribution.mmd2_polynomial(*sets(seed)) for seed in range(100)])
    found = [distribution.mmd2_interval(*sets(seed), rng=np.random.default_rng(0)) for seed in range(10)]
    assert found[0].value == pytest.approx(distribution.mmd2_polynomial(*sets(0)), rel=1e-12)
    assert np.mean([f.se for f in found]) == pytest.approx(spread, rel=0.4)


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "exact"])
@pytest.mark.parametrize("k", [1, 5])
def test_prdc_agrees_with_its_authors_package(arithmetic, k):
    x, y = pair(120, 90, 6, seed=2)
    want = compute_prdc(x, y, k)
    found = distribution.prdc(x, y, k, arithmetic=arithmetic, block=50)
    for name, value in want.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6), name


def test_the_rules_differ_for_quantised_features():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, (300, 3)), rng.integers(0, 3, (300, 3))
    radii = NearestNeighbors(n_neighbors=2).fit(x).kneighbors(x)[0][:, 1]  # all 0: every row has a duplicate
    apart = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    at_most = distribution.improved_precision_recall(x, y, 1, arithmetic="exact")
    nearer = distribution.prdc(x, y, 1, arithmetic="exact")
    assert at_most.precision == np.mean((apart <= radii[:, None]).any(axis=0)) > 0.9
    assert nearer.precision == np.mean((apart < radii[:, None]).any(axis=0)) == 0


def test_nearest_neighbours_agree_with_scikit_learn():
    x, y = pair(50, 70, 5)
    distances, indices = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(y).kneighbors(x)
    found = distribution.nearest_neighbours(x, y, 4, block=13)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-9)
    np.testing.assert_array_equal(found.indices, indices)


def test_radiomic_distance_agrees_with_its_steps_restated():
    x, y = pair(60, 50, 5)
    z = [(s - x.mean(0)) / x.std(0) for s in (x, y)]
    a, b = (np.cov(s.T) for s in z)
    want = np.sum((z[0].mean(0) - z[1].mean(0)) ** 2) + np.trace(a + b - 2 * sqrtm(a @ b).real)
    found = distribution.frechet_radiomic_distance(x, y)
    assert found.value == pytest.approx(math.log(want), rel=1e-8)
    assert found.paper_log == pytest.approx(math.log(want) / 2, rel=1e-8)
    holes = np.concatenate([y, np.full((2, 5), np.nan)])
    exact = distribution.frechet_radiomic_distance(x, holes, preset="paper_exact")
    assert exact.dropped_rows == (0, 2)
    assert exact.value == pytest.approx(math.log(want), rel=1e-4)  # its float32
    low, high = np.minimum(x.min(0), y.min(0)), np.maximum(x.max(0), y.max(0))
    scaled = [7.45670747756958 * (s - low) / (high - low) for s in (x, y)]
    v0 = distribution.frechet_radiomic_distance(x, y, version="v0")
    assert v0.value == pytest.approx(distribution.fid(*scaled), rel=1e-9)


def test_memorisation_has_the_values_worked_by_hand():
    assert memorisation.tpr_at_fpr([3.0, 2.0, 1.0], [2.5, 0.0], 0.0) == 1 / 3
    assert memorisation.tpr_at_fpr([3.0, 2.0, 1.0], [2.5, 0.0], 0.5) == 1.0
    assert memorisation.tpr_at_fpr([1.0], [1.0], 0.5) == 0.0
    t, s, h = np.zeros((1, 1)), np.array([[1.0], [2.0]]), np.array([[3.0], [4.0], [5.0]])
    z = memorisation.data_copying(t, s, h, fewest=1, rng=np.random.default_rng(0)).value
    assert z == pytest.approx((0 - 3) / math.sqrt(2 * 3 * 6 / 12), rel=1e-12)


def test_a_generator_of_new_images_is_not_called_a_copier_and_a_copier_is():
    rng = np.random.default_rng(1)
    t, s, h = (rng.normal(size=(200, 6)) for _ in range(3))
    copied = t[:200] + 0.001 * rng.normal(size=(200, 6))
    for drawn, guilty in ((s, False), (copied, True)):
        assert (memorisation.copy_fraction(t, drawn, h, rng=rng).fraction.estimate > 0.2) == guilty
        assert (memorisation.data_copying(t, drawn, h, rng=rng).value < -3) == guilty
        assert (memorisation.membership_attack(t, drawn, h, rng=rng, draws=50).auc.low > 0.6) == guilty
        assert (memorisation.authenticity(t, drawn, h, rng=rng).synthetic.high < 0.2) == guilty
        assert (memorisation.nearest_training_distance(t, drawn, h).ratio < 0.1) == guilty


def test_every_registered_metric_of_sets_says_what_one_must_know_of_it():
    for name, metric in SET_METRICS.items():
        parameters = inspect.signature(metric.value).parameters
        needed = tuple(n for n, p in parameters.items() if p.default is p.empty)
        assert metric.needs == needed, name
        assert metric.value.__name__ == name
        assert metric.blind_to
        assert metric.cite


@pytest.mark.parametrize("name", ["fid", "mmd2_polynomial", "cmmd", "prdc", "improved_precision_recall"])
def test_unfit_features_are_refused_in_one_line(name):
    metric, good = getattr(distribution, name), np.random.default_rng(0).normal(size=(9, 3))
    hole = good.copy()
    hole[2, 1] = np.nan
    for bad, said in ((hole, "NaN"), (good[:, :2], "features"), (good[:0], "rows"), (good[0], "matrix"),
                      (good.astype(complex), "real numbers")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            metric(good, bad)


def test_too_few_images_are_refused_and_said():
    x = np.random.default_rng(0).normal(size=(4, 3))
    rng = np.random.default_rng(0)
    with pytest.raises(RadloomError, match="k=4"):
        distribution.prdc(x, x, 4)
    with pytest.raises(RadloomError, match="rows"):
        distribution.fid(x[:1], x)
    with pytest.raises(RadloomError, match="subset_size"):
        distribution.kid(x, x, 5, 2, rng=rng)
    with pytest.raises(RadloomError, match="as many in both"):
        distribution.prd_curve(x, x[:3], 2, rng=rng)
    with pytest.raises(RadloomError, match="splits"):
        distribution.inception_score(x, 5)
    with pytest.raises(RadloomError, match="zero everywhere"):
        distribution.vendi_score(np.zeros((3, 2)))
    with pytest.warns(UserWarning, match="sampling bias"):
        distribution.fid(x[:3], x[:3] + 1)
