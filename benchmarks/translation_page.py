"""The table of translation.py as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas

from radloom.random import numpy_stream
from radloom.stats.intervals import bootstrap_ci

_METRICS = (("psnr", 2), ("ssim_slices", 3))
_ARMS = ("cubic", "linear", "identity", "quantile")


def page(about: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The page: a table a task and target, then what failed."""
    quick = "\n**A rehearsal at size tiny: these numbers mean nothing.**\n" if about["quick"] else ""
    parts = [
        "# Systems that draw images from images, for equal training time", quick, *about["origin"], "",
        f"{about['seconds']:g} CPU seconds of training on one thread each, size cpu; test patients of a simulated "
        "cohort, over the region that counts. Mean over patients; in brackets what "
        f"`{about['ours']}` has more, with its 95 % interval (patients resampled). No clinical claim.", "",
    ]  # fmt: skip
    for task, title in about["tasks"].items():
        mine = {name.partition(".")[2]: row for name, row in rows.items() if name.partition(".")[0] == task}
        parts += [f"## {title}", "", *_task(mine, about["ours"])]
    return "\n".join(parts) + "\n"


def _task(rows: Mapping[str, Mapping[str, Any]], ours: str) -> list[str]:
    lines: list[str] = []
    good = {name: pandas.DataFrame(row["values"]) for name, row in rows.items() if not row["error"]}
    if ours in good:
        for target in dict.fromkeys(good[ours]["target"]):
            lines += _target(rows, good, str(target), ours)
    for name, row in rows.items():
        if row["error"]:
            lines += [f"`{name}` failed: {row['error']}", ""]
    return lines


def _target(rows: Mapping[str, Mapping[str, Any]], good: Mapping[str, Any], target: str, ours: str) -> list[str]:
    lines = [f"{target.partition('.')[2]}", "",
             "| drawn by | PSNR, dB | SSIM of slices | steps | parameters | CPU seconds a volume |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    own = {metric: _by_patient(good[ours], "model", target, metric) for metric, _ in _METRICS}
    for name, table in good.items():
        row = rows[name]
        cells = [_cell(_by_patient(table, "model", target, m), own[m], digits, name == ours) for m, digits in _METRICS]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {row['steps']} | {row['parameters']:,} | "
                     f"{row['draw_seconds']:.2f} |")  # fmt: skip
    arms = pandas.concat(list(good.values()))
    for arm in _ARMS:
        if arm in set(arms["arm"]):
            table = next(one for one in good.values() if arm in set(one["arm"]))
            cells = [_cell(_by_patient(table, arm, target, m), own[m], digits, False) for m, digits in _METRICS]
            lines.append(f"| {arm} | {' | '.join(cells)} | | | |")
    return [*lines, ""]


def _by_patient(table: Any, arm: str, target: str, metric: str) -> Any:
    chosen = table[(table["arm"] == arm) & (table["target"] == target) & (table["metric"] == metric)]
    return chosen.set_index("patient")["value"]


def _cell(values: Any, own: Any, digits: int, is_ours: bool) -> str:
    mean = f"{np.mean(values):.{digits}f}"
    if is_ours:
        return mean
    both = pandas.concat([own, values], axis=1, join="inner").to_numpy(float)
    interval = bootstrap_ci(both[:, 0] - both[:, 1], patients=np.arange(len(both)), rng=numpy_stream(0, "translation"))
    if not np.isfinite(interval.low):
        return f"{mean} ({interval.estimate:+.{digits}f}, no interval)"
    return f"{mean} ({interval.estimate:+.{digits}f}, {interval.low:+.{digits}f} to {interval.high:+.{digits}f})"
