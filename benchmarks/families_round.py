"""One row of families.py, in a process of its own: train a system for so many CPU seconds, draw, judge."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timed_training import trained_for

from radloom.compare.generated import judge
from radloom.compare.measures import Measure, record
from radloom.drawing import draw_images, synthesis, wishes
from radloom.errors import RadloomError
from radloom.files import read_json, write_json
from radloom.starting import Order, started
from radloom.training.hardware import launched_fabric


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


def _kept(measure: Measure) -> dict[str, Any]:
    row = record(measure)
    return {
        name: row[name] for name in ("target", "metric", "arm", "estimate", "low", "high", "n", "n_real", "extractor")
    }


if __name__ == "__main__":
    main()
