"""Every system that draws images from images, on its own task, for equal CPU seconds: PSNR and SSIM beside ours.

    python benchmarks/translation.py                        # all tasks, two processes; resumes where it stopped
    python benchmarks/translation.py --quick --out FOLDER   # a rehearsal at size tiny, marked as such

Protocol and columns: README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from finished_rows import finished
from measured import command_of, origin
from translation_page import page
from translation_round import Job

from radloom import systems
from radloom.errors import RadloomError
from radloom.files import read_json, write_text
from radloom.phantom import write_cohort

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = "radloom_translation"


@dataclass(frozen=True)
class Task:
    """What is drawn from what on which cohort, and the published systems that do it."""

    title: str
    cohort: str
    target: str
    inputs: str
    contenders: tuple[str, ...]
    images: tuple[str, ...] = ()
    changes: dict[str, dict[str, str]] = field(default_factory=dict)


TASKS = {
    "missing": Task("Missing sequences: T1 and FLAIR from T1c and T2", "brain", "image.t1,image.flair",
                    "image.t1c,image.t2", ("conte2021_missing_sequence",), ("t1", "t1c", "t2", "flair")),
    "contrast-pair": Task("One contrast from another: T2 from T1", "brain", "image.t2", "image.t1",
                          ("ozbey2023_syndiff", "zhu2017_cyclegan", "yang2020_imt", "wang2024_midiffusion"),
                          ("t1", "t2")),
    "dir": Task("Double inversion recovery from T1 and FLAIR", "brain", "image.dir", "image.t1,image.flair",
                ("schlaeger2023_dir",), ("t1", "flair", "dir")),
    "mr-ct": Task("CT from contrast-enhanced T1", "brain-ct", "image.ct", "image.t1c", ("emami2018_mr_to_ct",)),
    "mr-pet": Task("FDG-PET from T1", "brain-pet", "image.pet", "image.t1", ("xie2022_jpddm", "lin2021_revgan")),
    "cta": Task("CT angiography from CT without contrast", "neck-cta", "image.cta", "image.ncct",
                ("lyu2023_cta",)),
    "enhanced": Task("Contrast-enhanced T1 from T1, T2 and FLAIR", "brain", "image.t1c",
                     "image.t1,image.t2,image.flair", ("preetha2021_contrast",), ("t1", "t1c", "t2", "flair")),
    "enhanced-five": Task("Contrast-enhanced T1 from five sequences", "brain", "image.t1c",
                          "image.t1,image.t2,image.t2s,image.dwi,image.asl", ("contrast_cgan",),
                          ("t1", "t1c", "t2", "t2s", "dwi", "asl")),
}  # fmt: skip


def main() -> None:
    """Runs what is not finished, then writes the table."""
    options = _options()
    work, out = Path(options.work), Path(options.out)
    try:
        jobs = _jobs(options, work)
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda job: _row(job[0], job[1], work), jobs.items()))
    except RadloomError as error:
        sys.exit(f"translation.py: {error}")
    rows = {name: read_json(work / "rows" / f"{name}.json") for name in jobs}
    about = {
        "origin": origin(command_of("translation.py"), ("radloom", "torch", "numpy")), "quick": options.quick,
        "seconds": options.seconds, "tasks": {name: TASKS[name].title for name in options.tasks.split(",")},
        "ours": OURS,
    }  # fmt: skip
    write_text(out / "translation.json", json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    text = page(about, rows)
    write_text(out / "translation.md", text)
    print(text)
    failed = [name for name, row in rows.items() if row["error"]]
    if failed:
        sys.exit(f"translation.py: rows that failed: {', '.join(failed)}; their errors are in {out / 'translation.md'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="CPU seconds of training, one thread")
    parser.add_argument("--subjects", type=int, default=48, help="simulated patients of a cohort")
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--only", default="", help="systems, joined by commas; ours and all of the task unless given")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time, one thread each")
    parser.add_argument("--cohort-seed", type=int, default=41)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: size tiny, a second, few patients")
    parser.add_argument("--out", default=str(ROOT / "results"))
    parser.add_argument("--work", default="", help="cohorts, runs, rows; build/translation, or OUT/translation.work")
    options = parser.parse_args()
    usual = Path(options.out) == ROOT / "results"
    place = ROOT / "build" / "translation" if usual else Path(options.out) / "translation.work"
    options.work = options.work or str(place)
    if options.quick:
        options.seconds, options.subjects = 1.0, 6
    return options


def _jobs(options: argparse.Namespace, work: Path) -> dict[str, Job]:
    jobs, only = {}, options.only.split(",") if options.only else None
    for name in options.tasks.split(","):
        if name not in TASKS:
            raise RadloomError(f"there is no task {name}", expected=", ".join(TASKS))
        task = TASKS[name]
        cohort = _cohort(name, task, work, options)
        for system in (OURS, *task.contenders):
            if only is not None and system not in only:
                continue
            changes = {"target": task.target, "inputs": task.inputs, **task.changes.get(system, {})}
            sizes = systems.load(system).sizes
            size = "tiny" if options.quick else "cpu"
            dims = 2 if (size, 2) in sizes else 3
            jobs[f"{name}.{system}"] = Job(system, size, dims, str(cohort), changes, options.seconds, options.seed,
                                           str(work / "runs" / f"{name}.{system}"))  # fmt: skip
    return jobs


def _cohort(name: str, task: Task, work: Path, options: argparse.Namespace) -> Path:
    folder = work / f"{name}-{options.subjects}-{options.cohort_seed}"
    if folder.exists():
        return folder
    print(f"translation: simulating {task.cohort}", file=sys.stderr, flush=True)
    shape = (40, 36, 8) if options.quick and task.cohort == "brain" else None
    return write_cohort(task.cohort, folder, subjects=options.subjects, seed=options.cohort_seed, shape=shape,
                        images=task.images or None, splits=(0.6, 0.1, 0.3))  # fmt: skip


def _row(name: str, job: Job, work: Path) -> None:
    finished(name, job, work, "translation_round.py", {"title": systems.load(job.system).title})


if __name__ == "__main__":
    main()
