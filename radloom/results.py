"""The results table: one row per case and metric, the only thing that reports read; no statistics here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radloom.errors import RadloomError
from radloom.files import whole_file


@dataclass(frozen=True)
class Row:
    """One number about one case.

    arm: what made the image: "real", "model", or a baseline ("zero", "mean", "linear", "cubic").
    replaced: the entries that stood in for real ones, joined by "+"; empty when nothing was replaced.
    target: the entry judged ("image.flair"); empty when the number is about the whole case.
    region: where it was measured: "brain", "tumour", "whole tumour", ...
    """

    system: str
    run: str
    seed: int
    case: str
    patient: str
    split: str
    arm: str
    replaced: str
    target: str
    region: str
    metric: str
    value: float
    unit: str


COLUMNS = tuple(Row.__dataclass_fields__)
_KEY = [name for name in COLUMNS if name not in ("value", "unit")]


@dataclass(frozen=True)
class Results:
    """A table with the columns of Row."""

    table: pd.DataFrame

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Results:
        """The table of these rows."""
        return cls(pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS)))

    @classmethod
    def read(cls, path: Path) -> Results:
        """The table in a CSV file. Raises RadloomError when it is absent or has other columns."""
        try:
            table = pd.read_csv(path, keep_default_na=False, na_values={"value": ["", "nan"]}, dtype=_TYPES)
        except (OSError, ValueError) as error:
            raise RadloomError(f"cannot read results {path}: {error}", do="run `radloom evaluate` first") from error
        if list(table.columns) != list(COLUMNS):
            raise RadloomError(f"{path} has columns {list(table.columns)}", expected=f"{list(COLUMNS)}")
        return cls(table)

    def write(self, path: Path) -> None:
        """Writes the table as CSV, whole or not at all."""
        with whole_file(path) as temporary:
            self.table.to_csv(temporary, index=False)

    def merged(self, newer: Results) -> Results:
        """This table with the rows of `newer` added; of two rows for the same number the newer one stands."""
        both = pd.concat([t for t in (self.table, newer.table) if len(t)] or [self.table], ignore_index=True)
        return Results(both.drop_duplicates(_KEY, keep="last").reset_index(drop=True))

    def added_to(self, path: Path) -> Results:
        """Writes the rows into the table at `path`, beside what is there (see merged); returns the whole table."""
        whole = Results.read(path).merged(self) if path.is_file() else self
        whole.write(path)
        return whole

    def values(self, by: Sequence[str] = ("arm",), **equal: str) -> pd.DataFrame:
        """Values with one row per case and one column per combination of `by`, for the rows where column = value."""
        table = self.table
        for column, value in equal.items():
            table = table.loc[table[column] == value]
        wide = table.pivot_table(index=["patient", "case"], columns=list(by), values="value", dropna=False, sort=False)
        made = set(table[list(by)].itertuples(index=False, name=None))
        cases = set(table[["patient", "case"]].itertuples(index=False, name=None))
        rows = [case for case in wide.index if case in cases]
        return wide.loc[rows, [c for c in wide.columns if (c if isinstance(c, tuple) else (c,)) in made]]


_TYPES: Any = {name: "str" for name in COLUMNS if name not in ("seed", "value")}
