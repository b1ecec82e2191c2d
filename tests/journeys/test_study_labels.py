"""The study of labels from radiographs of two hospitals to its findings, at the smallest size: all of it is written."""

import html
from pathlib import Path

import pandas as pd
import pytest

from radloom import pipeline
from radloom.data.cohort import Cohort
from radloom.files import read_json
from radloom.phantom import write_cohort
from radloom.starting import Order, started
from radloom.studies import labels
from radloom.training import hardware


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients of two hospitals: 3 to learn from, one of them elsewhere; 1 to watch; 2 to test, one elsewhere."""
    path = write_cohort("chest-xray", tmp_path_factory.mktemp("labels") / "c", subjects=6, shape=(32, 32, 1), seed=3,
                        images=("cxr",), splits=(0.5, 0.2, 0.3))  # fmt: skip
    table = pd.read_csv(path / "cohort.csv")
    table["split"] = ["train", "train", "train", "val", "test", "test"]
    table["site"] = ["north", "north", "south", "north", "north", "south"]
    table.to_csv(path / "cohort.csv", index=False)
    return path


def test_a_study_of_labels_runs_on_a_trained_system_and_writes_what_the_report_shows(
    cohort: Path, tmp_path: Path
) -> None:
    order = Order("rosnati2023_timesteps", cohort, tmp_path / "run", "tiny", 2, 0, {"steps": "2", "method": "ledme"})
    folder, recipe = started(order)
    report = pipeline.run_all(folder, recipe, hardware.launched_fabric())
    found = read_json(folder.path / "study.json")
    assert html.escape(found["answer"], quote=False) in html.unescape(report.read_text()).replace("\n", " ")
    assert found["passed"] is None  # one test patient of each hospital is too few for any verdict
    assert (found["home"], found["mask"], found["method"]) == ("north", "mask.lung", "ledme")
    for table in found["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    rows = pd.read_csv(folder.path / "study" / "cases.csv")
    assert set(rows["labels"]) == {1, 2}  # the third training patient is of the other hospital
    assert set(rows["case"]) == set(folder.cohort().where("test").ids)
    assert dict(rows[["case", "where"]].drop_duplicates().values) == {
        "sub-0004": "same hospital", "sub-0005": "other hospital"
    }  # fmt: skip
    arms = {"ledm", "ledme", "tedm", "U-Net from scratch", "U-Net, Dice loss and jitter", "mean mask", "threshold"}
    assert set(rows["arm"]) == arms
    assert set(rows[rows["step"] >= 0]["step"]) == {1, 400}
    for figure in found["figures"]:
        assert (folder.path / figure["file"]).stat().st_size > 5000


def test_a_study_of_labels_says_what_a_cohort_lacks(cohort: Path) -> None:
    from radloom.systems import load

    recipe, whole = load("rosnati2023_timesteps").resolve("tiny", 2, {}), Cohort.read(cohort)
    assert labels.needs(recipe, whole) is None

    def of(**columns: object) -> Cohort:
        return Cohort(whole.table.assign(**columns), whole.root, whole.about)

    assert labels.needs(recipe, Cohort(whole.table.drop(columns="mask.lung"), whole.root)) == (
        "the cohort has none of mask.lung, mask.tumour, mask.lesion"
    )
    some = whole.table["mask.lung"].where(whole.table["split"] != "test", "")
    assert labels.needs(recipe, of(**{"mask.lung": some})) == "not every test case has mask.lung"
    away = ["north", "north", "south", "south", "north", "south"]
    assert labels.needs(recipe, of(site=away)) == (
        'no val case is of "north", the hospital with most training patients'
    )
