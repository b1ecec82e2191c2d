"""A user's own table of name patterns: which file of a case is which column, and which labels of a mask to keep."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pandas as pd

from radloom.data.entries import Entry, Found, name_case, scan
from radloom.data.faults import is_path_column
from radloom.data.labels import LabelMap
from radloom.errors import RadloomError


@dataclass(frozen=True)
class Rule:
    """Files whose path from their case's folder matches the glob `pattern` are `column`."""

    pattern: str
    column: str
    labels: LabelMap | None

    def matches(self, parts: tuple[str, ...]) -> bool:
        """Whether each part of the path matches its part of the pattern."""
        globs = PurePosixPath(self.pattern).parts
        return len(globs) == len(parts) and all(map(fnmatchcase, parts, globs))


def read_mapping(path: Path) -> list[Rule]:
    """The rules in a CSV file with the columns pattern, column and, if wanted, labels ("1>1 2>2 4>3")."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise RadloomError(
            f"cannot read the mapping {path}: {error}", expected="a CSV file with columns pattern,column"
        ) from error
    columns = set(table.columns)
    if not {"pattern", "column"} <= columns or columns - {"pattern", "column", "labels"} or table.empty:
        raise RadloomError(
            f"the mapping {path} has columns {', '.join(table.columns)} and {len(table)} rows",
            expected="columns pattern,column and perhaps labels, and at least one row",
        )
    return [_rule(path, i + 2, row) for i, row in enumerate(table.to_dict("records"))]


def mapped(folder: Path, rules: list[Rule]) -> list[Entry]:
    """The entries of a folder by these rules; images that no rule names are left out.

    A case is the outermost folder in which a rule finds a file: the folder itself, or any below it.
    """
    entries: list[Entry] = []
    found = scan(folder)
    cases = {parts for parts in (_outermost(one, rules) for one in found) if parts is not None}
    for one in found:
        parts = next((one.parts[:n] for n in range(len(one.parts)) if one.parts[:n] in cases), None)
        if parts is None:
            continue
        case, patient = name_case(folder, parts)
        hits = [rule for rule in rules if rule.matches(one.parts[len(parts) :])]
        if len({hit.column for hit in hits}) > 1:
            raise RadloomError(
                f"{one.path} matches {' and '.join(hit.pattern for hit in hits)}, which are different columns",
                expected="patterns of which one fits",
            )
        entries += [Entry(case, patient, hit.column, one, labels=hit.labels) for hit in hits[:1]]
    if not entries:
        shown = ", ".join("/".join(one.parts) for one in found[:4]) or "no image"
        raise RadloomError(
            f"no file in {folder} matches the mapping; there is {shown}",
            expected="patterns relative to a case's folder, such as *_t1.nii.gz",
        )
    return entries


def _outermost(found: Found, rules: list[Rule]) -> tuple[str, ...] | None:
    places = (found.parts[:n] for n in range(len(found.parts)))
    return next((place for place in places if any(r.matches(found.parts[len(place) :]) for r in rules)), None)


def _rule(path: Path, line: int, row: dict[str, str]) -> Rule:
    pattern, column, labels = row["pattern"].strip(), row["column"].strip(), row.get("labels", "").strip()
    if not pattern or not is_path_column(column) or not column.split(".", 1)[1]:
        raise RadloomError(
            f'line {line} of the mapping {path} says "{pattern},{column}"',
            expected="a pattern and a column such as image.t1 or mask.tumour",
        )
    if labels and not column.startswith("mask."):
        raise RadloomError(f"line {line} of the mapping {path} gives labels to {column}", expected="a column mask.*")
    return Rule(pattern, column, LabelMap.parse(labels) if labels else None)
