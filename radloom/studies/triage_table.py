"""A worklist from a table: the CSV of a radiology information system, or the cohort table of `brain-ct`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from radloom.errors import RadloomError
from radloom.random import numpy_stream

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "study": ("study", "study_id", "case", "accession"),
    "arrival": ("arrival", "time.arrival"),
    "reading": ("reading", "time.reading"),
    "read_start": ("read_start",),
    "read_end": ("read_end",),
    "score": ("score",),
    "emergency": ("emergency", "label.emergency"),
    "split": ("split",),
}
_FEWEST_READINGS = 10  # that a distribution of reading times is fitted on


@dataclass(frozen=True)
class Worklist:
    """Studies in the order of their arrival. arrival, reading: seconds; score: larger is more urgent.

    logged_start: when the reading of each began according to the log, NaN where it does not say. fitted: how many
    reading times were drawn from a distribution fitted on the others.
    """

    study: tuple[str, ...]
    arrival: Float[np.ndarray, " n"]
    reading: Float[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    emergency: Bool[np.ndarray, " n"]
    logged_start: Float[np.ndarray, " n"]
    fitted: int = 0

    def at_load(self, now: float, wanted: float) -> Worklist:
        """The same studies, their arrivals drawn together (or apart) so that the readers' load becomes `wanted`."""
        if not (wanted > 0 and now > 0):
            raise RadloomError(f"a load of {wanted}", expected="a share above 0, such as 0.9")
        first, unknown = self.arrival[0], np.full(len(self.study), np.nan)
        return replace(self, arrival=first + (self.arrival - first) * now / wanted, logged_start=unknown)


def read_table(path: Path, names: Mapping[str, str], scores: Path | None = None) -> pd.DataFrame:
    """The table with the columns of COLUMNS that it has, as text and numbers, one row a study.

    names: by role, another name of its column ({"arrival": "ExamCompleted"}). scores: a second CSV with a study and its
    score; studies without one are left out. Raises RadloomError when the file, a column or a study's name is wrong.
    """
    table = _known_columns(path, names)
    if scores is not None:
        table = _with_scores(table, _known_columns(scores, {}), scores)
    _need(table, ["study", "arrival", "score", "emergency", *([] if "read_end" in table else ["reading"])], path)
    if "reading" not in table:
        _need(table, ["read_start"], path)
    studies, counts = np.unique(np.asarray(table["study"]), return_counts=True)
    if counts.max(initial=0) > 1:
        raise RadloomError(f"{path} names study {studies[counts > 1][0]} twice", expected="one row for each study")
    return table


def _known_columns(path: Path, names: Mapping[str, str]) -> pd.DataFrame:
    """The columns of the file that have a role, under the role's name."""
    unknown = [role for role in names if role not in COLUMNS]
    if unknown:
        raise RadloomError(f"--column {unknown[0]}={names[unknown[0]]} has no such role",
                           expected=f"one of {', '.join(COLUMNS)}")  # fmt: skip
    raw = _csv(path)
    absent = [name for name in names.values() if name not in raw.columns]
    if absent:
        raise RadloomError(f"{path} has no column {absent[0]}", expected=f"one of {', '.join(raw.columns)}")
    found = {role: names.get(role) or next((name for name in known if name in raw.columns), None)
             for role, known in COLUMNS.items()}  # fmt: skip
    table = pd.DataFrame({role: raw[name] for role, name in found.items() if name is not None})
    _need(table, ["study"], path)
    return table.astype({"study": str})


def of_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The studies of a split; none where the table knows no splits."""
    inside = np.asarray(table["split"] == split) if "split" in table else np.zeros(len(table), bool)
    return pd.DataFrame(table.loc[inside])


def worklist(table: pd.DataFrame, *, seed: int = 0) -> Worklist:
    """The table's studies by arrival; times become seconds after the first arrival.

    Times are seconds, or dates and times. Reading time: `reading` in seconds, else read_end - read_start. Where it is
    missing it is drawn from a log-normal distribution fitted on the others. Raises RadloomError for a time, a score or
    a label that cannot be used, and when there is no emergency or nothing else.
    """
    arrival = _times(table, "arrival")
    origin = float(np.min(arrival)) if len(arrival) else 0.0
    start = _times(table, "read_start") if "read_start" in table else np.full(len(table), np.nan)
    reading = _numbers(table, "reading") if "reading" in table else _times(table, "read_end") - start
    _refuse(table, ~np.isfinite(arrival), "arrival", "a time")
    _refuse(table, reading <= 0, "reading time", "more than 0 seconds")
    score, emergency = _numbers(table, "score"), _numbers(table, "emergency")
    _refuse(table, ~np.isfinite(score), "score", "a number")
    _refuse(table, ~np.isin(emergency, (0, 1)), "emergency", "0 or 1")
    if len(np.unique(emergency)) < 2:
        raise RadloomError(f"{int(emergency.sum())} of {len(table)} studies are emergencies", expected="some, not all")
    reading, fitted = _completed(reading, seed)
    order = np.argsort(arrival, kind="stable")
    return Worklist(tuple(table["study"].iloc[order]), arrival[order] - origin, reading[order], score[order],
                    emergency[order] == 1, start[order] - origin, fitted)  # fmt: skip


def _csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a CSV file with a header") from error


def _need(table: pd.DataFrame, roles: list[str], path: Path) -> None:
    missing = [role for role in roles if role not in table.columns]
    if missing:
        known = "; ".join(" or ".join(COLUMNS[role]) for role in missing)
        raise RadloomError(f"{path} has no column for {', '.join(missing)}", expected=f"a column named {known}",
                           do=f"say what it is called: --column {missing[0]}=NAME")  # fmt: skip


def _with_scores(table: pd.DataFrame, scores: pd.DataFrame, path: Path) -> pd.DataFrame:
    _need(scores, ["score"], path)
    both = table.drop(columns="score", errors="ignore").merge(scores[["study", "score"]], on="study", how="inner")
    if not len(both):
        raise RadloomError(f"no study of the worklist is in {path}", expected="the same names in both files")
    return both


def _numbers(table: pd.DataFrame, role: str) -> np.ndarray:
    found = np.asarray(pd.to_numeric(table[role], errors="coerce"), dtype=float)
    given = np.asarray(table[role].notna())
    _refuse(table, given & np.isnan(found), role, "a number")
    return found


def _times(table: pd.DataFrame, role: str) -> np.ndarray:
    """Seconds on a clock that all times share: numbers as they are, dates since 1970."""
    values = table[role]
    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values, dtype=float)
    found = pd.DatetimeIndex(pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True))
    _refuse(table, np.asarray(values.notna()) & np.asarray(found.isna()), role, "seconds, or 2026-01-31 08:15:00")
    return np.asarray((found - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=float)


def _refuse(table: pd.DataFrame, wrong: np.ndarray, what: str, expected: str) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise RadloomError(f"study {table['study'].iloc[first]} has no usable {what} ({int(wrong.sum())} such)",
                           expected=expected, do="correct the table or leave these studies out")  # fmt: skip


def _completed(reading: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """The reading times with the missing ones drawn from exp(N(mean, sd)) of the logarithms of the others."""
    missing = ~np.isfinite(reading)
    known = np.log(reading[~missing])
    if not missing.any():
        return reading, 0
    if len(known) < _FEWEST_READINGS:
        raise RadloomError(f"{len(known)} studies have a reading time", expected=f"at least {_FEWEST_READINGS}",
                           do="add a column reading in seconds, or read_start and read_end")  # fmt: skip
    drawn = numpy_stream(seed, "triage", "reading").lognormal(known.mean(), known.std(ddof=1), int(missing.sum()))
    filled = reading.copy()
    filled[missing] = drawn
    return filled, len(drawn)
