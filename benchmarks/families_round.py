"""One row of families.py, in a process of its own: train a system for so many CPU seconds, draw, judge."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from radloom.compare.generated import judge
from radloom.compare.measures import Measure, record
from radloom.drawing import draw_images, synthesis, wishes
from radloom.errors import RadloomError
from radloom.files import read_json, sha256, write_json
from radloom.models.by_class import ByClass
from radloom.models.staged import Staged
from radloom.runfolder import RunFolder
from radloom.starting import Order, started
from radloom.stored import stored
from radloom.system import Recipe
from radloom.training.hardware import launched_fabric
from radloom.training.loop import Examples, Trainer, new_trainer
from radloom.training.train import record_scale
from radloom.weights import save_weights

_NEVER = 10**9


@dataclass(frozen=True)
class Job:
    """A row: system, size, cohort, --set changes, CPU seconds of training, images to draw, seed, folder of the run.

    draw_seconds: CPU seconds that drawing may take; a slow sampler draws fewer images, 16 at least.
    """

    system: str
    size: str
    cohort: str
    changes: dict[str, str]
    seconds: float
    count: int
    draw_seconds: float
    seed: int
    run: str


def main() -> None:
    """Reads the job, works it off, writes the answer: sys.argv is job.json, answer.json."""
    answer = Path(sys.argv[2])
    write_json(answer, work(Job(**read_json(Path(sys.argv[1])))))


def work(job: Job) -> dict[str, Any]:
    """What was measured; {"error": ...} where the system failed, such as a prior that its gate kept out."""
    torch.set_num_threads(1)
    shutil.rmtree(job.run, ignore_errors=True)
    order = Order(job.system, Path(job.cohort), Path(job.run), job.size, 2, job.seed, job.changes,
                  splits=("train", "test"))  # fmt: skip
    try:
        folder, recipe = started(order)
        spent = trained_for(recipe, folder, job.seconds, job.seed)
        fabric, cohort = launched_fabric(), folder.cohort()
        torch.set_num_threads(1)
        asked = wishes(synthesis(recipe), cohort, ())
        each = -(-job.count // len(asked))
        draw_images(recipe, folder, fabric, asked, count=min(each, 16 // len(asked)), seed=job.seed)
        per_image = folder.record()["drawn"]["cpu_seconds_per_image"]
        most = max(16, int(job.draw_seconds / max(per_image, 1e-9))) // len(asked)
        draw_images(recipe, folder, fabric, asked, count=min(each, most), seed=job.seed)
        measures = judge(recipe, folder, cohort)
    except RadloomError as error:
        return {"error": str(error)}
    return {**spent, "error": "", "measures": [_kept(one) for one in measures]}


def trained_for(recipe: Recipe, folder: RunFolder, seconds: float, seed: int) -> dict[str, Any]:
    """Trains until `seconds` of this process's CPU time are spent, schedule and stages spread over them; saves."""
    task, cohort = synthesis(recipe), folder.cohort()
    store = stored(task, folder, cohort, ("train",))
    view, training = recipe.view(), cohort.where("train").ids
    examples = Examples(task, view, store, view.positions(store, training), recipe.training, seed)
    record_scale(folder, task, store, training)
    fabric = launched_fabric()
    torch.set_num_threads(1)
    began = time.process_time()
    trainer = new_trainer(recipe, fabric, seed, examples.one_pass)
    share = recipe.settings.get("autoencoder_steps", 0) / recipe.training.steps
    _hold_first_stage(trainer)
    while (spent := time.process_time() - began) < seconds:
        done = trainer.counters.step
        # as if the last step were known: the learning rate then falls to 0 at the end of the budget
        total = max(done + 1, round(done * seconds / spent) if done else 2)
        trainer.training = replace(trainer.training, steps=total)
        if share and spent >= share * seconds:
            _end_first_stage(trainer)
        batch = trainer.training.batch
        trainer.step(*examples.batch(done * batch, batch, attempt=0))
        if bool(trainer.broken):
            raise RadloomError(f"the gradients stopped being finite at step {done}")
    save_weights(folder.weights, trainer.average)
    parameters = sum(p.numel() for p in trainer.model.parameters())
    folder.update({"weights_sha256": sha256(folder.weights), "parameters": parameters})
    return {"steps": trainer.counters.step, "cpu_seconds": round(spent, 1), "parameters": parameters,
            "examples": len(examples.positions)}  # fmt: skip


def _staged(trainer: Trainer) -> list[Staged]:
    model = trainer.model
    parts = model.parts if isinstance(model, ByClass) else [model]
    return [part for part in parts if isinstance(part, Staged)]


def _hold_first_stage(trainer: Trainer) -> None:
    for model in _staged(trainer):
        model.first = _NEVER


def _end_first_stage(trainer: Trainer) -> None:
    """Lets the first stage end after the steps in which it is looked at."""
    for model in _staged(trainer):
        if model.first == _NEVER:
            model.first = int(model.finished) + model.looked_at


def _kept(measure: Measure) -> dict[str, Any]:
    row = record(measure)
    return {
        name: row[name] for name in ("target", "metric", "arm", "estimate", "low", "high", "n", "n_real", "extractor")
    }


if __name__ == "__main__":
    main()
