"""What metrics of sets and of memorisation cannot take is refused in one clear line; constant features they can."""

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.metrics import distribution, memorisation
from radloom.metrics.structural import SCALE_WEIGHTS

FEW_SCALES = SCALE_WEIGHTS[:2]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_what_is_no_histogram_is_refused():
    good = np.array([0.5, 0.5])
    for bad, said in ((np.array([0.6, 0.6]), "distribution"), (np.array([-0.5, 1.5]), "distribution"),
                      (np.array([np.nan, 1.0]), "distribution"), (np.ones(3) / 3, "shapes")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            distribution.prd_from_histograms(good, bad)
    with pytest.raises(RadloomError, match="angles"):
        distribution.prd_from_histograms(good, good, 2)
    with pytest.raises(RadloomError, match="clusters"):
        distribution.prd_curve(np.ones((3, 1)), np.ones((3, 1)), 4, rng=rng())
    curve = distribution.PrdCurve(np.array([1.0]), np.array([1.0]), 2, 2, 1, 2, 1)
    with pytest.raises(RadloomError, match="beta"):
        curve.f_beta(0)


def test_vendi_score_refuses_an_order_below_zero_or_nan():
    for order in (-1, np.nan):
        with pytest.raises(RadloomError, match="order"):
            distribution.vendi_score(np.eye(2), order)


def test_pairwise_similarity_refuses_what_has_no_pair():
    images = rng().random((3, 24, 24))
    for wrong, said in (({"patients": [1, 1, 1]}, "different patients"), ({"patients": [1, 2]}, "one patient per"),
                        ({"pairs": 2}, "rng"), ({"pairs": 4, "rng": rng()}, "1 to 3 pairs")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            distribution.ms_ssim_diversity(images, data_range=1, weights=FEW_SCALES, **wrong)
    with pytest.raises(RadloomError, match="pair"):
        distribution.ms_ssim_diversity(images[:1], data_range=1, weights=FEW_SCALES)


def test_patients_that_fit_no_row_are_refused():
    x, wrong = rng().normal(size=(20, 2)), np.arange(19)
    for call in (
        lambda: distribution.prdc_intervals(x, x, patients_real=wrong, rng=rng()),
        lambda: distribution.mmd2_interval(x, x, patients_synthetic=wrong, rng=rng()),
        lambda: distribution.fid_infinity(x, x + 1, patients_real=wrong, draws=2, rng=rng()),
        lambda: memorisation.copy_fraction(x, x, x + 1, patients=wrong, rng=rng()),
        lambda: memorisation.authenticity(x, x, x + 1, patients=wrong, rng=rng()),
        lambda: memorisation.membership_attack(x, x, x + 1, patients_training=wrong, rng=rng()),
        lambda: distribution.frechet_floor(x, 5, patients=wrong, rng=rng()),
    ):
        with pytest.raises(RadloomError):
            call()


def test_images_without_a_correlation_are_refused():
    good = rng().random((4, 6, 6))
    constant, hole = good.copy(), good.copy()
    constant[1], hole[0, 0, 0] = 7.0, np.nan
    for bad, said in ((constant, "1 images of the synthetic set are constant"), (good[:, :5], "one shape"),
                      ([good[0], good[1, :5]], "one shape"), (good[:, 0], "one shape"), (hole, "NaN"),
                      (good[:0], "0 images")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            memorisation.image_copies(good, bad, good, rng=rng())
    with pytest.raises(RadloomError, match="0 and 1"):
        memorisation.image_copies(good, good, good, quantile=1.0, rng=rng())


def test_membership_refuses_scores_that_are_no_numbers():
    for call, said in ((lambda: memorisation.membership_auc([1.0, np.nan], [0.0], rng=rng()), "members.* NaN"),
                       (lambda: memorisation.membership_auc([1.0], [np.inf], rng=rng()), "non-members.* NaN"),
                       (lambda: memorisation.membership_auc([], [0.0], rng=rng()), "at least one"),
                       (lambda: memorisation.membership_auc([1.0], [0.0], draws=0, rng=rng()), "draws=0"),
                       (lambda: memorisation.tpr_at_fpr([1.0], [0.0], 1.5), "fpr is 1.5")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            call()


def test_memorisation_refuses_too_few_images_and_a_held_out_set_of_copies():
    x = rng().normal(size=(6, 2))
    with pytest.raises(RadloomError, match="copies of training images"):
        memorisation.nearest_training_distance(x, x, x)
    with pytest.raises(RadloomError, match="training images"):
        memorisation.copy_fraction(x[:1], x, x, rng=rng())
    with pytest.raises(RadloomError, match="k=1"):
        memorisation.authenticity(x[:1], x, x, rng=rng())
    with pytest.raises(RadloomError, match="no cell"):
        memorisation.data_copying(x, x, x, rng=rng())
    with pytest.raises(RadloomError, match="cells"):
        memorisation.data_copying(x, x, x, cells=7, rng=rng())
    for unfit, said in ((np.full((3, 2), np.nan), "NaN"), (np.ones((3, 1)), "features"), (x[:0], "rows")):
        with pytest.raises(RadloomError, match=said):
            memorisation.nearest_training_distance(x, unfit, x)


def test_the_radiomic_distance_says_what_it_cannot_compare():
    x, y = rng(0).normal(size=(30, 3)), rng(1).normal(size=(25, 3))
    still, hole = x.copy(), x.copy()
    still[:, 1], hole[0, 0] = 2.0, np.nan
    distance = distribution.frechet_radiomic_distance
    for call, said in ((lambda: distance(hole, y), "NaN"), (lambda: distance(still, y), "column 1"),
                       (lambda: distance(still, y, names=["a", "shape", "c"]), "shape"),
                       (lambda: distance(x, y, names=["a"]), "1 names of 3"),
                       (lambda: distance(x, y[:, :2]), "features"),
                       (lambda: distance(x, y[:1]), "rows"), (lambda: distance(x[0], y[0]), "matrix"),
                       (lambda: distance(np.ones((3, 2)), np.ones((3, 2))), "varies"),
                       (lambda: distance(x * np.nan, y, preset="paper_exact"), "0 real"),
                       (lambda: distance(x[0], y, preset="paper_exact"), "matrices")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            call()


def test_distances_refuse_settings_that_cannot_be():
    x = rng().normal(size=(20, 2))
    for call, said in ((lambda: distribution.fid_infinity(x, x, sizes=1, rng=rng()), "sizes=1"),
                       (lambda: distribution.fid_infinity(x, x, smallest=0.05, rng=rng()), "at least 2 images"),
                       (lambda: distribution.frechet_floor(x, 11, rng=rng()), "floor"),
                       (lambda: distribution.frechet_floor(x, 8, patients=[0] * 19 + [1], rng=rng()), "common patient"),
                       (lambda: distribution.cmmd(x, x, sigma=0), "sigma"),
                       (lambda: distribution.mmd2_polynomial(x, x, degree=0), "degree"),
                       (lambda: distribution.mmd2_polynomial(x, x, block=0), "block"),
                       (lambda: distribution.mmd2_interval(x, x, draws=1, rng=rng()), "draws=1"),
                       (lambda: distribution.prdc(x, x, 20), "k=20"),
                       (lambda: distribution.nearest_neighbours(x, x[:2], 3), "k=3"),
                       (lambda: distribution.Moments.of(x[:1]).covariance, "2 images"),
                       (lambda: distribution.Moments.of(x).update(x[:, :1]), "features")):  # fmt: skip
        with pytest.raises(RadloomError, match=said):
            call()


def test_constant_features_have_distances_without_a_warning():
    same, other = np.full((10, 3), 2.0), np.full((12, 3), 5.0)
    assert distribution.frechet_distance(same, other).value == pytest.approx(27, rel=1e-12)
    assert distribution.frechet_distance(same, same).value == 0
    assert distribution.mmd2_polynomial(same, same) == pytest.approx(0, abs=1e-12)
    collapsed = distribution.prdc(same, same, 3, arithmetic="exact")
    assert (collapsed.precision, collapsed.coverage) == (0, 0)  # no ball has a size
    assert distribution.improved_precision_recall(same, same, arithmetic="exact").precision == 1
