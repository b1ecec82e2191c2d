"""The replacement study: planted effects are found, planted nulls are not, patients are the unit."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from radloom.downstream.segment import Segmenter, SegmenterSettings, train_segmenter
from radloom.errors import RadloomError
from radloom.results import Results, Row
from radloom.stats.multiplicity import holm
from radloom.stats.tests import wilcoxon
from radloom.studies.replace import REGIONS, replaced_sets
from radloom.studies.replace_findings import findings

TARGET = ("image.t1", "image.flair")
BOTH = "image.t1+image.flair"
ARMS = ("model", "linear", "cubic", "mean", "zero")


def row(case: str, patient: str, arm: str, replaced: str, value: float, region: str, metric: str = "dice") -> Row:
    return Row("s", "r", 0, case, patient, "test", arm, replaced, "", region, metric, value, "1")


def table(
    patients: int, dice: Callable[[str, str, np.random.Generator], float], *, cases: int = 1, seed: int = 0
) -> Results:
    """Rows in which `dice(arm, replaced, rng)` is added to a patient's own level."""
    rows, rng = [], np.random.default_rng(seed)
    for p, c in itertools.product(range(patients), range(cases)):
        level = 0.7 + 0.1 * np.sin(p)
        for region, metric in itertools.product(REGIONS, ("dice", "dice_to_real")):
            arms = [("real", ""), *((arm, "+".join(s)) for arm in ARMS for s in replaced_sets(TARGET))]
            for arm, replaced in arms:
                value = level + dice(arm, replaced, rng) + rng.normal(0, 0.01)
                rows.append(row(f"c{p}-{c}", f"p{p}", arm, replaced, value, region, metric))
    return Results.of(rows)


def comparison(found: dict, arm: str, against: str, *, replaced: str = BOTH, region: str = "whole tumour",
               metric: str = "dice") -> dict:  # fmt: skip
    (chosen,) = [c for c in found["comparisons"] if (c["arm"], c["against"], c["replaced"], c["region"], c["metric"])
                 == (arm, against, replaced, region, metric)]  # fmt: skip
    return chosen


PLANTED = {"real": 0.0, "model": -0.02, "cubic": -0.10, "linear": -0.12, "mean": -0.3, "zero": -0.5}


def test_replaced_sets_are_all_targets_first_then_the_smaller_ones() -> None:
    assert replaced_sets(TARGET) == [TARGET, ("image.t1",), ("image.flair",)]
    assert len(replaced_sets(("a", "b", "c"))) == 7


def test_planted_effect_is_found_with_its_size_and_direction() -> None:
    found = findings(table(30, lambda arm, *_: PLANTED[arm]), TARGET)
    assert found["passed"] is True
    gain, loss = comparison(found, "model", "cubic"), comparison(found, "model", "real")
    assert gain["difference"] == pytest.approx(0.08, abs=0.01)
    assert gain["low"] < 0.08 < gain["high"]
    assert gain["p_holm"] < 1e-4
    assert loss["difference"] == pytest.approx(-0.02, abs=0.01)
    assert loss["high"] < 0
    assert comparison(found, "zero", "real")["difference"] == pytest.approx(-0.5, abs=0.01)
    assert gain["n"] == 30
    assert {f["region"] for f in found["friedman"]} == set(REGIONS)
    assert all(f["p"] < 0.01 and f["n"] == 30 and f["arms"] == 4 for f in found["friedman"])


def test_planted_null_is_not_found() -> None:
    passed = [findings(table(20, lambda *_: 0.0, seed=seed), TARGET)["passed"] for seed in range(4)]
    assert passed == [False] * 4


def test_a_model_that_is_worse_does_not_pass_however_certain_the_difference() -> None:
    worse = {**PLANTED, "model": -0.2}
    found = findings(table(30, lambda arm, *_: worse[arm]), TARGET)
    assert comparison(found, "model", "cubic")["p_holm"] < 1e-4
    assert found["passed"] is False
    assert "linear, cubic" in found["answer"]
    assert "mean" not in found["answer"].rsplit(":", 1)[1]


def test_few_patients_get_no_verdict_however_many_cases_they_have() -> None:
    found = findings(table(5, lambda arm, *_: PLANTED[arm], cases=10), TARGET)
    assert found["passed"] is None
    assert "5 patients are too few" in found["answer"]
    assert comparison(found, "model", "cubic")["n"] == 5
    assert found["friedman"] == []


def test_two_cases_of_a_patient_count_once_as_their_mean() -> None:
    single = table(12, lambda arm, *_: PLANTED[arm])
    spread = single.table.assign(case=single.table["case"] + "b", value=single.table["value"] + 0.05)
    first = single.table.assign(value=single.table["value"] - 0.05)
    doubled = Results(Results(first).merged(Results(spread)).table)
    one, two = findings(single, TARGET), findings(doubled, TARGET)
    for a, b in zip(one["comparisons"], two["comparisons"], strict=True):
        assert {k: v for k, v in a.items() if isinstance(v, str | int)} == {
            k: v for k, v in b.items() if isinstance(v, str | int)
        }
        assert b["difference"] == pytest.approx(a["difference"], abs=1e-9)
        assert b["p"] == pytest.approx(a["p"], rel=1e-6)
        assert b["low"] == pytest.approx(a["low"], abs=1e-9)


def test_a_case_that_one_arm_lacks_is_left_out_of_both_means() -> None:
    found = table(8, lambda arm, *_: PLANTED[arm], cases=2).table
    hard = found["case"].str.endswith("-1")
    found.loc[hard, "value"] -= 0.4  # the second examinations are hard for every arm
    without = hard & (found["arm"] == "cubic")
    found.loc[without, "value"] = np.nan
    gain = comparison(findings(Results(found), TARGET), "model", "cubic")
    assert gain["difference"] == pytest.approx(0.08, abs=0.02)


def with_absent_structure(values: dict[str, float]) -> dict:
    """12 patients with Dice 0.8 everywhere and two whose truth lacks the structure, there with these values by arm."""
    rows = []
    for p, region in itertools.product(range(14), REGIONS):
        for arm, replaced in [("real", ""), *((arm, "+".join(s)) for arm in ARMS for s in replaced_sets(TARGET))]:
            value = 0.8 if p < 12 else values.get(arm, np.nan)
            rows.append(row(f"c{p}", f"p{p}", arm, replaced, value, region))
    return findings(Results.of(rows), TARGET)


def test_an_invented_structure_costs_a_reading_what_the_other_earns_by_finding_nothing() -> None:
    found = with_absent_structure({"model": 0.0})  # NaN for the others: reference and reading both empty
    loss, gain = comparison(found, "model", "real"), comparison(found, "model", "cubic")
    assert loss["n"] == gain["n"] == 14
    assert loss["difference"] == pytest.approx(-2 / 14)  # 0 against 1 in two of 14 patients
    assert gain["difference"] == pytest.approx(-2 / 14)
    reversed_ = comparison(with_absent_structure({"zero": 0.0}), "model", "zero")
    assert reversed_["difference"] == pytest.approx(2 / 14)


def test_readings_that_both_invent_a_structure_tie_and_those_that_both_find_nothing_are_left_out() -> None:
    both = comparison(with_absent_structure({"real": 0.0, "model": 0.0}), "model", "real")
    assert (both["n"], both["difference"]) == (14, 0.0)
    neither = comparison(with_absent_structure({"zero": 0.0}), "model", "real")
    assert (neither["n"], neither["difference"]) == (12, 0.0)


def test_absent_structures_are_counted_with_who_invented_them() -> None:
    found = with_absent_structure({"real": 0.0, "zero": 0.0})["absent"]
    assert [(a["metric"], a["region"], a["cases"]) for a in found] == [("dice", region, 2) for region in REGIONS]
    assert found[0]["invented"]["real"] == 2
    assert found[0]["invented"][f"zero {BOTH}"] == 2
    assert found[0]["invented"][f"model {BOTH}"] == 0
    assert findings(table(3, lambda *_: 0.0), TARGET)["absent"] == []


def test_p_values_are_adjusted_by_holm_within_region_and_replaced_set() -> None:
    results = table(10, lambda arm, *_: PLANTED[arm] / 20)
    found = findings(results, TARGET)
    family = [
        c for c in found["comparisons"] if (c["region"], c["replaced"], c["metric"]) == ("enhancing", BOTH, "dice")
    ]
    assert len(family) == 9  # five arms against real, the model against four
    np.testing.assert_allclose([c["p_holm"] for c in family], holm([c["p"] for c in family]))
    wide = results.values(by=("arm", "replaced"), metric="dice", region="enhancing").dropna()
    expected = wilcoxon(wide["model", BOTH].to_numpy(), wide["cubic", BOTH].to_numpy()).p
    (cubic,) = [c for c in family if (c["arm"], c["against"]) == ("model", "cubic")]
    assert cubic["p"] == pytest.approx(expected)
    assert any(c["p_holm"] > c["p"] for c in family)


def test_answer_names_the_losses_the_best_baseline_and_the_number_of_patients() -> None:
    answer = findings(table(30, lambda arm, *_: PLANTED[arm]), TARGET)["answer"]
    assert answer.startswith("With T1 and FLAIR replaced")
    assert "(30 patients)" in answer
    assert "(cubic)" in answer
    assert "-0.02" in answer
    assert "zero-filled channels by -0.50" in answer


def test_equal_values_and_absent_regions_give_no_number_that_was_not_measured() -> None:
    results = table(12, lambda *_: 0.0).table
    results["value"] = np.where(results["region"] == "enhancing", np.nan, 0.5)
    found = findings(Results(results), TARGET)
    gain = comparison(found, "model", "cubic")
    assert (gain["difference"], gain["p"], gain["p_holm"]) == (0.0, None, None)
    empty = comparison(found, "model", "cubic", region="enhancing")
    assert (empty["n"], empty["difference"], empty["p"]) == (0, None, None)
    assert found["passed"] is False
    results["value"] = np.nan
    assert findings(Results(results), TARGET)["passed"] is None


SETTINGS = SegmenterSettings(channels=(8, 8, 8, 8, 16), steps=60, batch=4, patch=32, learning_rate=5e-3)


def squares(count: int, seed: int, edge: int = 32) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Volumes (z, 2, x, y) with a bright square in the first channel, and its labels (x, y, z)."""
    rng, volumes, labels = np.random.default_rng(seed), [], []
    for _ in range(count):
        label = np.zeros((edge, edge, 3), dtype=np.int64)
        i, j = rng.integers(4, edge - 14, size=2)
        label[i : i + 10, j : j + 10, 1:] = 1
        volume = rng.normal(0.5, 0.1, (3, 2, edge, edge)).astype(np.float32)
        volume[:, 0] += label.transpose(2, 0, 1)
        volumes.append(volume)
        labels.append(label)
    return volumes, labels


def test_segmenter_learns_an_easy_shape_and_is_the_same_for_the_same_seed() -> None:
    volumes, labels = squares(6, seed=0)
    one = train_segmenter(volumes, labels, classes=2, settings=SETTINGS, seed=0)
    unseen, truth = squares(3, seed=1)
    for volume, label in zip(unseen, truth, strict=True):
        read = one.read(np.ascontiguousarray(volume.transpose(1, 2, 3, 0)))
        assert read.shape == label.shape
        assert 2 * np.sum(read * label) / (read.sum() + label.sum()) > 0.8
    short = SegmenterSettings(channels=(4, 4, 4, 4, 4), steps=3, batch=2, patch=32)
    weights = [train_segmenter(volumes, labels, classes=2, settings=short, seed=s).state_dict() for s in (0, 0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert not any(parameter.requires_grad for parameter in one.parameters())


@pytest.mark.parametrize("size", [(32, 32), (20, 9), (33, 64), (48, 48)])
def test_segmenter_reads_slices_of_any_size_in_any_chunks(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(2, 3, (4, 4, 4, 4, 4))
    volume = np.random.default_rng(0).random((2, *size, 5), dtype=np.float32)
    labels = segmenter.read(volume, chunk=16)
    assert labels.shape == (*size, 5)
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert np.array_equal(segmenter.read(volume, chunk=2), labels)


def test_empty_masks_are_refused() -> None:
    volumes, labels = squares(2, seed=0)
    with pytest.raises(RadloomError, match="every training mask is empty"):
        train_segmenter(volumes, [0 * label for label in labels], classes=2, settings=SETTINGS, seed=0)
