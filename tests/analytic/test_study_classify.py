"""The studies of RevGAN and JPDDM: planted effects found, planted nulls not, regional uptake by hand."""

import doctest
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radloom import systems
from radloom.data.cohort import Cohort
from radloom.downstream.classify import ClassifierSettings, train_classifier
from radloom.errors import RadloomError
from radloom.phantom import write_cohort
from radloom.results import Results, Row
from radloom.studies import classify, hidden
from radloom.studies.hidden import uptake_error

SETTINGS = ClassifierSettings(steps=60, batch=6, width=4, learning_rate=1e-2)


def planted(count: int, seed: int, *, effect: float) -> tuple[list[np.ndarray], list[int]]:
    """Volumes of two noisy images; in class 1 a block of the second one is brighter by `effect`."""
    rng, volumes = np.random.default_rng(seed), []
    labels = [i % 2 for i in range(count)]
    for label in labels:
        volume = rng.normal(1, 0.3, (2, 12, 12, 8)).astype(np.float32)
        volume[1, 3:9, 3:9, 2:6] += effect * label
        volumes.append(volume)
    return volumes, labels


def test_the_classifier_finds_a_planted_difference_and_none_where_there_is_none() -> None:
    seen, labels = planted(24, 0, effect=1.0)
    fresh, truth = planted(20, 1, effect=1.0)
    reader = train_classifier(seen, labels, settings=SETTINGS, seed=0)
    odds = np.array([reader.read(volume) for volume in fresh])
    assert odds[np.array(truth) == 1].min() > odds[np.array(truth) == 0].max()
    blank, _ = planted(20, 1, effect=0.0)
    none = np.array([reader.read(volume) for volume in blank])
    assert np.ptp(none) < 0.5 * (odds[np.array(truth) == 1].mean() - odds[np.array(truth) == 0].mean())
    assert reader.read(fresh[0]) == pytest.approx(reader.read(fresh[0][:, ::-1]), abs=1e-5)  # left and right alike
    again = train_classifier(seen, labels, settings=replace(SETTINGS, steps=2), seed=0)
    same = train_classifier(seen, labels, settings=replace(SETTINGS, steps=2), seed=0)
    assert again.read(fresh[0]) == same.read(fresh[0])
    with pytest.raises(RadloomError, match="patients of the two classes"):
        train_classifier(seen, [0] * 24, settings=SETTINGS, seed=0)
    with pytest.raises(RadloomError, match="one shape"):
        train_classifier([*seen[:-1], seen[0][:, :8]], labels, settings=SETTINGS, seed=0)


def read(patients: int, lift: Callable[[str], float]) -> tuple[Results, dict[str, int]]:
    """Log odds of half as many AD as patients, raised in AD by `lift` of the arm."""
    rng, rows = np.random.default_rng(0), []
    truth = {f"c{p}": p % 2 for p in range(patients)}
    for p in range(patients):
        for arm in ("MRI alone", "real", "model", "linear"):
            value = lift(arm) * (p % 2) + rng.normal()
            rows.append(Row("s", "r", 0, f"c{p}", f"p{p}", "test", arm, "", "", "", "log odds", value, "1"))
    return Results.of(rows), truth


def test_a_drawn_pet_that_helps_is_found_and_one_that_does_not_is_not() -> None:
    found = classify.findings(*read(60, lambda arm: {"MRI alone": 0.3}.get(arm, 3.0)))
    assert found["passed"] is True
    assert "30 AD, 30 CN" in str(found["answer"])
    (table,) = found["tables"]  # type: ignore[misc]
    assert [line[0] for line in table["rows"]] == ["MRI alone", "MRI and real PET", "MRI and drawn PET",
                                                  "MRI and linear map"]  # fmt: skip
    assert all(len(line) == len(table["columns"]) for line in table["rows"])
    assert classify.findings(*read(60, lambda arm: 1.0))["passed"] is False
    assert classify.findings(*read(60, lambda arm: {"model": 0.1}.get(arm, 3.0)))["passed"] is False
    assert classify.findings(*read(8, lambda arm: {"MRI alone": 0.3}.get(arm, 3.0)))["passed"] is None


def test_the_error_of_regional_uptake_by_hand() -> None:
    real, inside = np.full((4, 4, 4), 2.0), np.zeros((4, 4, 4), bool)
    inside[:2] = True
    drawn = real.copy()
    drawn[0], drawn[3] = 3.0, 9.0  # half of the region by 50 %; what lies outside does not count
    assert uptake_error(drawn, real, inside) == pytest.approx(25)
    assert np.isnan(uptake_error(drawn, real, np.zeros_like(inside)))
    assert np.isnan(uptake_error(drawn, 0 * real, inside))
    assert doctest.testmod(hidden).failed == 0


def off(patients: int, error: Callable[[str], float], *, foci: int) -> Results:
    rng, rows = np.random.default_rng(0), []
    for p in range(patients):
        for arm in ("model", "zero", "mean", "linear", "cubic"):
            for region in ("regions", "focus", "rest of the brain"):
                value = error(arm) + rng.normal(0, 0.1) if region != "focus" else 30.0 if p < foci else np.nan
                rows.append(Row("s", "r", 0, f"c{p}", f"p{p}", "test", arm, "", "image.pet", region, "uptake error",
                                value, "%"))  # fmt: skip
    return Results.of(rows)


def test_regional_uptake_nearer_than_the_baselines_is_found_and_the_hidden_focus_is_told() -> None:
    found = hidden.findings(off(9, lambda arm: 5.0 if arm == "model" else 9.0, foci=3))
    assert found["passed"] is True
    assert "by 30.0" in str(found["answer"])
    assert "(3 cases)" in str(found["answer"])
    (table,) = found["tables"]  # type: ignore[misc]
    assert all(len(line) == len(table["columns"]) for line in table["rows"])
    none = hidden.findings(off(9, lambda arm: 5.0, foci=0))
    assert none["passed"] is False
    assert "MRI shows nothing" not in str(none["answer"])
    assert hidden.findings(off(4, lambda arm: 5.0, foci=1))["passed"] is None


def test_cohorts_that_cannot_answer_are_told_why(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_cohort("brain-pet", tmp_path_factory.mktemp("pet") / "c", subjects=6, shape=(24, 24, 6),
                          splits=(0.5, 0.17, 0.33))  # fmt: skip
    cohort = Cohort.read(folder / "cohort.csv")
    recipe = systems.load("xie2022_jpddm").resolve("tiny", 3, {})
    assert hidden.needs(recipe, cohort) is None
    bare = replace(cohort, table=cohort.table.drop(columns=["mask.focus", "label.group"]))
    assert hidden.needs(recipe, bare) == "not every test case has mask.focus"
    assert classify.needs(recipe, bare) == "the cohort has no label.group"
    one = replace(cohort, table=cohort.table.assign(**{"label.group": "CN"}))
    assert classify.needs(recipe, one) == "split train has not both CN and AD in label.group"
