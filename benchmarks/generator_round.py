"""One round of benchmarks/generator.py: a contender trained for some CPU seconds in this fresh process, then judged.

Run as `python generator_round.py JOB.json ANSWER.json`; generator.py writes the job and reads the answer.
"""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from generator_contenders import lookup, parameters

from radloom.data.views import AxialSlices, Store
from radloom.files import read_json, write_json
from radloom.metrics.fidelity import psnr
from radloom.models.model import Model
from radloom.networks.precision import has_fast_bfloat16, in_channels_last
from radloom.random import derived_seed
from radloom.runfolder import peak_mb
from radloom.stored import whole_volumes
from radloom.system import Task, Training
from radloom.training.loop import Examples, Trainer, learning_rate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TASK = Task(target=("image.flair",), inputs=("image.t1c", "image.t2"))
BATCH = 2
# the schedule of conte2021_missing_sequence at size cpu; its 1000 steps stand for the seconds of the budget
SCHEDULE = Training(1000, BATCH, (96, 96), 1e-3, betas=(0.9, 0.99), warmup=0.025, decay_from=0.3, ema=0.99)


@dataclass(frozen=True)
class Job:
    """What to train and for how long. seconds: CPU time per thread of fitting and training; cases: by split."""

    contender: str
    settings: dict[str, Any]
    rate: float
    seconds: float
    seed: int
    threads: int
    store: str
    patch: tuple[int, int]
    data_range: float
    cases: dict[str, list[str]]


@dataclass(frozen=True)
class Answer:
    """What a round measured. Times in s, memory in MiB, PSNR in dB by case (nan where training diverged).

    others_cores: how many cores other processes kept busy meanwhile, nan where the system does not say.
    """

    parameters: int
    precision: str
    others_cores: float
    steps: int
    seconds: float
    cpu_seconds: float
    data_seconds: float
    rss_before_mb: float
    peak_mb: float
    psnr: dict[str, dict[str, float]]


def run(job: Job) -> Answer:
    """Trains and judges the contender."""
    from lightning_fabric import Fabric

    torch.set_num_threads(job.threads)
    precision = "bf16-mixed" if has_fast_bfloat16("cpu") else "32-true"
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    store = Store(Path(job.store), TASK.keys)
    _in_memory(store, [case for cases in job.cases.values() for case in cases])
    with torch.device("meta"):  # imports what the contender needs before the memory is read, and allocates nothing
        lookup(job.contender)(**job.settings)
    before = resident_mb()
    torch.manual_seed(derived_seed(job.seed, "weights"))
    model = in_channels_last(lookup(job.contender)(**job.settings))
    clock = _Clock()
    model.begin(lambda: whole_volumes(TASK, store, job.cases["train"]))
    if parameters(model):
        model = _trained(model, job, store, fabric, clock)
    seconds, cpu_seconds, others, peak = clock.wall(), clock.cpu(), clock.others_cores(), highest_mb()
    with fabric.autocast(), torch.no_grad():
        found = {split: _psnr(model, store, job.cases[split], job.data_range) for split in ("val", "test")}
    return Answer(parameters(model), precision, others, clock.steps, seconds, cpu_seconds, clock.data_seconds, before,
                  peak, found)  # fmt: skip


class _Clock:
    """Wall and CPU time (of all threads) since it was made, and what the loop counts."""

    def __init__(self) -> None:
        self.steps, self.data_seconds = 0, 0.0
        self._wall, self._cpu, self._busy = time.perf_counter(), time.process_time(), busy_seconds()

    def wall(self) -> float:
        return time.perf_counter() - self._wall

    def cpu(self) -> float:
        return time.process_time() - self._cpu

    def others_cores(self) -> float:
        return max(busy_seconds() - self._busy - self.cpu(), 0.0) / self.wall()  # in this order nan stays nan


def _trained(model: Model, job: Job, store: Store, fabric: Fabric, clock: _Clock) -> Model:
    """The moving average after job.seconds of radloom's own training steps."""
    schedule = replace(SCHEDULE, learning_rate=job.rate, patch=job.patch)
    # the trainer counts steps, the budget is in seconds: to the trainer the rate is constant, and is set step by step
    constant = replace(schedule, steps=10**12, warmup=0.0, decay_from=1.0)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    trainer = Trainer(model.train(), average, constant, fabric, job.seed)
    view = AxialSlices(job.patch)
    examples = Examples(task=TASK, view=view, store=store, positions=view.positions(store, job.cases["train"]),
                        training=schedule, seed=job.seed)  # fmt: skip
    # CPU time, so that what else runs on the machine takes nothing from the budget
    while (elapsed := clock.cpu() / job.threads) < job.seconds or clock.steps == 0:
        done = min(999, int(1000 * elapsed / job.seconds))
        trainer.training = replace(constant, learning_rate=learning_rate(schedule, done))
        x, given = examples.batch(clock.steps * BATCH, BATCH, attempt=0)
        clock.data_seconds += clock.cpu() / job.threads - elapsed
        trainer.step(x, given)
        clock.steps += 1
    return trainer.average


def _psnr(model: Model, store: Store, cases: list[str], data_range: float) -> dict[str, float]:
    """PSNR inside the head by case, dB; nan where the model answers with something that is not finite."""
    found = {}
    for case in cases:
        slices = np.array(store.volume(case))
        x, given = TASK.examples(slices)
        parts = [model.sample(given[z : z + 1], (1, *x.shape[1:]), rng=torch.Generator()) for z in range(len(x))]
        drawn = torch.cat(parts)[:, 0].float()
        finite = bool(torch.isfinite(drawn).all())
        found[case] = psnr(drawn.numpy(), x[:, 0].numpy(), data_range=data_range, mask=slices[:, -1] > 0.5) if finite \
            else math.nan  # fmt: skip
    return found


def _in_memory(store: Store, cases: list[str]) -> None:
    """Touches every page of the stored cases, so that reading them in training does not count as training's memory."""
    for case in cases:
        float(store.volume(case).sum())


def busy_seconds() -> float:
    """CPU seconds that all processes and other guests of the host took since the machine started, or nan."""
    path = Path("/proc/stat")
    if not path.is_file():
        return math.nan
    fields = [int(text) for text in path.read_text().splitlines()[0].split()[1:9]]
    idle, waiting = fields[3:5]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def resident_mb() -> float:
    """The memory of this process that is resident now, MiB; where the system does not say, the largest so far."""
    return _status_mb("VmRSS") or peak_mb()


def highest_mb() -> float:
    """The largest resident memory of this process so far, MiB.

    On Linux from /proc: getrusage's figure survives exec, and so begins at the size of the process that started us.
    """
    return _status_mb("VmHWM") or peak_mb()


def _status_mb(entry: str) -> float:
    path = Path("/proc/self/status")
    if not path.is_file():
        return 0.0
    lines = [line.split() for line in path.read_text().splitlines() if line.startswith(f"{entry}:")]
    return int(lines[0][1]) / 1024 if lines else 0.0


if __name__ == "__main__":
    described = read_json(Path(sys.argv[1]))
    answer = run(Job(**{**described, "patch": tuple(described["patch"])}))
    write_json(Path(sys.argv[2]), asdict(answer))
