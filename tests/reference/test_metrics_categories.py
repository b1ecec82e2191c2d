"""Agreement of categories against published worked examples, scikit-learn and loops over all pairs."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from radloom.errors import RadloomError
from radloom.metrics.agreement import (
    bootstrap_agreement,
    ccc,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    likert_pairs,
    likert_summary,
)

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
