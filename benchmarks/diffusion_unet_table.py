"""The page that benchmarks/diffusion_unet.py writes: tables, ratios and what they rest on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from diffusion_unet_contenders import FIELD, VOLUMES
from diffusion_unet_round import BATCH, DRAWN, SIGMAS, STEPS
from measured import command_of, origin

from radloom.networks.precision import has_fast_bfloat16
from radloom.random import numpy_stream
from radloom.stats.intervals import bootstrap_ci

Row = Mapping[str, Any]
COLUMNS = ("network", "parameters", "widths", "rate", "training images/CPU-s", "drawing images/CPU-s",
           "loop, % of network", "memory, MiB", "denoising loss", "loss minus ours [95 %]")  # fmt: skip


def page(
    rounds: Sequence[Row], pilot: Sequence[Row], cubes: Sequence[Row], absent: Sequence[str], run: Mapping[str, Any]
) -> str:
    """The page as Markdown. run: the budget, the counts of the data, and whether this is a rehearsal."""
    parts = ["# Diffusion U-Nets: images per CPU second, memory and denoising loss after equal CPU seconds", ""]
    if run["rehearsal"]:
        parts += ["**A rehearsal with a small budget, not a result: do not quote these numbers.**", ""]
    parts += [*_setting(rounds, run), ""]
    for name in absent:
        parts += [f"**{FIELD[name].title} is absent: its package is not installed here.**", ""]
    parts += [*_markdown(COLUMNS, _lines(rounds)), "", *_ratios(rounds), ""]
    parts += [f"## One training step on a cube of {run['cube']}^3", "", *_cubes(cubes), "", "## Pilot", ""]
    return "\n".join([*parts, *_pilot(pilot, run)]) + "\n"


def _setting(rounds: Sequence[Row], run: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{split} {images} of {patients}" for split, (images, patients) in run["counts"].items())
    kind = "bf16" if has_fast_bfloat16("cpu") else "float32"
    return [
        f"Data: simulated FLAIR slices of {run['edge']}x{run['edge']} of the embedded brain cohort, seed 0, split by "
        f"patient (slices of patients: {counts}). One model for all: EDM's preconditioning, noise and loss; radloom's "
        f"own training step, batch {BATCH}, {run['seconds']:g} CPU seconds, one thread, {kind}, channels_last; "
        f"repeats: {len({row['seed'] for row in rounds})}, contenders take turns.",
        "",
        f"Denoising loss: EDM's weighted squared error of test images at sigma {', '.join(map(str, SIGMAS))}, the same "
        f"noise for all; lower is better. Brackets: lowest and highest repeat. Drawing: {DRAWN} images by {STEPS} of "
        "Heun's steps. Memory: highest resident memory of training minus what was resident before the network was "
        f"built. Load average at the end {os.getloadavg()[0]:.1f}.",
        "",
        *origin(command_of("diffusion_unet.py"), ("python", "torch", "monai", "radloom")),
    ]


def _lines(rounds: Sequence[Row]) -> list[list[str]]:
    groups = _groups(rounds)
    lines = []
    for name, rows in groups.items():
        first = rows[0]
        minus = "" if name == "ours" or "ours" not in groups else _difference(rows, groups["ours"])
        loss = [float(np.mean(list(row["test"].values()))) for row in rows]
        lines.append([
            FIELD[name].title, f"{first['parameters']:,}", _widths(first), f"{first['rate']:g}",
            _spread([row["training_rate"] for row in rows], 1), _spread([row["sampling_rate"] for row in rows], 1),
            _spread([100 * row["overhead"] for row in rows], 2), _spread([row["memory_mb"] for row in rows], 0),
            _spread(loss, 4), minus,
        ])  # fmt: skip
    return lines


def _groups(rounds: Sequence[Row]) -> dict[str, list[Row]]:
    names = dict.fromkeys(row["contender"] for row in rounds)
    return {name: [row for row in rounds if row["contender"] == name] for name in names}


def _difference(theirs: Sequence[Row], ours: Sequence[Row]) -> str:
    """Mean over the test patients of their loss minus ours, each the mean of its repeats, with its interval."""
    patients = list(ours[0]["test"])
    values = [np.mean([row["test"][p] for row in theirs]) - np.mean([row["test"][p] for row in ours]) for p in patients]
    if not np.isfinite(values).all():
        return "diverged"
    found = bootstrap_ci(values, patients=patients, rng=numpy_stream(0, "benchmark", "loss"))
    return f"{found.estimate:+.4f} [{found.low:+.4f}, {found.high:+.4f}], n = {len(patients)} patients"


def _ratios(rounds: Sequence[Row]) -> list[str]:
    """One sentence a peer, means over the repeats."""
    groups = _groups(rounds)
    means = {name: [np.mean([row[key] for row in rows]) for key in ("training_rate", "sampling_rate", "memory_mb")]
             for name, rows in groups.items()}  # fmt: skip
    if "ours" not in means:
        return []
    training, drawing, memory = means.pop("ours")
    return [
        f"- Ours against {FIELD[name].title}: {training / theirs[0]:.2f} times the training images and "
        f"{drawing / theirs[1]:.2f} times the drawn images per CPU second, {memory / theirs[2]:.2f} times the memory."
        for name, theirs in means.items()
    ]


def _cubes(cubes: Sequence[Row]) -> list[str]:
    lines = [[VOLUMES[row["contender"]].title, f"{row['parameters']:,}", f"{row['memory_mb']:.0f}",
              f"{row['seconds']:.2f}"] for row in cubes]  # fmt: skip
    return _markdown(("network", "parameters", "memory, MiB", "CPU s"), lines)


def _pilot(pilot: Sequence[Row], run: Mapping[str, Any]) -> list[str]:
    if not pilot:
        return ["No pilot: every network ran with its first widths and rate."]
    lines = [[FIELD[row["contender"]].title, _widths(row), f"{row['rate']:g}",
              f"{np.mean(list(row['val'].values())):.4f}"] for row in pilot]  # fmt: skip
    told = f"Rounds of {run['pilot']:g} CPU seconds; the widths, then the rate, with the least loss on validation:"
    return [told, "", *_markdown(("network", "widths", "rate", "loss on validation"), lines)]


def _widths(row: Row) -> str:
    return "-".join(map(str, row["widths"]))


def _spread(values: Sequence[float], digits: int) -> str:
    mean, low, high = (f"{value:.{digits}f}" for value in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low}-{high})"


def _markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *lines)]
