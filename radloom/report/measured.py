"""What was measured on one case's synthetic images, as the small table above its pictures; no means over cases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from radloom.report import names
from radloom.report.source import Source, where


@dataclass(frozen=True)
class Measured:
    """columns: each metric's title and unit. rows: a target and region, and its numbers as texts."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def measured(source: Source, case: str) -> Measured:
    """The model's measurements on this case; a dash where one was not made."""
    rows = where(where(source.fidelity, "case", case), "arm", "model")
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    units: dict[str, str] = {}
    for target, region, metric, unit, value in zip(
        *(rows[c] for c in ("target", "region", "metric", "unit", "value")), strict=True
    ):
        found.setdefault((target, region), {}).setdefault(metric, []).append(float(value))
        units[metric] = names.unit(unit)
    means = {place: {m: sum(values) / len(values) for m, values in by.items()} for place, by in found.items()}
    return Measured(
        tuple((names.metric(metric).title, unit) for metric, unit in units.items()),
        tuple(
            (
                names.entry(target) + ("" if region == "brain" else f", {region}"),
                tuple(names.fixed(by.get(metric, math.nan), names.metric(metric).digits) for metric in units),
            )
            for (target, region), by in means.items()
        ),
    )
