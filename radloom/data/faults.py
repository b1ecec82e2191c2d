"""What is wrong with a cohort table as a table: columns, names, splits and paths; no image is opened here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from radloom.errors import RadloomError

REQUIRED = ("case", "patient")
FIXED = ("case", "patient", "site", "vendor", "split")
SPLITS = ("train", "val", "test")
PATHS = ("image.", "mask.")
NUMBERS = ("time.", "event.")
TYPED = (*PATHS, "label.", "text.", *NUMBERS)


def table_faults(table: pd.DataFrame, root: Path) -> Iterator[RadloomError]:
    """One error for each fault of the table; a fault of the columns hides those of the rows."""
    columns = list(_column_faults(table))
    yield from columns
    if not columns:
        yield from _row_faults(table)
        yield from _split_faults(table)
        yield from _path_faults(table, root)


def is_path_column(column: str) -> bool:
    """Whether the column holds image files or series folders."""
    return column.startswith(PATHS)


def _column_faults(table: pd.DataFrame) -> Iterator[RadloomError]:
    for column in REQUIRED:
        if column not in table.columns:
            yield RadloomError(
                f'the cohort table has no column "{column}"',
                expected="columns case, patient, site, vendor, split and typed ones such as image.t1",
                do="add the column, or make the table with `radloom data build`",
            )
    for column in table.columns:
        if column not in FIXED and not (column.startswith(TYPED) and column.split(".", 1)[1]):
            yield RadloomError(
                f'the cohort table has an unknown column "{column}"',
                expected=f"one of {', '.join(FIXED)}, or a name that begins with {', '.join(TYPED)}",
                do="rename or remove the column",
            )


def _row_faults(table: pd.DataFrame) -> Iterator[RadloomError]:
    lines = _lines(table)
    for column in REQUIRED:
        for line, value in zip(lines, table[column], strict=True):
            if not value.strip():
                yield RadloomError(f'line {line} of the cohort table has no "{column}"', do="fill the cell")
            elif column == "case" and (value.startswith(".") or set(value) & set('/\\:*?"<>|')):
                yield RadloomError(
                    f'line {line} of the cohort table has case "{value}"',
                    expected='a name that can be part of a file name: no / \\ : * ? " < > | and no leading dot',
                    do="rename the case",
                )
    first: dict[str, int] = {}
    for line, case in zip(lines, table["case"], strict=True):
        if case in first and case:
            yield RadloomError(
                f'case "{case}" is on line {first[case]} and again on line {line} of the cohort table',
                expected="one row per case",
                do="rename or remove one of them",
            )
        first.setdefault(case, line)
    for column in table.columns:
        if column.startswith(NUMBERS):
            yield from _number_faults(table, column)


def _number_faults(table: pd.DataFrame, column: str) -> Iterator[RadloomError]:
    numbers = np.asarray(pd.to_numeric(table[column], errors="coerce"), dtype=float)
    event = column.startswith("event.")
    for line, text, number in zip(_lines(table), table[column], numbers, strict=True):
        missing = pd.isna(text) or text == ""
        if not missing and (np.isnan(number) or (event and number not in (0, 1))):
            yield RadloomError(
                f'line {line} of the cohort table has "{text}" in column "{column}"',
                expected="0 or 1" if event else "a number",
                do="correct the cell or leave it empty",
            )


def _split_faults(table: pd.DataFrame) -> Iterator[RadloomError]:
    if "split" not in table.columns:
        return
    for line, split in zip(_lines(table), table["split"], strict=True):
        if split not in (*SPLITS, ""):
            yield RadloomError(
                f'line {line} of the cohort table has split "{split}"',
                expected="train, val, test or an empty cell",
                do="correct the cell or run `radloom data split`",
            )
    for patient, rows in table[table["split"] != ""].groupby("patient", sort=False):
        splits = sorted(set(rows["split"]))
        if len(splits) > 1 and patient:
            yield RadloomError(
                f'patient "{patient}" is in the splits {" and ".join(splits)} (cases {", ".join(rows["case"])})',
                expected="all cases of one patient in one split",
                do="run `radloom data split`, which splits by patient",
            )


def _path_faults(table: pd.DataFrame, root: Path) -> Iterator[RadloomError]:
    for column in filter(is_path_column, table.columns):
        for line, text in zip(_lines(table), table[column], strict=True):
            if text and not (root / text).exists():
                yield RadloomError(
                    f'line {line}, column "{column}" of the cohort table points to {root / text}, which does not exist',
                    expected="a path relative to the table's folder, or an absolute one",
                    do="correct the path, or leave the cell empty if the image is missing",
                )


def _lines(table: pd.DataFrame) -> list[int]:
    """The line of each row in the CSV file, which begins with the header as line 1."""
    return [int(row) + 2 for row in table.index]
