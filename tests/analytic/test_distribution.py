"""Metrics of sets where the true value is known in closed form."""

import numpy as np
import pytest

from radloom.metrics import distribution, memorisation


def test_frechet_distance_of_gaussians_is_extrapolated_to_the_closed_form_within_its_error():
    rng = np.random.default_rng(0)
    sd = np.linspace(0.5, 2, 16)
    real, synthetic = rng.normal(size=(1500, 16)), rng.normal(size=(1000, 16)) * sd + 0.1
    truth = 16 * 0.01 + np.sum((1 - sd) ** 2)
    found = distribution.fid_infinity(real, synthetic, draws=20, rng=rng)
    assert abs(found.value - truth) < 4 * found.se < 1
    assert found.biased > truth
    assert found.low < found.value < found.high


def test_the_floor_is_what_a_perfect_generator_gets():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(600, 10))
    floor = distribution.frechet_floor(real, 200, splits=10, rng=rng)
    perfect = [distribution.fid(rng.normal(size=(200, 10)), rng.normal(size=(200, 10))) for _ in range(20)]
    assert floor.mean == pytest.approx(np.mean(perfect), rel=0.25)


def test_halves_of_the_floor_share_no_patient():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(50), 4)
    real = np.repeat(rng.normal(size=(50, 3)), 4, axis=0)  # four equal images each
    together = distribution.frechet_floor(real, 80, rng=np.random.default_rng(1)).mean
    apart = distribution.frechet_floor(real, 80, patients=patients, rng=np.random.default_rng(1)).mean
    assert apart > 1.5 * together


def test_scores_of_classes_and_kinds_count_them():
    logits = 1000.0 * np.eye(4)[np.arange(40) % 4]
    assert distribution.inception_score(logits, 10).mean == pytest.approx(4, rel=1e-9)
    assert distribution.inception_score(np.zeros((10, 4)), 2).mean == pytest.approx(1, rel=1e-12)
    assert distribution.vendi_score(np.eye(7)) == pytest.approx(7, rel=1e-9)
    assert distribution.vendi_score(np.ones((5, 3))) == pytest.approx(1, rel=1e-9)


def test_equal_sets_have_a_perfect_curve_and_disjoint_ones_none():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    same, other = (distribution.prd_curve(x, x + shift, 5, runs=2, rng=rng) for shift in (0.0, 1e6))
    assert same.f8 == pytest.approx(1, abs=1e-6)
    assert other.f8 == other.f1_8 == pytest.approx(0, abs=1e-6)


def test_real_images_in_place_of_synthetic_ones_give_a_standard_normal_copying_score():
    rng = np.random.default_rng(0)
    scores = [memorisation.data_copying(*(rng.normal(size=(n, 3)) for n in (60, 40, 40)), rng=rng).value
              for _ in range(100)]  # fmt: skip
    assert abs(np.mean(scores)) < 0.4
    assert np.std(scores) == pytest.approx(1, abs=0.25)


def test_copies_are_found_through_flips_and_contrast_and_new_images_are_not():
    rng = np.random.default_rng(0)
    train, new, other = (rng.random((30, 6, 7, 5)) for _ in range(3))
    drawn = np.concatenate([5 - 2 * -train[3:4, ::-1, :, ::-1], new])
    found = memorisation.image_copies(train, drawn, other, quantile=0.9, rng=rng)
    assert found.correlation[0] == pytest.approx(1, rel=1e-9)
    assert (found.training[0], found.flips[0]) == (3, (0, 2))
    assert found.correlation[1:].max() < 0.5
    assert found.fraction.estimate < 0.4
