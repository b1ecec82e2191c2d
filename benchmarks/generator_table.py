"""The page results/generator.md from the rows of generator.csv; no measuring here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from generator_contenders import TOLERANCE
from generator_round import BATCH
from measured import origin

from radloom.random import numpy_stream
from radloom.stats.intervals import bootstrap_ci

COLUMNS = ("contender", "parameters", "settings", "rate", "images/s", "images/CPU-s", "memory, MiB", "PSNR, dB",
           "PSNR minus ours, dB")  # fmt: skip
QUIET = 0.1  # cores that other processes may keep busy during a round

Row = Mapping[str, Any]


def page(rows: Sequence[Row], *, command: str, rehearsal: bool, shape: Sequence[int], subjects: int) -> str:
    """The page as Markdown."""
    good = [row for row in rows if not row["error"]]
    timed, pilot, cubic = ([row for row in good if row["kind"] == k] for k in ("timed", "pilot", "closed form"))
    parts = ["# Generator: images per second, memory and PSNR after equal CPU seconds", ""]
    if rehearsal:
        parts += ["**A rehearsal with a small budget, not a result: do not quote these numbers.**", ""]
    if good:
        parts += [*_setting(timed or good, command, shape, subjects), ""]
    parts += [*_markdown(COLUMNS, _lines(timed, cubic)), "", *_ratios(timed), ""]
    parts += [*_notes(timed, [row for row in rows if row["error"]]), "## Pilot", "", *_pilot(pilot)]
    return "\n".join(parts) + "\n"


def _setting(rows: Sequence[Row], command: str, shape: Sequence[int], subjects: int) -> list[str]:
    first = rows[0]
    patients, repeats = len(json.loads(first["psnr_test_by_patient"])), len({row["seed"] for row in rows})
    return [
        f"Data: simulated ({subjects} subjects of the embedded brain cohort, seed 0, {'x'.join(map(str, shape))} "
        "voxels, split by patient). FLAIR from (T1c, T2). "
        f"PSNR inside the head on {patients} test patients, data range {first['data_range']:g} brain medians "
        "(99.9th percentile in the training patients' heads).",
        f"Budget {first['budget_seconds']:g} s of CPU time per thread a round, batch {BATCH}, "
        f"{first['threads']} threads, {first['precision']}, channels_last; contenders take turns; repeats: {repeats}.",
        "",
        *origin(command, ("python", "torch", "monai", "radloom")),
    ]


def _lines(timed: Sequence[Row], cubic: Sequence[Row]) -> list[list[str]]:
    """The table's cells: means over the repeats, with the lowest and highest in brackets."""
    groups = _by_contender(timed)
    ours = _by_patient(groups["ours"]) if "ours" in groups else {}
    lines = []
    for name, rows in groups.items():
        first, difference = rows[0], _difference(_by_patient(rows), {} if name == "ours" else ours)
        lines.append([
            first["title"], f"{first['parameters']:,}", _words(first["settings"]), f"{first['rate']:g}",
            _spread(rows, "images_per_second", 1), _spread(rows, "images_per_cpu_second", 1),
            _spread(rows, "memory_mb", 0), _spread(rows, "psnr_test", 2), difference,
        ])  # fmt: skip
    for row in cubic:
        difference = _difference(_by_patient([row]), ours)
        lines.append([row["title"], "0", *[""] * 5, f"{row['psnr_test']:.2f}", difference])
    return lines


def _by_contender(timed: Sequence[Row]) -> dict[str, list[Row]]:
    names = dict.fromkeys(row["contender"] for row in timed)
    return {name: [row for row in timed if row["contender"] == name] for name in names}


def _by_patient(rows: Sequence[Row]) -> dict[str, float]:
    """PSNR (dB) by patient, mean over the repeats."""
    repeats = [json.loads(row["psnr_test_by_patient"]) for row in rows]
    return {patient: float(np.mean([one[patient] for one in repeats])) for patient in repeats[0]}


def _difference(theirs: dict[str, float], ours: dict[str, float]) -> str:
    """Mean of the patients' differences with its 95 % bootstrap interval, dB; "" without ours."""
    if not ours:
        return ""
    values = [theirs[patient] - ours[patient] for patient in ours]
    if not np.isfinite(values).all():
        return "diverged"
    found = bootstrap_ci(values, patients=list(ours), rng=numpy_stream(0, "benchmark", "psnr"))
    interval = f" [{found.low:+.2f}, {found.high:+.2f}]" if math.isfinite(found.low) else ""
    return f"{found.estimate:+.2f}{interval}"


def _spread(rows: Sequence[Row], column: str, digits: int) -> str:
    values = [row[column] for row in rows]
    mean, low, high = (f"{number:.{digits}f}" for number in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low}-{high})"


def _words(settings: str) -> str:
    return ", ".join(
        f"{name} {'-'.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in json.loads(settings).items()
    )


def _ratios(timed: Sequence[Row]) -> list[str]:
    """One sentence a contender: ours against it, means over the repeats."""
    measured = ("images_per_second", "images_per_cpu_second", "memory_mb", "psnr_test")
    groups = _by_contender(timed)
    means = {name: [float(np.mean([row[column] for row in rows])) for column in measured]
             for name, rows in groups.items()}  # fmt: skip
    if "ours" not in means:
        return []
    wall, cpu, memory, psnr = means.pop("ours")
    return [
        f"- Ours against {groups[name][0]['title']}: {wall / theirs[0]:.2f} times the images per second "
        f"({cpu / theirs[1]:.2f} per CPU-second), {memory / theirs[2]:.2f} times the memory, "
        f"{psnr - theirs[3]:+.2f} dB."
        for name, theirs in means.items()
    ]


def _notes(timed: Sequence[Row], failed: Sequence[Row]) -> list[str]:
    """What may make the numbers untrue; an empty line after each note."""
    notes = ["Memory: highest resident memory of training minus what was resident before the model was built."]
    if timed and all(math.isfinite(row["others_cores"]) for row in timed):
        others = [row["others_cores"] for row in timed]
        notes.append(f"Other processes kept {min(others):.2f} to {max(others):.2f} cores busy during the timed rounds.")
        if max(others) > QUIET:
            notes.append("The machine was not ours alone: of the speeds trust those per CPU second; the budget of "
                         "training is CPU time too.")  # fmt: skip
    ours = {row["parameters"] for row in timed if row["contender"] == "ours"}
    unequal = {row["title"] for row in timed for own in ours if abs(row["parameters"] / own - 1) > TOLERANCE}
    if unequal:
        notes.append(f"Parameters more than {TOLERANCE:.0%} from ours: {', '.join(sorted(unequal))}.")
    notes += [f"FAILED: {row['kind']} {row['contender']} (rate {row['rate']:g}, seed {row['seed']}): {row['error']}"
              for row in failed]  # fmt: skip
    return [line for note in notes for line in (note, "")]


def _pilot(pilot: Sequence[Row]) -> list[str]:
    if not pilot:
        return ["No pilot: every contender ran with its first variant and rate."]
    told = (f"Rounds of {pilot[0]['budget_seconds']:g} s; the rate, then the variant, with the highest PSNR on the "
            "validation patients:")  # fmt: skip
    cells = [[row["title"], _words(row["settings"]), f"{row['rate']:g}", f"{row['psnr_val']:.2f}"] for row in pilot]
    return [told, "", *_markdown(("contender", "settings", "rate", "PSNR on validation, dB"), cells)]


def _markdown(columns: Sequence[str], lines: list[list[str]]) -> list[str]:
    rows = [columns, ["---"] * len(columns), *lines]
    return ["| " + " | ".join(row) + " |" for row in rows]
