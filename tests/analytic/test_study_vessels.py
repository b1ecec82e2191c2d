"""The vessel study: it reads the right places; planted effects are found and planted nulls are not."""

import doctest
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from PIL import Image as Picture

from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.results import Results, Row
from radloom.studies import vessels, vessels_findings
from radloom.studies.vessels import CALCIFIED, LUMEN, SOFT, VEIN, needs, read_neck, windowed
from radloom.studies.vessels_findings import SIDES, findings, youden
from radloom.studies.vessels_picture import picture
from radloom.systems import load

BASELINES = ("zero", "mean", "linear", "cubic")
SHAPE = (40, 12, 6)


def row(case: int, arm: str, region: str, metric: str, value: float, split: str = "test") -> Row:
    return Row("s", "r", 0, f"{split}{case}", f"{split}{case}", split, arm, "", "image.cta", region, metric, value, "1")


def table(patients: int, lumen: Callable[[str], float], plaque: Callable[[str, float], float]) -> Results:
    """Patients of whom every second has a stenosis of 60 % on the right; plaque(arm, stenosis) is what is read."""
    rng, rows = np.random.default_rng(0), []
    for split, count in (("train", 8), ("test", patients)):
        for p in range(count):
            for arm in ("real", "model", *BASELINES) if split == "test" else ("real",):
                rows.append(row(p, arm, "artery lumen", "dice", lumen(arm) + rng.normal(0, 0.01), split))
                for side, stenosis in zip(SIDES, (60.0 * (p % 2), 0.0), strict=True):
                    rows.append(row(p, arm, side, "stenosis", stenosis, split))
                    rows.append(row(p, arm, side, "plaque", plaque(arm, stenosis), split))
            if p == 1 and split == "test":
                rows += [row(p, arm, "occluded artery", "read as open", 0.9 if arm == "model" else 0.1, split)
                         for arm in ("real", "model", *BASELINES)]  # fmt: skip
    return Results.of(rows)


def seen(arm: str, stenosis: float) -> float:
    """Real angiograms show 90 mm3 of plaque, drawn ones 70, maps of native CT half of the lesions by chance: none."""
    return {"real": 10 + 1.5 * stenosis, "model": 10 + stenosis}.get(arm, 10.0)


PLANTED = {"real": 0.9, "model": 0.7, "linear": 0.4, "cubic": 0.45, "mean": 0.1, "zero": 0.0}


def cells(found: dict, title: str) -> dict[str, list[str]]:
    (chosen,) = [one for one in found["tables"] if one["title"] == title]
    assert all(len(line) == len(chosen["columns"]) for line in chosen["rows"])
    return {line[0]: line[1:] for line in chosen["rows"]}


def test_a_planted_gain_is_found_and_told_in_one_sentence() -> None:
    found = findings(table(10, PLANTED.__getitem__, seen))
    assert found["passed"] is True
    assert "beats every baseline" in found["answer"]
    assert "calls 100 % of carotids rightly from drawn and 100 % from real" in found["answer"]
    assert found["threshold_mm3"] == pytest.approx((10 + 100) / 2)
    lumen = cells(found, "Lumen of the arteries")
    assert float(lumen["cubic"][1]) == pytest.approx(0.25, abs=0.02)
    assert float(lumen["cubic"][2]) == pytest.approx(4 * 2 / 2**10, rel=0.01)  # all ten patients gain, four baselines
    assert lumen["real"][1:] == lumen["model"][1:] == ["", ""]
    sick = cells(found, "Diseased carotids")
    assert sick["model"][1:] == ["1.000", "1.000", "5 of 20"]
    assert sick["linear"][1:] == ["0.000", "1.000", "5 of 20"]
    assert sick["linear"][0].startswith("0.750")
    assert cells(found, "Occluded arteries read as open")["model"] == ["0.90", "1"]


def test_a_planted_null_is_not_found() -> None:
    found = findings(table(10, lambda arm: 0.9 if arm == "real" else 0.4, seen))
    assert found["passed"] is False
    assert "not shown to beat" in found["answer"]


def test_too_few_patients_give_no_verdict() -> None:
    found = findings(table(5, PLANTED.__getitem__, seen))
    assert found["passed"] is None
    assert "too few" in found["answer"]
    assert json.dumps(found)


def test_without_disease_among_the_known_no_carotid_is_called() -> None:
    found = findings(table(8, PLANTED.__getitem__, lambda arm, stenosis: 10.0))
    assert found["threshold_mm3"] is None
    assert cells(found, "Diseased carotids")["model"][0] == "-"


def test_cases_without_a_lumen_are_left_out_of_every_arm() -> None:
    rows = table(7, PLANTED.__getitem__, seen).table
    rows.loc[(rows["case"] == "test3") & (rows["metric"] == "dice") & (rows["arm"] == "zero"), "value"] = math.nan
    found = findings(Results(rows))
    assert float(cells(found, "Lumen of the arteries")["cubic"][2]) == pytest.approx(4 * 2 / 2**6, rel=0.01)
    rows.loc[rows["metric"] == "dice", "value"] = math.nan
    nothing = findings(Results(rows))
    assert nothing["passed"] is None
    assert cells(nothing, "Lumen of the arteries")["model"][0] == "-"


def test_youdens_threshold_by_hand() -> None:
    scores, sick = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([False, True, False, True, True])
    assert youden(scores, sick) == 3.5  # 2/3 + 1 against 1 + 1/2 at 1.5
    assert math.isnan(youden(scores, np.ones(5, bool)))
    assert doctest.testmod(vessels_findings).failed == 0


@pytest.fixture
def neck(tmp_path: Path) -> Path:
    """Two carotids of 2x2 voxels with a calcified plaque on the left one and a clot on the right, a vein beside."""
    vessel, plaque = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    vessel[30:32, 5:7], vessel[8:10, 5:7], vessel[20:23, 2:4] = 1, 2, 5
    vessel[30:32, 5:7, 4:] = 0
    plaque[30:32, 5:7, 4:], plaque[10:12, 5:7, 2] = 3, 2
    (tmp_path / "i").mkdir()
    volumes = {"image.ncct": np.full(SHAPE, 40, np.int16), "image.cta": np.full(SHAPE, 60, np.int16),
               "mask.vessels": vessel, "mask.plaque": plaque}  # fmt: skip
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    for key, voxels in volumes.items():
        file = Nifti1Image(voxels, affine)
        if key.startswith("image."):
            file.header["intent_name"] = b"HU"  # where the unit stands
        file.to_filename(tmp_path / "i" / f"{key}.nii.gz")
    names = [*volumes, "label.stenosis_right", "label.stenosis_left"]
    lines = [",".join(["case", "patient", "split", *names])]
    lines += [",".join([case, case, split, *(f"i/{key}.nii.gz" for key in volumes), "100", "60"])
              for case, split in (("a", "train"), ("b", "test"))]  # fmt: skip
    (tmp_path / "cohort.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cohort.csv"


def test_labels_clot_and_walls_are_where_the_masks_have_them(neck: Path) -> None:
    found = read_neck(Cohort.read(neck), "a")
    at = [(30, 5, 0), (8, 5, 0), (20, 2, 0), (10, 5, 2), (30, 5, 5), (0, 0, 0)]
    assert [int(found.labels[place]) for place in at] == [LUMEN, LUMEN, VEIN, CALCIFIED, SOFT, 0]
    assert int(found.clot.sum()) == 2 * 2 * 2
    assert found.voxel_mm3 == pytest.approx(5.0)
    right, left = (found.sides[side] for side in SIDES)
    assert right[30, 5, 5]  # the occluded part belongs to its artery
    assert left[10, 5, 2]
    assert not (right & left).any()
    assert right[34, 5, 0]
    assert not right[38, 5, 0]


def test_a_cohort_without_what_the_study_needs_is_told_so(neck: Path) -> None:
    recipe = load("lyu2023_cta").resolve("tiny", 2, {})
    assert needs(recipe, Cohort.read(neck)) is None
    text = neck.read_text()
    neck.write_text(text.replace("label.stenosis_left", "label.other"))
    assert needs(recipe, Cohort.read(neck)) == "the cohort has no label.stenosis_left"
    neck.write_text(text.replace("mask.plaque", "mask.other", 1))
    assert needs(recipe, Cohort.read(neck)) == "not every train case has mask.plaque"
    neck.write_text(text)
    Nifti1Image(np.ones(SHAPE, np.int16), np.eye(4)).to_filename(neck.parent / "i" / "image.cta.nii.gz")
    assert needs(recipe, Cohort.read(neck)) == "image.cta is in units of 1, not in HU"
    both = load("lyu2023_cta").resolve("tiny", 2, {"target": "image.cta,image.late"})
    assert "one drawn angiogram" in str(needs(both, Cohort.read(neck)))


def test_labels_that_the_study_does_not_know_are_refused(neck: Path) -> None:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[0] = 9
    Nifti1Image(voxels, np.diag([1.0, 1.0, 5.0, 1.0])).to_filename(neck.parent / "i" / "mask.vessels.nii.gz")
    with pytest.raises(RadloomError, match="labels 0 to 9; expected 0 to 5"):
        read_neck(Cohort.read(neck), "a")


def test_the_readers_window_is_from_minus_100_to_700_hu() -> None:
    water = np.array([-1000.0, -100.0, 100.0, 300.0, 700.0, 2000.0]) / 1000 + 1
    np.testing.assert_allclose(windowed(water.reshape(1, 6, 1, 1)).ravel(), [0, 0, 0.5, 1, 2, 2], atol=1e-6)
    assert vessels.VESSELS == "mask.vessels"


def test_the_picture_has_a_tile_for_each_image_and_colours_what_was_read(tmp_path: Path) -> None:
    truth = np.zeros((10, 8, 3), np.uint8)
    truth[2, 1, 1] = SOFT
    image, read = np.full((10, 8, 3), 1.04), np.zeros((10, 8, 3), np.uint8)
    read[7, 6, 1] = LUMEN
    picture(tmp_path / "p.png", image, {"real": (image, read), "model": (image, truth)}, truth)
    drawn = np.asarray(Picture.open(tmp_path / "p.png"))[::2, ::2]
    assert drawn.shape == (2 * 8, 3 * 10, 3)
    reds = np.argwhere((drawn == (230, 60, 60)).all(-1)).tolist()
    assert reds == [[8 + 7 - 6, 10 + 9 - 7]]  # in the lower row, second tile, both axes reversed
    assert int((drawn == (80, 220, 120)).all(-1).sum()) == 2
