"""RUN/report.html of a run that draws from nothing: sheets, verdict, table of arms, learning curves; no statistics."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radloom import files
from radloom.compare.measures import COLUMNS, HALVES, REAL, SYNTHETIC, Findings, Measure
from radloom.compare.trivial import AGAIN, GAUSSIAN, NOISE
from radloom.errors import RadloomError
from radloom.report import figures, names
from radloom.report.compare_page import ARROWS, TITLES, interval, written
from radloom.report.page import environment, facts, shown
from radloom.report.source import Source
from radloom.report.synthesis_verdict import Answer, answer

_SHOWN = (
    "fd", "fd_infinity", "fd_equal_n", "kid", "precision", "recall", "density", "coverage", "coverage_equal_n",
    "spectral_distance", "high_frequency_excess", "histogram_distance", "ms_ssim_diversity", "copies", "identical",
    "copy_fraction", "nearest_training_ratio", "authenticity", "membership_auc", "bits_per_dimension",
    "cpu_seconds_per_image",
)  # fmt: skip
_ARMS = {SYNTHETIC: "model", AGAIN: "training images again", GAUSSIAN: "Gaussian", NOISE: "mean and noise",
         HALVES: "real against real"}  # fmt: skip
_OWN = {"copies": "copies of training images", "bits_per_dimension": "bits per voxel",
        "cpu_seconds_per_image": "CPU seconds per image"}  # fmt: skip
_BLIND = [
    ("Distances of sets", "which images are copies; what the extractor does not measure; a few wrong images among many "
     "good ones. A distance in one extractor's features says nothing about another's"),
    ("Copies", "shifts, turns and elastic change, which hide a copy; copies of a part of an image"),
    ("Spectra and histograms", "where in the image anything lies"),
    ("Bits per voxel", "how the images look: a model may give test images a high density and draw poor ones"),
]  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One metric: its title, and its number for each arm as (value, interval)."""

    title: str
    arrow: str
    cells: tuple[tuple[str, str], ...]
    note: str


@dataclass(frozen=True)
class Section:
    """One target as the page shows it. groups: (feature space, lines). sheets: (caption, data URI)."""

    title: str
    anchor: str
    answer: Answer
    sheets: list[tuple[str, str]]
    groups: list[tuple[str, list[Line]]]
    conditions: list[tuple[str, list[Line]]]
    arms: list[str]
    named: list[str]


def draws_from_nothing(run: Path) -> bool:
    """Whether the run's system needs no images."""
    record = files.read_json(run / "run.json") if (run / "run.json").is_file() else {}
    return record.get("inputs") == []


def read_measures(path: Path) -> Findings:
    """The measures in a results table. Raises RadloomError when it is absent or has other columns."""
    try:
        found = pd.read_csv(
            path, keep_default_na=False, na_values={c: ["", "nan"] for c in ("estimate", "low", "high")}
        )
    except (OSError, ValueError) as error:
        raise RadloomError(f"cannot read results {path}: {error}", do="run `radloom evaluate` first") from error
    if list(found.columns) != list(COLUMNS):
        raise RadloomError(f"{path} has columns {list(found.columns)}", expected=f"{list(COLUMNS)}")
    return Findings([Measure(*row) for row in found.itertuples(index=False, name=None)])


def write_synthesis_report(run: Path) -> Path:
    """The path of RUN/report.html, written whole or not at all. Raises RadloomError when the run is incomplete."""
    record, found = files.read_json(run / "run.json"), read_measures(run / "results.csv")
    losses = pd.read_csv(run / "losses.csv") if (run / "losses.csv").is_file() else None
    following = (run / "next.txt").read_text(encoding="utf-8").strip() if (run / "next.txt").is_file() else ""
    study = files.read_json(run / "study.json") if (run / "study.json").is_file() else None
    source = Source(run, record, pd.DataFrame(), "test", losses, study, following)
    path = run / "report.html"
    style = ("page.css", "compare.css", "synthesis.css")
    files.write_text(path, environment(style).get_template("synthesis.html").render(_context(source, found)))
    return path


def _context(source: Source, found: Findings) -> dict[str, Any]:
    record = source.record
    return {
        "source": source,
        "run": {"cite": None, "claim": "", "started": "", "paper": [], "deviations": [], "title": record["system"],
                **record},
        "targets": [names.entry(key) for key in source.targets],
        "given": [names.entry(one["column"]) for one in record.get("condition", [])],
        "simulated": bool(record.get("about", {}).get("simulated")),
        "sections": [_section(source, found, key) for key in source.targets],
        "study": shown(source.folder, source.study),
        "elsewhere": [(path.parent.name, shown(path.parent, files.read_json(path)))
                      for path in sorted(source.folder.glob("elsewhere/*/study.json"))],
        "refused": [(what, why) for _, what, why in record.get("refused", [])],
        "panels": figures.panels(source.losses) if source.losses is not None else [],
        "training_seconds": max((float(s) for s in source.losses["seconds"]), default=0.0)
        if source.losses is not None else 0.0,
        "facts": facts(source),
        "blind": _BLIND,
    }  # fmt: skip


def _section(source: Source, found: Findings, key: str) -> Section:
    own = Findings([one for one in found.measures if one.target == key])
    arms = [arm for arm in _ARMS if any(one.arm == arm for one in own.measures)]
    conditions = [arm for arm in dict.fromkeys(one.arm for one in own.measures) if arm.startswith(f"{SYNTHETIC}, ")]
    return Section(
        names.entry(key), key.replace(".", "-"), answer(own, key), _sheets(source.folder, key), _groups(own, arms),
        [(arm.partition(", ")[2], [line for _, lines in _groups(own, [arm]) for line in lines]) for arm in conditions],
        arms, [_ARMS[arm] for arm in arms],
    )  # fmt: skip


def _groups(found: Findings, arms: list[str]) -> list[tuple[str, list[Line]]]:
    groups: dict[str, list[Line]] = {}
    places = dict.fromkeys((one.extractor, one.metric) for one in found.measures if one.arm in arms)
    for extractor, metric in sorted(places, key=lambda p: (not p[0].startswith(("multi", "radiomic")), p[0])):
        if metric not in _SHOWN:
            continue
        cells = {arm: _cell(found, metric, arm, extractor) for arm in arms}
        group = extractor.removesuffix(", z-scored") if extractor.startswith(("multi", "radiomic")) else "in the images"
        first = next(one for arm in arms if (one := cells[arm]) is not None)
        line = Line(_OWN.get(metric, TITLES.get(metric, metric.replace("_", " "))), ARROWS[first.better],
                    tuple((written(one.estimate), interval(one)) if one else ("–", "") for one in cells.values()),
                    first.note)  # fmt: skip
        groups.setdefault(group, []).append(line)
    return [(name, sorted(lines, key=_order)) for name, lines in groups.items()]


def _order(line: Line) -> int:
    titles = [_OWN.get(metric, TITLES.get(metric, metric.replace("_", " "))) for metric in _SHOWN]
    return titles.index(line.title)


def _cell(found: Findings, metric: str, arm: str, extractor: str) -> Measure | None:
    """The number of an arm; the real images' own stands under "real against real"."""
    wanted = (arm, REAL) if arm == HALVES else (arm,)
    for one in found.measures:
        if one.metric == metric and one.arm in wanted and one.extractor == extractor and not math.isnan(one.estimate):
            return one
    return None


def _sheets(run: Path, key: str) -> list[tuple[str, str]]:
    name = key.partition(".")[2]
    captions = {"synthetic": "Drawn by the model", "real": "Real images of test patients",
                "nearest": "Drawn images most like a training image, and that training image below each",
                GAUSSIAN: "Draws from a Gaussian fitted on the training images"}  # fmt: skip
    shown = []
    for part, caption in captions.items():
        path = run / "sheets" / f"{name}.{part}.png"
        if path.is_file():
            shown.append((caption, "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()))
    conditions = sorted((run / "sheets").glob(f"{name}.{SYNTHETIC}.*.png"))
    for path in conditions:
        caption = f"Drawn by the model, {path.name.removesuffix('.png').split('.', 2)[2].replace('_', ' ')}"
        shown.append((caption, "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()))
    return shown
