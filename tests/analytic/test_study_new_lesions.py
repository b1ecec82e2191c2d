"""The study of new lesions: subtraction in noise units, marks and counts by hand, planted effects and nulls."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radloom import studies, systems
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.studies.by_patient import compared, mean_text
from radloom.studies.new_lesions import findings, pairs
from radloom.studies.subtraction import (
    contrast_to_noise,
    counts,
    marks,
    subtraction,
    threshold_for,
    white_matter,
)

SHAPE = (40, 40, 8)
REGION = np.ones(SHAPE, dtype=bool)


def two_scans(seed: int = 0, lesion: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A head with noise of 0.05, and again with other noise, gain and bias, and a change of 4 x 4 x 2 voxels."""
    rng = np.random.default_rng(seed)
    anatomy = 1 + 0.4 * np.sin(np.arange(40) / 3)[:, None, None] * np.ones(SHAPE)
    later = anatomy.copy()
    later[10:14, 20:24, 3:5] += lesion
    bias = np.exp(0.15 * np.linspace(-1, 1, 40))[None, :, None]
    return anatomy + rng.normal(0, 0.05, SHAPE), 3.0 * bias * (later + rng.normal(0, 0.05, SHAPE))


def test_a_change_comes_out_in_standard_deviations_whatever_gain_and_bias() -> None:
    one, two = two_scans(lesion=0.7)
    z = subtraction(one, two, REGION, REGION, spacing_mm=(2.0, 2.0, 5.0))
    inside = np.zeros(SHAPE, dtype=bool)
    inside[10:14, 20:24, 3:5] = True
    assert z[~inside].std() == pytest.approx(1, abs=0.1)
    # 0.7 over the standard deviation of a difference, 0.05 * sqrt 2; the wide window takes a little away
    assert z[inside].mean() == pytest.approx(0.7 / (0.05 * np.sqrt(2)), rel=0.1)


def test_outside_the_region_nothing_changes_and_the_same_image_twice_is_refused() -> None:
    one, two = two_scans()
    region = REGION.copy()
    region[:5] = False
    z = subtraction(one, two, region, region, spacing_mm=(2.0, 2.0, 5.0))
    assert not z[:5].any()
    with pytest.raises(RadloomError, match="same image"):
        subtraction(one, one, REGION, REGION, spacing_mm=(2.0, 2.0, 5.0))


def test_marks_keep_to_threshold_and_volume() -> None:
    change = np.zeros((9, 9, 3))
    change[1, 1, 1] = 9.0  # one voxel
    change[4, 4, 0] = change[5, 5, 1] = 4.0  # joined by a corner
    change[7, 7, 1] = 2.9
    assert marks(change, threshold=3.0, least_mm3=3.0, voxel_mm3=3.0).max() == 2
    kept = marks(change, threshold=3.0, least_mm3=4.0, voxel_mm3=3.0)
    assert kept.max() == 1
    assert kept[4, 4, 0] == kept[5, 5, 1] == 1
    assert kept[1, 1, 1] == 0
    assert marks(change, threshold=5.0, least_mm3=3.0, voxel_mm3=3.0).max() == 1
    assert marks(0 * change, threshold=3.0, least_mm3=3.0, voxel_mm3=3.0).max() == 0


def test_counts_by_hand() -> None:
    new, marked = np.zeros((12, 5, 1), int), np.zeros((12, 5, 1), int)
    new[0:2, 0], new[5, 2], new[10, 4] = 1, 2, 3
    marked[1, 0], marked[6, 2], marked[8, 0], marked[0, 0] = 1, 2, 3, 1  # on 1; beside 2; off every one
    found = counts(marked, new)
    assert (found.new, found.found, found.false) == (3, 1, 1)
    empty = counts(0 * marked, 0 * new)
    assert (empty.new, empty.found, empty.false) == (0, 0, 0)
    assert contrast_to_noise(np.full(new.shape, 4.0), new) == 4
    assert np.isnan(contrast_to_noise(np.ones(new.shape), 0 * new))


def test_the_threshold_is_the_lowest_that_keeps_false_marks_at_the_rate() -> None:
    rng = np.random.default_rng(0)
    change = rng.standard_normal(SHAPE)
    change[0, 0, 0], change[20, 0, 0] = 8.1, 6.1  # one false mark survives up to 8
    new = np.zeros(SHAPE, int)
    args = {"least_mm3": 3.0, "voxel_mm3": 20.0}
    assert threshold_for([(change, new)], false_a_scan=1.0, **args) == 6.5
    assert threshold_for([(change, new)], false_a_scan=0.0, **args) == 8.5
    assert threshold_for([(change, new), (0 * change, new)], false_a_scan=1.0, **args) < 6.5
    assert threshold_for([], false_a_scan=1.0, **args) == 3
    assert threshold_for([(change + 100, new)], false_a_scan=0.0, **args) == 20


def test_white_matter_is_the_brightest_third_inside() -> None:
    t1 = np.ones((12, 12, 2))
    t1[6:] = 2.0
    found = white_matter(t1, np.ones(t1.shape, bool))
    assert not found[:6].any()
    with pytest.raises(RadloomError, match="no inner voxel"):
        white_matter(t1, np.zeros(t1.shape, bool))


def rows(patients: int, share: dict[str, float], noise: dict[str, float]) -> pd.DataFrame:
    """Four new lesions a patient, found with a share by arm that differs a little between patients."""
    found = []
    for p, arm in itertools.product(range(patients), share):
        hits = round(4 * min(1, share[arm] + 0.1 * np.sin(p)))
        found.append({"patient": f"p{p}", "case": f"c{p}", "arm": arm, "threshold": 4.0, "new": 4, "found": hits,
                      "false": 1, "found_at_3": 4, "false_at_3": 3,
                      "contrast_to_noise": noise[arm] + 0.1 * np.cos(p)})  # fmt: skip
    return pd.DataFrame(found)


SHARES = {"real": 0.9, "model": 0.9, "cubic": 0.4, "real FLAIR": 0.25}
CLEAR = {"real": 9.0, "model": 8.0, "cubic": 5.0, "real FLAIR": 4.0}


def test_planted_gain_is_found_with_size_and_direction() -> None:
    found = findings(rows(12, SHARES, CLEAR), 6)
    assert found["passed"] is True
    assert found["contrast_to_noise"]["real FLAIR"]["difference"] == pytest.approx(4.0)
    assert found["contrast_to_noise"]["real"]["difference"] == pytest.approx(-1.0)
    assert "The synthetic images show more of them" in found["answer"]
    assert "12 patients" in found["answer"]


def test_planted_null_and_harm_are_not_called_a_gain() -> None:
    assert findings(rows(12, dict.fromkeys(SHARES, 0.5), dict.fromkeys(CLEAR, 5.0)), 6)["passed"] is False
    harm = findings(rows(12, {**SHARES, "model": 0.1}, {**CLEAR, "model": 1.0}), 6)
    assert harm["passed"] is False
    assert harm["found"]["real FLAIR"]["difference"] < 0
    assert "nor are the real ones" not in harm["answer"]


def test_where_real_images_show_no_more_than_flair_the_answer_says_that_nothing_could_be_gained() -> None:
    found = findings(rows(12, dict.fromkeys(SHARES, 1.0), {**CLEAR, "real": 3.9, "model": 3.9}), 6)
    assert found["passed"] is False
    assert "not shown to be better, nor are the real ones" in found["answer"]


def test_few_patients_or_none_with_new_lesions_get_no_verdict() -> None:
    assert findings(rows(5, SHARES, CLEAR), 6)["passed"] is None
    none = rows(8, SHARES, CLEAR).assign(new=0, found=0)
    assert findings(none, 6)["answer"] == "No test patient has a new lesion."


def test_comparisons_leave_out_patients_that_one_arm_lacks() -> None:
    one = {"a": 1.0, "b": 2.0, "c": float("nan"), "d": 3.0}
    two = {"a": 0.5, "b": 1.0, "c": 1.0}
    found = compared(one, two, "test")
    assert (found.n, found.one, found.other, found.difference) == (2, 1.5, 0.75, 0.75)
    assert found.text() == "+0.75"
    assert compared({}, {}, "test").n == 0
    assert mean_text({"a": float("nan")}, "test") == "–"
    assert mean_text({"a": 1.0, "b": 3.0}, "test") == "2.00"


def cohort(tmp_path: Path, **columns: list) -> Cohort:
    table = pd.DataFrame({"case": ["a1", "a2", "b1"], "patient": ["a", "a", "b"], "site": "", "vendor": "",
                          "split": ["test"] * 3, **columns})  # fmt: skip
    return Cohort(table, tmp_path)


def test_visits_are_ordered_by_time_and_what_is_missing_is_named(tmp_path: Path) -> None:
    study = studies.load("new_lesions")
    recipe = systems.load("schlaeger2023_dir").resolve("tiny", 2, {})
    months = {"time.months": [12.0, 0.0, 0.0]}
    images = {f"image.{name}": ["x"] * 3 for name in ("t1", "flair", "dir")}
    whole = cohort(tmp_path, **months, **images, **{"mask.new": ["x", "x", "x"]})
    assert pairs(whole) == [("a", "a2", "a1")]
    assert study.needs(recipe, whole) is None
    assert study.needs(recipe, cohort(tmp_path, **months, **images)) == "the cohort has no mask.new"
    lacking = cohort(tmp_path, **months, **images, **{"mask.new": ["", "x", "x"]})
    assert study.needs(recipe, lacking) == "case a1 has no mask.new"
    fewer: Any = whole.table[whole.table["case"] != "a2"]
    single = Cohort(fewer, tmp_path)
    assert study.needs(recipe, single) == "no test patient has two examinations"
