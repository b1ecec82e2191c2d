"""Scores of cases: a planted better one is found, a planted null is not, and the table says what sklearn says."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radloom.studies.anomaly_cases import CaseArm, case_tables, scored
from radloom.studies.anomaly_slices import Cases, Slices


def cases(each: int = 30, films: int = 2) -> Cases:
    """`each` healthy and as many ill patients with some films each."""
    ill = np.repeat(np.arange(2 * each) % 2 == 1, films)
    patients = np.repeat([f"p{i}" for i in range(2 * each)], films)
    return Cases(tuple(f"f{i}" for i in range(len(ill))), tuple(patients.tolist()), ill)


def arm(name: str, gap: float, of: Cases, seed: int) -> CaseArm:
    rng = np.random.default_rng(seed)
    scores = [rng.normal(size=len(of.ill)) + gap * of.ill for _ in range(2)]
    return CaseArm(name, "peak", scores[0], scores[1], 0.5)


def said(*gaps: float, each: int = 30) -> tuple[dict, list[CaseArm], Cases]:
    of = cases(each)
    names = ("model", "VAE", "classifier with labels")
    arms = [arm(name, gap, of, seed) for seed, (name, gap) in enumerate(zip(names, gaps, strict=True))]
    return case_tables(arms, of, of, np.random.default_rng(0)), arms, of


def test_a_planted_better_map_passes_and_a_planted_null_does_not() -> None:
    better, equal = said(2.0, 0.5, 3.0)[0], said(1.0, 1.0, 3.0)[0]
    assert better["passed"] is True
    assert equal["passed"] is False
    low, high = equal["gaps"]["VAE"][1:]
    assert low < 0 < high
    assert "the best of 1 baselines without labels (VAE)" in better["answer"]  # labels are another matter


def test_areas_gaps_and_the_threshold_are_those_worked_out_elsewhere() -> None:
    found, arms, of = said(1.5, 0.5, 1.0)
    areas = [roc_auc_score(of.ill, one.test) for one in arms]
    for row, numbers, one, area in zip(found["tables"][0]["rows"], found["cases"], arms, areas, strict=True):
        assert numbers["auc"][0] == pytest.approx(area)
        assert row[2].startswith(f"{area:.3f} (")
        healthy = np.sort(one.val[~of.ill])
        threshold = healthy[int(np.ceil(0.9 * (len(healthy) - 1)))]
        sensitivity, specificity = (one.test[of.ill] > threshold).mean(), (one.test[~of.ill] <= threshold).mean()
        assert row[4] == f"{100 * sensitivity:.0f} % / {100 * specificity:.0f} %"
    assert found["gaps"]["VAE"][0] == pytest.approx(areas[0] - areas[1])
    assert found["gaps"]["VAE"][1] < areas[0] - areas[1] < found["gaps"]["VAE"][2]


def test_films_of_a_patient_are_drawn_together() -> None:
    one, many = cases(20, 1), cases(20, 12)
    rng = np.random.default_rng(3)
    scores = rng.normal(size=40) + one.ill
    widths = []
    for of, repeats in ((one, 1), (many, 12)):  # the same patients, each film of one scored alike
        arms = [CaseArm(name, "peak", s := np.repeat(scores + shift, repeats), s, 0.0)
                for name, shift in (("model", 0.0), ("VAE", rng.normal(size=40)))]  # fmt: skip
        low, high = case_tables(arms, of, of, np.random.default_rng(0))["cases"][0]["auc"][1:]
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_few_patients_of_a_kind_get_no_verdict() -> None:
    found = said(3.0, 0.0, 0.0, each=6)[0]
    assert found["passed"] is None
    assert "10 patients of each kind are needed" in found["answer"]


def test_the_score_is_the_one_that_tells_validation_cases_apart() -> None:
    n, truth = 24, np.arange(24) % 2 == 1
    names, region = tuple(f"c{i}" for i in range(n)), np.ones((n, 10, 10), bool)
    slices = Slices(np.zeros((n, 1, 10, 10), np.float32), region, ~region, names, np.zeros(n, int), names, truth)
    rng = np.random.default_rng(1)
    peaks = rng.random((n, 10, 10)).astype(np.float32) * 0.1
    peaks[:, 0, 0] = np.where(truth, 2, 1) + 0.1 * rng.random(n)
    spread = 0.5 * rng.random((n, 10, 10)).astype(np.float32) + 0.3 * truth[:, None, None].astype(np.float32)
    spread[:, 0, 0] = 5 * rng.random(n)
    for maps, how in ((peaks, "peak"), (spread, "mean")):
        found = scored("model", maps, maps, slices, slices, 0.1)
        assert found.how == how
        assert roc_auc_score(truth, found.test) > 0.95
