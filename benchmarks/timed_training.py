"""Training that ends after so many CPU seconds: what benchmarks of equal budgets share."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch

from radloom.errors import RadloomError
from radloom.files import sha256
from radloom.models.by_class import ByClass
from radloom.models.staged import Staged
from radloom.runfolder import RunFolder
from radloom.stored import stored, whole_volumes
from radloom.synthesis import Synthesis
from radloom.system import Recipe
from radloom.training.hardware import launched_fabric
from radloom.training.loop import Examples, Trainer, new_trainer
from radloom.training.train import record_range, record_scale
from radloom.weights import save_weights

_NEVER = 10**9


def trained_for(recipe: Recipe, folder: RunFolder, seconds: float, seed: int) -> dict[str, Any]:
    """Trains until `seconds` of this process's CPU time are spent, schedule and stages spread over them; saves."""
    task, cohort = recipe.system.task, folder.cohort()
    store = stored(task, folder, cohort, ("train",))
    view, training = recipe.view(), cohort.where("train").ids
    examples = Examples(task, view, store, view.positions(store, training), recipe.training, seed)
    if isinstance(task, Synthesis):
        record_scale(folder, task, store, training)
    else:
        record_range(folder, task, store, training)
    fabric = launched_fabric()
    torch.set_num_threads(1)
    began = time.process_time()
    first = examples.one_pass if isinstance(task, Synthesis) else lambda: whole_volumes(task, store, training)
    trainer = new_trainer(recipe, fabric, seed, first)
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
