"""Numbers that R 4.2.2 printed for these small data: pROC 1.18.0, epiR 2.0.57, psych 2.2.9, survival 3.5-3, stats."""

import numpy as np
import pytest

from radloom import stats
from radloom.metrics.agreement import ccc, cohen_kappa, icc
from radloom.metrics.classification import partial_auc

TRUTH = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
A = (1, 2, 3, 3, 4, 2, 5, 1, 4, 3, 5, 6, 7, 2, 6, 5)
B = (2, 1, 3, 4, 4, 3, 6, 2, 3, 5, 4, 5, 6, 4, 7, 3)
LARGE = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
MINI = (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)
JUDGES = ((9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7))
TIMES = (5, 6, 6, 2, 4, 7, 1, 3, 9, 8, 10, 4, 6, 2)
EVENTS = (1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1)
DOSE = (1, 0, 1, 2, 1, 0, 2, 2, 0, 1, 0, 1, 2, 0)
AGE = (60, 55, 71, 48, 66, 59, 70, 63, 52, 58, 49, 61, 57, 66)


def near(value: float, rel: float = 1e-9):
    return pytest.approx(value, rel=rel, abs=1e-12)


def test_areas_their_intervals_and_covariance_are_procs():
    found = stats.delong_ci(A, TRUTH)
    assert (found.estimate, found.low, found.high) == (near(0.8359375), near(0.638314095558644), 1.0)
    found = stats.delong_ci(B, TRUTH, level=0.9)
    assert (found.estimate, found.low, found.high) == (
        near(0.7734375), near(0.57542902596718), near(0.97144597403282)
    )  # fmt: skip
    _, covariance = stats.delong_covariance([A, B], TRUTH)
    expected = [[0.0101667131696429, 0.00667898995535714], [0.00667898995535714, 0.0144914899553571]]
    np.testing.assert_allclose(covariance, expected, rtol=1e-12)


def test_the_paired_test_of_two_areas_is_procs():
    found = stats.delong_test(A, B, TRUTH)
    assert (found.z, found.p) == (near(0.587944735792131), near(0.556569387682457))
    assert (found.low, found.high) == (near(-0.145849087212616), near(0.270849087212616))


def test_partial_areas_are_procs():
    assert partial_auc(A, TRUTH, low=0.8, high=1) == near(0.1121875)
    assert partial_auc(A, TRUTH, low=0.8, high=1, scale="mcclish") == near(0.756076388888889)
    assert partial_auc(A, TRUTH, low=0.75, high=1, over="sensitivity") == near(0.125)
    assert partial_auc(A, TRUTH, low=0.75, high=1, over="sensitivity", scale="mcclish") == near(0.714285714285714)


def test_concordance_and_its_z_interval_are_epirs():
    found = ccc(LARGE, MINI)
    assert (found.estimate, found.accuracy) == (near(0.942742431427484), near(0.999430693136343))
    assert (found.low, found.high) == (near(0.85049187316856), near(0.978726279170122))
    found = ccc(LARGE, MINI, level=0.9)
    assert (found.low, found.high) == (near(0.871430224644912), near(0.975028565697134))


@pytest.mark.parametrize(
    ("form", "estimate", "f", "p", "low", "high"),
    [
        ("1,1", 0.165741768405, 1.79467849224, 0.164768808344640, -0.1329323248748, 0.722560062328),
        ("2,1", 0.289763779528, 11.02724795640, 0.000134566516484, 0.0187865133747, 0.761084369649),
        ("3,1", 0.714840714841, 11.02724795640, 0.000134566516484, 0.3424647650339, 0.945858259955),
        ("1,k", 0.442797133679, 1.79467849224, 0.164768808344640, -0.8844421552381, 0.912415420341),
        ("2,k", 0.620050547599, 11.02724795640, 0.000134566516484, 0.0711368153025, 0.927232040168),
        ("3,k", 0.909315542377, 11.02724795640, 0.000134566516484, 0.6756747138163, 0.985891678169),
    ],
)
def test_the_six_intraclass_correlations_are_psychs(form, estimate, f, p, low, high):
    found = icc(JUDGES, form=form)
    assert (found.estimate, found.f, found.p) == (near(estimate), near(f), near(p))
    assert (found.low, found.high) == (near(low), near(high))


def test_cohens_kappas_are_psychs():
    one, other = (1, 2, 3, 3, 1, 2, 2, 3, 1, 1, 2, 3), (1, 2, 3, 2, 1, 1, 2, 3, 1, 2, 2, 3)
    assert cohen_kappa(one, other).estimate == near(0.625)
    assert cohen_kappa(one, other, weights="quadratic").estimate == near(0.8)


def test_cox_regression_is_survivals():
    model = stats.cox(TIMES, EVENTS, {"dose": DOSE, "age": AGE})
    dose, age = model.hazards
    assert (dose.ratio, dose.low, dose.high) == (
        near(3.52865065959), near(1.14227945252), near(10.90046349864)
    )  # fmt: skip
    assert (age.ratio, age.low, age.high) == (near(1.09813862962), near(0.98566285730), near(1.22344921586))
    assert (dose.p, age.p) == (near(0.028442645028655), near(0.089501638574548))
    assert model.concordance == near(0.784810126582278)


def test_kaplan_meier_with_its_interval_and_the_log_rank_test_are_survivals():
    curve = stats.kaplan_meier(TIMES, EVENTS)
    steps = slice(1, None)  # ours begins at time 0
    survival = (13 / 14, 11 / 14, 10 / 14, 8 / 14, 0.5, 5 / 14, 5 / 14, 5 / 14, 2.5 / 14, 0)
    np.testing.assert_allclose(curve.survival[steps], survival, atol=1e-12)
    low = (0.590766867426758, 0.472463679914261, 0.40630172242417, 0.284005282558811, 0.228594814090808,
           0.130346216250694, 0.130346216250694, 0.130346216250694, 0.0143251514232958)  # fmt: skip
    high = (0.98961982313685, 0.925365226255237, 0.881878685546497, 0.779742263661165, 0.72212764966531,
            0.594350074122502, 0.594350074122502, 0.594350074122502, 0.497064157367165)  # fmt: skip
    np.testing.assert_allclose(curve.low[1:10], low, rtol=1e-9)
    np.testing.assert_allclose(curve.high[1:10], high, rtol=1e-9)
    times, events, treated = np.array(TIMES), np.array(EVENTS), np.array(DOSE) > 0
    p = stats.log_rank(times[treated], events[treated], times[~treated], events[~treated])
    assert p == near(0.0371212009563423)


def test_proportions_and_paired_tests_are_those_of_r():
    wilson, exact = stats.wilson(31, 40), stats.clopper_pearson(31, 40)
    assert (wilson.low, wilson.high) == (near(0.6249690325769), near(0.876839086764593))
    assert (exact.low, exact.high) == (near(0.615488322696577), near(0.891603361015928))
    assert stats.wilcoxon(A, B).p == near(0.549171222066076)  # ties: normal, corrected
    first, second = (2.1, 3.4, 5.6, 1.2, 7.7, 4.9, 6.3, 8.8), (1.9, 3.9, 4.1, 1.0, 6.1, 5.3, 5.2, 7.1)
    found = stats.wilcoxon(first, second)
    assert (found.statistic, found.p, found.low, found.high) == (29, 0.1484375, near(-0.15), near(1.6))
    assert found.effect == near(0.65)


def test_more_than_two_arms_and_several_p_are_those_of_r():
    only_a, only_b = [1] * 5 + [0] * 2 + [1] * 10 + [0] * 13, [0] * 5 + [1] * 2 + [1] * 10 + [0] * 13
    assert stats.mcnemar(only_a, only_b, method="chi2").p == near(0.256839257957857)
    assert stats.mcnemar(only_a, only_b, method="chi2_corrected").p == near(0.449691797968891)
    ranked = stats.friedman(JUDGES)
    assert (ranked.statistic, ranked.p) == (near(15.6101694915254), near(0.00136293991715359))
    np.testing.assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(stats.benjamini_hochberg([0.01, 0.04, 0.03, 0.005]), [0.02, 0.04, 0.04, 0.02])
