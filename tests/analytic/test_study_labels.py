"""The study of labels: planted gains are found and planted nulls are not; nested labels, hospitals, Dice by hand."""

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radloom.data.cohort import Cohort
from radloom.studies import labels, labels_arms
from radloom.studies.anomaly_slices import Slices
from radloom.studies.labels_arms import Answers
from radloom.studies.labels_findings import ELSEWHERE, HOME, by_patient, findings, labels_for
from radloom.studies.labels_picture import shown_slices

SCRATCH, SEGMENTER = labels_arms.SCRATCH, labels_arms.SEGMENTER


def cases(gain: float, *, there: float | None = None, patients: int = 12, places: tuple[str, ...] = (HOME, ELSEWHERE)):
    """Dice of three arms after 1, 6 and 20 labels; the method's lies `gain` above, at the other hospital `there`."""
    rng, rows = np.random.default_rng(0), []
    for place in places:
        lead = gain if place == HOME or there is None else there
        for p in range(patients):
            own = rng.normal(0, 0.02)
            for n, level in ((1, 0.6), (6, 0.7), (20, 0.9)):
                for arm, above in ((SCRATCH, 0.0), (SEGMENTER, 0.05), ("tedm", lead * (n <= 6))):
                    value = level + own + above + rng.normal(0, 0.005)
                    head = {"order": 0, "labels": n, "patient": f"{place}{p}", "case": f"{place}{p}", "where": place}
                    rows.append({**head, "arm": arm, "step": -1, "metric": "dice", "value": value})
                    rows += [{**rows[-1], "metric": name, "value": 0.5} for name in ("precision", "recall")]
    return pd.DataFrame(rows)


def found(of: pd.DataFrame) -> dict:
    return findings(of, method="tedm", watched=4, orders=1)


def test_the_examples_run() -> None:
    assert doctest.testmod(labels).failed == 0


def test_a_planted_gain_is_found_at_both_hospitals_with_the_labels_that_it_saves() -> None:
    said = found(cases(0.15))
    assert said["passed"] is True
    assert said["few"] == [1, 6]
    gain = said["gain"][HOME][SCRATCH]
    assert gain["n"] == 12
    assert gain["difference"] == pytest.approx(0.15, abs=0.01)
    assert said["gain"][ELSEWHERE][SEGMENTER]["difference"] == pytest.approx(0.10, abs=0.01)
    assert said["labels_saved"] == {HOME: {"with": 6, "scratch": 20}, ELSEWHERE: {"with": 6, "scratch": 20}}
    assert "the U-Net from scratch reaches with 20" in said["answer"]
    assert said["answer"].endswith("TEDM is above the U-Net from scratch at both.")
    for table in said["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}


def test_a_gain_that_a_better_trained_unet_has_too_is_said_to_be_no_more() -> None:
    said = found(cases(0.05))
    assert said["passed"] is True
    assert "not shown to be above a U-Net trained with Dice loss and jitter" in said["answer"]


def test_no_gain_is_not_found_and_one_at_home_alone_is_not_enough() -> None:
    for of in (cases(0.0), cases(-0.1), cases(0.15, there=0.0), cases(0.0, there=0.15)):
        said = found(of)
        assert said["passed"] is False
        assert "at both is not shown" in said["answer"]
    assert "reaches with no number that was tried" in found(cases(0.5))["answer"]


def test_few_patients_or_one_hospital_get_no_verdict() -> None:
    assert found(cases(0.2, patients=5))["passed"] is None
    alone = found(cases(0.2, places=(HOME,)))
    assert alone["passed"] is None
    assert alone["answer"].endswith("nothing is said of another.")


def test_a_patient_counts_once_however_many_cases_and_orders() -> None:
    head = {"labels": 1, "where": HOME, "arm": "tedm", "step": -1, "metric": "dice"}
    values = [(0, "a", "a1", 0.2), (1, "a", "a1", 0.4), (0, "a", "a2", 0.9), (0, "b", "b", 0.7)]
    rows = pd.DataFrame([{**head, "order": o, "patient": p, "case": c, "value": v} for o, p, c, v in values])
    assert by_patient(rows, "tedm", [1], HOME) == {"a": pytest.approx(0.5), "b": pytest.approx(0.7)}
    assert labels_for(rows, "tedm", 0.6, HOME) == 1
    assert labels_for(rows, "tedm", 0.61, HOME) is None


def test_labels_are_nested_and_the_order_follows_the_seed() -> None:
    patients = [f"p{i}" for i in range(9)]
    one = labels.nested(patients * 2, 0, seed=4)
    assert sorted(one) == patients
    assert one == labels.nested(patients[::-1], 0, seed=4)
    assert one != labels.nested(patients, 1, seed=4)
    assert labels.budgets((24, 3, 1, 3), 9) == [1, 3, 9]
    assert labels.budgets((9,), 9) == [9]


def test_home_is_where_most_training_patients_are() -> None:
    split, site = ["train"] * 5 + ["test"], ["s", "s", "n", "n", "s", "s"]
    table = pd.DataFrame({"case": list("abcdef"), "patient": list("aabcde"), "split": split, "site": site})
    assert labels.home(Cohort(table, Path())) == "n"  # two patients each; the name decides
    assert labels.home(Cohort(table.assign(site="x"), Path())) == "x"


def slices(truth: np.ndarray, x: np.ndarray | None = None, cases: tuple[str, ...] | None = None) -> Slices:
    names = cases or tuple(f"c{i}" for i in range(len(truth)))
    x = np.zeros((len(truth), 1, *truth.shape[1:]), np.float32) if x is None else x
    return Slices(x, np.ones_like(truth), truth, names, np.arange(len(truth)), tuple(f"of {n}" for n in names),
                  truth.any(axis=(1, 2)))  # fmt: skip


def test_rows_hold_dice_precision_and_recall_over_all_slices_of_a_case() -> None:
    truth = np.zeros((3, 4, 4), bool)
    truth[0, :2], truth[1, 0] = True, True  # case a: 8 + 4 voxels; case b: none
    marked = np.zeros_like(truth)
    marked[0, 0] = marked[1, 3] = True  # of a 4 right and 4 wrong
    test = slices(truth, cases=("a", "a", "b"))
    by_step = np.stack([marked, truth], axis=1).astype(np.float32)
    readings = {"ledm": ((5,),), "tedm": ((1,), (7,))}
    rows = pd.DataFrame(labels.case_rows(test, {"a": HOME, "b": ELSEWHERE}, Answers({"x": marked}, by_step), readings))
    of_x = rows[rows["arm"] == "x"].set_index(["case", "metric"])["value"]
    assert of_x["a", "dice"] == pytest.approx(2 * 4 / (8 + 12))
    assert (of_x["a", "precision"], of_x["a", "recall"]) == (0.5, pytest.approx(1 / 3))
    assert np.isnan(of_x["b"].to_numpy(dtype=float)).all()  # nothing there, nothing marked
    steps = rows[(rows["arm"] == "tedm") & (rows["case"] == "a")].set_index("step")["value"]
    assert dict(steps) == {1: pytest.approx(0.4), 7: 1.0}
    assert set(rows[rows["case"] == "b"]["where"]) == {ELSEWHERE}
    assert set(rows["patient"]) == {"of a", "of b"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_threshold_finds_the_channel_the_level_and_the_side(sign: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((4, 12, 12)) < 0.3
    x = rng.normal(size=(4, 2, 12, 12)).astype(np.float32)
    x[:, 1] = sign * (truth + 0.4 * rng.random(truth.shape))
    few, test = slices(truth[:2], x[:2]), slices(truth[2:], x[2:])
    found = labels_arms.thresholded(few, test)
    assert (found == test.truth).mean() > 0.97  # the level is a quantile of the labelled slices


def test_the_picture_shows_the_best_the_middle_and_the_worst_of_each_hospital() -> None:
    truth = np.zeros((6, 4, 4), bool)
    truth[:5, :2] = True
    marked = np.zeros_like(truth)
    for n, rows in enumerate((1, 2, 0, 1, 2)):
        marked[n, :rows] = True
    where = {f"c{n}": HOME if n < 3 else ELSEWHERE for n in range(6)}
    assert shown_slices(slices(truth), where, marked) == [1, 0, 2, 4, 3]  # c5 has nothing to find
