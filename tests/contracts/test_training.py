"""The training loop: exact resume, the NaN guard, the moving average, the schedule, the order of examples, the plan."""

import copy
import csv
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor

from radloom.data.cohort import Cohort
from radloom.data.views import AxialSlices, Store
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.given import Given
from radloom.models.model import Model
from radloom.phantom import write_cohort
from radloom.runfolder import RunFolder
from radloom.system import Recipe, Task, Training
from radloom.systems import load
from radloom.training import hardware
from radloom.training.loop import Examples, Trainer, Watch, run_steps
from radloom.training.state import Counters, load_state, save_state
from radloom.training.train import train

SYSTEM = "conte2021_missing_sequence"
CORE = {min(os.sched_getaffinity(0))}  # one core and so one thread: a sum in another order has other last bits


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hardware, "idle_threads", lambda: 1)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort("brain", tmp_path_factory.mktemp("training") / "c", subjects=5, shape=(32, 32, 4))


def new_run(cohort: Path, out: Path, **changes: str) -> tuple[Recipe, RunFolder]:
    recipe = load(SYSTEM).resolve("tiny", 2, changes)
    return recipe, RunFolder.create(out, recipe, Cohort.read(cohort), cohort / "cohort.csv", seed=3)


@pytest.fixture(scope="module")
def whole(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that nothing interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "idle_threads", lambda: 1)
        recipe, folder = new_run(cohort, tmp_path_factory.mktemp("whole") / "run")
        train(recipe, folder, hardware.launched_fabric(), seed=3)
    return folder


def losses(folder: Path) -> list[tuple[str, ...]]:
    """The loss table without its column of seconds."""
    with (folder / "losses.csv").open() as file:
        return [(row["step"], row["name"], row["value"]) for row in csv.DictReader(file)]


def assert_same_run(folder: Path, whole: RunFolder) -> None:
    assert losses(folder) == losses(whole.path)
    assert (folder / "weights.safetensors").read_bytes() == whole.weights.read_bytes()


def test_losses_name_every_step_and_the_record_is_complete(whole: RunFolder) -> None:
    rows = losses(whole.path)
    assert len(rows) == len({(step, name) for step, name, _ in rows})
    totals = [int(step) for step, name, _ in rows if name == "generator.total"]
    assert totals == list(range(1, 13))
    assert {"discriminator.total", "validation.psnr.image.t1", "validation.psnr.image.flair"} <= {r[1] for r in rows}
    record = whole.record()
    assert record["rollbacks"] == 0
    assert record["processes"] == 1
    assert record["parameters"] > 1000
    assert set(record["data_range"]) == set(record["scale"]) == {"image.t1", "image.flair"}
    assert [stage["name"] for stage in record["stages"]] == ["train"]
    assert (whole.path / "progress.png").read_bytes().startswith(b"\x89PNG")


def test_weights_are_the_moving_average_and_its_fitted_base_did_not_move(whole: RunFolder) -> None:
    drawn, raw = load_file(whole.weights), load_file(whole.state / "model.safetensors")
    learned = [name for name in raw if ".base." not in name]
    fitted = [name for name in raw if ".base." in name]
    assert fitted
    assert all(torch.equal(drawn[name], raw[name]) for name in fitted)
    assert all(drawn[name].abs().max() > 0 for name in fitted)
    assert sum(not torch.equal(drawn[name], raw[name]) for name in learned) > 0.9 * len(learned)
    average = load_file(whole.state / "average.safetensors")
    assert all(torch.equal(drawn[name], average[name]) for name in drawn)


@pytest.mark.parametrize("last", [2, 6])  # 6 is a step with a preview
def test_stopped_and_resumed_training_gives_the_same_bits(
    last: int, cohort: Path, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, folder = new_run(cohort, tmp_path / "run")
    step = Trainer.step

    def interrupted(self: Trainer, x: Tensor, given: Given) -> dict[str, Tensor]:
        if self.counters.step == last - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, x, given)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(
        RadloomError, match=rf"stopped after step {last} of 12; nothing is lost; continue with --resume"
    ):
        train(recipe, folder, hardware.launched_fabric(), seed=3)
    assert read_json(folder.state / "counters.json")["step"] == last
    assert not folder.weights.exists()
    monkeypatch.setattr(Trainer, "step", step)
    train(recipe, folder, hardware.launched_fabric(), seed=3)
    assert_same_run(folder.path, whole)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_process_that_was_killed_at_any_moment_resumes_to_the_same_bits(
    number: signal.Signals, cohort: Path, whole: RunFolder, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", str(cohort), "--out", str(tmp_path / "run"),
               "--size", "tiny", "--seed", "3"]  # fmt: skip
    started = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               preexec_fn=lambda: os.sched_setaffinity(0, CORE))  # fmt: skip
    while not (tmp_path / "run" / "state" / "counters.json").is_file():
        assert started.poll() is None, "it ended before the first step"
        time.sleep(0.01)
    time.sleep(random.uniform(0.02, 1))
    started.send_signal(number)
    said = started.communicate()[1].splitlines()
    if number == signal.SIGINT and not (tmp_path / "run" / "weights.safetensors").is_file():
        assert started.returncode == 1
        assert said[-1].startswith("radloom: stopped after step")
        assert not any("Traceback" in line for line in said)
    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True,
                             preexec_fn=lambda: os.sched_setaffinity(0, CORE))  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert_same_run(tmp_path / "run", whole)


def test_a_deleted_cache_is_made_again(cohort: Path, whole: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    shutil.rmtree(folder.cache)
    folder.weights.unlink()
    train(folder.recipe(load(SYSTEM)), folder, hardware.launched_fabric(), seed=3)
    assert_same_run(folder.path, whole)


def test_training_split_that_changed_is_refused(cohort: Path, whole: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "c")
    other = Cohort.read(tmp_path / "c")
    table = other.table.copy()
    table.loc[table["split"] == "test", "split"] = "train"
    Cohort(table, other.root, other.about).write(tmp_path / "c")
    shutil.copytree(whole.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.update({"cohort": str(tmp_path / "c" / "cohort.csv")})
    with pytest.raises(RadloomError, match=r"training split of .* changed"):
        folder.cohort()


# The loop by itself, on a model of one weight.


@final
class Line(Model):
    """x = w * image; its gradient is NaN whenever `bad()` says so."""

    def __init__(self, bad: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.w, self.bad = torch.nn.Parameter(torch.zeros(1)), bad

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        assert given.image is not None
        error = (self.w * given.image[:, :1] - x).square().mean()
        return {"total": error * (math.nan if self.bad() else 1.0)}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        return torch.zeros(shape)


TASK = Task(target=("image.t1",), inputs=("image.t2",))


def examples(folder: Path, training: Training, cases: int = 2, seed: int = 0) -> Examples:
    store = Store(folder, TASK.keys)
    folder.mkdir(parents=True, exist_ok=True)
    for case in range(cases):
        image = np.random.default_rng(case).random((3, 1, 8, 8), dtype=np.float32)
        np.save(store.path(str(case)), np.concatenate([image, 3 * image, np.ones_like(image)], axis=1))
    view = AxialSlices((8, 8))
    names = [str(case) for case in range(cases)]
    return Examples(
        task=TASK, view=view, store=store, positions=view.positions(store, names), training=training, seed=seed
    )


def trainer(model: Model, training: Training) -> Trainer:
    fabric = Fabric(accelerator="cpu", devices=1)
    return Trainer(model, copy.deepcopy(model), training, fabric, 0)


def run(one: Trainer, folder: Path, *, save_every: int = 100) -> list[tuple[int, float]]:
    """Trains to the end; returns the learning rate at each logged step."""
    rates: list[tuple[int, float]] = []

    def log(step: int, seconds: float, values: dict[str, float]) -> None:
        rates.append((step, one.optimisers["all"].param_groups[0]["lr"]))

    watch = Watch(log, lambda *_: None, lambda _: None, lambda: False, 1, 10**6, save_every)
    run_steps(one, examples(folder / "cache", one.training), folder / "state", watch)
    return rates


FLAT = Training(30, batch=2, patch=(8, 8), learning_rate=0.1, decay_from=1.0, ema=0.5)


def test_line_is_learned(tmp_path: Path) -> None:
    one = trainer(Line(), Training(120, batch=2, patch=(8, 8), learning_rate=0.1, decay_from=0.5, ema=0.9))
    run(one, tmp_path)
    assert one.model.state_dict()["w"].item() == pytest.approx(3, abs=0.05)
    assert one.average.state_dict()["w"].item() == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("moment", [2, 13, 25])  # 2 comes before anything but the beginning was saved
def test_one_nan_rolls_back_halves_the_rate_and_goes_on(moment: int, tmp_path: Path) -> None:
    one: Trainer
    model = Line(lambda: one.counters.rollbacks == 0 and one.counters.step == moment)
    one = trainer(model, FLAT)
    rates = run(one, tmp_path, save_every=10)
    assert one.counters.step == 30
    assert one.counters.rollbacks == 1
    assert rates[0] == (1, 0.1)
    assert rates[-1] == (30, 0.05)
    again = [step for step, rate in rates if rate == 0.05]
    assert again == list(range(moment // 10 * 10 + 1, 31))
    assert torch.isfinite(model.w).all()
    assert torch.isfinite(next(one.average.parameters())).all()
    assert model.w.item() > 0.5


def test_gives_up_in_one_line_when_the_gradients_stay_broken(tmp_path: Path) -> None:
    one = trainer(Line(lambda: True), FLAT)
    with pytest.raises(RadloomError, match="stopped being finite 4 times") as error:
        run(one, tmp_path)
    assert "\n" not in str(error.value)
    assert torch.equal(load_file(tmp_path / "state" / "model.safetensors")["w"], torch.zeros(1))


def test_a_stop_does_not_save_broken_weights(tmp_path: Path) -> None:
    one: Trainer
    model = Line(lambda: one.counters.rollbacks == 0 and one.counters.step == 4)
    one = trainer(model, FLAT)
    watch = Watch(lambda *_: None, lambda *_: None, lambda _: None, lambda: one.counters.step == 5, 1, 10**6, 100)
    run_steps_until_stopped = lambda: run_steps(one, examples(tmp_path / "c", FLAT), tmp_path / "state", watch)  # noqa: E731
    with pytest.raises(RadloomError, match="stopped after step 5"):
        run_steps_until_stopped()
    assert torch.isfinite(load_file(tmp_path / "state" / "model.safetensors")["w"]).all()


def test_state_on_disk_brings_back_weights_moments_and_counters(tmp_path: Path) -> None:
    one, other = trainer(Line(), FLAT), trainer(Line(), FLAT)
    batch = examples(tmp_path / "c", FLAT).batch(0, 2, attempt=0)
    one.step(*batch)
    save_state(tmp_path / "s", one.model, one.average, one.optimisers, Counters(1, 2, 3.5))
    assert load_state(tmp_path / "s", other.model, other.average, other.optimisers) == Counters(1, 2, 3.5)
    other.counters.step = 1
    assert torch.equal(one.step(*batch)["all.total"], other.step(*batch)["all.total"])
    assert torch.equal(one.model.state_dict()["w"], other.model.state_dict()["w"])
    assert torch.equal(one.average.state_dict()["w"], other.average.state_dict()["w"])


def test_moving_average_follows_with_a_memory_that_grows(tmp_path: Path) -> None:
    one = trainer(Line(), Training(10, batch=2, patch=(8, 8), learning_rate=0.1, decay_from=1.0, ema=0.2))
    batch, expected = examples(tmp_path / "c", FLAT).batch(0, 2, attempt=0), 0.0
    for keep in (2 / 11, 0.2, 0.2):  # (1 + step) / (10 + step), at most ema
        one.step(*batch)
        expected = keep * expected + (1 - keep) * one.model.state_dict()["w"].item()
        assert one.average.state_dict()["w"].item() == pytest.approx(expected, rel=1e-5)
