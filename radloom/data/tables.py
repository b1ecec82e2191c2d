"""The tables that public data sets put beside their images, as cells of a cohort: labels, text, time and event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from radloom.data.entries import Entry
from radloom.errors import RadloomError
from radloom.files import sha256

_MISSING = {"", "nan", "na", "n/a", "none", "null", "unknown", "not available", "not applicable", "not_available"}


def read_rows(path: Path, needs: Sequence[str], *, keep: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The rows of a CSV file as texts. Raises RadloomError when it cannot be read or lacks one of the columns `needs`.

    keep: the columns that are wanted beside them where a table is too big to take all; None takes all.
    """
    wanted = None if keep is None else {*needs, *keep}
    usecols = None if wanted is None else (lambda column: str(column).strip() in wanted)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", usecols=usecols)
    except (OSError, ValueError) as error:
        raise RadloomError(f"cannot read the table {path}: {error}", expected="the data set's own CSV file") from error
    table.columns = [str(column).strip() for column in table.columns]
    missing = [column for column in needs if column not in table.columns]
    if missing:
        raise RadloomError(
            f"the table {path} has no column {', '.join(missing)}", expected="the data set's own table, unchanged"
        )
    return [{str(key): str(value).strip() for key, value in row.items()} for row in table.to_dict("records")]


def find_file(folder: Path, pattern: str) -> Path | None:
    """The one file below the folder whose name fits the pattern; None when there is none.

    Copies of one file count as one. Raises RadloomError when files that differ fit, since only one can be right.
    """
    found = sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))
    if len(found) > 1 and len({sha256(path) for path in found}) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:4])
        raise RadloomError(
            f"{folder} holds {len(found)} files {pattern}: {names}", expected="one", do="remove the others"
        )
    return found[0] if found else None


def cells(case: str, patient: str, values: Mapping[str, str]) -> list[Entry]:
    """The entries of a case for columns and texts; what is missing in the source's words has none, text.* stays."""
    return [
        Entry(case, patient, column, text=said if column.startswith("text.") else plain_number(said))
        for column, said in ((column, text.strip()) for column, text in values.items())
        if said and (column.startswith("text.") or said.lower() not in _MISSING)
    ]


def word(text: str) -> str:
    """The text as a part of a column's name.

    >>> word("Pleural Effusion"), word("1p/19q")
    ('pleural_effusion', '1p_19q')
    """
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")


def plain_number(text: str) -> str:
    """A whole number without its decimals, another text as it is.

    >>> plain_number("-1.0"), plain_number("0.50"), plain_number("AP")
    ('-1', '0.50', 'AP')
    """
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text)
