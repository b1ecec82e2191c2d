"""Our generator against MONAI's UNet and pix2pix's U-Net of equal parameter count: images a second, memory, PSNR.

Protocol and the meaning of every column: README.md beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from generator_contenders import BUILDS, CUBIC, Contender, Settings, contenders
from generator_round import BATCH, TASK, Job
from generator_table import page

from radloom.data.cohort import Cohort
from radloom.data.views import Store
from radloom.errors import RadloomError
from radloom.files import read_json, whole_file, write_json, write_text
from radloom.phantom import write_cohort
from radloom.training.hardware import idle_threads

HERE = Path(__file__).resolve().parent
RATES = (1e-3, 3e-4, 3e-3, 1e-2)  # the first stands when there is no pilot


@dataclass(frozen=True)
class Choice:
    """The variant and learning rate with which a contender competes."""

    contender: Contender
    settings: Settings
    rate: float


def main() -> None:
    """Runs the benchmark and writes its table."""
    options = _options()
    try:
        rows = list(_rounds(options))
    except RadloomError as error:
        sys.exit(f"generator.py: {error}")
    out = Path(options.out)
    # the page first: it names the commit, which a table in the checkout would make look changed
    text = page(rows, command=_command(), rehearsal=_rehearsal(options), shape=options.shape, subjects=options.subjects)
    with whole_file(out / "generator.csv") as temporary:
        pandas.DataFrame(rows).to_csv(temporary, index=False)
    write_text(out / "generator.md", text)
    print(text)
    failed = [row["contender"] for row in rows if row["error"]]
    if failed:
        sys.exit(f"generator.py: rounds that failed: {', '.join(failed)}; see the column error of {out}/generator.csv")


def _rounds(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for every round: the cubic map, the pilot, then the timed rounds, repeat by repeat."""
    with tempfile.TemporaryDirectory(prefix="radloom-benchmark-") as name:
        threads = options.threads or idle_threads()
        job = _prepared(Path(name), options, threads)
        yield _round("closed form", Choice(CUBIC, {}, 0.0), replace(job, seconds=60.0), Path(name))
        choices = []
        for contender in contenders(options.channels, options.only).values():
            rows, choice = _pilot(contender, replace(job, seconds=options.pilot_seconds), Path(name))
            choices.append(choice)
            yield from rows
        for repeat, choice in itertools.product(range(options.repeats), choices):
            yield _round("timed", choice, replace(job, seed=1 + repeat), Path(name))


def _prepared(folder: Path, options: argparse.Namespace, threads: int) -> Job:
    """A job without contender: the cohort is simulated, prepared and stored, and its data range known."""
    print(f"simulating {options.subjects} subjects ...", file=sys.stderr)
    write_cohort("brain", folder / "cohort", subjects=options.subjects, seed=0, shape=options.shape)
    cohort = Cohort.read(folder / "cohort")
    store = Store(folder / "store", TASK.keys)
    for case in cohort.ids:
        store.add(TASK.read(cohort, case))
    cases = {split: cohort.where(split).ids for split in ("train", "val", "test")}
    volumes = [store.volume(case) for case in cases["train"]]
    inside = np.concatenate([np.asarray(v[:, -2])[np.asarray(v[:, -1]) > 0.5] for v in volumes])
    data_range = round(float(np.percentile(inside, 99.9)), 4)  # as radloom train takes it
    return Job("", {}, 0.0, options.seconds, 0, threads, str(store.folder), options.shape[:2], data_range, cases)


def _pilot(contender: Contender, job: Job, work: Path) -> tuple[list[dict[str, Any]], Choice]:
    """The rounds of a contender's pilot and its choice: the rate first, then the variant, by PSNR on validation."""
    first = Choice(contender, contender.variants[0], RATES[0])
    if job.seconds <= 0:
        return [], first
    rows = [_round("pilot", replace(first, rate=rate), job, work) for rate in RATES]
    rate = RATES[_best(rows)]
    others = [Choice(contender, settings, rate) for settings in contender.variants[1:]]
    tried = [replace(first, rate=rate), *others]
    judged = [rows[_best(rows)], *(_round("pilot", choice, job, work) for choice in others)]
    return rows + judged[1:], tried[_best(judged)]


def _best(rows: Iterable[Mapping[str, Any]]) -> int:
    """The place of the row with the highest PSNR on the validation patients; what failed or diverged comes last."""
    values = [row.get("psnr_val", math.nan) for row in rows]
    return int(np.argmax([value if math.isfinite(value) else -math.inf for value in values]))


def _round(kind: str, choice: Choice, job: Job, work: Path) -> dict[str, Any]:
    """The row of one round, run in a process of its own; a round that fails is a row with its error."""
    job = replace(job, contender=choice.contender.name, settings=dict(choice.settings), rate=choice.rate)
    row = {
        "kind": kind, "contender": job.contender, "title": choice.contender.title, "seed": job.seed,
        "settings": json.dumps(job.settings), "rate": job.rate, "threads": job.threads, "data_range": job.data_range,
        "budget_seconds": job.seconds, "error": "", "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip
    answer_path = work / "answer.json"
    answer_path.unlink(missing_ok=True)
    write_json(work / "job.json", asdict(job))
    command = [sys.executable, str(HERE / "generator_round.py"), str(work / "job.json"), str(answer_path)]
    # waiting threads that spin slow a shared machine, and libgomp reads this before Python starts
    surroundings = {**os.environ, "OMP_NUM_THREADS": str(job.threads)}
    try:
        done = subprocess.run(
            command, env=surroundings, capture_output=True, text=True, check=False, timeout=300 + 10 * job.seconds
        )
    except subprocess.TimeoutExpired:
        return _told(row | {"error": "took too long"})
    if done.returncode != 0 or not answer_path.is_file():
        return _told(row | {"error": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]})
    return _told(row | _measured(read_json(answer_path)))


def _measured(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a round that ended."""
    images = BATCH * answer["steps"]
    psnr = {split: list(values.values()) for split, values in answer["psnr"].items()}
    return {
        **{name: value for name, value in answer.items() if name != "psnr"},
        "images_per_second": images / answer["seconds"],
        "images_per_cpu_second": images / answer["cpu_seconds"],
        "memory_mb": answer["peak_mb"] - answer["rss_before_mb"],
        **{f"psnr_{split}": float(np.mean(values)) for split, values in psnr.items()},
        "psnr_test_by_patient": json.dumps({case: round(v, 4) for case, v in answer["psnr"]["test"].items()}),
    }  # fmt: skip


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row, after a line about it on stderr."""
    what = f"{row['kind']:11} {row['contender']:11} {row['settings']:52} rate {row['rate']:g} seed {row['seed']}"
    if row["error"]:
        print(f"{what}: FAILED: {row['error']}", file=sys.stderr)
    else:
        print(f"{what}: {row['steps']} steps, {row['images_per_second']:.1f} images/s, {row['memory_mb']:.0f} MiB, "
              f"val {row['psnr_val']:.2f} dB, test {row['psnr_test']:.2f} dB", file=sys.stderr)  # fmt: skip
    return row


def _rehearsal(options: argparse.Namespace) -> bool:
    """Whether the run is too small to be quoted."""
    whole = options.seconds >= 60 and options.repeats >= 2 and options.subjects >= 24 and options.pilot_seconds >= 10
    return not (
        whole
        and len(options.only) == len(BUILDS)
        and options.shape == (96, 96, 24)
        and options.channels == (16, 32, 64, 96, 128)
    )


def _command() -> str:
    return " ".join(["python", "benchmarks/generator.py", *sys.argv[1:]])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time per thread of each timed round (60)")
    parser.add_argument("--repeats", type=int, default=2, help="timed rounds of each contender, interleaved (2)")
    parser.add_argument("--pilot-seconds", type=float, default=15.0, help="the same of a pilot round; 0: no pilot (15)")
    parser.add_argument("--subjects", type=int, default=24, help="simulated subjects (24)")
    parser.add_argument("--shape", type=_numbers, default=(96, 96, 24), help="voxels x,y,z (96,96,24)")
    parser.add_argument("--channels", type=_numbers, default=(16, 32, 64, 96, 128), help="our widths (16,32,64,96,128)")
    parser.add_argument("--threads", type=int, default=0, help="threads of a round; 0: the idle cores now (0)")
    parser.add_argument("--only", nargs="+", choices=tuple(BUILDS), default=tuple(BUILDS), help="contenders")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of generator.csv and generator.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
