"""From a cohort to drawn images and their report by the five commands, for a system that draws from nothing."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

from radloom.compare.generated import judge
from radloom.compare.measures import Findings, Measure
from radloom.data.cohort import Cohort
from radloom.drawing import Wish, synthesis, wishes
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.io import read, write
from radloom.phantom import write_cohort
from radloom.pipeline import drawn
from radloom.report.synthesis_verdict import answer
from radloom.runfolder import RunFolder
from radloom.starting import opened
from radloom.training.hardware import launched_fabric

SYSTEM = "karras2022_edm"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the command line, of size tiny, given IDH status."""
    place = tmp_path_factory.mktemp("synthesis")
    write_cohort("brain", place / "cohort", subjects=16, shape=(32, 32, 8), images=("flair",), splits=(0.5, 0.1, 0.4))
    command = [sys.executable, "-m", "radloom", "run", SYSTEM, "--data", place / "cohort", "--out", place / "run",
               "--size", "tiny", "--set", "condition=label.idh", "--set", "steps=3"]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("report.html")
    return place / "run"


def test_every_stage_leaves_its_files(run: Path) -> None:
    record = read_json(run / "run.json")
    assert [stage["name"] for stage in record["stages"]] == ["train", "draw", "evaluate"]
    assert record["condition"][0]["classes"] == ["0", "1"]
    assert record["scaling"] == "median"
    names = record["drawn"]["names"]
    assert len(names) == 64
    assert {name.partition("-")[0] for name in names} == {"idh_0", "idh_1"}
    assert len(list((run / "samples").glob("*.nii.gz"))) == 64
    sheets = {path.name for path in (run / "sheets").glob("*.png")}
    assert {"flair.synthetic.png", "flair.real.png", "flair.gaussian.png", "flair.nearest.png"} <= sheets
    assert "--set condition=label.idh" in (run / "next.txt").read_text()
    assert "--set target" not in (run / "next.txt").read_text()


def test_results_hold_the_model_beside_every_baseline_in_two_spaces(run: Path) -> None:
    table = pandas.read_csv(run / "results.csv")
    fd = table[table["metric"] == "fd_equal_n"]
    arms = {"synthetic", "training images again", "gaussian", "mean and noise", "real halves", "duplicated real"}
    assert set(fd["extractor"]) == {"multiscale_texture_2d", "radiomic_frd_v0_2d, z-scored"}
    assert arms <= set(fd["arm"])
    again = table[table["arm"] == "training images again"].set_index("metric")["estimate"]
    assert again["copies"] == again["identical"] == 1
    model = table[table["arm"] == "synthetic"].set_index("metric")["estimate"]
    assert model["identical"] == 0
    assert {"fd_infinity", "kid", "precision", "recall", "density", "coverage", "ms_ssim_diversity", "copy_fraction",
            "nearest_training_ratio", "bits_per_dimension", "cpu_seconds_per_image"} <= set(model.index)  # fmt: skip


def test_report_says_that_three_steps_do_not_beat_the_gaussian(run: Path) -> None:
    text = (run / "report.html").read_text()
    assert "does not beat a Gaussian fitted on the training images" in text
    assert "data: simulated" in text
    assert text.count("data:image/png;base64,") >= 4
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "training images again" in text


def test_copies_of_training_images_in_the_place_of_draws_are_found(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "run"
    shutil.copytree(run, again)
    folder, recipe = opened(again)
    cohort = folder.cohort()
    task, training = recipe.system.task, cohort.where("train").ids
    names = read_json(again / "run.json")["drawn"]["names"][:16]
    folder.update({"drawn": {"names": names, "seed": 0, "cpu_seconds_per_image": 1.0}})
    scale = read_json(again / "run.json")["scale"]["image.flair"]
    for i, name in enumerate(names):
        prepared = task.read(cohort, training[i % len(training)])
        path = again / "samples" / f"{name}.draw0.image.flair.nii.gz"
        x = prepared.channels["image.flair"][:, :, 3:4]
        write(read(path).with_voxels((x * scale["scale"] + scale["offset"]).astype(np.float32)), path)
    found = {(one.metric, one.arm): one.estimate for one in judge(recipe, folder, cohort)}
    assert found["copies", "synthetic"] == 1
    assert found["copies", "real"] < 0.1


def test_draw_refuses_what_the_system_cannot_hear(run: Path) -> None:
    folder, recipe = opened(run)
    fabric = launched_fabric()
    with pytest.raises(RadloomError, match="--count and --condition"):
        drawn(folder, recipe, fabric, cases=["sub-0000"])
    with pytest.raises(RadloomError, match="no class of the training cases; expected one of 0, 1"):
        drawn(folder, recipe, fabric, count=1, conditions=["label.idh=2"])
    with pytest.raises(RadloomError, match=r"expected label\.idh=VALUE"):
        drawn(folder, recipe, fabric, count=1, conditions=["label.age=2"])


def test_wishes_without_a_condition_are_one_and_a_condition_is_refused(run: Path) -> None:
    folder, recipe = opened(run)
    plain = synthesis(recipe).changed({"condition": ""})[0]
    assert wishes(plain, folder.cohort(), ()) == [Wish("image", ((),))]
    with pytest.raises(RadloomError, match="trained without a condition"):
        wishes(plain, folder.cohort(), ["label.idh=1"])


def test_a_wish_of_many_codes_takes_each_image_its_own_whatever_the_count() -> None:
    wish = Wish("as_trained", tuple((float(i),) for i in range(50)))
    codes = [wish.code(0, number) for number in range(40)]
    assert len(set(codes)) > 15
    assert codes[7] == wish.code(0, 7)


def test_an_absent_column_is_refused_with_the_ones_there_are(run: Path) -> None:
    cohort = read_json(run / "run.json")["cohort"]
    command = [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", cohort, "--out", f"{run}-t2",
               "--size", "tiny", "--set", "target=image.t2"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no column image.t2" in done.stderr
    assert "--set target=image.flair" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def distance(arm: str, low: float, high: float) -> Measure:
    return Measure("image.flair", "fd_equal_n", arm, (low + high) / 2, low, high, 50, 50, 44, "multiscale_texture_2d",
                   "", "", "lower", "")  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.1, 0.19, "nearer to those of held-out patients than"), (0.1, 0.25, "not shown that the model beats"),
     (0.31, 0.4, "does not beat a Gaussian")],
)  # fmt: skip
def test_the_verdict_follows_the_splits_of_model_and_gaussian(low: float, high: float, said: str) -> None:
    found = Findings([distance("synthetic", low, high), distance("gaussian", 0.2, 0.3)])
    assert said in answer(found, "image.flair").sentences[0]


def test_the_verdict_does_not_hide_that_two_spaces_disagree() -> None:
    def other(one: Measure) -> Measure:
        return replace(one, extractor="radiomic_frd_v0_2d, z-scored")

    found = Findings([distance("synthetic", 0.1, 0.15), distance("gaussian", 0.2, 0.3),
                      other(distance("synthetic", 0.4, 0.5)), other(distance("gaussian", 0.2, 0.3))])  # fmt: skip
    said = answer(found, "image.flair").sentences[0]
    assert "in one feature space and farther in the other; the model does not beat it" in said


def test_radiographs_of_a_users_table_keep_their_intensities(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    rows = ["case,patient,split,image.xray,label.age"]
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (40, 32), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(f"c{i},p{i},{'train' if i < 4 else 'test'},{i}.png,{40 + i}.5")
    (tmp_path / "cohort.csv").write_text("\n".join(rows) + "\n")
    from radloom.systems import load

    changes = {"target": "image.xray", "condition": "label.age"}
    recipe = load(SYSTEM).resolve("tiny", 2, changes).fitted(Cohort.read(tmp_path))
    task = synthesis(recipe)
    assert task.scaling == "window"
    assert task.window[0][0] == 0
    assert 250 < task.window[0][1] <= 255
    assert task.condition[0].centre == 42  # mean of 40.5 to 43.5
    prepared = task.read(Cohort.read(tmp_path), "c4")
    assert prepared.channels["image.xray"].shape == (32, 32, 1)
    assert prepared.region.all()
    assert prepared.channels["label.age"].max() == prepared.channels["label.age"].min() == 44.5
    spacing = prepared.grid.spacing_mm
    assert spacing[0] == spacing[1] == pytest.approx(40 / 32)
    record = json.loads(json.dumps(RunFolder.create(tmp_path / "run", recipe, Cohort.read(tmp_path),
                                                    tmp_path / "cohort.csv", seed=0).record()))  # fmt: skip
    assert load(SYSTEM).task.restored(record) == task
