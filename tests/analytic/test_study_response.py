"""The study of response: progression and its curves by hand, a planted hazard, planted equivalence and its absence."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radloom import studies, systems
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.studies.progression import (
    Course,
    Progression,
    log_hazard,
    progressed,
    progression,
    restricted_mean,
    same_hazard,
)
from radloom.studies.response import courses, findings


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([10.0, 5.0, 7.0, 8.0], Progression(4.0, True)),  # 7 = 1.4 * 5, and 8 confirms it
        ([10.0, 5.0, 6.9, 6.9], Progression(6.0, False)),  # 38 % is too little
        ([10.0, 5.0, 8.0, 6.0], Progression(6.0, False)),  # not confirmed
        ([10.0, 5.0, 6.0, 7.1], Progression(6.0, True)),  # the last visit needs no other
        ([0.2, 0.1, 0.5, 0.9], Progression(6.0, False)),  # below 1 cm3
        ([0.0, 0.0, 0.0, 2.0], Progression(6.0, True)),  # from nothing
        ([5.0, 8.0, 8.0, 8.0], Progression(2.0, True)),  # from the first visit on
        ([5.0, 4.0, 3.0, 2.0], Progression(6.0, False)),
    ],
)
def test_progression_by_hand(volumes: list[float], expected: Progression) -> None:
    assert progression([0.0, 2.0, 4.0, 6.0], volumes) == expected
    assert progression([3.0, 5.0, 7.0, 9.0], volumes) == expected  # counted from the first visit


def test_visits_that_cannot_be_followed_are_refused() -> None:
    for months, volumes in (([0.0], [1.0]), ([0.0, 2.0], [1.0]), ([2.0, 1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, 1.0])):
        with pytest.raises(RadloomError, match="expected a volume at each of two visits"):
            progression(months, volumes)


def test_restricted_mean_by_hand() -> None:
    # survival 1 to month 2, 0.75 to 3, then 0.75 (censored at 3) to 4, 0.375 to 5: 2 + 0.75 * 2 + 0.375 = 3.875
    assert restricted_mean([2.0, 3.0, 4.0, 9.0], [True, False, True, False], horizon=5.0) == pytest.approx(3.875)
    assert restricted_mean([2.0, 3.0], [False, False], horizon=5.0) == 5


def cohort_of(patients: int, hazard: float, *, misread: float = 0.0, seed: int = 0) -> list[Course]:
    """Half of the patients grow by 50 % at month 2; their hazard of death is `hazard` times the others'.

    misread: share of patients whose growth the arm "model" does not see, or sees where there is none.
    """
    rng, found = np.random.default_rng(seed), []
    for p in range(patients):
        grows = p % 2 == 0
        seen = grows != (rng.random() < misread)
        time = rng.exponential(20.0 / (hazard if grows else 1.0)) + 4.0
        volumes = {"real": (4.0, 6.0 if grows else 4.0, 7.0 if grows else 4.0),
                   "model": (4.0, 6.0 if seen else 4.0, 7.0 if seen else 4.0)}  # fmt: skip
        found.append(Course(f"p{p}", (0.0, 2.0, 4.0), volumes, min(time, 60.0), time < 60.0))
    return found


def test_a_planted_hazard_is_found() -> None:
    found = log_hazard(cohort_of(400, 3.0), "real", landmark=4.0)
    assert found == pytest.approx(np.log(3.0), abs=0.3)
    assert log_hazard(cohort_of(400, 1.0), "real", landmark=4.0) == pytest.approx(0.0, abs=0.3)


def test_who_died_before_the_landmark_and_what_came_after_it_do_not_count() -> None:
    late = Course("a", (0.0, 2.0, 4.0), {"real": (4.0, 4.0, 6.0)}, 10.0, True)
    assert not progressed(late, "real", landmark=3.0)
    assert progressed(late, "real", landmark=4.0)
    early = [Course("b", (0.0, 2.0, 4.0), {"real": (4.0, 6.0, 6.0)}, 3.5, True)]
    assert np.isnan(log_hazard(early, "real", landmark=4.0))
    followed = cohort_of(60, 3.0)
    assert log_hazard([*followed, *early], "real", landmark=4.0) == log_hazard(followed, "real", landmark=4.0)
    assert np.isnan(log_hazard(followed[::2], "real", landmark=4.0))  # all of them progressed


def test_equal_readings_are_equivalent_and_readings_at_random_are_not() -> None:
    rng = np.random.default_rng(0)
    same = same_hazard(cohort_of(60, 3.0), "model", "real", landmark=4.0, draws=8, rng=rng)
    assert same is not None
    assert same.equivalent
    assert same.difference == 0
    other = same_hazard(cohort_of(60, 3.0, misread=0.5), "model", "real", landmark=4.0, draws=8, rng=rng)
    assert other is not None
    assert not other.equivalent
    assert other.difference < -0.2
    assert same_hazard(cohort_of(60, 3.0)[::2], "model", "real", landmark=4.0, draws=8, rng=rng) is None


def table(followed: list[Course], *, bias: float = 0.0) -> pd.DataFrame:
    rows = []
    for one in followed:
        for arm in one.volumes:
            for month, volume in zip(one.months, one.volumes[arm], strict=True):
                rows.append({"patient": one.patient, "case": f"{one.patient}-{month:g}", "time.months": month,
                             "time.os": one.survival, "event.os": int(one.dead), "arm": arm,
                             "cm3": volume + bias * (arm == "model") + 0.01 * int(one.patient[1:])})  # fmt: skip
    return pd.DataFrame(rows)


def test_courses_come_back_from_the_rows_in_order_of_time() -> None:
    followed = cohort_of(4, 1.0)
    rows: Any = table(followed).sample(frac=1, random_state=0)
    found = sorted(courses(rows), key=lambda one: one.patient)
    assert [one.months for one in found] == [one.months for one in followed]
    assert found[1].volumes["real"] == pytest.approx((4.01, 4.01, 4.01))
    assert [(one.survival, one.dead) for one in found] == [(one.survival, one.dead) for one in followed]
    assert courses(rows.drop(columns="time.os")) == []
    assert courses(rows[rows["time.months"] == 0]) == []


def test_equal_volumes_agree_and_a_shift_comes_out_as_the_median_difference() -> None:
    followed = cohort_of(30, 3.0)
    found = findings(table(followed), courses(table(followed)), draws=8)
    assert found["volumetry"]["model"]["concordance"].startswith("1.000")
    assert found["passed"] is True
    assert "equivalent within -0.223 to 0.223" in found["answer"]
    shifted = table(followed, bias=-0.5)
    lower = findings(shifted, courses(shifted), draws=8)
    assert lower["volumetry"]["model"]["median"].startswith("-0.50")
    assert float(lower["volumetry"]["model"]["concordance"].split()[0]) < 0.97
    progressed_row = next(row for row in found["tables"][1]["rows"] if row[0] == "model")
    assert progressed_row[1:3] == ["15 of 30", "30 of 30"]


def test_a_segmenter_that_does_not_measure_the_tumour_gets_no_verdict_however_well_it_agrees_with_itself() -> None:
    rows = table(cohort_of(30, 3.0))
    truth = rows[rows["arm"] == "real"].assign(arm="expert")
    good = findings(pd.concat([rows, truth]), [], draws=8)
    assert good["answer"].startswith("Enhancing volume")
    blind = findings(pd.concat([rows, truth.assign(cm3=np.linspace(40, 20, len(truth)))]), courses(rows), draws=8)
    assert blind["volumetry"]["model"]["estimate"] == pytest.approx(1)
    assert blind["passed"] is None
    assert blind["answer"].startswith("The segmenter does not measure the tumour even on real images")
    assert blind["answer"].endswith("which says nothing.")


def test_patients_without_times_leave_the_volumes_and_no_verdict() -> None:
    rows = table(cohort_of(6, 3.0))
    found = findings(rows, courses(rows))
    assert found["passed"] is None
    assert "too few for the rest: 6" in found["answer"]
    assert len(found["tables"]) == 1


def test_what_the_study_needs_is_named(tmp_path: Path) -> None:
    study = studies.load("response")
    recipe = systems.load("preetha2021_contrast").resolve("tiny", 2, {})
    rows = pd.DataFrame({"case": ["a", "b"], "patient": ["a", "b"], "site": "", "vendor": "",
                         "split": ["train", "test"], "mask.tumour": ["x", ""]})  # fmt: skip
    assert study.needs(recipe, Cohort(rows, tmp_path)) == "not every test case has mask.tumour"
    assert study.needs(recipe, Cohort(rows.assign(**{"mask.tumour": "x"}), tmp_path)) is None
