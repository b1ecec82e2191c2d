"""Every system that draws images from images: trained, drawn and judged at size tiny on columns of any name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from radloom import io, systems
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.evaluation import evaluate
from radloom.phantom import write_cohort
from radloom.results import Results
from radloom.sampling import draw, read_sample
from radloom.starting import Order, opened, started
from radloom.synthesis import Synthesis
from radloom.system import Task
from radloom.training import hardware
from radloom.training.train import train
from radloom.types import Image

SYSTEMS = [name for name in systems.names() if not isinstance(systems.load(name).task, Synthesis)]
CASES = [(name, dims) for name in SYSTEMS for size, dims in systems.load(name).sizes if size == "tiny"]
HELD = ("t1", "t1c", "t2", "flair", "pd", "dir")


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six brains of six contrasts."""
    return write_cohort("brain", tmp_path_factory.mktemp("translation") / "c", subjects=6, shape=(40, 36, 8),
                        images=HELD, splits=(0.5, 0.17, 0.33))  # fmt: skip


def renamed(brains: Path, task: Task, folder: Path) -> Path:
    """The cohort with its contrasts under the names of the task's entries: contents do not matter here."""
    table = pd.read_csv(brains / "cohort.csv")
    columns = dict(zip([f"image.{name}" for name in HELD], task.keys, strict=False))
    images = [c for c in table.columns if c.startswith(("image.", "mask."))]
    for column in images:
        table[column] = [str((brains / path).resolve()) for path in table[column]]
    folder.mkdir()
    table.rename(columns=columns).to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_every_translation_system_trains_draws_and_is_judged(
    name: str, dims: int, brains: Path, tmp_path: Path
) -> None:
    task = systems.load(name).task
    assert isinstance(task, Task)
    data = renamed(brains, task, tmp_path / "data")
    order = Order(name, data, tmp_path / "run", "tiny", dims, 0, {"steps": "2"}, splits=("train", "test"))
    folder, recipe = started(order)
    fabric, cohort = hardware.launched_fabric(), folder.cohort()
    train(recipe, folder, fabric, seed=0)
    case = cohort.where("test").ids[0]
    draw(recipe, folder, cohort, fabric, table=data / "cohort.csv", seed=0, cases=[case])
    evaluate(recipe, folder, cohort, [case])
    table = Results.read(folder.results).table
    own = table[table["arm"] == "model"]
    assert set(own["target"]) == set(recipe.system.task.target)
    assert np.isfinite(own["value"]).all()
    assert opened(folder.path)[1] == recipe
    first = read_sample(folder, case, recipe.system.task.target[0])
    assert first.shape == (40, 36, 8)
    folder.path.joinpath("samples").rename(folder.path / "before")
    draw(recipe, folder, cohort, fabric, table=data / "cohort.csv", seed=0, cases=[case])
    again = read_sample(folder, case, recipe.system.task.target[0])
    np.testing.assert_array_equal(again.voxels, first.voxels)


def test_columns_are_chosen_with_set(brains: Path, tmp_path: Path) -> None:
    order = Order("conte2021_missing_sequence", brains, tmp_path / "run", "tiny", 2, 0,
                  {"target": "image.dir", "inputs": "image.t1,image.flair", "sees": "both"})  # fmt: skip
    folder, recipe = started(order)
    assert (recipe.system.task.target, recipe.system.task.inputs) == (("image.dir",), ("image.t1", "image.flair"))
    assert opened(folder.path)[1] == recipe


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"target": "image.t1c"}, "nothing to translate; expected targets that are not among the inputs"),
        ({"inputs": ""}, "is no column to set; expected image.NAME"),
        ({"target": "label.idh"}, '"label.idh" is no column to set; expected image.NAME'),
    ],
)
def test_columns_that_cannot_be_translated_are_refused(changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(RadloomError, match=complaint):
        systems.load("conte2021_missing_sequence").resolve("tiny", 2, changes)


def test_one_generator_for_each_target_needs_one_input_for_each() -> None:
    recipe = systems.load("conte2021_missing_sequence").resolve("tiny", 2, {"target": "image.dir"})
    with pytest.raises(RadloomError, match="sees=own with 2 inputs for 1 targets"):
        recipe.build()


def in_hu(brains: Path, folder: Path) -> Path:
    """The cohort with a T1 turned into something like a CT: air of -1000 HU, a skull of 900 where the T1 is dark."""
    task = Task(target=("image.ct",), inputs=("image.t2",))
    data = renamed(brains, replace(task, inputs=("image.t2", "image.t1")), folder)
    table: Any = pd.read_csv(data / "cohort.csv")
    paths = []
    for number, path in enumerate(table["image.t2"]):
        image = io.read(Path(path))
        inside = image.voxels > 0
        hu = np.where(inside, np.where(image.voxels < np.percentile(image.voxels[inside], 10), 900.0, 40.0), -1000.0)
        paths.append(str(data / f"ct{number}.nii.gz"))
        io.write(Image(hu.astype(np.float32), image.affine, unit="HU"), Path(paths[-1]))
    table["image.ct"] = paths
    table.to_csv(data / "cohort.csv", index=False)
    return data


def test_a_ct_is_learned_written_and_judged_in_hounsfield_units(brains: Path, tmp_path: Path) -> None:
    data = in_hu(brains, tmp_path / "data")
    changes = {"target": "image.ct", "inputs": "image.t2", "steps": "2"}
    folder, recipe = started(Order("conte2021_missing_sequence", data, tmp_path / "run", "tiny", 2, 0, changes))
    cohort, fabric = folder.cohort(), hardware.launched_fabric()
    train(recipe, folder, fabric, seed=0)
    case = cohort.where("test").ids[0]
    seen = recipe.system.task.read(cohort, case).channels["image.ct"]
    np.testing.assert_allclose(np.unique(seen), [0.0, 1.04, 1.9], atol=1e-5)
    draw(recipe, folder, cohort, fabric, table=data / "cohort.csv", seed=0, cases=[case])
    written = io.read(folder.path / "samples" / f"{case}.draw0.image.ct.nii.gz")
    assert written.unit == "HU"
    assert written.voxels[0, 0, 0] == pytest.approx(-1000)
    evaluate(recipe, folder, cohort, [case])
    table: Any = Results.read(folder.results).table.query("metric == 'mae'")
    assert set(table["region"]) >= {"brain", "soft tissue", "bone"}
    assert set(table["unit"]) == {"HU"}
    zero = table.query("arm == 'zero'").set_index("region")["value"]
    assert zero["bone"] == pytest.approx(1900)
    assert zero["soft tissue"] == pytest.approx(1040)


def test_unpaired_systems_stand_beside_the_input_and_its_matched_histogram(brains: Path, tmp_path: Path) -> None:
    from radloom.evaluation import fitted_baselines
    from radloom.stored import stored

    task = Task(target=("image.t2",), inputs=("image.t1",), pairing="unpaired")
    cohort = Cohort.read(brains)
    order = Order("conte2021_missing_sequence", brains, tmp_path / "run", "tiny", 2, 0,
                  {"target": "image.t2", "inputs": "image.t1"})  # fmt: skip
    folder, _ = started(order)
    training = cohort.where("train").ids
    models = fitted_baselines(task, stored(task, folder, cohort, ("train",)), training)
    prepared = task.read(cohort, training[0])
    given, shape = task.given(prepared), (1, 1, *prepared.region.shape)
    drawn = {name: models[name].sample(given, shape, rng=torch.Generator()).numpy()[0, 0] for name in models}
    np.testing.assert_array_equal(drawn["identity"], prepared.channels["image.t1"])
    inside = prepared.region
    matched, real = drawn["quantile"][inside], prepared.channels["image.t2"][inside]
    at = (0.1, 0.5, 0.9)  # three training images share one curve, so one image's quantiles are met roughly
    np.testing.assert_allclose(np.quantile(matched, at), np.quantile(real, at), rtol=0.15)
    rank = np.argsort(np.argsort(prepared.channels["image.t1"][inside][:500]))
    assert np.corrcoef(rank, np.argsort(np.argsort(matched[:500])))[0, 1] > 0.99
