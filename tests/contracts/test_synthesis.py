"""Every system that draws from nothing: stopped and resumed it ends in the same bits, draws, and tells its bits."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from radloom import io, systems
from radloom.data.cohort import Cohort
from radloom.drawing import draw_images, synthesis, wishes
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.given import Given
from radloom.phantom import write_cohort
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model
from radloom.stored import stored
from radloom.synthesis import Synthesis
from radloom.system import Recipe, Training
from radloom.training import hardware
from radloom.training.glimpse import DrawnGlimpse
from radloom.training.loop import Trainer
from radloom.training.plan import plan
from radloom.training.train import train

# those with a study of their own, of slices alone, are tested in test_disease.py and in their study's journey
NAMES = [
    name
    for name in systems.names()
    if isinstance(systems.load(name).task, Synthesis) and systems.load(name).study is None
]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hardware, "idle_threads", lambda: 1)
    monkeypatch.setattr(DrawnGlimpse, "picture", lambda *_: None)  # a journey looks at it
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort("brain", tmp_path_factory.mktemp("synthesis") / "c", subjects=8, shape=(32, 32, 4),
                        images=("flair",), splits=(0.5, 0.25, 0.25))  # fmt: skip


def new_run(name: str, cohort: Path, out: Path, changes: dict[str, str], dims: int = 2) -> tuple[Recipe, RunFolder]:
    table = Cohort.read(cohort)
    recipe = systems.load(name).resolve("tiny", dims, changes).fitted(table)
    return recipe, RunFolder.create(out, recipe, table, cohort / "cohort.csv", seed=3)


def read(folder: RunFolder, name: str) -> np.ndarray:
    return io.read(folder.path / "samples" / f"{name}.draw0.image.flair.nii.gz").voxels


@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_resumed_system_draws_what_an_uninterrupted_one_draws(
    name: str, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = systems.load(name).sizes["tiny", 2].settings
    changes = {"condition": "label.idh", "steps": "4", "patch": "[8, 8]"} | {
        key: "2" for key in settings if key == "autoencoder_steps"
    }
    fabric = hardware.launched_fabric()
    recipe, whole = new_run(name, cohort, tmp_path / "whole", changes)
    assert plan(recipe, fabric, rehearsals=1).parameters == sum(p.numel() for p in recipe.build().parameters())
    train(recipe, whole, fabric, seed=3)
    _, halted = new_run(name, cohort, tmp_path / "halted", changes)
    step = Trainer.step
    last = recipe.training.steps // 2 + 1  # of a system in two stages: the first step of the second

    def interrupted(self: Trainer, x: torch.Tensor, given: Given) -> dict[str, torch.Tensor]:
        if self.counters.step == last - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, x, given)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupted)
        with pytest.raises(RadloomError, match=f"stopped after step {last} of"):
            train(recipe, halted, fabric, seed=3)
    again = RunFolder.open(halted.path).recipe(systems.load(name))
    train(again, halted, fabric, seed=3)
    assert halted.weights.read_bytes() == whole.weights.read_bytes()
    trained, begun = load_file(whole.weights), recipe.build().state_dict()
    assert any(not torch.equal(trained[key], begun[key]) for key in trained)
    names = draw_images(again, halted, fabric, wishes(synthesis(again), halted.cohort(), ()), count=2, seed=5)
    assert names == ["idh_0-00000", "idh_0-00001", "idh_1-00000", "idh_1-00001"]
    drawn = [read(halted, one) for one in names]
    assert all(image.shape == (8, 8, 1) and np.isfinite(image).all() for image in drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    asked = wishes(synthesis(again), halted.cohort(), ["label.idh=1"])
    assert draw_images(again, halted, fabric, asked, count=1, seed=5) == ["idh_1-00000"]
    assert np.allclose(read(halted, "idh_1-00000"), drawn[2], atol=1)  # neither the count nor other wishes matter
    sidecar = read_json(halted.path / "samples" / "idh_1-00000.draw0.image.flair.json")
    assert sidecar["synthetic"] is True
    assert sidecar["given"] == {"label.idh": "1"}
    assert sidecar["split_hash"] == halted.record()["split_hash"]
    check_bits(again, halted)


def check_bits(recipe: Recipe, folder: RunFolder) -> None:
    task, system = recipe.system.task, recipe.system
    assert isinstance(task, Synthesis)
    if system.bits is None:
        return
    store = stored(task, folder, folder.cohort(), ("train",))
    x, given = task.examples(np.array(store.volume(folder.cohort().where("train").ids[0])[1:3]))
    with torch.no_grad():
        bits = system.bits(loaded_model(recipe, folder), x, given, torch.Generator().manual_seed(0))
    assert bits.shape == (2,)
    assert torch.isfinite(bits).all()
    assert (bits > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_system_trains_and_draws_volumes(name: str, cohort: Path, tmp_path: Path) -> None:
    fabric = hardware.launched_fabric()
    changes = {"steps": "2", "batch": "1", "patch": json.dumps([8, 8, 4])}
    settings = systems.load(name).sizes["tiny", 3].settings
    recipe, folder = new_run(
        name, cohort, tmp_path / "run", changes | {k: "1" for k in settings if k == "autoencoder_steps"}, 3
    )
    train(recipe, folder, fabric, seed=3)
    if name.startswith("salimans"):  # 2048 passes for each image
        return
    (one,) = draw_images(recipe, folder, fabric, wishes(synthesis(recipe), folder.cohort(), ()), count=1, seed=5)
    assert read(folder, one).shape == (8, 8, 4)


@pytest.mark.parametrize("name", systems.names())
def test_no_setting_of_a_system_hides_one_of_the_training(name: str) -> None:
    training = {field.name for field in fields(Training)}
    for size in systems.load(name).sizes.values():
        assert not training & set(size.settings)
