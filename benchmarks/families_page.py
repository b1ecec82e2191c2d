"""The pages of families.py: the league table, and which family to pick for what; every number comes from the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SEEN = "## What we saw"
Rows = Mapping[str, Mapping[str, Any]]
_TEXTURE, _RADIOMIC = "multiscale_texture_2d", "radiomic_frd_v0_2d, z-scored"
_BASELINES = ("training images again", "gaussian", "mean and noise", "real halves")
_COLUMNS = (
    ("FD texture ↓", "fd_equal_n", _TEXTURE), ("FD∞ texture ↓", "fd_infinity", _TEXTURE),
    ("KID texture ↓", "kid", _TEXTURE), ("FD radiomic ↓", "fd_equal_n", _RADIOMIC),
    ("KID radiomic ↓", "kid", _RADIOMIC),
    ("precision ↑", "precision", _TEXTURE), ("recall ↑", "recall", _TEXTURE), ("density ↑", "density", _TEXTURE),
    ("coverage ↑", "coverage", _TEXTURE), ("MS-SSIM", "ms_ssim_diversity", ""), ("bits ↓", "bits_per_dimension", ""),
    ("nearest training", "nearest_training_ratio", _TEXTURE), ("copies %", "copies", "correlation"),
    ("CPU-s/image ↓", "cpu_seconds_per_image", ""),
)  # fmt: skip


def as_json(about: Mapping[str, Any], rows: Rows) -> str:
    """results/families.json: the measures that the pages show, each on a line."""
    metrics = {metric for _, metric, _ in _COLUMNS}
    told = []
    for name, row in rows.items():
        measures = [one for one in row.get("measures", []) if one["metric"] in metrics]
        lines = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in measures)
        head = json.dumps({key: value for key, value in row.items() if key != "measures"}, ensure_ascii=False)
        told.append(f' {json.dumps(name)}: {head[:-1]}, "measures": [\n{lines}]}}')
    return f'{{"about": {json.dumps(about, ensure_ascii=False)},\n"rows": {{\n{",".join(told)}}}}}\n'


def page(about: Mapping[str, Any], rows: Rows, sheets: Mapping[str, str]) -> str:
    """results/families.md."""
    lines = ["# Model families: the league table", ""]
    if about["quick"]:
        lines += ["**A rehearsal at size tiny: do not quote these numbers.**", ""]
    lines += [
        *about["origin"],
        f"- budget: {about['seconds']:g} CPU seconds of training for every system, one thread",
        f"- {about['count']} images drawn by each; distances to test patients, copies among training images",
        "",
    ]
    lines += [f"Left out, for ../shared is absent here: {name}." for name in about["absent"]]
    for task, title in about["tasks"].items():
        lines += _task(task, title, rows, sheets)
    return "\n".join(lines) + "\n"


def seen(docs: Path) -> list[str]:
    """The lines of the page's section that people write, with its heading; none where there is none."""
    lines = docs.read_text(encoding="utf-8").splitlines() if docs.is_file() else []
    if SEEN not in lines:
        return []
    rest = lines[lines.index(SEEN) + 1 :]
    end = next((i for i, line in enumerate(rest) if line.startswith("## ")), len(rest))
    return [SEEN, *rest[:end]]


def explanation(about: Mapping[str, Any], rows: Rows, pictures: Mapping[str, str], written: Sequence[str]) -> str:
    """docs/explanation/families.md; without rows it says that nothing has been measured yet.

    pictures: of each task. written: the section that people write, kept as it is.
    """
    lines = ["# Which family to pick", ""]
    if not rows:
        lines += ["Not measured yet: `python benchmarks/families.py` writes this page.", ""]
    else:
        lines += [
            "Written by `benchmarks/families.py` from [its table](../../results/families.md): each system trains for "
            f"{about['seconds']:g} CPU seconds on one thread and draws {about['count']} images of 64 x 64 pixels, "
            "which are judged against held-out patients. The brains are simulated. With more time the order can "
            "change: a small budget favours what learns quickly.",
            "",
        ]
    for task, title in about["tasks"].items():
        lines += [f"## {title}", "", *_advice(task, rows), *_short_table(task, rows)]
        lines += [f"![{title}: samples of every system]({pictures[task]})", ""] if task in pictures else []
    lines += [
        *written,
        "## How to read this",
        "",
        "- A Gaussian fitted on the training images needs no network. A family that does not beat it in both feature",
        "  spaces has not learned enough to be used.",
        "- Training images shown again are the bound that a faithful generator reaches; they are copies.",
        "- Bits per voxel rank families by the density of real test images, not by the look of what they draw.",
        "- None of these numbers is a reader's opinion: look at the sheets.",
        "",
        "[Synthesise images](../how-to/synthesise.md) says how to train one of them.",
    ]
    return "\n".join(lines) + "\n"


def _task(task: str, title: str, rows: Rows, sheets: Mapping[str, str]) -> list[str]:
    ranked, failed = _ranked(task, rows), [n for n in rows if n.startswith(f"{task}.") and rows[n]["error"]]
    head = ["system", "family", "steps", "images", *(name for name, _, _ in _COLUMNS)]
    lines = [f"## {title}", "", _bar(head), _bar(["---"] * len(head))]
    for name in ranked:
        row = rows[name]
        lines.append(
            _bar([name.partition(".")[2], row["family"], str(row["steps"]), _drawn(row), *_cells(row, "synthetic")])
        )
    for arm in _BASELINES if ranked else ():
        lines.append(_bar([f"*{arm}*", "", "", "", *_cells(rows[ranked[0]], arm)]))
    lines += [
        "",
        "FD: Frechet distance at equal n, mean over ten splits of the test patients [smallest to largest]. FD∞: "
        "extrapolated to unlimited images. nearest training: median distance to the nearest training image over "
        "that of test images; below 1 is copying. bits: per voxel of test images at 256 levels.",
        "",
    ]
    lines += [f"- {name} failed: {rows[name]['error']}" for name in failed]
    lines += [f"![{name}]({sheets[name]})\n\n{name.partition('.')[2]}\n" for name in ranked if name in sheets]
    return lines


def _short_table(task: str, rows: Rows) -> list[str]:
    """The columns that one looks at first."""
    shown = (0, 3, 8, 10, 13)
    titles = [_COLUMNS[i][0] for i in shown]
    ranked = _ranked(task, rows)
    lines = [_bar(["system", *titles]), _bar(["---"] * (1 + len(shown)))]
    for name, row, arm in [(_short(n), rows[n], "synthetic") for n in ranked] + [
        (f"*{arm}*", rows[ranked[0]], arm) for arm in _BASELINES[:2] if ranked
    ]:
        cells = _cells(row, arm)
        lines.append(_bar([name, *(cells[i].partition(" [")[0] for i in shown)]))
    return [*lines, ""]


def _advice(task: str, rows: Rows) -> list[str]:
    """Which system leads in what, as a list of sentences."""
    ranked = _ranked(task, rows)
    if not ranked:
        return ["No system finished.", ""]
    beating = [name for name in ranked if all(_beats(rows[name], space) for space in (_TEXTURE, _RADIOMIC))]
    said = []
    if beating:
        best, other = (_pair(rows[beating[0]], arm) for arm in ("synthetic", "gaussian"))
        said.append(
            f"Nearest to real images: **{_short(beating[0])}**, Frechet distance {best} against {other} of the "
            "Gaussian (texture, radiomic)."
        )
        quick = min(beating, key=lambda name: _value(rows[name], "cpu_seconds_per_image", "", "synthetic"))
        said.append(
            f"Quickest to draw among those that beat the Gaussian in both spaces: **{_short(quick)}**, "
            f"{_text(_value(rows[quick], 'cpu_seconds_per_image', '', 'synthetic'))} CPU seconds an image."
        )
        wide = max(beating, key=lambda name: _value(rows[name], "coverage", _TEXTURE, "synthetic"))
        said.append(f"Most of the real variety: **{_short(wide)}**, coverage "
                    f"{_text(_value(rows[wide], 'coverage', _TEXTURE, 'synthetic'))}.")  # fmt: skip
        others = [_short(name) for name in ranked if name not in beating]
        if others:
            said.append(f"Do not beat the Gaussian in both spaces at this budget: {', '.join(others)}.")
    else:
        said.append("No system beats a Gaussian fitted on the training images in both feature spaces at this budget; "
                    f"nearest in texture: {_short(ranked[0])}, {_pair(rows[ranked[0]], 'synthetic')} against "
                    f"{_pair(rows[ranked[0]], 'gaussian')} of the Gaussian (texture, radiomic).")  # fmt: skip
    bits = {name: value for name in ranked
            if math.isfinite(value := _value(rows[name], "bits_per_dimension", "", "synthetic"))}  # fmt: skip
    if bits:
        best = min(bits, key=lambda name: bits[name])
        said.append(f"A likelihood: **{_short(best)}**, {_text(bits[best])} bits per voxel of test images.")
    copying = [name for name in ranked if _low(rows[name], "copies", "correlation") > 0.01]
    said.append(f"Copies of training images above chance: {', '.join(map(_short, copying)) or 'none'}.")
    return [*(f"- {sentence}" for sentence in said), ""]


def _drawn(row: Mapping[str, Any]) -> str:
    one = _find(row, "cpu_seconds_per_image", "", "synthetic")
    return str(one["n"]) if one else ""


def _ranked(task: str, rows: Rows) -> list[str]:
    names = [name for name in rows if name.startswith(f"{task}.") and not rows[name]["error"]]

    def key(name: str) -> float:
        value = _value(rows[name], "fd_equal_n", _TEXTURE, "synthetic")
        return value if math.isfinite(value) else math.inf

    return sorted(names, key=key)


def _find(row: Mapping[str, Any], metric: str, extractor: str, arm: str) -> Mapping[str, Any] | None:
    arms = (arm, "real") if arm == "real halves" else (arm,)
    for one in row["measures"]:
        if one["metric"] == metric and one["extractor"] == extractor and one["arm"] in arms:
            return one
    return None


def _value(row: Mapping[str, Any], metric: str, extractor: str, arm: str) -> float:
    one = _find(row, metric, extractor, arm)
    return math.nan if one is None or one["estimate"] is None else float(one["estimate"])


def _low(row: Mapping[str, Any], metric: str, extractor: str) -> float:
    one = _find(row, metric, extractor, "synthetic")
    return math.nan if one is None or one["low"] is None else float(one["low"])


def _beats(row: Mapping[str, Any], space: str) -> bool:
    """Whether even the model's worst split is nearer than the Gaussian's best one."""
    model, other = (_find(row, "fd_equal_n", space, arm) for arm in ("synthetic", "gaussian"))
    return bool(model and other and model["high"] < other["low"])


def _cells(row: Mapping[str, Any], arm: str) -> list[str]:
    cells = []
    for _, metric, extractor in _COLUMNS:
        one = _find(row, metric, extractor, arm)
        if one is None or one["estimate"] is None:
            cells.append("")
            continue
        scale = 100 if metric == "copies" else 1
        text, low, high = _text(scale * one["estimate"]), one["low"], one["high"]
        if metric in ("fd_equal_n", "copies", "bits_per_dimension") and low is not None and high is not None:
            text += f" [{_text(scale * low)} to {_text(scale * high)}]"
        cells.append(text)
    return cells


def _pair(row: Mapping[str, Any], arm: str) -> str:
    return " and ".join(_text(_value(row, "fd_equal_n", space, arm)) for space in (_TEXTURE, _RADIOMIC))


def _short(name: str) -> str:
    return name.partition(".")[2]


def _text(value: float) -> str:
    """Three significant digits."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
