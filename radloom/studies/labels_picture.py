"""What the study of labels leaves to look at: Dice over the number of labels, and masks of some test patients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool

from radloom.files import whole_file
from radloom.metrics.overlap import dice
from radloom.random import numpy_stream
from radloom.stats.intervals import bootstrap_ci
from radloom.studies.anomaly_slices import Slices
from radloom.studies.labels_arms import MEAN, SCRATCH, SEGMENTER, THRESHOLD
from radloom.studies.labels_findings import ELSEWHERE, HOME, by_patient

_COLOURS = {"ledm": "#7fb069", "ledme": "#2e8b57", "tedm": "#d1495b", SCRATCH: "#30638e", SEGMENTER: "#00a7c4",
            MEAN: "#999999", THRESHOLD: "#cccccc"}  # fmt: skip


def curves(path: Path, cases: pd.DataFrame) -> None:
    """Writes a PNG: mean Dice of each arm over the number of labels, a panel for each hospital."""
    from matplotlib.figure import Figure

    places = [place for place in (HOME, ELSEWHERE) if place in set(cases["where"])]
    numbers = sorted({int(n) for n in cases["labels"]})
    figure = Figure(figsize=(4.4 * len(places), 3.4), layout="constrained")
    axes = figure.subplots(1, len(places), squeeze=False, sharey=True)[0]
    for axis, place in zip(axes, places, strict=True):
        for k, arm in enumerate(dict.fromkeys(cases["arm"])):
            means, below, above = [], [], []
            for n in numbers:
                values = np.array([v for v in by_patient(cases, arm, [n], place).values() if np.isfinite(v)])
                found = bootstrap_ci(values, patients=np.arange(len(values)), rng=numpy_stream(0, "curve", arm, n))
                means.append(found.estimate)
                below.append(found.estimate - found.low)
                above.append(found.high - found.estimate)
            spread = np.nan_to_num(np.array([below, above]))
            axis.errorbar(np.array(numbers) * 1.03 ** (k - 3), means, yerr=spread, marker="o", markersize=3,
                          linewidth=1.2, elinewidth=0.7, color=_COLOURS.get(arm), label=_name(arm))  # fmt: skip
        axis.set_xscale("log")
        axis.set_xticks(numbers, [str(n) for n in numbers])
        axis.minorticks_off()
        axis.set_xlabel("labelled patients")
        axis.set_title(place, fontsize=9)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("Dice")
    axes[-1].legend(fontsize=7)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def rows_of_masks(
    path: Path, test: Slices, where: Mapping[str, str], masks: Mapping[str, Bool[np.ndarray, "n h w"]], method: str
) -> None:  # fmt: skip
    """Writes a PNG: a row for each of some test slices, in each column what one arm marks over the reference."""
    from matplotlib.figure import Figure

    chosen = shown_slices(test, where, masks[method])
    arms = list(masks)
    figure = Figure(figsize=(1.5 * (len(arms) + 1), 1.55 * len(chosen) + 0.3), layout="constrained")
    grid = figure.subplots(len(chosen), len(arms) + 1, squeeze=False)
    for row, number in zip(grid, chosen, strict=True):
        row[0].set_ylabel(f"{where[test.case[number]]}\n{test.case[number]}", fontsize=6)
        for axis, arm in zip(row, ["", *arms], strict=True):
            axis.imshow(test.x[number, 0].T[::-1, ::-1], cmap="gray", vmin=-1, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if not arm:
                continue
            for mask, colour in ((masks[arm][number], "#ff9d2e"), (test.truth[number], "#38a3ff")):
                if mask.any():
                    axis.contour(mask.T[::-1, ::-1].astype(float), levels=[0.5], colors=[colour], linewidths=0.9)
    for axis, arm in zip(grid[0], ["input", *arms], strict=True):
        axis.set_title(_name(arm), fontsize=7)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def shown_slices(test: Slices, where: Mapping[str, str], marked: Bool[np.ndarray, "n h w"]) -> list[int]:
    """Of each hospital the slices of best, middle and worst Dice among those with anything to find."""
    chosen = []
    for place in (HOME, ELSEWHERE):
        mine = [n for n, case in enumerate(test.case) if where[case] == place and test.truth[n].any()]
        ordered = sorted(mine, key=lambda n: -dice(marked[n], test.truth[n]))
        picked = [ordered[i] for i in (0, len(ordered) // 2, -1)] if ordered else []
        chosen += list(dict.fromkeys(picked))
    return chosen


def _name(arm: str) -> str:
    return {"ledm": "LEDM", "ledme": "LEDMe", "tedm": "TEDM", SEGMENTER: "U-Net, Dice, jitter"}.get(arm, arm)
