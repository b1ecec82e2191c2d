"""OUT/report.html of a comparison: one self-contained page from what `radloom.compare` found; no statistics here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radloom import files
from radloom.compare.comparison import Comparison, Target, sentences
from radloom.compare.measures import DUPLICATES, HALVES, OTHER, REAL, SYNTHETIC, Measure
from radloom.metrics import METRICS
from radloom.report import names
from radloom.report.compare_figures import Chart, Tile, charts, tiles
from radloom.report.verdict import Number

_HERE = Path(__file__).parent
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}
TITLES = {
    "fd": "Frechet distance", "fd_infinity": "Frechet distance, unlimited images",
    "fd_equal_n": "Frechet distance, equal n", "kid": "KID", "mmd2": "MMD² (KID over all pairs)",
    "mmd2_equal_n": "MMD², equal n", "frd": "Frechet radiomic distance",
    "prd_f8": "PRD F8", "prd_f1_8": "PRD F1/8", "vendi": "Vendi score", "ms_ssim_diversity": "MS-SSIM within the set",
    "nearest_real_ratio": "nearest-real ratio", "nearest_training_ratio": "nearest-training ratio",
    "membership_auc": "membership AUC",
}  # fmt: skip
_UNITS = {"feature^2": "", "1": "", "image": "", "image^2": "", "window": "of the window"}
_PAIRED, _LOOKS, _MEMORY = "Pairs of one case", "Appearance, no extractor", "Memorisation, in the images"


@dataclass(frozen=True)
class Row:
    """One metric of the table: its number for the synthetic images beside that of real images and of copies."""

    title: str
    arrow: str
    unit: str
    synthetic: str
    interval: str
    real: str
    real_detail: str
    real_interval: str
    copies: str
    counts: str
    width: str
    note: str


@dataclass(frozen=True)
class Group:
    """Rows of one feature space, or without one."""

    title: str
    preprocessing: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """One target as the page shows it."""

    title: str
    anchor: str
    sentences: list[str]
    numbers: list[Number]
    alike: list[Tile]
    unlike: list[Tile]
    copies: int
    charts: list[Chart]
    groups: list[Group]
    refused: list[tuple[str, str]]
    notes: tuple[str, ...]


def write_comparison(comparison: Comparison, out: Path) -> Path:
    """The path of OUT/report.html, written whole or not at all."""
    path = out / "report.html"
    files.write_text(path, page(comparison))
    return path


def page(comparison: Comparison) -> str:
    """The page's HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE, encoding="utf-8"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "compare.css"))
    return environment.get_template("compare.html").render(
        comparison=comparison,
        simulated=comparison.real.simulated,
        sections=[_section(target, i) for i, target in enumerate(comparison.targets)],
        facts=_facts(comparison),
        blind=_blind(comparison),
        names=names,
        style=style,
    )


def _section(target: Target, number: int) -> Section:
    alike, unlike = tiles(target)
    copies = sum(one.is_copy for one in target.nearest.neighbours) if target.nearest else 0
    return Section(
        title=names.entry(target.column) if target.column else "",
        anchor=f"t{number}",
        sentences=sentences(target),
        numbers=_numbers(target),
        alike=alike,
        unlike=unlike,
        copies=copies,
        charts=charts(target),
        groups=_groups(target),
        refused=[(one.metric, one.reason) for one in target.found.refused],
        notes=target.notes,
    )


def _numbers(target: Target) -> list[Number]:
    """The headline: each number with its baseline."""
    found, space = target.found, target.spaces[0] if target.spaces else ""
    shown = []
    for metric, label, arm in (
        ("fd_equal_n", "Frechet distance", HALVES), ("coverage_equal_n", "coverage", HALVES),
        ("copies", "nearer to a real image than real ones are", REAL), ("ssim", "SSIM of pairs", OTHER),
        ("spectral_distance", "spectral distance, dB", HALVES),
    ):  # fmt: skip
        extractor = space if metric.endswith("equal_n") else ""
        made, base = found.of(metric, SYNTHETIC, extractor), found.of(metric, arm, extractor)
        if made:
            word = "another patient's image" if arm == OTHER else "real images instead"
            text = _percent if metric == "copies" else written
            shown.append(Number(text(made.estimate), label, f"{word}: {text(base.estimate)}" if base else ""))
    return shown


def _groups(target: Target) -> list[Group]:
    grouped: dict[tuple[str, str], dict[str, dict[str, Measure]]] = {}
    for one in target.found.measures:
        grouped.setdefault(_place(one), {}).setdefault(one.metric, {})[one.arm] = one
    order = [_PAIRED, *(space.removesuffix(", z-scored") for space in target.spaces)]
    places = sorted(grouped, key=lambda place: order.index(place[0]) if place[0] in order else len(order))
    return [Group(*place, tuple(_row(metric, arms) for metric, arms in grouped[place].items())) for place in places]


def _place(one: Measure) -> tuple[str, str]:
    if one.metric in METRICS:
        return _PAIRED, ""
    if one.metric in ("copies", "identical"):
        return _MEMORY, ""
    return (one.extractor.removesuffix(", z-scored") or _LOOKS), one.preprocessing


def _row(metric: str, arms: dict[str, Measure]) -> Row:
    made = arms.get(SYNTHETIC)
    base = next((arms[arm] for arm in (HALVES, OTHER, REAL) if arm in arms), None)
    shown = made or base
    assert shown is not None
    about = METRICS.get(metric)
    title = TITLES.get(metric, names.metric(metric).title if about else metric.replace("_", " "))
    n = f"{shown.n}" if shown.n_real in (0, shown.n) and about else f"{shown.n} / {shown.n_real or '–'}"
    copied = arms.get(DUPLICATES)
    return Row(
        title=title.replace(" equal n", ", equal n") if "equal n" in title and "," not in title else title,
        arrow=ARROWS[shown.better],
        unit=_UNITS.get(shown.unit, shown.unit),
        synthetic=written(made.estimate) if made else "–",
        interval=interval(made) if made else "",
        real=written(base.estimate) if base else "",
        real_detail=base.arm if base else "",
        real_interval=interval(base) if base else "",
        copies=written(copied.estimate) if copied else "",
        counts=n,
        width=f"d = {shown.d}" if shown.d else "",
        note=shown.note,
    )


def interval(one: Measure) -> str:
    """ "0.12 to 0.15", or nothing where there is none."""
    return "" if math.isnan(one.low) else f"{written(one.low)} to {written(one.high)}"


def written(value: float) -> str:
    """Three significant digits with a true minus sign, a dash for what is undefined."""
    if not math.isfinite(value):
        return names.fixed(value, 1)
    size = abs(value)
    if size >= 1e5 or 0 < size < 1e-4:
        return f"{value:.2e}".replace("-", "−")
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 or size == 0 else 4
    return names.fixed(value, digits)


def _percent(value: float) -> str:
    return f"{names.fixed(100 * value, 1)} %"


def _facts(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """Where the images come from and how the page was made."""
    record = comparison.provenance
    sets = {"real": comparison.real, "synthetic": comparison.synthetic, "held out": comparison.held_out}
    groups = [("Sets", [(role, f"{one.name} ({one.kind})") for role, one in sets.items() if one is not None])]
    for column, about in record["targets"].items():
        rows = [(role, _counted(about[role])) for role in ("real", "synthetic")]
        low, high = about["window"]
        rows += [("pairs", str(about["pairs"])), ("window", f"{low:g} to {high:g}")]
        rows += [("data range (PSNR, SSIM)", f"{about['data_range']:g}")]
        groups.append((column if column == "images" else names.entry(column), rows))
    groups.append(("Made by", [(key, str(record[key])) for key in ("version", "date", "seed")]))
    return groups


def _counted(about: dict[str, Any]) -> str:
    counts = f"{names.count(about['images'], 'image')}, {names.count(about['patients'], 'patient')}"
    return f"{counts}; voxels, SHA-256 {about['voxels_sha256']}"


def _blind(comparison: Comparison) -> list[tuple[str, str]]:
    used = dict.fromkeys(one.metric for target in comparison.targets for one in target.found.measures)
    paired = [(names.metric(metric).title, METRICS[metric].blind_to) for metric in used if metric in METRICS]
    return [
        ("Distances of sets", "which images are copies; what the extractor does not measure; a few wrong images among "
         "many good ones. A distance in one extractor's features says nothing about another's"),
        ("Copies", "shifts, turns and elastic change, which hide a copy; copies of a part of an image"),
        ("Spectra and histograms", "where in the image anything lies"),
        *paired,
        ("All of them", "no radiologist read these images; whether a diagnosis survives was not asked"),
    ]  # fmt: skip
