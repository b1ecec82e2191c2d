"""The league table of model families: equal CPU time of training, one judge; writes results and a page of the docs.

    python benchmarks/families.py                       # all systems, two processes; resumes where it stopped
    python benchmarks/families.py --quick --out FOLDER  # a rehearsal at size tiny, marked as such

Protocol and columns: README.md beside this file. The radiographs are read from ../shared/data; where they are absent
their tasks are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from families_page import as_json, explanation, page, seen
from families_picture import write_overview
from families_round import Job
from finished_rows import finished
from measured import command_of, origin

from radloom import systems
from radloom.errors import RadloomError
from radloom.files import read_json, write_text
from radloom.phantom import write_cohort
from radloom.synthesis import Synthesis
from radloom.system import System

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RADIOGRAPHS = ROOT.parent / "shared" / "data" / "cxr_nih64_normal_abnormal"


@dataclass(frozen=True)
class Task:
    """What is drawn: the cohort's maker and the --set changes. few: only some systems of each family are run."""

    title: str
    cohort: str
    changes: dict[str, str]
    few: bool = False


FEW = ("goodfellow2014_gan", "kingma2014_vae", "oord2017_vqvae", "karras2022_edm", "lipman2023_flow_matching",
       "friedrich2024_wdm", "rombach2022_latent_diffusion")  # fmt: skip
_XRAY = {"target": "image.xray", "scaling": "window"}
TASKS = {
    "brain": Task("Brain FLAIR slices, unconditional", "brain", {"target": "image.flair"}),
    "brain-idh": Task("Brain FLAIR slices, given IDH status", "brain",
                      {"target": "image.flair", "condition": "label.idh"}, few=True),
    "radiographs": Task("Chest radiographs, unconditional", "radiographs", _XRAY, few=True),
    "radiographs-finding": Task("Chest radiographs, given normal or abnormal", "radiographs",
                                {**_XRAY, "condition": "label.finding"}),
}  # fmt: skip


def main() -> None:
    """Runs what is not finished, then writes table and page."""
    options = _options()
    work, out = Path(options.work), Path(options.out)
    try:
        tasks, absent = _present(options.tasks.split(","))
        jobs = _jobs(tasks, options, work)
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda job: _row(job[0], job[1], work), jobs.items()))
    except RadloomError as error:
        sys.exit(f"families.py: {error}")
    rows = {name: read_json(work / "rows" / f"{name}.json") for name in jobs}
    about = {
        "origin": origin(command_of("families.py"), ("radloom", "torch", "numpy")), "quick": options.quick,
        "seconds": options.seconds, "count": options.count, "absent": absent,
        "tasks": {name: TASKS[name].title for name in tasks},
    }  # fmt: skip
    _write(out, about, rows, work, Path(options.docs) if options.docs else None)
    failed = [name for name, row in rows.items() if row["error"]]
    if failed:
        sys.exit(f"families.py: rows that failed: {', '.join(failed)}; their errors are in {out / 'families.md'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU seconds of training, one thread")
    parser.add_argument("--count", type=int, default=192, help="images to draw and judge")
    parser.add_argument("--draw-seconds", type=float, default=120.0, help="CPU seconds that drawing may take")
    parser.add_argument("--subjects", type=int, default=120, help="simulated brains")
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--only", default="", help="systems, joined by commas; all unless given")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time, one thread each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: size tiny, a second, few images")
    parser.add_argument("--out", default=str(ROOT / "results"))
    parser.add_argument("--work", default="", help="cohorts, runs, finished rows; build/families, or OUT/families.work")
    parser.add_argument("--docs", default="", help="the page of the documentation; none in a rehearsal unless given")
    options = parser.parse_args()
    usual = Path(options.out) == ROOT / "results"
    options.work = options.work or str(ROOT / "build" / "families" if usual else Path(options.out) / "families.work")
    if options.quick:
        options.seconds, options.count, options.subjects = 1.0, 16, 12
    elif not options.docs:
        options.docs = str(ROOT / "docs" / "explanation" / "families.md")
    return options


def _present(wanted: list[str]) -> tuple[list[str], list[str]]:
    unknown = [name for name in wanted if name not in TASKS]
    if unknown:
        raise RadloomError(f"there is no task {unknown[0]}", expected=", ".join(TASKS))
    absent = [name for name in wanted if TASKS[name].cohort == "radiographs" and not RADIOGRAPHS.is_dir()]
    return [name for name in wanted if name not in absent], absent


def _jobs(tasks: list[str], options: argparse.Namespace, work: Path) -> dict[str, Job]:
    known = [name for name in systems.names() if _draws_from_noise(systems.load(name))]
    chosen = options.only.split(",") if options.only else known
    for name in set(chosen) - set(known):
        raise RadloomError(f"{name} draws nothing from noise", expected=", ".join(known))
    jobs = {}
    for task in tasks:
        cohort = _cohort(TASKS[task].cohort, work, options)
        few = FEW if TASKS[task].few and not options.only else chosen
        for name in (name for name in chosen if name in few):
            jobs[f"{task}.{name}"] = Job(
                name, "tiny" if options.quick else "cpu", str(cohort), TASKS[task].changes, options.seconds,
                options.count, options.draw_seconds, options.seed, str(work / "runs" / f"{task}.{name}"),
            )  # fmt: skip
    return jobs


def _draws_from_noise(system: System) -> bool:
    return isinstance(system.task, Synthesis) and system.study is None  # what has a study is judged by it


def _cohort(name: str, work: Path, options: argparse.Namespace) -> Path:
    folder = work / f"{name}-{options.subjects}"
    if folder.exists():
        return folder
    if name == "brain":
        return write_cohort("brain", folder, subjects=options.subjects, images=("flair",), splits=(0.6, 0.1, 0.3))
    return _radiographs(folder)


def _radiographs(folder: Path) -> Path:
    """The 1000 radiographs as a cohort, split anew by patient: the carrier's own split shares patients."""
    import pandas

    from radloom.data.cohort import Cohort
    from radloom.data.split import split

    rows = [
        {"case": path.stem, "patient": path.stem.partition("_")[0], "image.xray": str(path),
         "label.finding": path.parent.name.partition("_")[2]}
        for path in sorted(RADIOGRAPHS.rglob("*.png"))
    ]  # fmt: skip
    folder.mkdir(parents=True)
    pandas.DataFrame(rows).drop_duplicates("case").to_csv(folder / "cohort.csv", index=False)
    split(Cohort.read(folder), fractions=(0.6, 0.1, 0.3), seed=0).write(folder)
    return folder


def _row(name: str, job: Job, work: Path) -> None:
    system = systems.load(job.system)
    finished(name, job, work, "families_round.py", {"title": system.title, "family": system.family})


def _write(out: Path, about: dict[str, Any], rows: dict[str, Any], work: Path, docs: Path | None) -> None:
    """families.json, families.md, the sheets of synthetic images, and the page of the documentation."""
    slim = {name: {key: value for key, value in row.items() if key != "job"} for name, row in rows.items()}
    write_text(out / "families.json", as_json(about, slim))
    sheets, lines = {}, {task: {} for task in about["tasks"]}
    (out / "families").mkdir(parents=True, exist_ok=True)
    for name, row in rows.items():
        task, _, system = name.partition(".")
        column = row["job"]["changes"]["target"].partition(".")[2]
        source = work / "runs" / name / "sheets" / f"{column}.synthetic.png"
        if source.is_file():
            sheets[name] = f"families/{name}.png"
            shutil.copyfile(source, out / sheets[name])
            if TASKS[task].cohort == "brain":  # simulated; no real radiograph is written into the project
                lines[task].setdefault("real", source.with_name(f"{column}.real.png"))
            lines[task][f"synthetic: {system}"] = source
    overviews = {task: f"families/{task}.png" for task in lines if lines[task]}
    for task, path in overviews.items():
        write_overview(lines[task], out / path)
    write_text(out / "families.md", page(about, slim, sheets))
    if docs is not None:
        to_results = Path(os.path.relpath(out, docs.parent)).as_posix()
        pictures = {task: f"{to_results}/{path}" for task, path in overviews.items()}
        write_text(docs, explanation(about, slim, pictures, seen(docs)))


if __name__ == "__main__":
    main()
