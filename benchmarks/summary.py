"""The measured figures of finished runs as Markdown, with machine, date and commit: what README and docs quote.

python benchmarks/summary.py --title "The demo" --out results/demo.md runs/conte2021_missing_sequence/demo
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from radloom.files import read_json, write_text
from radloom.random import numpy_stream
from radloom.results import Results
from radloom.stats.intervals import bootstrap_ci

ARMS = ("real", "model", "cubic", "linear", "mean", "zero")
FIDELITY = (("psnr", "brain", 2), ("ssim_slices", "brain", 3), ("mae", "tumour", 3), ("mae", "lesion", 3))


def main() -> None:
    """Writes the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    parts = [f"# {arguments.title}", *(part for run in arguments.runs for part in one_run(run))]
    write_text(arguments.out, "\n\n".join(parts) + "\n")
    print(arguments.out)


def one_run(run: Path) -> list[str]:
    """Heading, origin, fidelity table, study table and answer of a run."""
    record, results = read_json(run / "run.json"), Results.read(run / "results.csv")
    parts = [
        f"## {', '.join(record['cases']['test']) if len(record['cases']['test']) < 4 else run.name}",
        origin(record),
    ]
    for target in record["target"]:
        parts.append(f"{target}, {len(record['cases']['test'])} test patients\n\n{fidelity(results, target)}")
    if (run / "checks.json").is_file():
        parts += [lost(table) for table in read_json(run / "checks.json")["tables"]]
    if (run / "study.json").is_file():
        study = read_json(run / "study.json")
        parts += [f"Dice of the frozen segmenter against the expert mask\n\n{dice(results)}", study["answer"]]
    return parts


def lost(table: dict[str, Any]) -> str:
    """What each arm lost or invented in one target, as the report shows it."""
    lines = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    return f"{table['title']}: {table['target']}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def origin(record: dict[str, Any]) -> str:
    """Where the figures come from, in one paragraph."""
    machine, versions = record["machine"], record["versions"]
    stages = ", ".join(f"{stage['name']} {stage['seconds']:.0f} s" for stage in record["stages"])
    data = "simulated cohort" if record["about"].get("simulated") else "real images"
    changed = ", ".join(
        f"{name} {value}"
        for name, value in {**record["training"], **record["settings"]}.items()
        if name in ("steps", "batch", "jitter", "sees", "members")
    )
    return (f"`{record['system']}` size {record['size']}, {record['dims']}D, seed {record['seed']}, {changed}; {data}; "
            f"{record['patients']['train']} training patients ({', '.join(record['cases']['train'][:3])}"
            f"{', ...' if len(record['cases']['train']) > 3 else ''}). {record['started'][:10]}, "
            f"{machine['processor']}, {machine['cores']} cores, {record['plan']['precision']}, "
            f"torch {versions['torch']}, "
            f"commit {record['commit'] or 'none'}. Wall time: {stages}; peak memory "
            f"{max(stage['peak_mb'] for stage in record['stages'])} MiB.")  # fmt: skip


def fidelity(results: Results, target: str) -> str:
    """A Markdown table: one row per arm, mean and 95 % patient interval per metric."""
    columns = []
    for metric, region, digits in FIDELITY:
        values = results.values(metric=metric, region=region, target=target)
        if len(values):
            columns.append((f"{metric} ({region})", values.groupby(level="patient").mean(), digits))
    return table([name for name, _, _ in columns],
                 {arm: [cell(wide[arm], digits) for _, wide, digits in columns] for arm in ARMS[1:]})  # fmt: skip


def dice(results: Results) -> str:
    """A Markdown table: one row per replaced set and arm, one column per region."""
    table_of = results.table.loc[results.table["metric"] == "dice"]
    regions = list(dict.fromkeys(table_of["region"]))
    wide = {region: results.values(by=("replaced", "arm"), metric="dice", region=region) for region in regions}
    keys = sorted(wide[regions[0]].columns, key=lambda key: (key[0] != "", -len(key[0]), key[0], ARMS.index(key[1])))
    rows = {f"{replaced.replace('image.', '') or 'none'}: {arm}":
            [cell(wide[region].groupby(level="patient").mean()[replaced, arm], 3) for region in regions]
            for replaced, arm in keys}  # fmt: skip
    return table(regions, rows)


def table(columns: list[str], rows: dict[str, list[str]]) -> str:
    """Markdown of a table with a name in front of each row."""
    lines = [["", *columns], ["---"] * (len(columns) + 1), *([name, *cells] for name, cells in rows.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(values: Any, digits: int) -> str:
    """Mean and interval over patients; the mean alone where there are too few."""
    kept = values.to_numpy(dtype=float)
    kept = kept[np.isfinite(kept)]
    if len(kept) == 0:
        return "-"
    found = bootstrap_ci(kept, patients=np.arange(len(kept)), rng=numpy_stream(0, "summary"))
    bounds = f" ({found.low:.{digits}f} to {found.high:.{digits}f})" if np.isfinite(found.low) else ""
    return f"{found.estimate:.{digits}f}{bounds}"


if __name__ == "__main__":
    main()
