"""The main job, stage by stage: train, draw, evaluate, study, report; what each needs and which command comes next."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.files import write_text
from radloom.runfolder import RunFolder
from radloom.system import Recipe
from radloom.systems import load

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def opened(run: Path) -> tuple[RunFolder, Recipe]:
    """An existing run folder and the recipe that its record describes."""
    folder = RunFolder.open(run)
    return folder, folder.recipe(load(folder.record()["system"]))


def started(
    name: str, data: Path, out: Path, *, size: str, dims: int, seed: int, changes: Mapping[str, Any], resume: bool
) -> tuple[RunFolder, Recipe]:
    """A new run folder, or with `resume` the one at `out` when it holds a run of the same recipe."""
    recipe = load(name).resolve(size, dims, changes)
    if resume and (out / "run.json").is_file():
        folder, recorded = opened(out)
        if (recorded.system.name, recorded.size, recorded.dims) != (
            name,
            size,
            dims,
        ) or recorded.training != recipe.training:
            raise RadloomError(f"{out} is a run of another recipe", do="choose another --out",
                               expected="the system, size, dims and --set of run.json")  # fmt: skip
        return folder, recorded
    cohort = Cohort.read(data)
    return RunFolder.create(out, recipe, cohort, _table(data), seed=seed), recipe


def started_everywhere(
    fabric: Fabric,
    name: str,
    data: Path,
    out: Path,
    *,
    size: str,
    dims: int,
    seed: int,
    changes: Mapping[str, Any],
    resume: bool,
) -> tuple[RunFolder, Recipe]:
    """`started` on the first process; the others open what it made."""
    if fabric.is_global_zero:
        found = started(name, data, out, size=size, dims=dims, seed=seed, changes=changes, resume=resume)
        fabric.barrier()
        return found
    fabric.barrier()
    return opened(out)


def _table(data: Path) -> Path:
    return data / "cohort.csv" if data.is_dir() else data


def say(text: str, fabric: Fabric | None = None) -> None:
    """Prints a line of progress to stderr, once however many processes there are."""
    if fabric is None or fabric.is_global_zero:
        print(text, file=sys.stderr, flush=True)


def estimate(recipe: Recipe, folder: RunFolder, fabric: Fabric) -> None:
    """Rehearses a few steps, says how long training will take and what it needs, and records it."""
    from radloom.training.plan import plan

    found = plan(recipe, fabric)
    if fabric.is_global_zero:
        folder.update({"plan": found.record()})
    time = f"{found.steps} steps of {found.step_seconds:.3f} s, about {found.seconds:.0f} s"
    memory = f"{found.peak_mb:.0f} MiB of {found.available_mb:.0f}: {found.advice(recipe.training.batch)}"
    say(f"plan: {time}; {memory}", fabric)


def run_all(folder: RunFolder, recipe: Recipe, fabric: Fabric) -> Path:
    """Every stage that is not done yet; returns the report's path."""
    from radloom.training.train import train

    record = folder.record()
    seed = record["seed"]
    if not folder.weights.is_file():
        estimate(recipe, folder, fabric)
        train(recipe, folder, fabric, seed=seed)
    from radloom.sampling import draw

    cohort = folder.cohort()
    say("draw: the test patients", fabric)
    cases = draw(recipe, folder, cohort, fabric, seed=seed)
    if fabric.is_global_zero:
        _judge(folder, recipe, cohort, cases)
    fabric.barrier()
    return folder.path / "report.html"


def _judge(folder: RunFolder, recipe: Recipe, cohort: Cohort, cases: list[str]) -> None:
    from radloom.evaluation import evaluate
    from radloom.report.page import write_report
    from radloom.stored import forget

    say("evaluate: the drawn images and the baselines")
    evaluate(recipe, folder, cohort, cases)
    missing = study_needs(recipe, cohort)
    folder.update({"study_skipped": missing})
    if missing:
        say(f"study: skipped, {missing}")
    else:
        say("study: train a reader on real images, then let it read every arm")
        study(folder, recipe, cohort)
    forget(folder)
    write_next(folder, recipe)
    write_report(folder.path)


def study_needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the system's study cannot run on this cohort; None when it can."""
    if recipe.system.study is None:
        return "the system has no study"
    from radloom.studies.replace import MASK

    for split in ("train", "test"):
        part = cohort.where(split)
        if MASK not in part.table.columns or not all(part.path(case, MASK) for case in part.ids):
            return f"not every {split} case has {MASK}"
    return None


def study(folder: RunFolder, recipe: Recipe, cohort: Cohort) -> dict[str, object]:
    """Runs the system's study."""
    from radloom.studies import replace

    return {"replace": replace.run}[recipe.system.study or ""](recipe, folder, cohort)


def write_next(folder: RunFolder, recipe: Recipe) -> None:
    """Writes next.txt: the exact commands that make sense now."""
    record, run = folder.record(), folder.path
    lines = [
        f"open {run / 'report.html'}",
        f"radloom draw {run} --data OTHER_COHORT            # the same model on other patients",
        f"radloom export {run} --out {run / 'dicom'}        # the drawn images as DICOM that say SYNTHETIC",
        f"radloom run {record['system']} --data {record['cohort']} --out {run}-seed{record['seed'] + 1} "
        f"--size {recipe.size} --dims {recipe.dims} --seed {record['seed'] + 1}   # how much does the seed matter?",
    ]
    write_text(folder.path / "next.txt", "\n".join(lines) + "\n")
