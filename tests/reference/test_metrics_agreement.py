"""Agreement against published worked examples, scikit-learn, loops over all pairs and its own coverage."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats as scipy
from sklearn.metrics import cohen_kappa_score

from radloom.errors import RadloomError
from radloom.metrics.agreement import (
    FORMS,
    bland_altman,
    bootstrap_agreement,
    ccc,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    icc,
    krippendorff_alpha,
    likert_pairs,
    likert_summary,
)

# Bland and Altman 1986, table 1: peak expiratory flow, l/min, first readings with a large and a mini meter
LARGE = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
MINI = (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)
# Shrout and Fleiss 1979, table 2: four judges on six targets
JUDGES = ((9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7))
# Krippendorff 2011, example C: four observers on twelve units, not all of them
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
# Fleiss 1971, table 1: how many of six psychiatrists put each of thirty patients into five diagnoses
DIAGNOSES = """00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_counts(rows: str) -> list[list[int]]:
    """A row of ratings per case from how often each category was chosen."""
    return [[k for k, count in enumerate(row) for _ in range(int(count))] for row in rows.split()]


def of_table(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two readers' ratings from their cross table."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in cells], [j for _, j in cells]


def units() -> list[list[float]]:
    return [[math.nan if v == "." else float(v) for v in unit] for unit in zip(*OBSERVERS, strict=True)]


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


def test_cohens_kappa_gives_the_published_examples():
    # Fleiss, Levin, Paik. Statistical Methods for Rates and Proportions, 3rd ed. 2003, table 18.1
    found = cohen_kappa(*of_table([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert (round(found.estimate, 2), round(found.se, 3)) == (0.68, 0.088)
    assert (found.observed, found.expected) == pytest.approx((0.89, 0.66))
    # Gwet's irrCAC, cont3x3abstractors: kappa2.table
    found = cohen_kappa(*of_table([[13, 0, 0], [0, 20, 7], [0, 4, 56]]))
    assert (found.estimate, found.se) == pytest.approx((0.7964094, 0.05891072), abs=5e-8)
    # R's vcd, ?Kappa: SexualFun
    marriages = of_table([[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]])
    for weights, want in (("identity", (0.1293, 0.06860)), ("linear", (0.2374, 0.07832))):
        found = cohen_kappa(*marriages, weights=weights)
        assert (found.estimate, found.se) == pytest.approx(want, abs=5e-5)
        assert found.low == pytest.approx(found.estimate - 1.959964 * found.se)


@pytest.mark.parametrize("weights", ["identity", "linear", "quadratic"])
def test_cohens_kappa_agrees_with_scikit_learn(weights):
    for seed in range(4):
        a = rng(seed).integers(0, 5, 60)
        b = np.where(rng(seed + 5).random(60) < 0.6, a, rng(seed + 7).integers(0, 5, 60))
        want = cohen_kappa_score(a, b, weights=None if weights == "identity" else weights)
        assert cohen_kappa(a, b, weights=weights).estimate == pytest.approx(want, rel=1e-10)
        assert cohen_kappa(torch.tensor(a), pd.Series(b), weights=weights).estimate == pytest.approx(want, rel=1e-10)


def test_cohens_kappa_takes_words_in_the_order_given():
    a, b = ["low", "mid", "high", "mid", "low"], ["low", "high", "high", "mid", "mid"]
    order = ["low", "mid", "high"]
    want = cohen_kappa([order.index(x) for x in a], [order.index(x) for x in b], weights="linear")
    assert cohen_kappa(a, b, weights="linear", categories=order) == want
    assert cohen_kappa(a, b, weights="linear").estimate != want.estimate  # alphabetical: high, low, mid


def test_kappa_interval_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(300):
        draw = rng(seed)
        a = draw.integers(0, 2, 80)
        b = np.where(draw.random(80) < 0.8, a, 1 - a)  # agreement 0.8, chance 0.5
        found = cohen_kappa(a, b, categories=[0, 1])
        inside += found.low <= 0.6 <= found.high
    assert 0.91 <= inside / 300 <= 0.98


def test_fleiss_kappa_gives_the_published_examples():
    found = fleiss_kappa(of_counts(DIAGNOSES))  # Fleiss 1971: P = 0.555, P_e = 0.220, kappa = 0.430
    assert (round(found.estimate, 3), round(found.expected, 3)) == (0.43, 0.22)
    assert found.observed == pytest.approx(0.5555, abs=1e-3)
    found = fleiss_kappa(of_counts(DIAGNOSES.splitlines()[0]))  # irrCAC, distrib.6raters: its first half
    assert (found.estimate, found.se) == pytest.approx((0.4139265, 0.08119291), abs=5e-8)
    assert (round(found.low, 3), round(found.high, 3)) == (0.24, 0.588)


def test_gwets_coefficients_give_the_examples_of_irrcac():
    found = gwet_ac1(of_counts(DIAGNOSES.splitlines()[0]))
    assert (found.estimate, found.se) == pytest.approx((0.4448007, 0.08418757), abs=5e-8)
    assert (round(found.low, 3), round(found.high, 3)) == (0.264, 0.625)
    found = gwet_ac1(units())  # cac.raw4raters, with missing ratings
    assert (found.estimate, found.se) == pytest.approx((0.77544, 0.14295), abs=5e-6)
    assert (round(found.low, 3), found.high) == (0.461, 1)
    assert (found.observed, found.expected) == pytest.approx((0.8181818, 0.1903212), abs=5e-8)
    abstractors = np.stack(of_table([[13, 0, 0], [0, 20, 7], [0, 4, 56]]), axis=1)
    assert gwet_ac1(abstractors).estimate == pytest.approx(0.8493305, abs=5e-8)
    assert fleiss_kappa(abstractors).estimate == pytest.approx(0.7962397, abs=5e-8)  # Scott's pi


def test_gwets_ac1_gives_the_value_of_gwet_2008_where_kappa_collapses():
    found = gwet_ac1(np.stack(of_table([[118, 5], [2, 0]]), axis=1))
    assert found.estimate == pytest.approx(0.9408, abs=5e-5)
    assert cohen_kappa(*of_table([[118, 5], [2, 0]])).estimate == pytest.approx(-0.0234, abs=5e-5)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_gwets_ac2_counts_partial_agreement_of_all_pairs(weights):
    table = rng(3).integers(1, 5, (12, 3))
    power = {"linear": 1, "quadratic": 2}[weights]

    def w(a: float, b: float) -> float:
        return 1 - (abs(a - b) / 3) ** power

    agreeing = np.mean([np.mean([w(a, b) for a, b in itertools.permutations(row, 2)]) for row in table])
    shares = np.array([np.mean(table == k) for k in range(1, 5)])
    total = sum(w(a, b) for a in range(4) for b in range(4))
    by_chance = total / 12 * np.sum(shares * (1 - shares))
    want = (agreeing - by_chance) / (1 - by_chance)
    assert gwet_ac1(table, weights=weights, categories=[1, 2, 3, 4]).estimate == pytest.approx(want, rel=1e-10)


def test_krippendorffs_alpha_gives_the_published_example():
    published = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}
    for scale, want in published.items():
        found = krippendorff_alpha(units(), scale=scale, draws=50, rng=rng())
        assert round(found.estimate, 3) == want
        assert found.n_patients == 11  # the twelfth unit has one rating


def test_krippendorffs_alpha_of_words_gives_the_published_example():
    # Krippendorff 2011, example B: two observers, nominal, 0.692
    ratings = list(zip("aabbdcccedda", "babbbccceddd", strict=True))
    found = krippendorff_alpha(ratings, scale="nominal", draws=50, rng=rng())
    assert round(found.estimate, 3) == 0.692


@pytest.mark.parametrize("scale", ["nominal", "interval", "ratio"])
def test_krippendorffs_alpha_is_one_minus_observed_over_expected_over_all_pairs(scale):
    table = rng(1).integers(1, 6, (9, 4)).astype(float)
    table[rng(2).random(table.shape) < 0.2] = math.nan
    apart = {"nominal": lambda a, b: float(a != b), "interval": lambda a, b: (a - b) ** 2,
             "ratio": lambda a, b: ((a - b) / (a + b)) ** 2}[scale]  # fmt: skip
    rows = [row[~np.isnan(row)] for row in table]
    rows = [row for row in rows if len(row) > 1]
    values = np.concatenate(rows)
    within = sum(sum(apart(a, b) for a, b in itertools.permutations(row, 2)) / (len(row) - 1) for row in rows)
    between = sum(apart(a, b) for a, b in itertools.permutations(values, 2)) / (len(values) - 1)
    found = krippendorff_alpha(table, scale=scale, draws=20, rng=rng())
    assert found.estimate == pytest.approx(1 - within / between, rel=1e-10)


def test_krippendorffs_alpha_takes_zeros_on_a_ratio_scale_and_resamples_patients():
    table = np.array([[0, 0], [0, 1], [2, 2], [4, 3], [5, 5], [1, 1]])
    assert math.isfinite(krippendorff_alpha(table, scale="ratio", draws=20, rng=rng()).estimate)
    table, who = np.repeat(rng(4).integers(0, 4, (12, 3)), 6, axis=0), np.repeat(np.arange(12), 6)
    clustered = krippendorff_alpha(table, scale="interval", patients=who, draws=300, rng=rng())
    loose = krippendorff_alpha(table, scale="interval", draws=300, rng=rng())
    assert (clustered.n_patients, loose.n_patients) == (12, 72)
    assert clustered.estimate == loose.estimate
    assert clustered.high - clustered.low > 1.5 * (loose.high - loose.low)


def alpha(table, **options) -> float:
    return krippendorff_alpha(table, scale="nominal", draws=5, rng=rng(), **options).estimate


@pytest.mark.parametrize("measure", [fleiss_kappa, gwet_ac1])
def test_one_category_is_undefined_and_two_cases_have_no_interval(measure):
    assert math.isnan(measure([[1, 1], [1, 1], [1, 1]]).estimate)
    assert math.isnan(cohen_kappa([1, 1, 1], [1, 1, 1]).estimate)
    assert math.isnan(alpha([[1, 1], [1, 1], [1, 1]]))
    assert gwet_ac1([[1, 1], [1, 1], [1, 1]], categories=[0, 1]).estimate == 1
    two = measure([[1, 1], [2, 2]])
    assert two.estimate == cohen_kappa([1, 2], [1, 2]).estimate == 1
    assert math.isnan(two.low)
    assert math.isnan(cohen_kappa([1, 2], [1, 2]).low)


@pytest.mark.parametrize("measure", [fleiss_kappa, gwet_ac1, alpha])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "at least one case and two readers"),
        ([[1], [2]], "at least one case and two readers"),
        ([[1, 2], [3]], "at least one case and two readers|differ in length"),
        ([[math.nan, None], [None, None]], "every rating is missing"),
        ([[1, math.inf], [1, 1]], "infinite"),
        ([[1, "a"], [1, 1]], "mix words and numbers"),
    ],
)
def test_tables_that_are_no_ratings_give_one_clear_line(measure, table, message):
    with pytest.raises(RadloomError, match=message) as caught:
        measure(table)
    assert "\n" not in str(caught.value)


def test_ratings_that_do_not_fit_are_refused():
    with pytest.raises(RadloomError, match=r"ratings \['3'\] are not among"):
        gwet_ac1([[1, 2], [3, 1]], categories=[1, 2])
    with pytest.raises(RadloomError, match="every category once"):
        gwet_ac1([[1, 2], [2, 1]], categories=[1, 2, 2])
    with pytest.raises(RadloomError, match=r"1 cases lack a rating; .*krippendorff_alpha"):
        fleiss_kappa([[1, 2], [1, None]])
    with pytest.raises(RadloomError, match="left out a case"):
        cohen_kappa([1, math.nan], [1, 2])
    with pytest.raises(RadloomError, match="left out a case"):
        cohen_kappa(pd.Series([1, pd.NA], dtype="Int64"), [1, 2])
    with pytest.raises(RadloomError, match="same cases"):
        cohen_kappa([1, 2], [1, 2, 3])
    for measure in (gwet_ac1, alpha):
        with pytest.raises(RadloomError, match="no case has two ratings"):
            measure([[1, None], [None, 2]])
    with pytest.raises(RadloomError, match="hold words"):
        krippendorff_alpha([["a", "b"], ["a", "a"]], scale="interval", rng=rng())
    with pytest.raises(RadloomError, match="negative"):
        krippendorff_alpha([[1, -1], [1, 1]], scale="ratio", rng=rng())
    with pytest.raises(RadloomError, match="one patient per case"):
        krippendorff_alpha([[1, 2], [1, 1]], scale="nominal", patients=[1], rng=rng())


def test_missing_ratings_of_pandas_and_numpy_are_the_same():
    frame = pd.DataFrame({"a": [1, 2, pd.NA, 2], "b": [1, 2, 2, 1]}, dtype="Int64")
    assert gwet_ac1(frame) == gwet_ac1([[1, 1], [2, 2], [math.nan, 2], [2, 1]])


def test_any_agreement_is_bootstrapped_by_patient():
    table = np.repeat(rng(1).standard_normal((15, 2)) + rng(2).standard_normal((15, 1)), 4, axis=0)

    def concordance(rows: np.ndarray) -> float:
        return ccc(rows[:, 0], rows[:, 1]).estimate

    by_patient = bootstrap_agreement(table, concordance, patients=np.repeat(range(15), 4), draws=300, rng=rng())
    by_case = bootstrap_agreement(table, concordance, patients=range(60), draws=300, rng=rng())
    assert by_patient.estimate == by_case.estimate == ccc(*table.T).estimate
    assert by_patient.high - by_patient.low > 1.5 * (by_case.high - by_case.low)
    with pytest.raises(RadloomError, match="a row per case"):
        bootstrap_agreement([1, 2], concordance, patients=[1, 2], rng=rng())


def test_likert_scores_are_summed_up_as_counted_by_hand():
    found = likert_summary([1, 2, 2, 3, 4, 5, 5, 5], points=5)
    assert (found.median, found.quartiles) == (3.5, (2.0, 5.0))
    assert (found.counts, found.shares[4]) == ((1, 2, 1, 1, 3), 3 / 8)
    assert found.top_box.estimate == 0.5
    assert (found.top_box.low, found.top_box.high) == pytest.approx((0.2152, 0.7848), abs=5e-5)  # Wilson, 4 of 8
    assert likert_summary([1, 2, 3], points=3, top=1).top_box.estimate == pytest.approx(1 / 3)


def test_likert_pairs_count_wins_and_change_sign_with_the_order():
    a, b = [5, 4, 4, 2, 5, 3, 5, 4], [3, 4, 2, 3, 4, 2, 4, 1]
    found, back = likert_pairs(a, b, points=5), likert_pairs(b, a, points=5)
    assert (found.higher, found.equal, found.lower, found.wins) == (6, 1, 1, 6.5 / 8)
    assert (back.higher, back.equal, back.lower, back.wins) == (1, 1, 6, 1.5 / 8)
    assert found.test.p == back.test.p
    same = likert_pairs(a, a, points=5)
    assert (same.wins, same.test.p) == (0.5, 1)


def test_scores_off_the_scale_are_refused():
    for scores in ([0, 1], [1, 6], [1.5, 2]):
        with pytest.raises(RadloomError, match="other values than 1 to 5"):
            likert_summary(scores, points=5)
    with pytest.raises(RadloomError, match="top is 5"):
        likert_summary([1, 2], points=5, top=5)
    with pytest.raises(RadloomError, match="1 points"):
        likert_summary([1], points=1)
    with pytest.raises(RadloomError, match="1 NaN"):
        likert_pairs([1, math.nan], [1, 2], points=5)
    with pytest.raises(RadloomError, match="same patients"):
        likert_pairs([1, 2, 3], [1, 2], points=5)
