"""The report's statistics: means by patient with intervals, paired tests with Holm; the formulas live in stats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from radloom.errors import RadloomError
from radloom.random import numpy_stream
from radloom.report import names
from radloom.report.source import Source, where
from radloom.results import Results
from radloom.stats.intervals import bootstrap_ci
from radloom.stats.tests import holm, wilcoxon
from radloom.studies.replace_findings import comparable

_Seed = tuple[int, str, str, str, str]


@dataclass(frozen=True)
class Paired:
    """Mean difference of two arms over the same patients, its 95 % interval and Wilcoxon's p (NaN: no test)."""

    n: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan


@dataclass(frozen=True)
class Cell:
    """One arm's mean over patients. low and high are NaN for one patient; `infinite` cases are left out of the mean.

    model: the model minus this arm. loss: this arm minus all-real (study only).
    """

    mean: float
    low: float
    high: float
    n: int
    infinite: int = 0
    best: bool = False
    model: Paired | None = None
    loss: Paired | None = None


@dataclass(frozen=True)
class Column:
    """What a column of a table measures, and where."""

    region: str
    metric: str
    unit: str


@dataclass(frozen=True)
class Fidelity:
    """One target's table: for each arm one cell a column."""

    target: str
    columns: tuple[Column, ...]
    rows: dict[str, tuple[Cell | None, ...]]

    def cell(self, arm: str, region: str, metric: str) -> Cell | None:
        """The cell of an arm, None where it was not measured."""
        found = [i for i, c in enumerate(self.columns) if (c.region, c.metric) == (region, metric)]
        return self.rows[arm][found[0]] if found and arm in self.rows else None


@dataclass(frozen=True)
class StudyRow:
    """One arm with one set of entries replaced."""

    replaced: str
    arm: str
    cells: tuple[Cell | None, ...]


def by_patient(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean over a patient's cases of the finite values: one row per patient, one column per combination of `by`."""
    finite = table[np.isfinite(table["value"])]
    cases: Any = finite.groupby([*by, "patient", "case"], sort=False)["value"].mean()
    return cases.groupby(level=[*by, "patient"], sort=False).mean().unstack(list(by))


def summary(values: pd.Series, infinite: int, *, rng: np.random.Generator) -> Cell:
    """Mean over patients with its 95 % percentile bootstrap interval; no interval for one patient."""
    known = values.dropna()
    if known.empty:
        return Cell(math.nan, math.nan, math.nan, 0, infinite)
    if len(known) == 1:
        return Cell(float(known.iloc[0]), math.nan, math.nan, 1, infinite)
    interval = bootstrap_ci(known.to_numpy(float), patients=known.index.to_numpy(), rng=rng)
    return Cell(float(interval.estimate), float(interval.low), float(interval.high), len(known), infinite)


def paired(a: pd.Series, b: pd.Series, *, rng: np.random.Generator) -> Paired | None:
    """The paired comparison a - b over the patients that have both; None for fewer than two."""
    both = pd.concat([a, b], axis=1).dropna().to_numpy(float)
    if len(both) < 2:
        return None
    difference = both[:, 0] - both[:, 1]
    found = bootstrap_ci(difference, patients=np.arange(len(both)), rng=rng)
    p = float(wilcoxon(both[:, 0], both[:, 1]).p) if difference.any() else math.nan
    return Paired(len(both), float(found.estimate), float(found.low), float(found.high), p)


def compared(pairs: Mapping[str, tuple[pd.Series, pd.Series]], *, seed: _Seed) -> dict[str, Paired]:
    """By name, the comparison of two arms by patient, Holm-adjusted over all of them; absent where impossible."""
    found = {
        name: one
        for name, (a, b) in pairs.items()
        if (one := paired(a, b, rng=numpy_stream(*seed, str(a.name), str(b.name)))) is not None
    }
    tested = {name: one.p for name, one in found.items() if not math.isnan(one.p)}
    corrected = dict(zip(tested, holm(np.asarray(list(tested.values()))), strict=True)) if tested else {}
    return {name: replace(one, p_holm=float(corrected.get(name, math.nan))) for name, one in found.items()}


def fidelity(source: Source) -> list[Fidelity]:
    """The fidelity tables, one for each target that was measured, in the run's order of targets."""
    present = list(dict.fromkeys(source.fidelity["target"]))
    return [_fidelity(source, target) for target in [*source.targets] if target in present]


def _fidelity(source: Source, target: str) -> Fidelity:
    table = where(source.fidelity, "target", target)
    arms = sorted(set(table["arm"]), key=names.arm_order)
    keys = table.drop_duplicates(["region", "metric"]).sort_values("region", key=_whole_first, kind="stable")
    columns, cells = [], []
    for region, metric, unit in zip(keys["region"], keys["metric"], keys["unit"], strict=True):
        rows = where(where(table, "region", region), "metric", metric)
        columns.append(Column(region, metric, names.unit(unit)))
        cells.append(_column(rows, metric, seed=(source.seed, "report", target, region, metric)))
    return Fidelity(target, tuple(columns), {arm: tuple(column.get(arm) for column in cells) for arm in arms})


def _whole_first(regions: pd.Series) -> pd.Series:
    return regions.map(lambda region: (region != "brain", region))


def _column(rows: pd.DataFrame, metric: str, *, seed: _Seed) -> dict[str, Cell]:
    """The cells of one column by arm, each compared with the model; Holm over the column's baselines."""
    patients: Any = by_patient(rows, ["arm"])
    cells = {}
    for arm in patients.columns:
        infinite = int(np.isinf(rows.loc[rows["arm"] == arm, "value"]).sum())
        cells[arm] = summary(patients[arm], infinite, rng=numpy_stream(*seed, arm))
    rivals = [arm for arm in cells if arm != "model" and "model" in cells]
    against = compared({arm: (patients["model"], patients[arm]) for arm in rivals}, seed=seed)
    sign = 1 if names.metric(metric).higher_is_better else -1
    top = max((sign * cell.mean for cell in cells.values() if cell.n), default=math.nan)
    return {
        arm: replace(cell, best=len(cells) > 1 and sign * cell.mean == top, model=against.get(arm))
        for arm, cell in cells.items()
    }


def study_columns(source: Source) -> list[Column]:
    """The columns of the study table: each region's Dice against the expert first, then against all-real."""
    found = source.downstream.drop_duplicates(["region", "metric"])
    found = found.sort_values("metric", key=lambda metric: metric != "dice", kind="stable")
    return [
        Column(r, m, names.unit(u)) for r, m, u in zip(found["region"], found["metric"], found["unit"], strict=True)
    ]


def study_rows(source: Source) -> list[StudyRow]:
    """The study table: the all-real arm, then for each replaced set the model and the baselines."""
    table = source.downstream
    sets = list(dict.fromkeys(table["replaced"]))
    columns = [_study_column(source, column) for column in study_columns(source)]
    keys = [(s, arm) for s in sorted(sets, key=lambda s: s != "") for arm in _arms(where(table, "replaced", s))]
    return [StudyRow(s, arm, tuple(column.get(f"{s}|{arm}") for column in columns)) for s, arm in keys]


def absences(source: Source) -> list[str]:
    """A sentence for each region that some expert masks lack: in how many cases, and which readings invented it."""
    sentences = []
    for row in (source.study or {}).get("absent", []):
        if row["metric"] == "dice":
            invented = []
            for key, times in row["invented"].items():
                arm, _, replaced = key.partition(" ")
                if times and arm in ("real", "model"):
                    what = f"{names.arm(arm)} with {names.replaced(replaced)} replaced" if replaced else names.arm(arm)
                    invented.append(f"{what} ({times})")
            told = f"invented there by {names.listed(invented)}" if invented else "invented by neither real nor model"
            sentences.append(f"{row['region']}: absent in {names.count(row['cases'], 'case')}, {told}.")
    return sentences


def _arms(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["arm"]), key=names.arm_order)


def _study_column(source: Source, column: Column) -> dict[str, Cell]:
    """One column's cells by "replaced|arm". Holm over the arms of one replaced set, for each kind of comparison."""
    table = source.downstream
    rows = where(where(table, "region", column.region), "metric", column.metric)
    patients: Any = by_patient(rows, ["replaced", "arm"])
    wide = Results(rows).values(by=("replaced", "arm"))
    seed = (source.seed, "report", "study", column.region, column.metric)
    cells = {"|".join(key): summary(patients[key], 0, rng=numpy_stream(*seed, *key)) for key in patients.columns}
    for replaced in dict.fromkeys(str(key[0]) for key in patients.columns if key[0] != ""):
        arms = {f"{replaced}|{arm}": (replaced, arm) for at, arm in patients.columns if at == replaced}
        rivals = {k: v for k, v in arms.items() if v[1] != "model" and (replaced, "model") in wide.columns}
        model = compared({k: _pair(wide, (replaced, "model"), v) for k, v in rivals.items()}, seed=seed)
        with_real = arms if column.metric == "dice" and ("", "real") in wide.columns else {}
        loss = compared({k: _pair(wide, v, ("", "real")) for k, v in with_real.items()}, seed=seed)
        cells |= {k: replace(cells[k], model=model.get(k), loss=loss.get(k)) for k in arms}
    return {key: _as_recorded(source, column, key, cell) for key, cell in cells.items()}


def _pair(wide: pd.DataFrame, one: tuple[str, str], other: tuple[str, str]) -> tuple[pd.Series, pd.Series]:
    """Two arms' mean Dice by patient, over the cases that both can be compared on."""
    both: Any = comparable(wide, [one, other]).groupby(level="patient", sort=False).mean()
    return both[one], both[other]


def _as_recorded(source: Source, column: Column, key: str, cell: Cell) -> Cell:
    """The cell with interval and Holm's p as the study wrote them, so that its answer and this table agree.

    The study adjusts over all of its comparisons. Raises RadloomError when it was made from other results.
    """
    replaced, arm = key.split("|")
    place = {"replaced": replaced, "region": column.region, "metric": column.metric}
    loss = _recorded(source, {**place, "arm": arm, "against": "real"}, cell.loss)
    return replace(cell, loss=loss, model=_recorded(source, {**place, "arm": "model", "against": arm}, cell.model))


def _recorded(source: Source, what: dict[str, str], own: Paired | None) -> Paired | None:
    found = [c for c in (source.study or {}).get("comparisons", []) if what.items() <= c.items()]
    if own is None or not found or found[0]["difference"] is None:
        return own
    low, high, p, p_holm = (
        math.nan if (v := found[0][k]) is None else float(v) for k in ("low", "high", "p", "p_holm")
    )
    if found[0]["n"] != own.n or abs(found[0]["difference"] - own.difference) > 1e-6:
        raise RadloomError(
            f"{source.folder / 'study.json'} and results.csv disagree on {what}", do="run `radloom study` again"
        )
    return Paired(own.n, own.difference, low, high, p, p_holm)
