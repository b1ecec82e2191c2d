"""Our diffusion U-Net against MONAI's and diffusers' of equal parameters: speed, memory, denoising loss.

python benchmarks/diffusion_unet.py            # ten CPU minutes; writes results/diffusion_unet.md
python benchmarks/diffusion_unet.py --quick --out /tmp/rehearsal
Protocol and the meaning of every column: README.md beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from diffusion_unet_contenders import FIELD, VOLUMES, Widths, present
from diffusion_unet_round import Job, VolumeJob
from diffusion_unet_table import page

from radloom.data.cohort import Cohort
from radloom.files import read_json, write_json, write_text
from radloom.phantom import write_cohort

HERE = Path(__file__).resolve().parent
RATES = (1e-3, 3e-3, 3e-4)


@dataclass(frozen=True)
class Budget:
    """How much a run does: subjects, edge and slices of their images, CPU seconds of rounds, repeats, edge of cubes."""

    subjects: int
    edge: int
    slices: int
    seconds: float
    pilot: float
    repeats: int
    cube: int


WHOLE = Budget(subjects=40, edge=64, slices=12, seconds=40.0, pilot=6.0, repeats=2, cube=64)
QUICK = Budget(subjects=6, edge=16, slices=4, seconds=0.5, pilot=0.0, repeats=1, cube=16)


def main() -> None:
    """Runs the rounds and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: numbers that mean nothing")
    parser.add_argument("--only", nargs="+", choices=tuple(FIELD), default=tuple(FIELD), help="contenders (all)")
    parser.add_argument("--seconds", type=float, help=f"CPU seconds of a timed round ({WHOLE.seconds:g})")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of diffusion_unet.md")
    options = parser.parse_args()
    budget = QUICK if options.quick else WHOLE
    budget = replace(budget, seconds=options.seconds or budget.seconds)
    names = tuple(name for name in options.only if name in present())
    absent = tuple(name for name in options.only if name not in names)
    with tempfile.TemporaryDirectory(prefix="radloom-benchmark-") as name:
        counts = write_data(Path(name), budget)
        pilot, rounds = _trained(names, budget, Path(name))
        cubes = [_cube(which, contender.variants[0], budget, Path(name)) for which, contender in VOLUMES.items()
                 if which.split(",")[0] in names]  # fmt: skip
    rehearsal = budget.cube < WHOLE.cube or budget.seconds < WHOLE.seconds
    text = page(rounds, pilot, cubes, absent, asdict(budget) | {"counts": counts, "rehearsal": rehearsal})
    write_text(Path(options.out) / "diffusion_unet.md", text)
    print(text)


def write_data(folder: Path, budget: Budget) -> dict[str, tuple[int, int]]:
    """Images and patients of each split of simulated FLAIR slices in data.npz; values about -1 to 1."""
    told(f"simulating {budget.subjects} subjects ...")
    shape = (budget.edge, budget.edge, budget.slices)
    write_cohort("brain", folder / "cohort", subjects=budget.subjects, seed=0, shape=shape, images=("flair",))
    cohort, arrays, counts = Cohort.read(folder / "cohort"), {}, {}
    for split in ("train", "val", "test"):
        images, patients = [], []
        for case in cohort.where(split).ids:
            volume = np.moveaxis(np.asarray(cohort.image(case, "image.flair").voxels, np.float32), -1, 0)
            volume = volume if split == "train" else volume[1::3]  # neighbours tell a judge little, and cost it time
            images += list((volume / np.percentile(volume, 99.5)).clip(0, 1) * 2 - 1)
            patients += [cohort.patient(case)] * len(volume)
        arrays |= {split: np.stack(images)[:, None], f"{split}_patients": np.array(patients)}
        counts[split] = (len(images), len(set(patients)))
    np.savez(folder / "data.npz", **arrays)
    return counts


def _trained(names: tuple[str, ...], budget: Budget, work: Path) -> tuple[list[dict], list[dict]]:
    """The rows of the pilot, and of the timed rounds, in which contenders take turns."""
    pilot: list[dict] = []
    jobs = []
    for name in names:
        first = Job(name, FIELD[name].variants[0], RATES[0], budget.pilot, 0, str(work / "data.npz"), ("val",))
        tried = []
        if budget.pilot > 0:  # the widths at the first rate, then the rates at the better widths
            tried += [_row(replace(first, widths=widths), work) for widths in FIELD[name].variants]
            best = min(tried, key=_validation)
            tried += [_row(replace(first, widths=best["widths"], rate=rate), work) for rate in RATES[1:]]
            best = min(tried, key=_validation)
            first = replace(first, widths=best["widths"], rate=best["rate"])
        pilot += tried
        jobs.append(replace(first, seconds=budget.seconds, judged=("val", "test")))
    turns = itertools.product(range(budget.repeats), jobs)
    return pilot, [_row(replace(job, seed=1 + repeat), work) for repeat, job in turns]


def _validation(row: dict[str, Any]) -> float:
    """The mean loss over the validation patients; what diverged comes last."""
    value = float(np.mean(list(row["val"].values())))
    return value if np.isfinite(value) else float("inf")


def _row(job: Job, work: Path) -> dict[str, Any]:
    row = asdict(job) | _answer(job, work)
    told(f"{job.contender:9} {job.widths} rate {job.rate:g} seed {job.seed}: {row['steps']} steps, "
         f"{row['training_rate']:.1f} images/CPU-s, loss on validation {_validation(row):.4f}")  # fmt: skip
    return row


def _cube(name: str, widths: Widths, budget: Budget, work: Path) -> dict[str, Any]:
    row = {"contender": name} | _answer(VolumeJob(name, widths, budget.cube), work)
    told(f"{name:16} {budget.cube}^3: {row['memory_mb']:.0f} MiB, {row['seconds']:.2f} s")
    return row


def _answer(job: Job | VolumeJob, work: Path) -> dict[str, Any]:
    """What a round in a process of its own measured; stops the benchmark where it fails."""
    write_json(work / "job.json", asdict(job))
    command = [sys.executable, str(HERE / "diffusion_unet_round.py"), str(work / "job.json"), str(work / "answer.json")]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, env=os.environ | one, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"diffusion_unet.py: {job} failed: {done.stderr.strip()}")
    return read_json(work / "answer.json")


def told(line: str) -> None:
    """Says how far the run is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
