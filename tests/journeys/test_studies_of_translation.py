"""The studies of translated images from the cohort to their findings, at the smallest size: all of it is written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radloom import pipeline
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.io import read
from radloom.phantom import write_cohort
from radloom.sampling import draw
from radloom.starting import Order, started
from radloom.training import hardware
from radloom.training.train import train

STUDIES = {
    "schlaeger2023_dir": ("new_lesions", "visits of MS"),
    "yang2020_imt": ("register", "visits of tumours"),
    "preetha2021_contrast": ("response", "visits of tumours"),
    "contrast_cgan": ("enhancement", "visits of tumours"),
}


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("studies")
    some = {"subjects": 4, "shape": (32, 32, 6), "seed": 3, "splits": (0.5, 0.25, 0.25)}
    tumours, lesions = ("t1", "t1c", "t2", "flair", "t2s", "dwi", "asl"), ("t1", "flair", "dir")
    return {
        "visits of MS": write_cohort("brain", folder / "ms", variant="ms-follow-up", images=lesions, **some),
        "visits of tumours": write_cohort("brain", folder / "tumours", variant="response", images=tumours, **some),
    }


@pytest.mark.parametrize("system", STUDIES)
def test_a_study_runs_on_a_trained_system_and_writes_what_the_report_shows(
    system: str, cohorts: dict[str, Path], tmp_path: Path
) -> None:
    name, data = STUDIES[system]
    folder, recipe = started(Order(system, cohorts[data], tmp_path / "run", "tiny", 2, 0, {"steps": "2"}))
    cohort, fabric = folder.cohort(), hardware.launched_fabric()
    train(recipe, folder, fabric, seed=0)
    cases = cohort.where("test").ids
    draw(recipe, folder, cohort, fabric, table=cohorts[data] / "cohort.csv", seed=0)
    assert pipeline.study_needs(recipe, cohort) is None
    found = pipeline.study(folder, recipe, cohort, name)
    assert found["name"] == name
    assert found["passed"] is None  # one test patient is too few for any verdict
    assert found == read_json(folder.path / "study.json")
    for table in found["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    rows = pd.read_csv(folder.path / "study" / "cases.csv")
    assert set(rows["case"]) <= set(cases)
    assert "model" in set(rows["arm"]) | {"model" if name == "register" else ""}
    for figure in found["figures"]:
        assert (folder.path / figure["file"]).stat().st_size > 5000


def test_a_system_for_any_set_of_inputs_draws_for_patients_who_lack_one(
    cohorts: dict[str, Path], tmp_path: Path
) -> None:
    data = cohorts["visits of MS"]
    folder, recipe = started(Order("schlaeger2023_dir", data, tmp_path / "run", "tiny", 2, 0, {"steps": "2"}))
    fabric = hardware.launched_fabric()
    train(recipe, folder, fabric, seed=0)
    table = pd.read_csv(data / "cohort.csv", dtype=str).drop(columns=["image.t1", "image.dir"])[:2]
    table["case"], table["patient"], table["split"] = ["new-a", "new-b"], ["new-a", "new-b"], ""
    table["image.flair"] = [str(data / path) for path in table["image.flair"]]
    keep = ["case", "patient", "site", "vendor", "split", "image.flair"]
    (tmp_path / "others").mkdir()
    table[keep].to_csv(tmp_path / "others" / "cohort.csv", index=False)
    assert pipeline.drawn(folder, recipe, fabric, data=tmp_path / "others") == ["new-a", "new-b"]
    sidecar = read_json(folder.path / "samples" / "new-a.draw0.image.dir.json")
    assert sidecar["condition"] == ["image.flair"]
    assert np.isfinite(read(folder.path / "samples" / "new-a.draw0.image.dir.nii.gz").voxels).all()
    table.loc[table["case"] == "new-b", "image.flair"] = ""
    table[keep].to_csv(tmp_path / "others" / "cohort.csv", index=False)
    with pytest.raises(RadloomError, match=r"case new-b has none of image\.flair, image\.t1"):
        recipe.system.task.read(Cohort.read(tmp_path / "others"), "new-b")
