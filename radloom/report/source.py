"""Reads a finished run folder for the report; computes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.results import Results

_LOSS_COLUMNS = ["step", "seconds", "name", "value"]


@dataclass(frozen=True)
class Source:
    """What the run folder holds.

    record: run.json. table: the rows of results.csv for `split`. split: "test", or else the only one evaluated.
    losses: losses.csv, None when absent. study, checks: study.json and
    checks.json, None when absent. next: next.txt or "".
    """

    folder: Path
    record: dict[str, Any]
    table: pd.DataFrame
    split: str
    losses: pd.DataFrame | None
    study: dict[str, Any] | None
    next: str
    checks: dict[str, Any] | None = None

    @property
    def seed(self) -> int:
        """The run's seed, from which the bootstrap's streams are derived."""
        return int(self.record.get("seed", 0))

    @property
    def targets(self) -> list[str]:
        """The entries that the model makes."""
        return list(self.record["target"])

    @property
    def fidelity(self) -> pd.DataFrame:
        """Rows that compare one entry with its real counterpart."""
        return self.table.query("target != ''")

    @property
    def downstream(self) -> pd.DataFrame:
        """Rows about the whole case: the study's."""
        return where(self.table, "target", "")

    @property
    def anatomy(self) -> str:
        """What lies inside the region that counts."""
        return str(self.record.get("anatomy", "brain"))

    def patients(self) -> int:
        """Patients of the split in the results."""
        return len(set(self.table["patient"]))


def where(table: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """The rows whose `column` is `value`."""
    return table.loc[table[column] == value]  # pyright: ignore[reportReturnType]


def read_source(folder: Path) -> Source:
    """The run folder's contents. Raises RadloomError when run.json or results.csv is absent or unreadable."""
    if not folder.is_dir():
        raise RadloomError(f"no run folder {folder}", do="give the folder that `radloom run --out` made")
    record = read_json(folder / "run.json")
    absent = [name for name in ("system", "target", "inputs", "cohort") if name not in record]
    if absent:
        raise RadloomError(f"{folder / 'run.json'} lacks {', '.join(absent)}", expected="a run made by radloom")
    split, table = _one_split(Results.read(folder / "results.csv").table, folder)
    return Source(
        folder=folder,
        record=record,
        table=table,
        split=split,
        losses=_losses(folder / "losses.csv"),
        study=read_json(folder / "study.json") if (folder / "study.json").exists() else None,
        next=_text(folder / "next.txt"),
        checks=read_json(folder / "checks.json") if (folder / "checks.json").exists() else None,
    )


def _one_split(table: pd.DataFrame, folder: Path) -> tuple[str, pd.DataFrame]:
    """The test rows where there are any, else validation, else the first split: splits are never pooled."""
    found = list(dict.fromkeys(table["split"]))
    if not found:
        raise RadloomError(f"{folder / 'results.csv'} has no rows", do="run `radloom evaluate` first")
    split = next((name for name in ("test", "val") if name in found), found[0])
    return split, where(table, "split", split).reset_index(drop=True)


def _losses(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        losses = pd.read_csv(path, dtype={"name": "str"})
    except (OSError, ValueError) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="the table that training writes") from error
    if list(losses.columns) != _LOSS_COLUMNS:
        raise RadloomError(f"{path} has columns {list(losses.columns)}", expected=f"{_LOSS_COLUMNS}")
    return losses


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""
