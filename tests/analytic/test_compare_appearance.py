"""Spectra, histograms, halves and the jackknife of a comparison where the answer is known."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import radloom.compare
from radloom.compare import appearance
from radloom.compare.paired import scales_for
from radloom.compare.pairs import matched
from radloom.compare.splits import halves, jackknife
from radloom.errors import RadloomError

MODULES = sorted(one.name for one in pkgutil.iter_modules(radloom.compare.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name):
    assert doctest.testmod(importlib.import_module(f"radloom.compare.{name}")).failed == 0


def test_white_noise_has_a_flat_spectrum_at_its_variance():
    rng = np.random.default_rng(0)
    spectra = [10 ** appearance.spectrum(rng.normal(0, 3, (64, 81)), 2.0) for _ in range(60)]
    mean = np.mean(spectra, axis=0)[2:]
    np.testing.assert_allclose(mean, 9 / 4, rtol=0.15)  # variance over the window's width squared, in every ring


def test_a_gaussian_blur_lowers_the_spectrum_by_its_transfer_function():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(40, 128, 128))
    sharp = np.mean([appearance.spectrum(x, 1) for x in noise], axis=0)
    blurred = np.mean([appearance.spectrum(gaussian_filter(x, 1.0, mode="wrap"), 1) for x in noise], axis=0)
    frequency = (np.arange(32) + 0.5) / 64
    expected = -4 * np.pi**2 * frequency**2 / np.log(10)  # |exp(-2 pi^2 f^2)|^2
    np.testing.assert_allclose((blurred - sharp)[3:16], expected[3:16], atol=0.06)
    assert appearance.high_frequency_excess(sharp, blurred) < -10
    assert appearance.high_frequency_excess(blurred, sharp) > 10


def test_spectra_do_not_notice_brightness_and_rise_with_contrast():
    image = np.random.default_rng(2).random((48, 48))
    plain = appearance.spectrum(image, 1)
    np.testing.assert_allclose(appearance.spectrum(image + 7, 1), plain, atol=1e-6)
    np.testing.assert_allclose(appearance.spectrum(10 * image, 1), plain + 2, atol=1e-6)
    np.testing.assert_allclose(appearance.spectrum(10 * image, 10), plain, atol=1e-6)


def test_a_plane_too_small_for_a_spectrum_is_refused():
    with pytest.raises(RadloomError, match="16 pixels or more"):
        appearance.spectrum(np.zeros((15, 40)), 1)


def test_a_constant_plane_has_the_floor_everywhere():
    assert (appearance.spectrum(np.full((20, 20), 3.0), 1) == np.log10(appearance.FLOOR)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-500, 500), st.floats(0.1, 900))
def test_a_histogram_is_a_distribution_of_all_voxels(seed, low, width):
    values = np.random.default_rng(seed).normal(0, 300, (20, 20))
    found = appearance.histogram(values, low, low + width)
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(np.mean(values < low))
    assert found[-1] == pytest.approx(np.mean(values >= low + width), abs=1 / 400)


def test_the_histogram_distance_is_the_shift_of_a_shifted_image():
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.1, 0.5, 4000), rng.uniform(0.2, 0.9, 4000)
    rows = [appearance.histogram(x.reshape(40, -1), 0, 1) for x in (a, b)]
    assert appearance.histogram_distance(*rows) == pytest.approx(wasserstein_distance(a, b), abs=1 / 128)


def test_the_bootstrap_error_of_a_mean_difference_is_the_one_of_theory():
    rng = np.random.default_rng(4)
    x, y = rng.normal(0, 1, (50, 1)), rng.normal(0, 2, (80, 1))
    value, se = appearance.with_spread(
        lambda a, b: float(b[0] - a[0]), x, y, np.arange(50), np.arange(80), draws=4000, rng=rng
    )
    assert value == pytest.approx(y.mean() - x.mean())
    assert se == pytest.approx(np.sqrt(x.var() / 50 + y.var() / 80), rel=0.06)


def test_the_jackknife_of_single_patients_is_the_standard_error_of_a_mean():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(10, 1)), rng.normal(size=(8, 1))
    se = jackknife(lambda a, b: float(a.mean() - b.mean()), x, y, np.arange(10), np.arange(8), rng)
    assert se == pytest.approx(np.sqrt(x.var(ddof=1) / 10 + y.var(ddof=1) / 8))


def test_images_of_one_patient_are_left_out_together():
    rng = np.random.default_rng(6)
    x = np.repeat(rng.normal(size=(9, 1)), 4, axis=0)
    who = np.repeat(np.arange(9), 4)
    se = jackknife(lambda a, _: float(a.mean()), x, x, who, who, rng)
    assert se == pytest.approx(np.sqrt(x[::4].var(ddof=1) / 9))


def test_two_patients_give_no_standard_error():
    x = np.zeros((8, 1))
    who = np.repeat([0, 1], 4)
    assert np.isnan(jackknife(lambda a, b: 0.0, x, x, who, who, np.random.default_rng(0)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=30, max_size=60), st.integers(0, 2**32 - 1))
def test_halves_hold_every_image_once_and_share_no_patient(patients, seed):
    who = np.array(patients)
    try:
        a, b = halves(who, np.random.default_rng(seed))
    except RadloomError:
        # the cut falls behind the patient who crosses the middle, so that patient fills what the other half lacks
        assert max(np.bincount(who)) > len(who) / 2 - 8
        return
    assert sorted([*a, *b]) == list(range(len(who)))
    assert not set(who[a]) & set(who[b])


def test_too_few_patients_have_no_halves():
    with pytest.raises(RadloomError, match="two halves of 8 or more"):
        halves(np.repeat([0, 1], [30, 3]), np.random.default_rng(0))


@pytest.mark.parametrize(("side", "scales"), [(11, 1), (21, 1), (22, 2), (64, 3), (175, 4), (176, 5), (900, 5), (5, 1)])
def test_ms_ssim_takes_as_many_scales_as_fit(side, scales):
    assert scales_for((side, side + 3)) == scales


def test_the_rows_of_an_array_without_names_make_no_pairs():
    from radloom.compare.inputs import read_set

    items = read_set(np.zeros((3, 8, 8))).of("")
    assert [item.case for item in items] == ["0", "1", "2"]
    assert matched(items, items) == []
