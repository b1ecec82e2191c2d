"""The estimate before the first step: time and memory of training, from a rehearsal of a few steps."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from radloom.runfolder import peak_mb
from radloom.system import Recipe
from radloom.training.loop import new_trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Plan:
    """What training will need. seconds: wall time of all steps; peak_mb: memory, MiB, of the process or of the GPU."""

    steps: int
    step_seconds: float
    seconds: float
    peak_mb: float
    available_mb: float
    parameters: int
    device: str
    precision: str
    threads: int

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def advice(self, batch: int) -> str:
        """What to change, or that it fits."""
        if self.peak_mb <= self.available_mb:
            return "it fits"
        halved = max(1, int(batch * self.available_mb / self.peak_mb))
        return (
            f"it does not fit: try --set batch={halved}" if halved < batch else "it does not fit: take a smaller patch"
        )


def plan(recipe: Recipe, fabric: Fabric, *, seed: int = 0, rehearsals: int = 5) -> Plan:
    """The estimate for this machine as it is loaded now; trains a throw-away model for 2 + `rehearsals` steps.

    Reading the cohort, previews and checkpoints come on top: a tenth is added to the time. To the memory of a process
    is added what a checkpoint needs while it is written, see `_checkpoint_mb`.
    """
    trainer = new_trainer(recipe, fabric, seed, None)
    task, rng = recipe.system.task, torch.Generator().manual_seed(seed)
    x, given = task.examples(task.made_up((recipe.training.batch, *recipe.training.patch), rng))
    times = []
    for _ in range(2 + rehearsals):
        started = time.perf_counter()
        trainer.step(x, given)
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    typical = statistics.median(times[2:])
    on_gpu = fabric.device.type == "cuda"
    parameters = sum(p.numel() for p in trainer.model.parameters())
    return Plan(
        steps=recipe.training.steps,
        step_seconds=round(typical, 4),
        seconds=round(1.1 * typical * recipe.training.steps, 1),
        peak_mb=round(
            torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_mb() + _checkpoint_mb(parameters), 1
        ),
        available_mb=round(torch.cuda.mem_get_info()[1] / 2**20 if on_gpu else _memory_mb(), 1),
        parameters=parameters,
        device=str(fabric.device),
        precision=fabric._precision.precision,
        threads=torch.get_num_threads(),
    )


def _checkpoint_mb(parameters: int) -> float:
    """Memory while the optimisers' two moments are written, MiB: each as a copy in order and as the file's bytes."""
    return parameters * 4 * 2 * 2 / 2**20


def _memory_mb() -> float:
    """Memory of this machine that is free or can be freed, MiB."""
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123
            entries = dict(line.split(":", 1) for line in file)
        return int(entries["MemAvailable"].split()[0]) / 1024
    except (OSError, KeyError):
        import os

        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
