"""The queue before and after, as a picture: one line for each study from its arrival to the start of its reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from radloom.files import whole_file
from radloom.studies.triage import Simulated, groups
from radloom.studies.triage_table import Worklist

_SHOWN = 60  # studies
_COLOURS = {
    "emergencies that the model missed": "#c2185b",
    "emergencies that the model found": "#e67e00",
    "everyone else, flagged for nothing": "#5b7fb5",
    "everyone else, not flagged": "#b8bfc7",
}


def picture(path: Path, worklist: Worklist, runs: Sequence[Simulated], threshold: float) -> None:
    """Writes a PNG with a panel for each policy: the studies around the longest queue of the first, and the waits."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = crowded(worklist, runs[0])
    whom = {name: inside for name, inside in groups(worklist, threshold).items() if name in _COLOURS}
    figure = Figure(figsize=(11, 2.6 * len(runs)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(runs), 2, squeeze=False, width_ratios=(3, 2), sharex="col")
    longest = max(1.0, *(float((run.start - worklist.arrival).max()) / 60 for run in runs))
    for run, (queue, share) in zip(runs, axes, strict=True):
        rank = np.argsort(np.argsort(run.start[shown]))
        for name, inside in whom.items():
            some = inside[shown]
            queue.hlines(rank[some], worklist.arrival[shown][some] / 60, run.start[shown][some] / 60,
                         color=_COLOURS[name], linewidth=2.2)  # fmt: skip
            wait = np.sort((run.start - worklist.arrival)[inside]) / 60
            if len(wait):
                share.step(wait, np.arange(1, len(wait) + 1) / len(wait), color=_COLOURS[name], linewidth=1.8,
                           label=f"{name} ({len(wait)})", where="post")  # fmt: skip
        queue.set_title(run.policy.name, loc="left", fontsize=10)
        queue.set_ylabel("order of reading")
        queue.invert_yaxis()
        share.set(ylabel="share that waited\nat most so long", xscale="log", xlim=(0.2, longest), ylim=(0, 1.02))
    axes[-1][0].set_xlabel("minutes after the first arrival; a line is a study that waits")
    axes[-1][1].set_xlabel("wait, minutes")
    axes[0][1].legend(fontsize=8, frameon=False, loc="upper left")
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png")


def crowded(worklist: Worklist, run: Simulated) -> np.ndarray:
    """Where in the worklist the _SHOWN studies lie that arrived around the one who waited longest."""
    worst = int(np.argmax(run.start - worklist.arrival))
    first = max(0, min(worst - 2 * _SHOWN // 3, len(worklist.study) - _SHOWN))
    return np.arange(first, min(first + _SHOWN, len(worklist.study)))
