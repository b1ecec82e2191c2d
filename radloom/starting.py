"""How a run begins: an existing run folder is opened, a new one is made once all that the job needs is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from radloom.data.cohort import Cohort, table_path
from radloom.data.provenance import leak
from radloom.errors import RadloomError
from radloom.runfolder import RunFolder
from radloom.synthesis import Synthesis
from radloom.system import Recipe, Training
from radloom.systems import load

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def opened(run: Path) -> tuple[RunFolder, Recipe]:
    """An existing run folder and its recipe. Raises RadloomError when its record is not whole."""
    folder = RunFolder.open(run)
    record = folder.record()
    entries = ("system", "size", "dims", "seed", "settings", "training", "cohort", "split_hash", "inputs", "target")
    absent = [name for name in entries if name not in record] if isinstance(record, dict) else list(entries)
    if absent:
        raise RadloomError(f"{folder.record_path} lacks {', '.join(absent)}", expected="a record written by radloom",
                           do="restore it from a copy, or train a new run")  # fmt: skip
    system = load(record["system"])
    settings = set(system.resolve(record["size"], record["dims"], {}).settings)
    known = {field.name for field in fields(Training)}
    needed = {field.name for field in fields(Training) if field.default is MISSING}
    if set(record["settings"]) != settings or not needed <= set(record["training"]) <= known:
        raise RadloomError(f"{folder.record_path} has other settings than {record['system']} has today",
                           expected="a run of this version of radloom", do="train a new run")  # fmt: skip
    return folder, folder.recipe(system)


@dataclass(frozen=True)
class Order:
    """A run as it was asked for.

    changes: settings of the system by name. resume: whether a run at `out` may be continued. splits: those that must
    not be empty.
    """

    system: str
    data: Path
    out: Path
    size: str
    dims: int
    seed: int
    changes: Mapping[str, Any]
    resume: bool = False
    splits: tuple[str, ...] = ("train",)


def started(order: Order) -> tuple[RunFolder, Recipe]:
    """A new run folder, or with `resume` the one at `out` when it holds a run of the same recipe, seed and cohort.

    Raises RadloomError, before anything is written, when the cohort lacks what the job needs.
    """
    recipe = load(order.system).resolve(order.size, order.dims, order.changes)
    if order.resume and (order.out / "run.json").is_file():
        return _continued(recipe, order)
    cohort, table = Cohort.read(order.data), table_path(order.data)
    for split in order.splits:
        if not len(cohort.where(split)):
            raise RadloomError(f'no case of {table} has split "{split}"',
                               do=f"run `radloom data split {quote(str(order.data))}`")  # fmt: skip
    recipe = recipe.fitted(cohort)
    for split in ("train", "val", *order.splits):
        cohort.where(split).require(recipe.system.task.keys)
    found = leak(cohort)
    if found:
        raise found
    return RunFolder.create(order.out, recipe, cohort, table, seed=order.seed), recipe


def _continued(recipe: Recipe, order: Order) -> tuple[RunFolder, Recipe]:
    folder, recorded = opened(order.out)
    record = folder.record()
    pairs = {"system": (recorded.system.name, recipe.system.name), "--size": (recorded.size, recipe.size),
             "--dims": (recorded.dims, recipe.dims), "--seed": (record["seed"], order.seed),
             "--data": (record["cohort"], str(table_path(order.data).resolve()))}  # fmt: skip
    before, now = (
        dict(r.settings) | asdict(r.training) | r.system.task.choices() for r in (recorded, _as_begun(recipe, recorded))
    )
    if recorded.system.name == recipe.system.name:
        pairs |= {f"--set {key}": (before.get(key), now.get(key)) for key in before | now}
    other = [f"{key} {theirs} and not {ours}" for key, (theirs, ours) in pairs.items() if theirs != ours]
    if other:
        raise RadloomError(f"{order.out} was begun with {', '.join(other[:4])}", do="choose another --out",
                           expected="the command that began the run, with --resume added")  # fmt: skip
    return folder, recorded


def _as_begun(recipe: Recipe, recorded: Recipe) -> Recipe:
    """The recipe asked for, with what "auto" became when the run began."""
    asked, begun = recipe.system.task, recorded.system.task
    if isinstance(asked, Synthesis) and isinstance(begun, Synthesis) and asked.scaling == "auto":
        return replace(recipe, system=replace(recipe.system, task=replace(asked, scaling=begun.scaling)))
    return recipe


def started_everywhere(fabric: Fabric, order: Order) -> tuple[RunFolder, Recipe]:
    """`started` on the first process; the others open what it made."""
    if fabric.is_global_zero:
        found = started(order)
        fabric.barrier()
        return found
    fabric.barrier()
    return opened(order.out)
