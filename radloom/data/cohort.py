"""The cohort: a table of cases, split by patient, whose images are read when asked for; nothing is changed here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radloom import io
from radloom.data.faults import FIXED, NUMBERS, SPLITS, is_path_column, table_faults
from radloom.errors import RadloomError
from radloom.files import read_json, sha256_text, whole_file
from radloom.types import Case, Image, Kind

_CACHED_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Cohort:
    """A table with one row per case: case, patient, site, vendor, split, then typed columns ("image.t1", "label.idh").

    root: the folder that relative paths start from.
    about: free JSON about the cohort: how it was simulated or built.
    """

    table: pd.DataFrame
    root: Path
    about: dict[str, Any] = field(default_factory=dict)
    _images: dict[tuple[str, str], Image] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def read(cls, path: Path | str) -> Cohort:
        """The cohort in a CSV file or in its folder. Raises RadloomError for the first fault of the table."""
        cohort = cls.read_unchecked(path)
        for fault in table_faults(cohort.table, cohort.root):
            raise fault
        return cohort.typed()

    @classmethod
    def read_unchecked(cls, path: Path | str) -> Cohort:
        """The cohort with every fault that its table may have, for `audit`, which names them all."""
        path = table_path(Path(path))
        table = _read_table(path)
        for column in FIXED[2:]:
            if column not in table.columns:
                table[column] = ""
        about = path.with_suffix(".json")
        return cls(table, path.parent.resolve(), read_json(about) if about.exists() else {})

    def typed(self) -> Cohort:
        """The cohort with numbers in time.*, event.* and those label.* that hold nothing but numbers."""
        table = self.table.copy()
        for column in table.columns:
            if column.startswith(NUMBERS) or (column.startswith("label.") and _all_numbers(list(table[column]))):
                table[column] = pd.to_numeric(table[column])
        return replace(self, table=table)

    def write(self, path: Path | str) -> Path:
        """The table's path: writes cohort.csv and cohort.json, both or none; paths become relative to their folder."""
        path = table_path(Path(path))
        table = self.table.copy()
        for column in filter(is_path_column, table.columns):
            table[column] = [_relative(self.root, text, path.parent.resolve()) for text in table[column]]
        with whole_file(path) as csv, whole_file(path.with_suffix(".json")) as about:
            table.to_csv(csv, index=False)
            about.write_text(json.dumps(self.about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> list[str]:
        """The cases' names in the table's order."""
        return list(self.table["case"])

    @property
    def patients(self) -> list[str]:
        """The patients' names, each once, in the table's order."""
        return list(dict.fromkeys(self.table["patient"]))

    @property
    def image_columns(self) -> list[str]:
        """The columns that hold images and masks, in the table's order."""
        return [column for column in self.table.columns if is_path_column(column)]

    def where(self, split: str) -> Cohort:
        """The cases of one split: "train", "val", "test" or "" (none)."""
        if split not in (*SPLITS, ""):
            raise RadloomError(f'there is no split "{split}"', expected="train, val, test or empty")
        return replace(self, table=self.table[self.table["split"] == split])

    def require(self, keys: Sequence[str]) -> None:
        """Raises RadloomError that names the columns and cases that a job needs and the table lacks."""
        absent = [key for key in keys if key not in self.table.columns]
        if absent:
            raise RadloomError(
                f"the cohort has no column {_names(absent)}",
                expected=f"all of {', '.join(keys)}; there are {', '.join(self.table.columns.drop(list(FIXED)))}",
                do="add it to the table, or build the table again with `radloom data build --map`",
            )
        for key in keys:
            missing = [case for case, value in zip(self.ids, self.table[key], strict=True) if _empty(value)]
            if missing:
                raise RadloomError(
                    f"{len(missing)} of {len(self)} cases have no {key}: {_names(missing)}",
                    do="add the paths to the table or remove these rows",
                )

    def split_hash(self, split: str = "train") -> str:
        """The SHA-256 over the sorted patients and cases of a split: what a generator has seen."""
        table = self.where(split).table
        if table.empty:
            raise RadloomError(f'no case is in the split "{split}"', do="run `radloom data split` first")
        return sha256_text(
            "\n".join(sorted(f"{patient}\t{case}" for patient, case in table[["patient", "case"]].values))
        )

    def patient(self, case: str) -> str:
        """The name of the case's patient."""
        return self._row(case)["patient"]

    def path(self, case: str, key: str) -> Path | None:
        """Where the case's image lies; None when it is missing."""
        value = self._row(case)[key]
        return self.root / value if value else None

    def case(self, case: str, keys: Sequence[str] | None = None) -> Case:
        """The case with the images named in `keys` (all present ones if None), and all its labels and text."""
        row = self._row(case)
        if keys is not None:
            replace(self, table=self.table[self.table["case"] == case]).require(keys)
        wanted = [key for key in self.image_columns if (key in keys if keys is not None else row[key])]
        images = {key: self.image(case, key) for key in wanted}
        present = {key: value for key, value in row.items() if not _empty(value)}
        labels = {key: value for key, value in present.items() if key.startswith(("label.", *NUMBERS))}
        text = {key: value for key, value in present.items() if key.startswith("text.")}
        return Case(case, row["patient"], images, labels, text, row["site"], row["vendor"], row["split"])

    def image(self, case: str, key: str) -> Image:
        """One image of a case; the last few are kept, so do not write into its voxels."""
        path = self.path(case, key)
        if path is None:
            raise RadloomError(f'case "{case}" has no {key}', do="add its path to the table")
        kind: Kind = "label" if key.startswith("mask.") else "intensity"
        place = (str(path), kind)
        image = self._images.pop(place, None)
        if image is None:
            image = io.read(path, kind=kind)
        self._images[place] = image
        for oldest in list(islice(self._images, max(0, len(self._images) - _CACHED_IMAGES))):
            del self._images[oldest]
        return image

    def _row(self, case: str) -> dict[str, Any]:
        rows = self.table[self.table["case"] == case]
        if rows.empty:
            raise RadloomError(f'the cohort has no case "{case}"', expected=f"one of {_names(self.ids)}")
        # Numbers as Python's own, so that labels can be written as JSON.
        return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in rows.iloc[0].items()}


def check_one_grid(case: Case) -> None:
    """Raises RadloomError that names the first two entries of a case whose voxels do not lie at the same places."""
    entries = list(case.images.items())
    for key, image in entries[1:]:
        first_key, first = entries[0]
        if not image.same_grid(first):
            raise RadloomError(
                f'in case "{case.id}" {first_key} and {key} lie on different grids: {_grid(first)} and {_grid(image)}'
                + (" at another position or angle" if _grid(first) == _grid(image) else ""),
                expected="one grid for all entries of a case",
                do=f"build it again with `radloom data build ... --spacing 1,1,1` or `... --like {first_key}`",
            )


def table_path(path: Path) -> Path:
    """The CSV file that `path` names: itself, or cohort.csv in the folder."""
    return path if path.suffix.lower() == ".csv" else path / "cohort.csv"


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig")
    except OSError as error:
        raise RadloomError(
            f"cannot read the cohort table {path}: {error.strerror or error}",
            do="make it with `radloom data build FOLDER --out FOLDER`",
        ) from error
    except (ValueError, pd.errors.EmptyDataError) as error:
        raise RadloomError(f"{path} is not a table: {error}", expected="a CSV file in UTF-8 with a header") from error
    if table.empty:
        raise RadloomError(f"the cohort table {path} has no rows", expected="one row per case")
    return table


def _all_numbers(values: Sequence[Any]) -> bool:
    filled = [value for value in values if not _empty(value)]
    return bool(filled) and not np.isnan(np.asarray(pd.to_numeric(filled, errors="coerce"), dtype=float)).any()


def _empty(value: Any) -> bool:
    return bool(pd.isna(value) or value == "")


def _relative(root: Path, text: str, folder: Path) -> str:
    if not text:
        return ""
    if root.resolve() == folder:
        return text
    path = Path(os.path.normpath(root.resolve() / text))
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _grid(image: Image) -> str:
    return f"{'x'.join(map(str, image.shape))} at {' x '.join(f'{mm:.4g}' for mm in image.spacing_mm)} mm"


def _names(names: Sequence[str], shown: int = 5) -> str:
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest
