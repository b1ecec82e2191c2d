"""Train a recipe on a cohort into a run folder."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from radloom.data.views import Store, View, centred
from radloom.errors import RadloomError
from radloom.files import read_json, sha256, write_json
from radloom.models.model import Model
from radloom.runfolder import RunFolder
from radloom.stored import stored, whole_volumes
from radloom.synthesis import Synthesis
from radloom.system import Recipe, Task
from radloom.training.glimpse import DrawnGlimpse
from radloom.training.loop import Examples, Trainer, Watch, log_interval, new_trainer, run_steps
from radloom.training.progress import Bar, Glimpse, LossTable
from radloom.weights import save_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train(recipe: Recipe, folder: RunFolder, fabric: Fabric, *, seed: int) -> None:
    """Trains the recipe on the run's cohort: weights.safetensors, losses.csv, progress.png; resumes where it stood."""
    started = time.perf_counter()
    cohort = folder.cohort()
    _same_threads(folder)
    store = stored(recipe.system.task, folder, cohort, ("train", "val"), fabric.global_rank, fabric.world_size)
    fabric.barrier()
    training, watched = cohort.where("train").ids, cohort.where("val").ids
    if not training:
        raise RadloomError(f"no case of {folder.record()['cohort']} has split train", do="run `radloom data split`")
    task = recipe.system.task
    view = recipe.view()
    positions = view.positions(store, training)
    if not positions:
        raise RadloomError("no slice of the training images shows enough of a head or body", expected="images of one",
                           do="run `radloom data audit`, or `--set scaling=window` for pictures")  # fmt: skip
    examples = Examples(task, view, store, positions, recipe.training, seed)
    label = "validation" if watched else "training"
    if isinstance(task, Synthesis):
        trainer = new_trainer(recipe, fabric, seed, examples.one_pass)
        record_scale(folder, task, store, training)
        glimpse = _drawn_glimpse(task, view, store, watched or training, label)
    else:
        trainer = new_trainer(recipe, fabric, seed, lambda: whole_volumes(task, store, training))
        typical = record_range(folder, task, store, training)
        glimpse = _glimpse(task, view, store, watched or training, label, typical)
    with _asked_to_stop(fabric) as stop:
        _run(trainer, examples, folder, glimpse, stop)
    if fabric.is_global_zero:
        save_weights(folder.weights, trainer.average)
        parameters = sum(p.numel() for p in trainer.model.parameters())
        folder.update({"weights_sha256": sha256(folder.weights), "parameters": parameters,
                       "rollbacks": trainer.counters.rollbacks, "processes": fabric.world_size})  # fmt: skip
        folder.add_stage("train", time.perf_counter() - started)
    fabric.barrier()


def _run(
    trainer: Trainer, examples: Examples, folder: RunFolder, glimpse: Glimpse | DrawnGlimpse, stop: threading.Event
) -> None:  # fmt: skip
    losses = LossTable(folder.path / "losses.csv")
    first = trainer.fabric.is_global_zero
    steps = trainer.training.steps
    bar = Bar(steps, silent=not first)
    begun: list[int] = []
    looks: list[float] = []

    def log(step: int, seconds: float, values: dict[str, float]) -> None:
        losses.add(step, seconds, values)
        bar.show(step, seconds, begun[0])

    def preview(step: int, average: Model) -> None:
        if not first or (step < steps and looks and not glimpse.worth(looks[-1], trainer.counters.seconds)):
            return
        started = time.perf_counter()
        drawn = glimpse.drawn(average)
        losses.add(step, trainer.counters.seconds, glimpse.scores(drawn))
        losses.write()
        glimpse.picture(folder.path / "progress.png", losses.table(), drawn, f"step {step} of {steps}")
        looks.append(time.perf_counter() - started)

    def saving(step: int) -> None:
        if not begun:
            begun.append(step)
            losses.resume(step)
        if first:
            losses.write()

    save_every = max(1, steps // 10)
    watch = Watch(log, preview, saving, stop.is_set, log_interval(steps), max(1, -(-steps // 5)), save_every)
    try:
        run_steps(trainer, examples, folder.state, watch)
    finally:
        bar.close()


def _same_threads(folder: RunFolder) -> None:
    """Uses as many threads as the run began with: a sum in another order has other last bits."""
    path = folder.path / "threads.json"
    if not path.is_file():
        write_json(path, torch.get_num_threads())
    torch.set_num_threads(int(read_json(path)))


def record_range(folder: RunFolder, task: Task, store: Store, cases: list[str]) -> dict[str, float]:
    """The data range by target, recorded once with the scale that brings drawn images back to scanner units.

    Both come from the training patients alone. data_range: the 99.9th percentile inside the head, in brain medians.
    """
    record = folder.record()
    if "data_range" in record:
        return record["data_range"]
    ranges = {}
    for channel, key in enumerate(task.target, start=len(task.inputs)):
        inside = [np.asarray(v[:, channel])[np.asarray(v[:, -1]) > 0.5] for v in map(store.volume, cases)]
        ranges[key] = round(float(np.percentile(np.concatenate(inside), 99.9)), 4)
    record_scale(folder, task, store, cases)
    folder.update({"data_range": ranges})
    return ranges


def record_scale(folder: RunFolder, task: Task | Synthesis, store: Store, cases: list[str]) -> None:
    """Records, by target, the median scale of the training cases: it brings drawn images to scanner units."""
    scales = {}
    for key in task.target:
        steps = [store.scales(case)[key] for case in cases]
        middle = {name: float(np.median([step[name] for step in steps])) for name in ("offset", "scale")}
        scales[key] = {**middle, "unit": steps[0]["unit"]}
    folder.update({"scale": scales})


def _drawn_glimpse(task: Synthesis, view: View, store: Store, cases: list[str], label: str) -> DrawnGlimpse:
    x, given = task.examples(np.stack([view.centre(store, case) for case in cases[:4]]))
    return DrawnGlimpse(x, given, label)


def _glimpse(
    task: Task, view: View, store: Store, cases: list[str], label: str, data_range: dict[str, float]
) -> Glimpse:
    cuts = [view.centre(store, case) for case in cases[:4]]
    smallest = [min(cut.shape[axis] for cut in cuts) for axis in range(1, cuts[0].ndim)]
    x, given = task.examples(np.stack([centred(cut, smallest) for cut in cuts]))
    return Glimpse(task, x, given, label, data_range)


@contextmanager
def _asked_to_stop(fabric: Fabric) -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that a lone process saves its state before it ends.

    With several processes the default stands: one process that stops to save while others go on would hang them all.
    """
    event = threading.Event()
    if fabric.world_size > 1 or threading.current_thread() is not threading.main_thread():
        yield event
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in signals]
    try:
        yield event
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
