"""The main job, stage by stage: train, draw, evaluate, study, report; and which command comes next."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from radloom import studies
from radloom.data.cohort import Cohort, table_path
from radloom.data.provenance import refuse_other_source
from radloom.errors import RadloomError
from radloom.files import read_json, write_text
from radloom.runfolder import RunFolder
from radloom.synthesis import Synthesis
from radloom.system import Recipe
from radloom.systems import load

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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


def trained(folder: RunFolder, recipe: Recipe, fabric: Fabric) -> None:
    """Trains the run, from where it stands, unless it is trained; a run that could not begin leaves no folder."""
    from radloom.stored import stored
    from radloom.training.train import train

    if folder.weights.is_file():
        return
    with _nothing_half_begun(folder, fabric):
        # before the estimate, so that an image that does not open is said at once
        stored(recipe.system.task, folder, folder.cohort(), ("train", "val"), fabric.global_rank, fabric.world_size)
        estimate(recipe, folder, fabric)
        train(recipe, folder, fabric, seed=folder.record()["seed"])


@contextmanager
def _nothing_half_begun(folder: RunFolder, fabric: Fabric) -> Iterator[None]:
    """Deletes the run folder when the block fails by the user's data or disk before a state was saved."""
    from safetensors import SafetensorError

    try:
        yield
    except (RadloomError, OSError, SafetensorError) as error:
        begun = (folder.state / "counters.json").is_file()
        if fabric.is_global_zero and not begun:
            shutil.rmtree(folder.path, ignore_errors=True)
        if isinstance(error, SafetensorError):  # what safetensors raises in place of OSError
            raise RadloomError(f"cannot read or write the tensors of {folder.path}: {error}",
                               expected="a writable place with enough free space and an unharmed RUN/state",
                               do="free some space, then continue with --resume" if begun else "free some space",
                               ) from error  # fmt: skip
        raise


def run_all(folder: RunFolder, recipe: Recipe, fabric: Fabric) -> Path:
    """Every stage that is not done yet; returns the report's path."""
    if not folder.weights.is_file():
        with _nothing_half_begun(folder, fabric):
            cohort = folder.cohort()
            for case in cohort.where("test").ids[fabric.global_rank :: fabric.world_size]:
                recipe.system.task.read(cohort, case)  # a test image that does not open is said before training
    trained(folder, recipe, fabric)
    say("draw: the test patients", fabric)
    cases = drawn(folder, recipe, fabric)
    if fabric.is_global_zero:
        _judge(folder, recipe, folder.cohort(), cases)
    fabric.barrier()
    return folder.path / "report.html"


def drawn(
    folder: RunFolder,
    recipe: Recipe,
    fabric: Fabric,
    *,
    data: Path | None = None,
    cases: Sequence[str] = (),
    draws: int = 1,
    count: int | None = None,
    conditions: Sequence[str] = (),
    seed: int | None = None,
) -> list[str]:
    """Draws these cases, or images from nothing, into RUN/samples and returns their names.

    data: another cohort than the run's own; it needs the inputs alone. cases: the own cohort's test cases, or all
    of the other cohort's, unless given. count, conditions: of a system that draws from nothing, images under each
    condition. seed: the run's own unless given.
    """
    if isinstance(recipe.system.task, Synthesis):
        if data or cases or draws != 1:
            raise RadloomError(f"{recipe.system.name} draws from nothing, not for cases",
                               expected="--count and --condition, not --data, --case and --draws")  # fmt: skip
        return _drawn_from_nothing(folder, recipe, fabric, count, conditions, seed)
    if count is not None or conditions:
        raise RadloomError(f"{recipe.system.name} draws for cases, not from nothing",
                           expected="--case and --draws, not --count and --condition")  # fmt: skip
    record = folder.record()
    own = Path(record["cohort"])
    table = own if data is None else table_path(data).resolve()
    cohort = folder.cohort() if table == own else Cohort.read(table)
    chosen = list(cases) or (cohort.where("test").ids if data is None else cohort.ids)
    for case in chosen:
        cohort.patient(case)
    replace(cohort, table=cohort.table[cohort.table["case"].isin(chosen)]).require(recipe.system.task.needed)
    if table != own:
        _refuse_own_names(record, chosen, table)
    refuse_other_source(folder.path / "samples", chosen, table)
    from radloom.sampling import draw

    return draw(recipe, folder, cohort, fabric, table=table, seed=record["seed"] if seed is None else seed, draws=draws,
                cases=chosen)  # fmt: skip


def _drawn_from_nothing(
    folder: RunFolder, recipe: Recipe, fabric: Fabric, count: int | None, conditions: Sequence[str], seed: int | None
) -> list[str]:  # fmt: skip
    from radloom.drawing import draw_images, synthesis, usual_count, wishes

    cohort = folder.cohort()
    asked = wishes(synthesis(recipe), cohort, conditions)
    each = usual_count(recipe, cohort, len(asked)) if count is None else count
    return draw_images(
        recipe, folder, fabric, asked, count=each, seed=folder.record()["seed"] if seed is None else seed
    )


def _refuse_own_names(record: Mapping[str, Any], cases: Sequence[str], table: Path) -> None:
    """Raises RadloomError when another cohort's case has the name of one of the run's own: their files would mix."""
    own = {case for part in record.get("cases", {}).values() for case in part}
    same = [case for case in cases if case in own]
    if same:
        raise RadloomError(f'{len(same)} cases of {table} have names of the run\'s own cases, such as "{same[0]}"',
                           expected="another name for another patient", do="rename the cases in the table")  # fmt: skip


def _judge(folder: RunFolder, recipe: Recipe, cohort: Cohort, cases: list[str]) -> None:
    from radloom.report.page import write_report
    from radloom.stored import forget

    say("evaluate: the drawn images and the baselines")
    evaluated(folder, recipe, cohort, cases)
    missing = study_needs(recipe, cohort)
    folder.update({"study_skipped": missing})
    if missing:
        say(f"study: skipped, {missing}")
    else:
        say(f"study: {recipe.system.study}")
        study(folder, recipe, cohort, recipe.system.study or "")
    forget(folder)
    write_next(folder, recipe)
    write_report(folder.path)


def evaluated(folder: RunFolder, recipe: Recipe, cohort: Cohort, cases: Sequence[str]) -> int:
    """Judges the drawn images into RUN/results.csv, against the real ones; returns how many rows there are."""
    if isinstance(recipe.system.task, Synthesis):
        from radloom.compare.generated import judge

        return len(judge(recipe, folder, cohort))
    from radloom.checking import check
    from radloom.evaluation import evaluate

    rows = len(evaluate(recipe, folder, cohort, cases).table)
    check(recipe, folder, cohort, cases)
    return rows


def study_needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the system's study cannot run on this cohort; None when it can."""
    if recipe.system.study is None:
        return "the system has no study"
    return studies.load(recipe.system.study).needs(recipe, cohort)


def study(
    folder: RunFolder, recipe: Recipe, cohort: Cohort, name: str, *, elsewhere: Path | None = None
) -> dict[str, Any]:
    """The findings of the study of this name; elsewhere: on every case of another cohort, into RUN/elsewhere/NAME.

    Raises RadloomError when the system has no such study, or the study cannot be taken elsewhere.
    """
    if name != recipe.system.study:
        raise RadloomError(f"{recipe.system.name} has no study {name}", expected=recipe.system.study or "no study")
    found = studies.load(name)
    if elsewhere is None:
        return found.run(recipe, folder, cohort)
    if not isinstance(found, studies.Travels):
        raise RadloomError(f"study {name} looks at the run's own cohort alone", expected="no --elsewhere")
    table = table_path(elsewhere).resolve()
    other = Cohort.read(table)
    _refuse_own_names(folder.record(), other.ids, table)
    place = folder.path / "elsewhere" / table.parent.name
    before = read_json(place / "study.json").get("cohort") if (place / "study.json").is_file() else None
    if before not in (None, str(table)):
        raise RadloomError(f"{place} holds the findings on {before}", expected="another folder name for another cohort",
                           do=f"rename the folder of {table}, or delete {place}")  # fmt: skip
    return found.elsewhere(recipe, folder, cohort, other, table=table, place=place)


def write_next(folder: RunFolder, recipe: Recipe) -> None:
    """Writes next.txt: the exact commands that make sense now."""
    record, run = folder.record(), folder.path.resolve()
    seed = record["seed"] + 1
    other = run.with_name(f"{run.name}-seed{seed}")
    lines = [
        f"python3 -m webbrowser {quote((run / 'report.html').as_uri())}   # look at the report",
        _more(recipe, run),
        f"radloom export {quote(str(run))} --out {quote(str(run / 'dicom'))}   # DICOM that says SYNTHETIC",
        f"radloom run {record['system']} --data {quote(record['cohort'])} --out {quote(str(other))} "
        f"--size {recipe.size} --dims {recipe.dims} --seed {seed}{_sets(recipe)}   # how much does the seed matter?",
    ]
    write_text(folder.path / "next.txt", "\n".join(lines) + "\n")


def _more(recipe: Recipe, run: Path) -> str:
    if isinstance(recipe.system.task, Synthesis):
        return f"radloom draw {quote(str(run))} --count 100   # more images from the same model"
    return f"radloom draw {quote(str(run))} --data OTHER_COHORT   # the same model on other patients"


def _sets(recipe: Recipe) -> str:
    """The --set options that lead from the size's own settings to the recipe's, each after a space."""
    usual = load(recipe.system.name).resolve(recipe.size, recipe.dims, {})
    before, now = (dict(r.settings) | asdict(r.training) | r.system.task.choices() for r in (usual, recipe))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in now.items()}
    return "".join(f" --set {quote(f'{key}={texts[key]}')}" for key in now if now[key] != before[key])
