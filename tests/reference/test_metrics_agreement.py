"""Agreement of measurements against published worked examples, formulas term by term and its own coverage."""

import math

import numpy as np
import pytest
import torch
from scipy import stats as scipy

from radloom.errors import RadloomError
from radloom.metrics.agreement import (
    FORMS,
    bland_altman,
    ccc,
    icc,
)

# Bland and Altman 1986, table 1: peak expiratory flow, l/min, first readings with a large and a mini meter
LARGE = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
MINI = (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)
# Shrout and Fleiss 1979, table 2: four judges on six targets
JUDGES = ((9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_bland_altman_gives_the_published_limits_of_peak_flow():
    twice = math.erf(math.sqrt(2))  # the paper takes two standard deviations
    found = bland_altman(LARGE, MINI, coverage=twice)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.bias_interval == pytest.approx((-22.0, 17.8), abs=0.06)
    assert (found.lower, found.upper) == pytest.approx((-79.7, 75.5), abs=0.1)
    # the paper rounds 1/n + 4/(2(n-1)) to 3/n, ours keeps n - 1: half a unit wider at n = 17
    assert found.lower_interval == pytest.approx((-114.3, -45.1), abs=0.8)
    assert found.upper_interval == pytest.approx((40.9, 110.1), abs=0.8)


def test_bland_altman_gives_the_published_limits_of_blood_pressure():
    # Bland and Altman 1999, section 2: 85 subjects, mean -16.29, sd 19.61 mmHg; limits and their intervals as printed
    d = rng().standard_normal(85)
    d = (d - d.mean()) / d.std(ddof=1) * 19.61 - 16.29
    found = bland_altman(d + 120, np.full(85, 120.0))
    assert (found.lower, found.upper) == pytest.approx((-54.7, 22.1), abs=0.05)
    assert found.lower_interval == pytest.approx((-61.9, -47.5), abs=0.15)
    assert found.upper_interval == pytest.approx((14.9, 29.3), abs=0.15)


def test_bland_altman_limits_and_their_intervals_hold_what_they_promise():
    inside, covered = [], 0
    for seed in range(300):
        draw = rng(seed)
        a, b = draw.standard_normal((2, 40)) + draw.standard_normal(40)
        found = bland_altman(a, b)
        inside.append(math.erf(found.upper / 2) / 2 - math.erf(found.lower / 2) / 2)  # the difference has variance 2
        covered += found.upper_interval[0] <= 1.959964 * math.sqrt(2) <= found.upper_interval[1]
    # a new difference is t with 39 degrees around the mean, times sqrt(1 + 1/40) sd: a little less than 0.95
    assert np.mean(inside) == pytest.approx(2 * scipy.t.cdf(1.959964 / math.sqrt(1 + 1 / 40), 39) - 1, abs=0.004)
    assert 0.91 <= covered / 300 <= 0.98


def test_bland_altman_refuses_several_pairs_of_a_patient_and_has_no_interval_for_two():
    with pytest.raises(RadloomError, match="2 of 5 pairs are further measurements"):
        bland_altman(range(5), range(5), patients=list("aabbc"))
    with pytest.raises(RadloomError, match="one patient per pair"):
        bland_altman(range(5), range(5), patients=list("aab"))
    with pytest.raises(RadloomError, match="at least two patients"):
        bland_altman([1], [2])
    two = bland_altman([1, 2], [1, 1], patients=["a", "b"])
    assert (two.bias, two.sd) == pytest.approx((0.5, math.sqrt(0.5)))
    assert math.isnan(two.bias_interval[0])
    same = bland_altman([3, 3, 3], [2, 2, 2])
    assert (same.bias, same.lower, same.upper) == (1, 1, 1)
    assert math.isnan(same.slope)


def test_bland_altman_slope_finds_an_error_that_grows_with_size():
    x = np.arange(1, 30.0)
    assert bland_altman(1.1 * x, x).slope == pytest.approx(0.1 / 1.05)


def epir(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """CCC with Fisher's z interval, from the standard error that Lin printed in 2000, term by term."""
    k, r = len(x), np.corrcoef(x, y)[0, 1]
    p = 2 * r * np.std(x) * np.std(y) / (np.var(x) + np.var(y) + (np.mean(y) - np.mean(x)) ** 2)
    u = (np.mean(y) - np.mean(x)) / math.sqrt(np.std(x) * np.std(y))
    one = (1 - r**2) * p**2 * (1 - p**2) / r**2
    se = math.sqrt((one + 2 * p**3 * (1 - p) * u**2 / r - p**4 * u**4 / r**2 / 2) / (k - 2)) / (1 - p**2)
    z = math.log((1 + p) / (1 - p)) / 2
    return p, math.tanh(z - 1.959963984540054 * se), math.tanh(z + 1.959963984540054 * se)


def test_ccc_of_peak_flow_is_the_published_one():
    found = ccc(LARGE, MINI)  # Steichen and Cox, Stata J 2002;2:183-189: 0.943 = 0.943 * 0.999
    assert (round(found.estimate, 3), round(found.pearson, 3), round(found.accuracy, 3)) == (0.943, 0.943, 0.999)
    assert found.estimate == pytest.approx(found.pearson * found.accuracy)


def test_ccc_agrees_with_the_formula_term_by_term():
    for seed in range(5):
        x = rng(seed).standard_normal(20) + 3
        y = 0.8 * x + 0.5 * rng(seed + 9).standard_normal(20) + seed
        found = ccc(x, y)
        assert (found.estimate, found.low, found.high) == pytest.approx(epir(x, y), rel=1e-10)


def test_ccc_interval_covers_the_truth_about_as_often_as_it_says():
    truth, inside = 2 * 0.8 / (1 + 1 + 0.3**2), 0
    for seed in range(400):
        x, e = rng(seed).standard_normal((2, 50))
        found = ccc(x, 0.8 * x + 0.6 * e + 0.3)
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_ccc_has_the_value_worked_by_hand_and_its_limits():
    assert ccc([1, 2, 3], [1, 2, 3]).estimate == ccc([1, 2, 3], [1, 2, 3]).low == 1
    assert ccc([1, 2, 3], [3, 2, 1]).estimate == pytest.approx(-1)
    assert ccc([0, 2, 4], [1, 3, 5]).estimate == pytest.approx(2 * 8 / 3 / (16 / 3 + 1))  # means 2, 3; moments over 3
    assert ccc([1, 2, 3], [2, 2, 2]).estimate == 0
    assert math.isnan(ccc([1, 2, 3], [2, 2, 2]).low)
    assert math.isnan(ccc([2, 2, 2], [2, 2, 2]).estimate)
    assert ccc([0.1] * 3, [0.2] * 3).estimate == 0
    assert math.isnan(ccc([1, 2], [1, 3]).low)
    tensors = torch.tensor([1.0, 2, 4]), torch.tensor([1, 3, 4])
    assert ccc(*tensors) == ccc([1, 2, 4], [1, 3, 4])


@pytest.mark.parametrize("measure", [ccc, bland_altman])
def test_two_methods_refuse_what_they_cannot_compare(measure):
    with pytest.raises(RadloomError, match="same patients"):
        measure([1, 2, 3], [1, 2])
    with pytest.raises(RadloomError, match="1 NaN"):
        measure([1, 2, math.nan], [1, 2, 3])
    with pytest.raises(RadloomError, match="at least one"):
        measure([], [])
    with pytest.raises(RadloomError, match="level"):
        measure([1, 2, 3], [1, 2, 4], level=95.0)


def test_icc_gives_shrout_and_fleiss_six_values():
    published = {"1,1": 0.17, "2,1": 0.29, "3,1": 0.71, "1,k": 0.44, "2,k": 0.62, "3,k": 0.91}
    assert {form: round(icc(JUDGES, form=form).estimate, 2) for form in FORMS} == published


def test_icc_gives_the_intervals_and_tests_that_psych_prints():
    # R's psych, ?ICC: the same table
    printed = {
        "1,1": (-0.133, 0.72, 1.79, 5, 18, 0.16477),
        "2,1": (0.019, 0.76, 11.03, 5, 15, 0.00013),
        "3,1": (0.342, 0.95, 11.03, 5, 15, 0.00013),
        "1,k": (-0.884, 0.91, 1.79, 5, 18, 0.16477),
        "2,k": (0.071, 0.93, 11.03, 5, 15, 0.00013),
        "3,k": (0.676, 0.99, 11.03, 5, 15, 0.00013),
    }
    for form, (low, high, f, first, second, p) in printed.items():
        found = icc(JUDGES, form=form)
        assert (round(found.low, 3), round(found.high, 2), round(found.f, 2)) == (low, high, f)
        assert (found.degrees, round(found.p, 5)) == ((first, second), p)


@pytest.mark.parametrize("form", FORMS)
def test_icc_interval_covers_the_truth_about_as_often_as_it_says(form):
    single = 1 / 2.5 if form[0] == "2" else 1 / 2  # variances: cases 1, error 1, readers 0.5 where they count
    truth = single if form[2] == "1" else 3 * single / (1 + 2 * single)
    inside = 0
    for seed in range(200):
        draw = rng(seed)
        readers = {"1": 0.0, "2": math.sqrt(0.5), "3": 2.0}[form[0]] * draw.standard_normal(3)
        found = icc(draw.standard_normal((25, 1)) + draw.standard_normal((25, 3)) + readers, form=form)
        inside += found.low <= truth <= found.high
    assert 0.9 <= inside / 200 <= 0.995


def test_icc_of_perfect_constant_and_shifted_tables():
    perfect = np.repeat([[1.1], [2.2], [3.7]], 3, axis=1)
    for form in FORMS:
        found = icc(perfect, form=form)
        assert (found.estimate, found.low, found.high, found.p) == pytest.approx((1, 1, 1, 0))
        assert math.isnan(icc(np.full((4, 3), 0.1), form=form).estimate)
    shifted = perfect + np.array([0, 1, 5])
    assert icc(shifted, form="3,1").estimate == pytest.approx(1)
    assert icc(shifted, form="2,1").estimate < 0.5
    for form in FORMS:
        assert icc(np.asarray(JUDGES) * 3.0 - 1e6, form=form).estimate == pytest.approx(icc(JUDGES, form=form).estimate)


def test_icc_refuses_missing_ratings_single_readers_and_unknown_forms():
    for table in ([[1, 2], [3, math.nan]], [[1], [2]], [[1, 2, 3]], [1, 2, 3], []):
        with pytest.raises(RadloomError, match="at least two of each"):
            icc(table, form="2,1")
    with pytest.raises((RadloomError, TypeError), match="form"):
        icc(JUDGES, form="4,1")
