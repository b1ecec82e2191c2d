"""The texts of steps.py: its page of results, and the section of the docs; every number comes from the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steps_field import CROSSED, FIELD, GRIDS, ODE, SDE, SHORT
from steps_judge import GOAL, RESAMPLED, Row

from radloom.errors import RadloomError
from radloom.files import write_text

BEGIN, END = "<!-- written by benchmarks/steps.py: begin -->", "<!-- written by benchmarks/steps.py: end -->"
FEW = 20  # evaluations at which the goal is judged

Crossed = Sequence[Mapping[str, Any]]


def page(about: Mapping[str, Any], rows: Sequence[Row], crossed: Crossed) -> str:
    """results/steps.md."""
    few = max(row.allowed for row in rows if row.allowed <= FEW)
    lines = ["# Steps against quality: one diffusion network, every solver", ""]
    if about["quick"]:
        lines += ["**A rehearsal: do not quote these numbers.**", ""]
    lines += [
        *about["origin"],
        f"- network: karras2022_edm, {about['parameters']:,} parameters, {about['seconds']:g} CPU seconds of training "
        f"({about['steps']} steps of 32) on {about['examples']} FLAIR slices of 32 x 32 of simulated brains",
        f"- judged: {about['count']} images of each set against {about['real']} slices of {about['patients']} "
        "held-out patients, multiscale_texture_2d (44 numbers)",
        f"- noise: sigma from {about['range'][1]:g} to {about['range'][0]:g} and then 0, but for the short grid",
        "",
        "Every solver walks from the same noise with the same network. An evaluation is one call of the network, "
        "counted, for the whole batch; a solver with two a step takes the steps that fit.",
        "",
        f"## At {few} evaluations",
        "",
        *_few(about, rows, few),
        "",
        "## Frechet distance by evaluations allowed",
        "",
        *_wide(rows, lambda row: f"{row.frechet:.4f}"),
        "",
        "## Distance from the same noise's end point",
        "",
        f"Root mean square difference from the image that {_title(ODE)} reaches with {about['longest']} evaluations, "
        "mean over images, in percent of the spread between images. Unrelated images are 141 % apart. Solvers that add "
        "noise, and the grid that begins elsewhere, have no end point to miss.",
        "",
        *_wide([row for row in rows if _same_start(row)], lambda row: f"{100 * row.apart:.2f}"),
        "",
        "## Every solver on every grid",
        "",
        "The same distance in percent, by grid.",
        "",
        *_crossed(crossed),
    ]
    return "\n".join(lines) + "\n"


def section(about: Mapping[str, Any], rows: Sequence[Row], crossed: Crossed) -> str:
    """The section "How many steps" of docs/explanation/diffusion.md."""
    few = max(row.allowed for row in rows if row.allowed <= FEW)
    lines = [
        "## How many steps", "",
        "![Frechet distance, and distance from the end point, against network evaluations](../images/steps.png)", "",
        f"Measured by `python benchmarks/steps.py` ([all numbers](../../results/steps.md)): one EDM network of "
        f"{about['parameters']:,} parameters, simulated FLAIR slices of 32 x 32, {about['count']} draws from the same "
        f"noise against {about['patients']} held-out patients. The goal is a Frechet distance within {GOAL:.0%} of "
        f"that of {about['longest']} evaluations.", "",
        *_few(about, rows, few), "",
        *(f"- {sentence}" for sentence in _found(about, rows, crossed, few)),
        "- Real images, small networks and other data can order the solvers otherwise; how far a draw is from its end "
        "point says nothing about how good the end point is.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def insert(place: Path, text: str) -> None:
    """Puts the text between the page's two marks. Raises RadloomError when the page has none."""
    before, begin, rest = place.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RadloomError(f"{place} has no place for the section", expected=f"the lines {BEGIN} and {END}")
    write_text(place, f"{before}{BEGIN}\n{text}{END}{after}")


def _few(about: Mapping[str, Any], rows: Sequence[Row], few: int) -> list[str]:
    """The table at `few` evaluations, the longest walks below."""
    head = ["solver, grid", "evaluations", "Frechet distance ↓", f"against {about['longest']} evaluations",
            f"within {GOAL:.0%}", "KID x 1000 ↓", "off the end point ↓", "CPU ms an image"]  # fmt: skip
    chosen = sorted((row for row in rows if row.allowed == few), key=lambda row: row.frechet)
    longest = [row for row in rows if row.allowed == about["longest"]]
    lines = [_bar(head), _bar(["---", *["---:"] * (len(head) - 1)])]
    for row in [*chosen, *longest]:
        is_long = row.allowed == about["longest"]
        low, high = row.change_interval
        lines.append(_bar([
            f"*{_title(row.name)}*" if is_long else _title(row.name), str(row.evaluations),
            f"{row.frechet:.4f} [{row.frechet_interval[0]:.4f}, {row.frechet_interval[1]:.4f}]",
            "" if is_long else f"{row.change:+.1%} [{low:+.1%}, {high:+.1%}]", "" if is_long else row.verdict,
            f"{1000 * row.kid:.2f} [{1000 * row.kid_interval[0]:.2f}, {1000 * row.kid_interval[1]:.2f}]",
            f"{100 * row.apart:.2f} %" if _same_start(row) else "", f"{row.milliseconds:.1f}",
        ]))  # fmt: skip
    told = (
        f"Brackets are 95 % intervals: 1.96 standard deviations of {RESAMPLED} bootstraps of patients and draws, the "
        "same draws in every set. "
        f"As many real images of other patients are {about['floor']:.4f} apart on average. Solvers that add noise "
        f"are held against {_title(SDE)} with {about['longest']} evaluations, the others against {_title(ODE)}."
    )
    return [*lines, "", told]


def _wide(rows: Sequence[Row], cell: Any) -> list[str]:
    """A table of contenders by evaluations allowed."""
    allowed = sorted({row.allowed for row in rows})
    lines = [_bar(["solver, grid", *map(str, allowed)]), _bar(["---", *["---:"] * len(allowed)])]
    for one in FIELD:
        own = {row.allowed: cell(row) for row in rows if row.name == one.name}
        if own:
            lines.append(_bar([one.title, *(own.get(number, "") for number in allowed)]))
    return lines


def _crossed(crossed: Crossed) -> list[str]:
    lines = []
    for allowed in sorted({row["allowed"] for row in crossed}):
        lines += [f"With {allowed} evaluations allowed:", "", _bar(["grid", *(one.title for one in CROSSED)]),
                  _bar(["---", *["---:"] * len(CROSSED)])]  # fmt: skip
        found = {(row["grid"], row["solver"]): row["apart"] for row in crossed if row["allowed"] == allowed}
        lines += [_bar([grid, *(f"{100 * found[grid, one.title]:.2f}" for one in CROSSED)]) for grid in GRIDS]
        lines += [""]
    return lines[:-1]


def _found(about: Mapping[str, Any], rows: Sequence[Row], crossed: Crossed, few: int) -> list[str]:
    """What the numbers say, in sentences."""
    at = [row for row in rows if row.allowed == few]
    by_verdict = {word: [_title(row.name) for row in at if row.verdict == word]
                  for word in ("yes", "cannot be told", "no")}  # fmt: skip
    ends = sorted((row for row in at if _same_start(row)), key=lambda row: row.apart)
    said = [f"Within {GOAL:.0%} at {few} evaluations, the whole interval: {', '.join(by_verdict['yes']) or 'none'}."]
    if by_verdict["cannot be told"]:
        said.append(f"The interval holds {GOAL:.0%}: {', '.join(by_verdict['cannot be told'])}.")
    if by_verdict["no"]:
        said.append(f"Beyond {GOAL:.0%}: {', '.join(by_verdict['no'])}.")
    said.append(
        f"Nearest to their end points with {few}: "
        + ", ".join(f"{_title(row.name)} ({100 * row.apart:.1f} %)" for row in ends[:3])
        + f"; {_title(ends[-1].name)} is {100 * ends[-1].apart:.0f} % off."
    )
    best = min((row for row in crossed if row["allowed"] == max(r["allowed"] for r in crossed)),
               key=lambda row: row["apart"])  # fmt: skip
    said.append(f"Of all solvers on all grids with {best['allowed']} evaluations, {best['solver']} on the grid "
                f"\"{best['grid']}\" comes nearest: {100 * best['apart']:.1f} %.")  # fmt: skip
    return said


def _same_start(row: Row) -> bool:
    one = next(one for one in FIELD if one.name == row.name)
    return not one.new_noise and not math.isclose(float(one.grid(2)[0]), SHORT)


def _title(name: str) -> str:
    return next(one.title for one in FIELD if one.name == name)


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
