"""Several readers, several cases: against RJafroc's published values on real studies, and independent routes.

Values of RJafroc: Chakraborty DP, The RJafroc Roc Book (Van Dyke: analysis of dataset02), The RJafroc Froc Book
(chapter "Standalone CAD vs. radiologists", PCL at 0.2 of datasetCadLroc), the same author's Observer performance
methods, chapter 22 (p of dataset09), and what RJafroc's own tests expect of sample sizes (dataset02, dataset03).
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radloom.errors import RadloomError
from radloom.metrics import froc
from radloom.stats import (
    Components,
    ReaderStudy,
    against_standalone,
    components,
    figure_study,
    mrmc_dbm,
    mrmc_or,
    mrmc_power,
    mrmc_sample_size,
    one_modality,
    pair_study,
    roc_study,
)

CROSSED = ("random readers random cases", "fixed cases")


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    found = shared / "reference_cases" / "reader_studies"
    if not found.is_dir():
        pytest.skip(f"the reader studies are absent here ({found})")
    return found


@pytest.fixture(scope="module")
def ratings(folder: Path) -> Callable[[str], pd.DataFrame]:
    return lambda name: pd.read_csv(folder / f"{name}.csv")


@pytest.fixture(scope="module")
def marks(folder: Path) -> Callable[[str], list[list[froc.ReaderMarks]]]:
    """[modality][reader] of a study with places."""

    def read(name: str) -> list[list[froc.ReaderMarks]]:
        table, card = pd.read_csv(folder / f"{name}.csv"), json.loads((folder / f"{name}.json").read_text())
        first = card["n_nondiseased"]
        lesions = {first + i: n for i, n in enumerate(card["lesions_per_case"])}
        return [
            [
                froc.marks_from_table(
                    table[(table.modality == m) & (table.reader == r)], normal=range(first), lesions=lesions
                )
                for r in range(card["n_readers"])
            ]
            for m in range(card["n_modalities"])
        ]

    return read


def simulated(rng: np.random.Generator, *, modalities=2, readers=3, diseased=12, normal=14, effect=0.0) -> pd.DataFrame:
    """Ratings with effects of reader, case, their products with modality, and noise (Roe and Metz's model)."""
    truth = np.arange(diseased + normal) < diseased
    shape = (modalities, readers, len(truth))
    mean = 1.2 * truth + effect * truth * np.arange(modalities)[:, None, None]
    parts = [
        0.3 * rng.normal(size=(1, readers, 1)) * truth,
        0.1 * rng.normal(size=(modalities, readers, 1)) * truth,
        0.6 * rng.normal(size=(1, 1, len(truth))),
        0.3 * rng.normal(size=(modalities, 1, len(truth))),
        0.3 * rng.normal(size=(1, readers, len(truth))),
        0.6 * rng.normal(size=shape),
    ]
    rating = mean + sum(parts)
    m, r, c = (index.ravel() for index in np.indices(shape))
    return pd.DataFrame({"modality": m, "reader": r, "case": c, "diseased": truth[c] * 1, "rating": rating.ravel()})


def test_van_dyke_has_its_published_test_and_components(ratings):
    study = roc_study(ratings("dataset02"))
    result = mrmc_or(study)
    assert (result.n_readers, result.n_cases) == (5, 114)
    assert result.f == pytest.approx(4.456319, abs=5e-7)
    assert result.df2 == pytest.approx(15.25967, abs=5e-6)
    assert result.p == pytest.approx(0.05166569, abs=5e-9)
    found = result.components
    published = [0.0008022883, 0.0003466137, 0.0003440748, 0.0002390284, 0.004796171, 0.000551031]
    ours = [found.var, found.cov1, found.cov2, found.cov3, found.ms_t, found.ms_tr]
    assert ours == pytest.approx(published, abs=6e-10)
    difference = result.differences[0]
    assert (difference.a, difference.b) == (0, 1)
    assert difference.estimate == pytest.approx(-0.04380032, abs=5e-9)
    assert (difference.low, difference.high) == pytest.approx((-0.0879595, 0.00035885), abs=5e-8)
    first = result.modalities[0]
    assert (first.estimate, first.low, first.high) == pytest.approx((0.8970370, 0.8252236, 0.9688505), abs=6e-8)


@pytest.mark.parametrize(("inference", "f", "p", "pair", "first", "second"), [
    ("random readers random cases", 4.4563187, 0.051665686, (-0.087959499, 0.00035885444),
     (0.82522360, 0.96885048), (0.89413783, 0.98753689)),
    ("fixed readers", 5.4759532, 0.019279843, (-0.080485914, -0.0071147303),
     (0.84943008, 0.94464399), (0.90795637, 0.97371835)),
    ("fixed cases", 8.704, 0.041958752, (-0.085020224, -0.0025804202),
     (0.82809808, 0.96597599), (0.89598936, 0.98568536)),
])  # fmt: skip
def test_van_dyke_has_its_published_values_for_each_question(ratings, inference, f, p, pair, first, second):
    result = mrmc_or(roc_study(ratings("dataset02")), inference=inference)
    assert (result.f, result.p) == pytest.approx((f, p), rel=2e-8)
    difference = result.differences[0]
    assert (difference.low, difference.high) == pytest.approx(pair, rel=2e-7)
    assert difference.p == pytest.approx(p, rel=2e-8)
    for name, printed in enumerate((first, second)):
        assert (result.modalities[name].low, result.modalities[name].high) == pytest.approx(printed, abs=6e-9)


def test_van_dyke_with_delongs_covariance_has_its_value(ratings):
    result = mrmc_or(roc_study(ratings("dataset02"), covariance="delong"))
    assert (round(result.f, 4), round(result.df2, 3), round(result.p, 5)) == (4.4849, 15.066, 0.05123)


def test_federica_has_its_published_test_through_kernels_and_through_any_figure(marks):
    every = marks("dataset04")
    study = pair_study([[froc.wafroc_kernel(one) for one in row] for row in every], range(5), range(4))
    result = mrmc_or(study)
    assert result.f == pytest.approx(7.80, abs=0.005)
    assert result.df2 == pytest.approx(36.8, abs=0.05)
    assert result.p == pytest.approx(1.17e-4, abs=5e-7)
    plain = figure_study(lambda one, cases: froc.wafroc(froc.some_cases(one, cases)), every, 200, range(5), range(4))
    np.testing.assert_allclose(plain.figures, study.figures, rtol=1e-12)
    np.testing.assert_allclose(plain.covariance, study.covariance, rtol=0, atol=1e-15)
    assert mrmc_or(plain).p == pytest.approx(result.p, rel=1e-9)


def test_afroc_weighs_cases_by_their_lesions_also_when_one_is_left_out(marks):
    every = [row[:2] for row in marks("dataset04")[:2]]
    kernels = [[froc.afroc_kernel(one) for one in row] for row in every]
    study = pair_study([[k for k, _ in row] for row in kernels], "AB", "xy", weights=kernels[0][0][1])
    plain = figure_study(lambda one, cases: froc.afroc(froc.some_cases(one, cases)), every, 200, "AB", "xy")
    np.testing.assert_allclose(plain.figures, study.figures, rtol=1e-12)
    np.testing.assert_allclose(plain.covariance, study.covariance, rtol=0, atol=1e-15)
    unweighted = pair_study([[k for k, _ in row] for row in kernels], "AB", "xy")
    assert np.abs(unweighted.figures - study.figures).max() > 1e-3


def test_a_program_against_readers_has_the_published_values_of_lroc(marks):
    """RJafroc prints them for the program as every reader of a second treatment, which is the same test."""
    every = marks("datasetCadLroc")
    study = figure_study(
        lambda one, cases: froc.lroc(froc.some_cases(one, cases), fpf=0.2).pcl, every, 200, ["digital"], range(10)
    )
    assert study.figures[0, :3] == pytest.approx([0.59166667, 0.69453125, 0.65])
    result = against_standalone(study, 0)
    assert result.estimate == pytest.approx(-0.11850612, abs=5e-9)
    assert -result.t == pytest.approx(2.0390389, abs=5e-8)
    assert result.df == pytest.approx(937.24371, abs=5e-6)
    assert result.p == pytest.approx(0.041726262, abs=5e-10)
    assert (-result.high, -result.low) == pytest.approx((0.004448434, 0.2325638), abs=5e-8)


def test_the_same_program_in_roc_has_its_published_p(ratings):
    study = roc_study(ratings("dataset09"))
    assert against_standalone(study, 0).p == pytest.approx(0.321, abs=5e-4)


def test_the_program_repeated_as_a_second_modality_gives_the_same_test():
    """Then every reader of that modality is the program (RJafroc's 2T-RRRC)."""
    study = roc_study(simulated(np.random.default_rng(3), modalities=1, readers=5))
    once = against_standalone(study, 4)
    at = [4, 4, 4, 4, 0, 1, 2, 3]
    twice = ReaderStudy(("CAD", "readers"), (0, 1, 2, 3), study.n_cases, study.figures[0, at].reshape(2, 4),
                        study.covariance[np.ix_(at, at)], "jackknife")  # fmt: skip
    result = mrmc_or(twice)
    assert result.f == pytest.approx(once.t**2, rel=1e-10)
    assert result.df2 == pytest.approx(once.df, rel=1e-10)
    assert result.p == pytest.approx(once.p, rel=1e-10)
    difference = result.differences[0]
    assert (difference.low, difference.high) == pytest.approx((once.low, once.high), rel=1e-9)


def test_without_variance_over_cases_a_program_meets_readers_in_the_one_sample_t_test():
    from scipy.stats import ttest_1samp

    figures = np.array([[0.80, 0.84, 0.79, 0.90, 0.86]])
    study = ReaderStudy(("CT",), ("CAD", "a", "b", "c", "d"), 50, figures, np.zeros((5, 5)), "jackknife")
    result, (t, p) = against_standalone(study, "CAD"), ttest_1samp(figures[0, 0] - figures[0, 1:], 0)
    assert (result.t, result.df, result.p) == pytest.approx((t, 3, p), rel=1e-12)


def test_fixed_cases_with_two_modalities_are_the_paired_t_test_over_readers():
    from scipy.stats import ttest_rel

    study = roc_study(simulated(np.random.default_rng(0), readers=5))
    result, (t, p) = mrmc_or(study, inference="fixed cases"), ttest_rel(*study.figures)
    assert (result.differences[0].t, result.p) == pytest.approx((t, p), rel=1e-10)
    assert result.df2 == 4


def test_one_reader_in_two_modalities_has_delongs_test():
    """With fixed readers and one reader the variance of the difference is DeLong's; the second reader reads alike."""
    from radloom.stats import delong_test

    table = simulated(np.random.default_rng(1), readers=1)
    again = table.assign(reader=1)
    result = mrmc_or(roc_study(pd.concat([table, again]), covariance="delong"), inference="fixed readers")
    first, second = (table[table.modality == m] for m in (0, 1))
    theirs = delong_test(first.rating, second.rating, first.diseased)
    assert result.p == pytest.approx(theirs.p, rel=1e-6)
    assert result.differences[0].estimate == pytest.approx(theirs.difference, rel=1e-12)


@pytest.mark.parametrize("inference", CROSSED)
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 5)])
def test_pseudovalues_lead_to_the_same_test_as_covariances(inference, shape):
    study = roc_study(simulated(np.random.default_rng(sum(shape)), modalities=shape[0], readers=shape[1]))
    a, b = mrmc_or(study, inference=inference), mrmc_dbm(study, inference=inference)
    assert (a.f, a.df2, a.p) == pytest.approx((b.f, b.df2, b.p), rel=1e-10)
    for one, other in zip(a.differences, b.differences, strict=True):
        assert (one.low, one.high, one.p) == pytest.approx((other.low, other.high, other.p), rel=1e-9)


def test_van_dyke_by_pseudovalues_is_van_dyke_by_covariances(ratings):
    study = roc_study(ratings("dataset02"))
    for inference in CROSSED:
        a, b = mrmc_or(study, inference=inference), mrmc_dbm(study, inference=inference)
        assert (a.f, a.df2, a.p) == pytest.approx((b.f, b.df2, b.p), rel=1e-10)
    fixed = mrmc_dbm(study, inference="fixed readers")
    assert fixed.df2 == 113  # (I - 1)(K - 1)


def test_pseudovalues_with_fixed_readers_are_the_paired_t_test_over_cases():
    """With two modalities MS(T) / MS(TC) is the squared t of the cases' mean pseudovalues."""
    from scipy.stats import ttest_rel

    study = roc_study(simulated(np.random.default_rng(5)))
    k = study.n_cases
    assert study.without is not None
    pseudo = (k * study.figures[..., None] - (k - 1) * study.without).mean(axis=1)
    result, (t, p) = mrmc_dbm(study, inference="fixed readers"), ttest_rel(*pseudo)
    assert (result.f, result.p) == pytest.approx((t**2, p), rel=1e-9)


def test_the_closed_form_is_the_jackknife_of_scikit_learns_area():
    from sklearn.metrics import roc_auc_score

    table = simulated(np.random.default_rng(2))
    table["rating"] = table.rating.round(0)  # ties
    truth = table[(table.modality == 0) & (table.reader == 0)].diseased.to_numpy()
    grid = [[table[(table.modality == m) & (table.reader == r)].rating.to_numpy() for r in range(3)] for m in (0, 1)]
    study = roc_study(table)
    plain = figure_study(lambda one, cases: float(roc_auc_score(truth[cases], one[cases])), grid, 26, (0, 1), range(3))
    np.testing.assert_allclose(study.figures, plain.figures, rtol=1e-12)
    np.testing.assert_allclose(study.covariance, plain.covariance, rtol=0, atol=1e-15)


def test_the_bootstrap_covariance_is_near_the_jackknifes():
    table = simulated(np.random.default_rng(7), diseased=60, normal=60)
    jackknife = roc_study(table)
    drawn = roc_study(table, covariance="bootstrap", draws=3000, rng=np.random.default_rng(0))
    scale = np.sqrt(np.outer(np.diag(jackknife.covariance), np.diag(jackknife.covariance)))
    assert np.abs((drawn.covariance - jackknife.covariance) / scale).max() < 0.1
    assert mrmc_or(drawn).f == pytest.approx(mrmc_or(jackknife).f, rel=0.15)
    any_figure = figure_study(lambda one, cases: float(one[cases].mean()), [[np.arange(40.0)]], 40, "A", "x",
                              covariance="bootstrap", draws=4000, rng=np.random.default_rng(0))  # fmt: skip
    assert any_figure.covariance.item() == pytest.approx(np.arange(40.0).var() / 40, rel=0.1)
    with pytest.raises(RadloomError, match="jackknife"):
        mrmc_dbm(drawn)


def test_a_weighted_bootstrap_is_near_the_weighted_jackknife():
    rng = np.random.default_rng(0)
    kernels, weights = rng.random((1, 2, 60, 60)), rng.integers(1, 4, 60)
    kernels += rng.random((1, 1, 60, 1)) / 2 + rng.random((1, 1, 1, 60)) / 2
    one = pair_study(kernels, "A", "xy", weights=weights)
    other = pair_study(kernels, "A", "xy", weights=weights, covariance="bootstrap", draws=3000, rng=rng)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=0.15)


def test_one_modality_has_the_interval_by_hand():
    """MS_R = 0.0004, Cov2 = 0.0001: total 0.0007, df = 2 (0.0007 / 0.0004)^2 = 6.125."""
    from scipy.stats import t

    covariance = np.full((3, 3), 0.0001) + np.eye(3) * 0.0003
    study = ReaderStudy(("CT",), ("a", "b", "c"), 80, np.array([[0.80, 0.82, 0.84]]), covariance, "delong")
    interval = one_modality(study)["CT"]
    reach = t.ppf(0.975, 6.125) * np.sqrt(0.0007 / 3)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.82, 0.82 - reach, 0.82 + reach))
    assert interval.n_patients == 80
    alone = one_modality(ReaderStudy(("CT",), ("a",), 80, np.array([[0.80]]), np.array([[0.0004]]), "delong"))["CT"]
    assert (alone.low, alone.high) == pytest.approx((0.8 - 1.959964 * 0.02, 0.8 + 1.959964 * 0.02), abs=1e-7)


def test_the_program_gives_rjafrocs_power_and_sample_sizes(ratings):
    van_dyke, franken = roc_study(ratings("dataset02")), roc_study(ratings("dataset03"))
    pilot, effect = components(van_dyke), float(np.ptp(van_dyke.figures.mean(axis=1)))
    power = mrmc_power(pilot, 114, difference=effect, n_readers=6, n_cases=111)
    assert power.power == pytest.approx(0.5526116, abs=5e-8)
    assert mrmc_sample_size(pilot, 114, difference=effect, n_readers=6).n_cases == 251
    size = mrmc_sample_size(components(franken), franken.n_cases, difference=0.05, n_readers=6)
    assert (size.n_cases, size.power) == (121, pytest.approx(0.8004469, abs=5e-8))


def test_too_few_readers_cannot_be_made_up_for_by_cases():
    pilot = Components(0.0008, 0.0004, 0.0004, 0.0003, 0.005, 0.003, 0.02)
    with pytest.raises(RadloomError, match="more readers"):
        mrmc_sample_size(pilot, 100, difference=0.02, n_readers=3)
    with pytest.raises(RadloomError, match="other than 0"):
        mrmc_power(pilot, 100, difference=0.0, n_readers=3, n_cases=50)
    with pytest.raises(RadloomError, match="all 0"):
        mrmc_power(Components(*[0.0] * 7), 100, difference=0.1, n_readers=3, n_cases=50)


def test_the_error_of_the_first_kind_and_the_power_are_what_they_should_be():
    """400 studies each; the standard error of a rate of 0.05 is 0.011, of 0.6 it is 0.024."""
    rng = np.random.default_rng(20240601)
    sizes = {"readers": 4, "diseased": 30, "normal": 30}
    null = [mrmc_or(roc_study(simulated(rng, **sizes))).p for _ in range(400)]
    assert 0.02 <= np.mean(np.array(null) < 0.05) <= 0.085
    results = [mrmc_or(roc_study(simulated(rng, **sizes, effect=0.6))) for _ in range(400)]
    rate = np.mean([one.p < 0.05 for one in results])
    difference = float(np.mean([-one.differences[0].estimate for one in results]))
    parts = np.mean([list(vars(one.components).values()) for one in results], axis=0)
    expected = mrmc_power(Components(*map(float, parts)), 60, difference=difference, n_readers=4, n_cases=60).power
    assert 0.4 < expected < 0.9
    assert rate == pytest.approx(expected, abs=0.09)
    covered = np.mean([one.differences[0].low <= -difference <= one.differences[0].high for one in results])
    assert 0.91 <= covered <= 0.985


def test_readings_that_are_missing_or_twice_are_refused_by_name():
    table = simulated(np.random.default_rng(0))
    with pytest.raises(RadloomError, match=r"reader 0 has 0 ratings of case 0 in modality 0, and 1 cells"):
        roc_study(table.iloc[1:])
    with pytest.raises(RadloomError, match=r"reader 2 has 2 ratings of case 25 in modality 1"):
        roc_study(pd.concat([table, table.iloc[-1:]]))
    with pytest.raises(RadloomError, match="split-plot designs are not supported"):
        roc_study(table[(table.case % 3) == table.reader])
    with pytest.raises(RadloomError, match="have 0 rows"):
        roc_study(table.iloc[:0])
    with pytest.raises(RadloomError, match="have 3 and 156 rows"):
        roc_study({**table.to_dict("list"), "rating": [1, 2, 3]})
    with pytest.raises(RadloomError, match="lack rating"):
        roc_study(table.drop(columns="rating"))


def test_truth_and_ratings_that_do_not_hold_are_refused():
    table = simulated(np.random.default_rng(0))
    with pytest.raises(RadloomError, match="one value of 0 or 1 per case"):
        roc_study(table.assign(diseased=np.where(table.index == 3, 1 - table.diseased, table.diseased)))
    with pytest.raises(RadloomError, match="one value of 0 or 1 per case"):
        roc_study(table.assign(diseased=2))
    with pytest.raises(RadloomError, match="0 diseased and 26 normal"):
        roc_study(table.assign(diseased=0))
    with pytest.raises(RadloomError, match="1 ratings are missing"):
        roc_study(table.assign(rating=np.where(table.index == 3, np.nan, table.rating)))


def test_designs_that_allow_no_test_are_refused():
    table = simulated(np.random.default_rng(0))
    with pytest.raises(RadloomError, match="one_modality"):
        mrmc_or(roc_study(table[table.modality == 0]))
    with pytest.raises(RadloomError, match="2 modalities and 1 readers"):
        mrmc_or(roc_study(table[table.reader == 0]))
    with pytest.raises(RadloomError, match="no rng"):
        roc_study(table, covariance="bootstrap")
    with pytest.raises(RadloomError, match="at least two other readers"):
        against_standalone(roc_study(table[table.modality == 0]), "CAD")


def test_kernels_and_figures_that_do_not_fit_are_refused():
    with pytest.raises(RadloomError, match="differ in shape"):
        pair_study([[np.ones((3, 4)), np.ones((4, 4))]], "A", "xy")
    with pytest.raises(RadloomError, match=r"\(1, 2, 3, 4\)"):
        pair_study(np.ones((1, 2, 3, 4)), "A", "x")
    with pytest.raises(RadloomError, match="NaN"):
        pair_study(np.full((1, 1, 3, 4), np.nan), "A", "x")
    with pytest.raises(RadloomError, match="1 diseased and 4 normal"):
        pair_study(np.ones((1, 1, 1, 4)), "A", "x")
    with pytest.raises(RadloomError, match="each of 3 cases"):
        pair_study(np.ones((1, 1, 3, 4)), "A", "x", weights=[1, 2, 0])
    with pytest.raises(RadloomError, match="with weights"):
        pair_study(np.ones((1, 1, 3, 4)), "A", "x", weights=[1, 2, 3], covariance="delong")
    with pytest.raises(RadloomError, match="NaN or infinite"):
        figure_study(lambda one, cases: float("nan"), [[0]], 5, "A", "x")
    with pytest.raises(RadloomError, match="some reader"):
        figure_study(lambda one, cases: 0.5, [[0]], 5, "A", "xy")
    with pytest.raises(RadloomError, match="2 cases"):
        figure_study(lambda one, cases: 0.5, [[0]], 2, "A", "x")


def test_readings_without_any_difference_have_no_p_rather_than_a_wrong_one():
    table = simulated(np.random.default_rng(0))
    perfect = table.assign(rating=table.diseased)
    result = mrmc_or(roc_study(perfect))
    assert np.isnan(result.p)
    assert np.isnan(result.differences[0].p)
    assert result.modalities[0].estimate == 1


def test_some_cases_follow_their_indices_also_when_repeated():
    reader = froc.ReaderMarks([[0.5], [0.7], [0.1], [0.2]], [False, True, False, True], [[0.9], [0.3]], [[1], [1]])
    chosen = froc.some_cases(reader, [3, 0, 3, 2])
    assert chosen.nl[:, 0].tolist() == [0.2, 0.5, 0.2, 0.1]
    assert chosen.diseased.tolist() == [True, False, True, False]
    assert chosen.ll[:, 0].tolist() == [0.3, 0.3]
