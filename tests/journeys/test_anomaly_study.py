"""The study of anomalies from cohort to report: by voxels, by the labels of cases, and on another cohort."""

from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from radloom import pipeline
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.phantom import write_cohort
from radloom.report.page import write_report
from radloom.starting import Order, started
from radloom.training import hardware
from radloom.training.train import train

SOME = {"shape": (32, 32, 6), "images": ("t1", "flair")}
TWO = {"target": "image.t1,image.flair", "steps": "2"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort("brain", tmp_path_factory.mktemp("anomaly") / "tumours", subjects=12, seed=5,
                        splits=(0.4, 0.3, 0.3), **SOME)  # fmt: skip


def trained(cohort: Path, out: Path, changes: dict[str, str]):
    folder, recipe = started(Order("radloom_anomaly", cohort, out, "tiny", 2, 0, {**TWO, **changes}))
    train(recipe, folder, hardware.launched_fabric(), seed=0)
    return folder, recipe


def test_voxels_are_judged_at_home_and_on_another_disease_elsewhere(cohort: Path, tmp_path: Path) -> None:
    folder, recipe = trained(cohort, tmp_path / "run", {})
    home = pipeline.study(folder, recipe, folder.cohort(), "anomaly")
    assert home["reference"] == "mask.tumour"
    other = write_cohort("brain", tmp_path / "ms", subjects=2, seed=8, variant="ms-follow-up", **SOME)
    found = pipeline.study(folder, recipe, folder.cohort(), "anomaly", elsewhere=other)
    assert found["reference"] == "mask.lesion"
    assert read_json(folder.path / "elsewhere" / "ms" / "study.json")["answer"] == found["answer"]
    assert read_json(folder.path / "study.json")["answer"] == home["answer"]  # the one at home is left alone
    names = [[row[0] for row in study["tables"][0]["rows"]] for study in (home, found)]
    assert set(names[1]) == set(names[0])
    assert home["pixels"][0]["threshold"] == found["pixels"][0]["threshold"]  # chosen at home
    cases = set(pd.read_csv(folder.path / "elsewhere" / "ms" / "study" / "cases.csv")["case"])
    assert cases <= set(Cohort.read(other).ids)
    place = folder.path / "elsewhere" / "ms"
    sidecar = read_json(next(iter(sorted((place / "study").glob("*.map.json")))))
    assert sidecar["source"] == str(other / "cohort.csv")
    assert read_json(place / "study.json")["cohort"] == str(other / "cohort.csv")
    with pytest.raises(RadloomError, match="names of the run's own cases"):
        pipeline.study(folder, recipe, folder.cohort(), "anomaly", elsewhere=cohort)
    again = tmp_path / "again" / "ms"
    again.parent.mkdir()
    other.rename(again)
    with pytest.raises(RadloomError, match="holds the findings on"):
        pipeline.study(folder, recipe, folder.cohort(), "anomaly", elsewhere=again)


def test_a_cohort_without_a_reference_is_refused(cohort: Path, tmp_path: Path) -> None:
    folder, recipe = trained(cohort, tmp_path / "run", {})
    table = pd.read_csv(cohort / "cohort.csv", dtype=str, keep_default_na=False)
    for key in ("image.t1", "image.flair"):
        table[key] = [str(cohort / path) for path in table[key]]
    table["case"] = "other-" + table["case"]
    (tmp_path / "none").mkdir()
    table.drop(columns=[c for c in table if c.startswith("mask.")]).to_csv(tmp_path / "none/cohort.csv", index=False)
    with pytest.raises(RadloomError, match=r"not every case has mask\.tumour"):
        pipeline.study(folder, recipe, folder.cohort(), "anomaly", elsewhere=tmp_path / "none")


def test_labels_of_cases_alone_are_judged_by_case_and_shown_in_the_report(cohort: Path, tmp_path: Path) -> None:
    folder, recipe = trained(cohort, tmp_path / "run", {"without": "label.idh=1"})
    data = folder.cohort()
    ill = set(data.table.loc[data.table["label.idh"].astype(float) == 1, "case"])
    assert ill & set(data.where("train").ids)
    for case in data.where("train").ids:  # the ill are not learned
        assert recipe.system.task.read(data, case).region.any() == (case not in ill)
    found = pipeline.study(folder, recipe, data, "anomaly")
    (table,) = found["tables"]
    arms = [row[0] for row in table["rows"]]
    assert arms[0] == "model"
    assert arms[-1] == "classifier with labels"
    rows = pd.read_csv(folder.path / "study" / "cases.csv")
    assert set(rows.loc[rows["ill"], "case"]) == ill & set(data.where("test").ids)
    assert (folder.path / "study" / "slices.png").stat().st_size > 5000
    assert found["passed"] is None  # too few patients
    pipeline.drawn(folder, recipe, hardware.launched_fabric(), count=4)
    pipeline.evaluated(folder, recipe, data, [])
    text = unescape(write_report(folder.path).read_text())
    assert found["answer"] in text
    assert "classifier with labels" in text


@pytest.mark.parametrize("wrong", ["label.idh", "mask.tumour=1", "image.t1", "mask.tumour,mask.brain"])
def test_what_cannot_be_left_out_is_refused(cohort: Path, tmp_path: Path, wrong: str) -> None:
    with pytest.raises(RadloomError, match=r"without=|column to set"):
        trained(cohort, tmp_path / "run", {"without": wrong})
