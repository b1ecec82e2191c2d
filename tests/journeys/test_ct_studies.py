"""From a small simulated cohort to the study, with the systems that draw CT."""

import json
from pathlib import Path

import numpy as np

from radloom.data.cohort import Cohort
from radloom.phantom import write_cohort
from radloom.pipeline import drawn, evaluated, study
from radloom.results import Results
from radloom.runfolder import RunFolder
from radloom.systems import load
from radloom.training import hardware
from radloom.training.train import train


def ran(name: str, table: Path, out: Path, **changes: str) -> RunFolder:
    """The run after a few steps: trained, drawn, judged and studied."""
    recipe, cohort = load(name).resolve("tiny", 2, {"steps": "3", **changes}), Cohort.read(table)
    folder = RunFolder.create(out, recipe, cohort, table, seed=0)
    fabric = hardware.launched_fabric()
    train(recipe, folder, fabric, seed=0)
    evaluated(folder, recipe, cohort, drawn(folder, recipe, fabric))
    if recipe.system.study:
        study(folder, recipe, cohort, recipe.system.study)
    return folder


def test_ct_from_mr_is_followed_along_its_beams(tmp_path: Path) -> None:
    data = write_cohort("brain-ct", tmp_path / "c", subjects=6, shape=(48, 48, 6), images=["ct", "t1c"])
    folder = ran("emami2018_mr_to_ct", data / "cohort.csv", tmp_path / "run")
    found = json.loads((folder.path / "study.json").read_text())
    assert found["name"] == "beams"
    table = Results.read(folder.results).table
    depths = np.asarray(table.loc[(table["metric"] == "depth error") & (table["arm"] == "zero"), "value"])
    assert len(depths) == 2 * len(Cohort.read(data).where("test").ids)
    assert float(depths.min()) > 50  # a head of nothing but air misses most of its depth
    assert {"bone", "air", "soft tissue"} <= set(table.loc[table["metric"] == "mae", "region"])
    assert [one["title"] for one in found["tables"]] == ["Depth of water behind the head", "Bone"]


def test_drawn_angiograms_are_read_for_lumen_and_plaque(tmp_path: Path) -> None:
    data = write_cohort("neck-cta", tmp_path / "c", subjects=6, shape=(48, 48, 6))
    folder = ran("lyu2023_cta", data / "cohort.csv", tmp_path / "run")
    found = json.loads((folder.path / "study.json").read_text())
    assert found["name"] == "vessels"
    for figure in found["figures"]:
        assert (folder.path / figure["file"]).is_file()
    table = Results.read(folder.results).table
    cases = Cohort.read(data).where("test").ids
    read = table.loc[(table["metric"] == "plaque") & (table["arm"] == "model")]
    assert len(read) == 2 * len(cases)
    assert set(table["split"]) == {"test"}
    assert len(found["figures"]) == 2
