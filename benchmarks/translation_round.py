"""One row of translation.py, in a process of its own: train a system for so many CPU seconds, draw, judge."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timed_training import trained_for

from radloom.errors import RadloomError
from radloom.evaluation import evaluate
from radloom.files import read_json, write_json
from radloom.runfolder import RunFolder
from radloom.sampling import draw
from radloom.starting import Order, started
from radloom.training.hardware import launched_fabric

METRICS = ("psnr", "ssim_slices", "mae")


@dataclass(frozen=True)
class Job:
    """A row: system, size, dims, cohort, --set changes, CPU seconds of training, seed, folder of the run."""

    system: str
    size: str
    dims: int
    cohort: str
    changes: dict[str, str]
    seconds: float
    seed: int
    run: str


def main() -> None:
    """Reads the job, works it off, writes the answer: sys.argv is job.json, answer.json."""
    answer = Path(sys.argv[2])
    write_json(answer, work(Job(**read_json(Path(sys.argv[1])))))


def work(job: Job) -> dict[str, Any]:
    """What was measured, by arm, target and patient; {"error": ...} where the system failed."""
    torch.set_num_threads(1)
    shutil.rmtree(job.run, ignore_errors=True)
    order = Order(job.system, Path(job.cohort), Path(job.run), job.size, job.dims, job.seed, job.changes,
                  splits=("train", "test"))  # fmt: skip
    try:
        folder, recipe = started(order)
        spent = trained_for(recipe, folder, job.seconds, job.seed)
        fabric, cohort = launched_fabric(), folder.cohort()
        torch.set_num_threads(1)
        began = time.process_time()
        cases = draw(recipe, folder, cohort, fabric, table=Path(job.cohort) / "cohort.csv", seed=job.seed)
        drawing = (time.process_time() - began) / len(cases)
        return {
            **spent,
            "error": "",
            "draw_seconds": round(drawing, 2),
            "values": _values(folder, recipe, cohort, cases),
        }
    except RadloomError as error:
        return {"error": str(error)}


def _values(folder: RunFolder, recipe: Any, cohort: Any, cases: list[str]) -> list[dict[str, Any]]:
    """One entry an arm, target, metric and patient, over all that counts."""
    table = evaluate(recipe, folder, cohort, cases).table
    kept: Any = table[(table["region"] == "brain") & table["metric"].isin(METRICS)]
    means: Any = kept.groupby(["arm", "target", "metric", "unit", "patient"], sort=False)["value"].mean().reset_index()
    return means.to_dict("records")


if __name__ == "__main__":
    main()
