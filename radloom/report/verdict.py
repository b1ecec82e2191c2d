"""The answer in plain sentences, read off the tables; it says so when the model does not beat its baselines."""

from __future__ import annotations

import math
from dataclasses import dataclass

from radloom.report import names
from radloom.report.source import Source
from radloom.report.tables import Cell, Column, Fidelity, StudyRow

_LEVEL = 0.05


@dataclass(frozen=True)
class Number:
    """One headline number with what it is."""

    value: str
    label: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """answer: the study's sentence. baselines: one sentence on the trivial baselines; against: one a target."""

    answer: str
    status: str
    baselines: str
    against: tuple[str, ...]
    numbers: tuple[Number, ...]


def verdict(source: Source, tables: list[Fidelity], rows: list[StudyRow], columns: list[Column]) -> Verdict:
    """The verdict of a run, from its fidelity tables and the study's rows and columns."""
    against = [_against(table) for table in tables]
    study = source.study or {}
    answer = study.get("answer") or (
        "No downstream study was run: this page says how close the images are, not whether they can be used."
    )
    status = {True: "claim held", False: "claim not held", None: "not decided"}[study.get("passed")] if study else ""
    sentences = tuple(sentence for sentence, _ in against)
    baselines = _baselines([outcome for _, outcome in against], source.patients())
    return Verdict(answer, status, baselines, sentences, tuple(_numbers(source, tables, rows, columns)))


def hardest(tables: list[Fidelity]) -> str:
    """The target with the model's lowest mean PSNR over the brain; "" when none was measured."""
    cells = {table.target: table.cell("model", "brain", "psnr") for table in tables}
    known = {target: cell.mean for target, cell in cells.items() if cell and cell.n}
    return min(known, key=lambda target: known[target]) if known else ""


def interval(cell: Cell, digits: int) -> str:
    """ "95 % interval 30.5 to 31.9, n = 8 patients", or why there is none."""
    if math.isnan(cell.low):
        return f"n = {cell.n}: no interval"
    return f"95 % interval {names.fixed(cell.low, digits)} to {names.fixed(cell.high, digits)}, n = {cell.n} patients"


def rival(table: Fidelity, region: str, metric: str) -> tuple[str, Cell] | None:
    """The baseline with the best mean in a column."""
    sign = 1 if names.metric(metric).higher_is_better else -1
    cells = {arm: table.cell(arm, region, metric) for arm in table.rows if arm not in ("model", "real")}
    known = {arm: cell for arm, cell in cells.items() if cell and cell.n}
    return max(known.items(), key=lambda item: sign * item[1].mean) if known else None


def _baselines(outcomes: list[str], patients: int) -> str:
    if not outcomes:
        return ""
    if "worse" in outcomes:
        return "The model does not beat every trivial baseline."
    if patients == 1:
        return "With one patient it cannot be tested whether the model beats the trivial baselines."
    beaten = all(outcome == "better" for outcome in outcomes)
    return f"The model {'beats' if beaten else 'is not shown to beat'} every trivial baseline."


def _against(table: Fidelity) -> tuple[str, str]:
    """The sentence on one target, and whether the model is "better" than every baseline, "worse" than one or "open"."""
    name = names.entry(table.target)
    model, best = table.cell("model", "brain", "psnr"), rival(table, "brain", "psnr")
    if model is None or not model.n:
        return f"{name}: PSNR over the region that counts was not measured.", "open"
    own = f"{name}: PSNR {names.fixed(model.mean, 1)} dB ({interval(model, 1)})"
    if best is None:
        return f"{own}; no baseline was measured beside it.", "open"
    arm, cell = best
    difference = model.mean - cell.mean
    where = "above" if difference > 0 else "below"
    gap = f"{own}, {names.fixed(abs(difference), 1)} dB {where} the best trivial baseline ({names.arm(arm)})"
    if cell.model is None:
        return f"{gap}; one patient: no test. {_tumour(table)}", "open" if difference > 0 else "worse"
    tested = names.p_value(cell.model.p_holm)
    if difference > 0 and cell.model.p_holm < _LEVEL:
        return f"{gap}; Holm-adjusted {tested}. {_tumour(table)}", "better" if _beats_all(table, model) else "open"
    if difference > 0:
        return f"{gap}, but not shown to differ (Holm-adjusted {tested}). {_tumour(table)}", "open"
    return f"{gap}: the model does not beat it (Holm-adjusted {tested}). {_tumour(table)}", "worse"


def _beats_all(table: Fidelity, model: Cell) -> bool:
    """Whether the model's PSNR over the brain is above every baseline's, each tested."""
    others = [table.cell(arm, "brain", "psnr") for arm in table.rows if arm not in ("model", "real")]
    measured = [cell for cell in others if cell is not None and cell.n]
    return all(model.mean > cell.mean and cell.model is not None and cell.model.p_holm < _LEVEL for cell in measured)


def _tumour(table: Fidelity) -> str:
    """The sentence on the error inside the tumour, empty when that was not measured."""
    model, best = table.cell("model", "tumour", "mae"), rival(table, "tumour", "mae")
    if model is None or best is None or not model.n:
        return ""
    arm, cell = best
    shown = cell.model is None or cell.model.p_holm < 0.05
    word = "not smaller" if model.mean >= cell.mean else "smaller" if shown else "not shown to be smaller"
    figures = f"{names.fixed(model.mean, 3)} against {names.fixed(cell.mean, 3)}"
    tested = f", Holm-adjusted {names.p_value(cell.model.p_holm)}" if cell.model else ""
    return (
        f"Inside the tumour its error is {word} than that of the best baseline ({names.arm(arm)}): {figures}{tested}."
    )


def _numbers(source: Source, tables: list[Fidelity], rows: list[StudyRow], columns: list[Column]) -> list[Number]:
    numbers = []
    for table in (t for t in tables if t.target == hardest(tables)):
        model, best = table.cell("model", "brain", "psnr"), rival(table, "brain", "psnr")
        assert model is not None, "the hardest target has a PSNR"
        label = f"PSNR of synthetic {names.entry(table.target)}"
        numbers.append(Number(f"{names.fixed(model.mean, 1)} dB", label, interval(model, 1)))
        if best:
            gap = names.signed(model.mean - best[1].mean, 1)
            numbers.append(Number(f"{gap} dB", "against the best trivial baseline", names.arm(best[0])))
    numbers += _loss(rows, columns)
    seconds = sum(stage.get("seconds", 0) for stage in source.record.get("stages", []))
    if seconds:
        numbers.append(Number(names.duration(seconds), "from data to evidence", "all stages, wall time"))
    return numbers


def _loss(rows: list[StudyRow], columns: list[Column]) -> list[Number]:
    """The change in Dice with most entries replaced, for the first region."""
    made = [row for row in rows if row.arm == "model"]
    if not made or not columns or columns[0].metric != "dice":
        return []
    row = max(made, key=lambda row: len(row.replaced.split("+")))
    cell = row.cells[0]
    if cell is None or cell.loss is None:
        return []
    low, high = names.signed(cell.loss.low, 3), names.signed(cell.loss.high, 3)
    spread = "no interval" if math.isnan(cell.loss.low) else f"95 % interval {low} to {high}"
    label = f"change in Dice ({columns[0].region}) with synthetic {names.replaced(row.replaced)}"
    detail = f"against all real; {spread}, n = {cell.loss.n} patients"
    return [Number(names.signed(cell.loss.difference, 3), label, detail)]
