"""Registration of a deformation that is known, the fusion of two fields, and what the study makes of its rows."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from radloom import studies, systems
from radloom.data.cohort import Cohort
from radloom.downstream.register import (
    Registration,
    correlation,
    inverse,
    mutual_information,
    registered,
    smooth_displacement,
    warped,
)
from radloom.errors import RadloomError
from radloom.studies.register import Moved, best_weight, findings, fused, registration_rows

SPACING = (2.0, 2.0, 4.0)
SHAPE = (32, 28, 8)
INSIDE = np.zeros(SHAPE, dtype=bool)
INSIDE[3:-3, 3:-3, 1:-1] = True
HOW = Registration(mesh_mm=16.0, coarse=60, fine=20, step_mm=0.5)


def anatomy(seed: int) -> np.ndarray:
    """Something with structure at every place: smoothed noise of about 5 mm."""
    rng = np.random.default_rng(seed)
    return smooth_displacement(SHAPE, spacing_mm=SPACING, size_mm=1.0, smooth_mm=5.0, rng=rng)[0].astype(np.float32)


def deformation(size_mm: float = 3.0) -> np.ndarray:
    return smooth_displacement(SHAPE, spacing_mm=SPACING, size_mm=size_mm, smooth_mm=16.0, rng=np.random.default_rng(5))


def test_the_inverse_leads_back_to_where_a_place_came_from() -> None:
    there = deformation()
    back = inverse(there, spacing_mm=SPACING)
    left = back + np.stack([warped(one, back, spacing_mm=SPACING, order=1) for one in there])
    assert np.abs(left[:, INSIDE]).max() < 0.01


@pytest.mark.parametrize("contrast", ["same", "other"])
def test_a_known_deformation_is_found_again(contrast: str) -> None:
    true, moving = deformation(), anatomy(0)
    fixed = warped(moving, true, spacing_mm=SPACING).astype(np.float32)
    # another contrast: bright becomes dark and the order of tissues is lost, so that no correlation is left
    fixed, similarity = (fixed, correlation) if contrast == "same" else (np.cos(4 * fixed), mutual_information)
    found = registered(fixed, moving, INSIDE, spacing_mm=SPACING, similarity=similarity, how=HOW)
    error = np.sqrt(((found - true) ** 2).sum(0))[INSIDE].mean()
    before = np.sqrt((true**2).sum(0))[INSIDE].mean()
    assert before > 2
    assert error < before * (0.25 if contrast == "same" else 0.4)


def test_images_without_deformation_are_left_where_they_are() -> None:
    image = anatomy(1)
    found = registered(image, image, INSIDE, spacing_mm=SPACING, similarity=correlation, how=HOW)
    assert np.abs(found[:, INSIDE]).mean() < 0.05


def test_images_that_cannot_be_registered_are_refused() -> None:
    image = anatomy(0)
    args = {"spacing_mm": SPACING, "similarity": correlation, "how": HOW}
    with pytest.raises(RadloomError, match="constant"):
        registered(image, np.ones_like(image), INSIDE, **args)
    with pytest.raises(RadloomError, match="expected one grid and a region"):
        registered(image, image, np.zeros_like(INSIDE), **args)


def test_mutual_information_of_independent_and_of_equal_values() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 4, (2, 40000), generator=rng).float()
    assert float(mutual_information(a, b, bins=4)) == pytest.approx(0, abs=1e-3)
    # four equally frequent values in four bins: ln 4
    assert float(mutual_information(a, 3 - a, bins=4)) == pytest.approx(np.log(4), abs=1e-3)


def moved(patient: str, given: float, translated: float) -> Moved:
    """Fields that miss the truth by so many mm along x, to opposite sides."""
    true = deformation()
    fields = {}
    for arm, off in (("given", given), ("translated", -translated)):
        fields[arm] = true.copy()
        fields[arm][0] += off
    return Moved(patient, patient, INSIDE, true, fields, None, SPACING)


def test_errors_to_opposite_sides_cancel_at_the_weight_that_balances_them() -> None:
    # w * (-1) + (1 - w) * 3 = 0 at w = 0.75; tenths: |3 - 4 w| is 0.2 at 0.7 and at 0.8, the lower one stands
    cases = [moved("a", 3.0, 1.0)]
    assert best_weight(cases) in (pytest.approx(0.7), pytest.approx(0.8))
    assert best_weight([moved("a", 0.0, 1.0)]) == 0
    rows = {row["arm"]: row["value"] for row in registration_rows(cases[0], 0.75)}
    assert rows["given"] == pytest.approx(3)
    assert rows["translated"] == pytest.approx(1)
    assert rows["fused"] == pytest.approx(0)
    np.testing.assert_allclose(fused(cases[0], 1.0), cases[0].fields["translated"])


def test_a_mask_comes_back_by_the_true_field_and_not_by_none() -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[10:18, 10:18, 2:6] = True
    true = deformation(6.0)
    one = Moved("a", "a", INSIDE, true, {"given": np.zeros_like(true), "translated": true}, mask, SPACING)
    values = {row["arm"]: row["value"] for row in registration_rows(one, 1.0) if row["metric"] == "dice"}
    assert values["translated"] > 0.85
    assert values["fused"] == values["translated"]
    assert values["given"] == values["before"] < values["translated"] - 0.1


def rows(patients: int, errors: dict[str, float], read: dict[str, float]) -> pd.DataFrame:
    found = []
    for p, arm in itertools.product(range(patients), errors):
        found.append({"patient": f"p{p}", "case": f"p{p}", "part": "registration", "arm": arm, "metric": "error_mm",
                      "value": errors[arm] + 0.05 * np.sin(p + len(arm))})  # fmt: skip
    for p, arm in itertools.product(range(patients), read):
        found.append({"patient": f"p{p}", "case": f"p{p}", "part": "segmentation", "arm": arm, "metric": "dice",
                      "value": read[arm] + 0.02 * np.cos(p + len(arm))})  # fmt: skip
    return pd.DataFrame(found)


ERRORS = {"before": 5.0, "given": 1.5, "translated": 1.4, "fused": 1.1}


def test_planted_gains_are_found_and_planted_nulls_are_not() -> None:
    found = findings(rows(12, ERRORS, {"given": 0.6, "model": 0.7, "real": 0.8}), 0.5, 4)
    assert found["passed"] is True
    assert found["registration"]["given"]["difference"] == pytest.approx(0.4, abs=0.03)
    assert found["segmentation"]["given"]["difference"] == pytest.approx(0.1, abs=0.02)
    assert found["segmentation"]["real"]["difference"] == pytest.approx(-0.1, abs=0.02)
    assert "helps registration" in found["answer"]
    assert "it helps a segmenter" in found["answer"]
    null = findings(rows(12, dict.fromkeys(ERRORS, 1.5), {"given": 0.6, "model": 0.6, "real": 0.6}), 0.5, 4)
    assert null["passed"] is False
    assert "is not shown to help registration" in null["answer"]
    assert "it is not shown to help a segmenter" in null["answer"]


def test_few_patients_get_no_verdict_and_without_masks_no_segmenter_is_spoken_of() -> None:
    found = findings(rows(5, ERRORS, {}), 0.5, 4)
    assert found["passed"] is None
    assert "5 patients are too few" in found["answer"]
    assert len(found["tables"]) == 1
    assert "segmenter" not in found["answer"]


def test_what_the_study_needs_is_named(tmp_path: Path) -> None:
    study = studies.load("register")
    recipe = systems.load("yang2020_imt").resolve("tiny", 2, {})
    table: Any = pd.DataFrame({"case": ["a", "b"], "patient": ["a", "b"], "site": "", "vendor": "",
                          "split": ["val", "test"], "image.t1": ["x", "x"], "image.t2": ["x", "x"]})  # fmt: skip
    assert study.needs(recipe, Cohort(table, tmp_path)) is None
    assert study.needs(recipe, Cohort(table[1:], tmp_path)) == (
        "there is no validation patient to choose the weight of the fields on"
    )
    assert study.needs(recipe, Cohort(table.drop(columns="image.t2"), tmp_path)) == "not every test case has image.t2"
    two = systems.load("yang2020_imt").resolve("tiny", 2, {"inputs": "image.t1,image.flair"})
    assert study.needs(two, Cohort(table, tmp_path)) == "it registers one image to one other"
