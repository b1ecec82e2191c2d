"""Interval and forest plots assembled from the tables: labels, strips and numbers row by row; no statistics here."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from radloom.report import figures, names
from radloom.report.tables import Column, Fidelity, StudyRow


@dataclass(frozen=True)
class Row:
    """One line: what, its strip, its numbers; `style` is "model" or "baseline"; heading opens a group."""

    heading: str
    label: str
    strip: Markup
    numbers: str
    style: str


@dataclass(frozen=True)
class Plot:
    """Rows over one axis."""

    style: str
    title: str
    caption: str
    rows: tuple[Row, ...]
    ticks: Markup


def interval_plot(table: Fidelity, region: str, metric: str) -> Plot | None:
    """Every arm's mean with its interval, strongest first; None when the column was not measured."""
    shown = names.metric(metric)
    found = {arm: cell for arm in table.rows if (cell := table.cell(arm, region, metric)) is not None and cell.n}
    if not found:
        return None
    sign = -1 if shown.higher_is_better else 1
    arms = sorted(found, key=lambda arm: sign * found[arm].mean)
    axis = figures.scale(v for cell in found.values() for v in (cell.mean, cell.low, cell.high))
    unit = next(c.unit for c in table.columns if (c.region, c.metric) == (region, metric))
    rows = tuple(
        Row(
            "",
            names.short_arm(arm),
            figures.strip(axis, found[arm].mean, found[arm].low, found[arm].high, style=_style(arm), reference=None),
            names.fixed(found[arm].mean, shown.digits) + (f" {unit}" if unit else ""),
            _style(arm),
        )
        for arm in arms
    )
    better = "higher is better" if shown.higher_is_better else "lower is better"
    title = f"{names.entry(table.target)}: {shown.title}, {region}"
    return Plot("means", title, f"mean over patients, 95 % interval; {better}", rows, figures.ticks(axis))


def forest_plot(columns: list[Column], rows: list[StudyRow]) -> list[Plot]:
    """For each region the change in Dice against all-real, grouped by what was replaced; one axis for all regions."""
    places = [i for i, column in enumerate(columns) if column.metric == "dice"]
    compared = [cell.loss for row in rows for i in places if (cell := row.cells[i]) is not None and cell.loss]
    if not compared:
        return []
    axis = figures.scale([0.0, *(v for p in compared for v in (p.difference, p.low, p.high))])
    caption = "change in Dice against all real, 95 % interval; 0: nothing lost"
    return [
        Plot("losses", columns[i].region, caption, lines, figures.ticks(axis))
        for i in places
        if (lines := _lines(rows, i, axis))
    ]


def _lines(rows: list[StudyRow], place: int, axis: figures.Scale) -> tuple[Row, ...]:
    lines, heading = [], ""
    for row in rows:
        cell = row.cells[place]
        if cell is None or cell.loss is None:
            continue
        p, style = cell.loss, _style(row.arm)
        opens = f"{names.replaced(row.replaced)} replaced"
        strip = figures.strip(axis, p.difference, p.low, p.high, style=style, reference=0.0)
        numbers = names.signed(p.difference, 3)
        lines.append(Row(opens if opens != heading else "", names.short_arm(row.arm), strip, numbers, style))
        heading = opens
    return tuple(lines)


def _style(arm: str) -> str:
    return "model" if arm == "model" else "baseline"
