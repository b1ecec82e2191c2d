"""RUN/report.html: one self-contained page from a run folder; its parts are made by the neighbours of this file."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radloom import files
from radloom.errors import RadloomError
from radloom.report import figures, forest, names, pictures, tables, verdict
from radloom.report.gallery import gallery
from radloom.report.source import Source, read_source

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_OPTIONAL = {"cite": None, "claim": "", "started": "", "paper": [], "deviations": []}


def write_report(run: Path) -> Path:
    """The path of RUN/report.html, written whole or not at all. Raises RadloomError when the run is incomplete."""
    from radloom.report.synthesis_page import draws_from_nothing, write_synthesis_report

    if draws_from_nothing(Path(run)):
        return write_synthesis_report(Path(run))
    source = read_source(Path(run))
    path = source.folder / "report.html"
    files.write_text(path, page(source))
    return path


def page(source: Source) -> str:
    """The report's HTML."""
    return environment(("page.css",)).get_template("page.html").render(_context(source))


def environment(styles: tuple[str, ...]) -> Environment:
    """The templates of this folder, with the style sheets that a page carries."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_HERE, encoding="utf-8")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in styles)
    made.globals.update({"names": names, "isnan": math.isnan, "style": style})
    return made


def _context(source: Source) -> dict[str, Any]:
    measured = tables.fidelity(source)
    own_tables = bool((source.study or {}).get("tables"))  # a study that says itself how it is shown
    columns, rows = ([], []) if own_tables else (tables.study_columns(source), tables.study_rows(source))
    target = verdict.hardest(measured)
    plots = [plot for table in measured if (plot := forest.interval_plot(table, "brain", "psnr")) is not None]
    return {
        "source": source,
        "run": {**_OPTIONAL, "title": source.record["system"], **source.record},
        "study": shown(source.folder, source.study),
        "checks": shown(source.folder, source.checks),
        "targets": [names.entry(key) for key in source.targets],
        "inputs": [names.entry(key) for key in source.record["inputs"]],
        "simulated": bool(source.record.get("about", {}).get("simulated")),
        "verdict": verdict.verdict(source, measured, rows, columns),
        "hardest": target,
        "gallery": gallery(source, target) if target else None,
        "legend": pictures.legend_stops(),
        "fidelity": measured,
        "plots": plots,
        "columns": columns,
        "study_rows": rows,
        "absences": tables.absences(source),
        "forest": forest.forest_plot(columns, rows),
        "panels": figures.panels(source.losses) if source.losses is not None else [],
        "training_seconds": _last(source),
        "facts": facts(source),
        "blind": _blind(source),
    }


def shown(folder: Path, found: dict[str, Any] | None) -> dict[str, Any]:
    """What study.json or checks.json holds, its pictures as data URIs."""
    empty = {"name": "", "question": "", "answer": "", "comparisons": [], "tables": [], "figures": []}
    full = {**empty, **(found or {})}
    full["figures"] = [{"note": "", **one, "src": _embedded(folder / one["file"])} for one in full["figures"]]
    full["tables"] = [{"note": "", "target": "", **one} for one in full["tables"]]
    return full


def _embedded(path: Path) -> str:
    """A PNG as a data URI. Raises RadloomError when it is absent."""
    if not path.is_file():
        raise RadloomError(f"{path} is absent", do="run `radloom study` again")
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _last(source: Source) -> float:
    """Seconds at the last logged step; 0 without a log."""
    return max((float(s) for s in source.losses["seconds"]), default=0.0) if source.losses is not None else 0.0


def _blind(source: Source) -> list[tuple[str, str]]:
    """What each metric in the results cannot see."""
    return [(names.metric(m).title, names.metric(m).blind_to) for m in dict.fromkeys(source.table["metric"])]


def facts(source: Source) -> list[tuple[str, list[tuple[str, str]]]]:
    """How the run was made, in groups of (what, value); what run.json does not hold is left out."""
    record, study = source.record, source.study or {}
    segmenter = study.get("segmenter", {})
    groups = [
        (
            "Model",
            {
                "system": record["system"],
                "task": _task(record),
                "size": f"{record['size']}, {record.get('dims', '?')}D" if "size" in record else None,
                "seed": record.get("seed"),
                "parameters": names.count(record["parameters"], "parameter") if "parameters" in record else None,
                "weights, SHA-256": record.get("weights_sha256"),
            },
        ),
        (
            "Segmenter (real data only, frozen)",
            {
                "parameters": names.count(segmenter["parameters"], "parameter") if "parameters" in segmenter else None,
                "Dice, validation": _number(segmenter.get("dice_val")),
                "weights, SHA-256": segmenter.get("sha256"),
            },
        ),
        ("Data", _data(source)),
        ("Time and memory", _cost(record)),
        ("Machine", {str(k): v for k, v in record.get("machine", {}).items()}),
        (
            "Software",
            {"commit": record.get("commit"), **{str(k): v for k, v in record.get("versions", {}).items()}},
        ),
        ("Settings", {str(k): v for k, v in {**record.get("settings", {}), **record.get("training", {})}.items()}),
    ]
    kept = [(title, [(k, _said(v)) for k, v in group.items() if v not in (None, "")]) for title, group in groups]
    return [(title, group) for title, group in kept if group]


def _task(record: dict[str, Any]) -> str:
    given = _entries(record["inputs"]) or _entries([one["column"] for one in record.get("condition", [])]) or "nothing"
    return f"{given} → {_entries(record['target'])}"


def _entries(keys: list[str]) -> str:
    return ", ".join(map(names.entry, keys))


def _data(source: Source) -> dict[str, Any]:
    record = source.record
    cases, patients = record.get("cases", {}), record.get("patients", {})
    splits = {
        split: f"{names.count(patients.get(split, 0), 'patient')}, {names.count(len(cases.get(split, [])), 'case')}"
        for split in ("train", "val", "test")
        if cases.get(split) or patients.get(split)
    }
    ranges = {names.entry(k): f"{v:.3g}" for k, v in record.get("data_range", {}).items()}
    about = {k: v for k, v in record.get("about", {}).items() if isinstance(v, str | int | float | bool)}
    return {
        **splits,
        "split hash": record.get("split_hash"),
        "data range (PSNR, SSIM)": ", ".join(f"{k} {v}" for k, v in ranges.items()),
        "cohort": record["cohort"],
        **{f"cohort: {k}": v for k, v in about.items()},
    }


def _cost(record: dict[str, Any]) -> dict[str, Any]:
    """The estimate made before the first step beside what each stage took."""
    plan, stages = record.get("plan") or {}, record.get("stages", [])
    estimate = [names.duration(plan["seconds"])] if plan.get("seconds") else []
    estimate += [names.memory(plan["peak_mb"])] if plan.get("peak_mb") else []
    taken = {stage["name"]: _stage(stage) for stage in stages}
    return {"started": record.get("started"), "estimate before training": ", ".join(estimate), **taken}


def _stage(stage: dict[str, Any]) -> str:
    memory = f", {names.memory(stage['peak_mb'])}" if stage.get("peak_mb") else ""
    return names.duration(stage["seconds"]) + memory


def _number(value: float | None) -> str | None:
    return None if value is None else names.fixed(float(value), 3)


def _said(value: Any) -> str:
    """A JSON value as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_said(v)}" for k, v in value.items())
    return ", ".join(map(_said, value)) if isinstance(value, list) else str(value)
