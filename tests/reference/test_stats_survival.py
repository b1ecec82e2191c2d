"""Survival analysis against published values of R's survival and lifelines, and hand-worked curves.

6-MP against placebo in leukaemia: Freireich EJ et al. Blood 1963;21:699-716, the values of R's survival printed in many
textbooks. Lung cancer: R's survival, its vignettes. Recidivism (Rossi): Fox's appendix on Cox regression and lifelines'
documentation.
"""

import math
import sys

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.stats import c_index, cox, kaplan_meier, log_rank

pytest.importorskip("lifelines")

MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
MP_EVENTS = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
EVERY = [1] * 21


@pytest.fixture(scope="module")
def lung():
    from lifelines.datasets import load_lung

    table = load_lung()
    return table.assign(status=table.status - table.status.min())


def test_leukaemia_has_its_textbook_curve():
    curve = kaplan_meier(MP, MP_EVENTS)
    at = dict(zip(curve.times.tolist(), curve.survival.tolist(), strict=True))
    printed = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {time: round(at[time], 3) for time in printed} == printed
    assert curve.median == 23
    by_hand = [18 / 21, 16 / 17, 14 / 15, 11 / 12, 10 / 11, 6 / 7, 5 / 6]
    assert at[23] == pytest.approx(math.prod(by_hand), rel=1e-12)
    assert kaplan_meier(PLACEBO, EVERY).median == 8


def test_the_band_is_greenwoods_on_the_log_minus_log_scale():
    """First event, at 6: S = 18/21, Greenwood's sum 3 / (21 * 18)."""
    curve = kaplan_meier(MP, MP_EVENTS)
    s, z = 18 / 21, 1.959963984540054
    reach = z * math.sqrt(3 / (21 * 18)) / math.log(s)
    assert (curve.low[1], curve.high[1]) == pytest.approx((s ** math.exp(-reach), s ** math.exp(reach)), rel=1e-9)
    narrow = kaplan_meier(MP, MP_EVENTS, level=0.5)
    assert narrow.low[1] > curve.low[1]


def test_a_median_that_is_not_reached_is_infinite():
    assert kaplan_meier([1, 2, 3], [1, 0, 0]).median == math.inf
    assert kaplan_meier([1, 2, 3], [0, 0, 0]).survival.tolist() == [1, 1, 1, 1]


def test_leukaemia_has_its_textbook_tests():
    """Log-rank chi-square 16.79; Cox with Efron's ties 1.5721, HR 4.817 from 2.147 to 10.81, p 0.000138, C 0.690."""
    assert log_rank(MP, MP_EVENTS, PLACEBO, EVERY) == pytest.approx(4.17e-5, abs=5e-8)
    model = cox(MP + PLACEBO, MP_EVENTS + EVERY, {"placebo": [0] * 21 + [1] * 21})
    hazard = model.hazards[0]
    assert (hazard.name, model.n_patients, model.n_events) == ("placebo", 42, 30)
    assert math.log(hazard.ratio) == pytest.approx(1.5721, abs=5e-5)
    assert (hazard.low, hazard.high) == pytest.approx((2.147, 10.81), abs=5e-3)
    assert hazard.p == pytest.approx(0.000138, abs=5e-7)
    assert model.concordance == pytest.approx(0.690, abs=5e-4)


def test_lung_cancer_has_the_values_of_r(lung):
    curve = kaplan_meier(lung.time, lung.status)
    assert curve.median == 310
    men, women = (lung[lung.sex == sex] for sex in (1, 2))
    assert round(log_rank(men.time, men.status, women.time, women.status), 3) == 0.001
    hazard = cox(lung.time, lung.status, {"sex": lung.sex}).hazards[0]
    assert (hazard.ratio, hazard.low, hazard.high) == pytest.approx((0.588, 0.4237, 0.816), abs=1e-4)
    assert hazard.p == pytest.approx(0.00149, abs=5e-6)
    known = lung.dropna(subset=["ph.ecog"])
    model = cox(known.time, known.status, {"age": known.age, "sex": known.sex, "ecog": known["ph.ecog"]})
    assert [one.ratio for one in model.hazards] == pytest.approx([1.0111, 0.5754, 1.5900], abs=5e-5)
    assert [one.low for one in model.hazards] == pytest.approx([0.9929, 0.4142, 1.2727], abs=5e-5)
    assert [one.high for one in model.hazards] == pytest.approx([1.0297, 0.7994, 1.9864], abs=5e-5)
    assert (model.n_patients, model.n_events, round(model.concordance, 3)) == (227, 164, 0.637)


def test_recidivism_has_its_published_hazard_ratios():
    from lifelines.datasets import load_rossi

    table = load_rossi()
    names = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
    model = cox(table.week, table.arrest, {name: table[name] for name in names})
    logs = [math.log(hazard.ratio) for hazard in model.hazards]
    assert logs == pytest.approx([-0.37942, -0.05744, 0.31390, -0.14980, -0.43370, -0.08487, 0.09150], abs=5e-6)
    assert [round(hazard.p, 2) for hazard in model.hazards] == [0.05, 0.01, 0.31, 0.48, 0.26, 0.66, 0.0]
    assert round(model.concordance, 2) == 0.64
    # age and work experience break proportionality, as lifelines' documentation shows on these data
    assert [hazard.name for hazard in model.hazards if hazard.p_proportional < 0.05] == ["age", "wexp"]


def test_a_hazard_ratio_by_hand_without_ties():
    """Three patients, x = 1, 0, 1 in order of death: the score equation 1 - 2h/(2h + 1) = h/(h + 1) gives h^2 = 1/2.

    Partial likelihood h/(2h + 1) * 1/(h + 1) * 1, so the derivative in log h is 1 - 2h/(2h + 1) - h/(h + 1).
    """
    model = cox([1, 2, 3], [1, 1, 1], {"x": [1, 0, 1]})
    assert model.hazards[0].ratio == pytest.approx(math.sqrt(0.5), rel=1e-9)


def test_harrells_c_by_hand():
    """Usable pairs: (1,2) (1,3) (1,4) (3,4), patient 2 being censored early; right, right, a tie, wrong: 2.5 of 4."""
    assert c_index([1, 2, 3, 4], [3, 2, 1, 3], [1, 0, 1, 1]) == 2.5 / 4
    assert math.isnan(c_index([1, 2], [1, 2], [0, 0]))


def test_scale_and_order_change_nothing():
    order = np.random.default_rng(0).permutation(42)
    times, events, x = (np.array(part)[order] for part in (MP + PLACEBO, MP_EVENTS + EVERY, [0] * 21 + [1] * 21))
    weeks = cox(times, events, {"x": x}).hazards[0]
    days = cox(7 * times, events, {"x": x}).hazards[0]
    flipped = cox(times, events, {"x": 1 - x}).hazards[0]
    assert days.ratio == pytest.approx(weeks.ratio, rel=1e-6)
    assert flipped.ratio == pytest.approx(1 / weeks.ratio, rel=1e-5)
    assert flipped.p == pytest.approx(weeks.p, rel=1e-4)
    assert log_rank(MP, MP_EVENTS, PLACEBO, EVERY) == pytest.approx(log_rank(PLACEBO, EVERY, MP, MP_EVENTS), rel=1e-9)


def test_bad_input_gives_one_clear_line():
    x = {"x": [1, 0, 1]}
    with pytest.raises(RadloomError, match="times of 0 or less"):
        cox([0, 1, 2], [1, 1, 1], x)
    with pytest.raises(RadloomError, match="events other than 0 and 1"):
        kaplan_meier([1, 2], [1, 2])
    with pytest.raises(RadloomError, match="times has 1 NaN"):
        log_rank([1, math.nan], [1, 1], [1, 2], [1, 1])
    with pytest.raises(RadloomError, match="covariate x is constant"):
        cox([1, 2, 3], [1, 1, 1], {"x": [2, 2, 2]})
    with pytest.raises(RadloomError, match="1 covariates and 0 events"):
        cox([1, 2, 3], [0, 0, 0], x)
    with pytest.raises(RadloomError, match="0 covariates"):
        cox([1, 2, 3], [1, 1, 1], {})
    with pytest.raises(RadloomError, match="3 and 2 values"):
        cox([1, 2, 3], [1, 1, 1], {"x": [1, 0]})
    with pytest.raises(RadloomError, match="2 and 3 values"):
        c_index([1, 2], [1, 2, 3], [1, 1])
    with pytest.raises(RadloomError, match="at least one"):
        kaplan_meier([], [])


@pytest.mark.filterwarnings("ignore")  # lifelines' own account of the same
def test_a_covariate_that_separates_is_said_to():
    with pytest.raises(RadloomError, match="does not converge"):
        cox([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1], {"x": [1, 1, 1, 0, 0, 0], "y": [2, 2, 2, 0, 0, 0]})


def test_without_lifelines_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lifelines", None)
    for call in (
        lambda: cox([1, 2, 3], [1, 1, 1], {"x": [1, 0, 1]}),
        lambda: kaplan_meier([1, 2], [1, 1]),
        lambda: log_rank([1], [1], [2], [1]),
        lambda: c_index([1, 2], [2, 1], [1, 1]),
    ):
        with pytest.raises(RadloomError, match="needs the package lifelines") as caught:
            call()
        assert "pip install 'radloom[survival]'" in str(caught.value)
