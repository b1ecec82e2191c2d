"""What one sees of training: the bar with time left, the loss table, progress.png."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from radloom.files import whole_file
from radloom.given import Given
from radloom.models.model import Model
from radloom.system import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SECONDS_BETWEEN_LINES = 5.0


@dataclass
class LossTable:
    """losses.csv: step, seconds, name, value; rows after a resumed step are dropped."""

    path: Path
    rows: list[tuple[int, float, str, float]] = field(default_factory=list)

    def add(self, step: int, seconds: float, losses: dict[str, float]) -> None:
        """Notes the losses of a step."""
        self.rows += [(step, round(seconds, 3), name, value) for name, value in losses.items()]

    def resume(self, step: int) -> None:
        """Reads the rows up to this step from disk."""
        if self.path.is_file():
            table = pd.read_csv(self.path)
            table = table[table["step"] <= step]
            self.rows = list(table.itertuples(index=False, name=None))

    def write(self) -> None:
        """Writes the table, whole or not at all."""
        with whole_file(self.path) as temporary:
            self.table().to_csv(temporary, index=False)

    def table(self) -> pd.DataFrame:
        """One row per step and name; a step trained again after a rollback counts once."""
        table = pd.DataFrame(self.rows, columns=["step", "seconds", "name", "value"])
        return table.drop_duplicates(["step", "name"], keep="last")


@dataclass(frozen=True)
class Glimpse:
    """Slices on which training is watched: x and given of a few middle slices of validation patients."""

    task: Task
    x: torch.Tensor
    given: Given
    label: str  # "validation" or, when there is none, "training"
    data_range: dict[str, float]

    def drawn(self, model: Model) -> torch.Tensor:
        """The moving average's images of these slices."""
        device = next(model.parameters()).device
        rng = torch.Generator(device).manual_seed(0)
        model.eval()
        with torch.no_grad():
            return model.sample(self.given.to(device), tuple(self.x.shape), rng=rng).float().cpu()

    def worth(self, looked: float, trained: float) -> bool:
        """Always: a translation is drawn in one pass."""
        return True

    def picture(self, path: Path, losses: pd.DataFrame, drawn: torch.Tensor, title: str) -> None:
        """Writes progress.png, see `draw_progress`."""
        draw_progress(path, losses, self, drawn, title)

    def scores(self, drawn: torch.Tensor) -> dict[str, float]:
        """Mean over the slices of the PSNR (dB) inside the head, by target."""
        assert self.given.mask is not None
        inside = self.given.mask[:, 0]
        scores = {}
        for channel, key in enumerate(self.task.target):
            error = ((drawn[:, channel] - self.x[:, channel]) ** 2 * inside).flatten(1).sum(1) / inside.flatten(1).sum(
                1
            )
            peak = self.data_range[key] ** 2
            scores[f"{self.label}.psnr.{key}"] = float((10 * torch.log10(peak / error.clamp_min(1e-12))).mean())
        return scores


def draw_progress(path: Path, losses: pd.DataFrame, glimpse: Glimpse, drawn: torch.Tensor, title: str) -> None:
    """Writes progress.png: the loss curves, the PSNR, and inputs, real, drawn and error of the glimpsed slices."""
    from matplotlib.figure import Figure

    rows, targets = min(2, len(drawn)), len(glimpse.task.target)
    columns = len(glimpse.task.inputs) + 3 * targets
    figure = Figure(figsize=(2.1 * columns, 3.2 + 2.3 * rows), dpi=80, layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(3.2, 2.3 * rows))
    top, bottom = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    left, right = top.add_subplot(121), top.add_subplot(122)
    curves(left, losses, lambda name: name.endswith("total"), "loss", "log")
    curves(right, losses, lambda name: ".psnr." in name, "PSNR inside the head, dB", "linear")
    axes = np.array(
        [
            [bottom.add_subplot(rows, columns, 1 + row * columns + column) for column in range(columns)]
            for row in range(rows)
        ]
    )
    for row in range(rows):
        _pictures(axes[row], glimpse, drawn, row)
    figure.suptitle(f"{title} - {glimpse.label} slices, never test")
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png")


def curves(axes: Axes, losses: pd.DataFrame, chosen: Callable[[str], bool], title: str, scale: str) -> None:
    """Draws the chosen columns of the loss table by step."""
    for name in dict.fromkeys(losses["name"]):
        part = losses.loc[losses["name"] == name]
        if chosen(name):
            axes.plot(part["step"], part["value"], label=name, marker="." if len(part) < 20 else "")
    axes.set(title=title, xlabel="step", yscale=scale)
    if axes.lines:
        axes.legend(fontsize=7)


def _pictures(axes: np.ndarray, glimpse: Glimpse, drawn: torch.Tensor, row: int) -> None:
    assert glimpse.given.image is not None
    # a slice's neighbours follow behind its own channels
    inputs = list(zip(glimpse.task.inputs, glimpse.given.image[row], strict=False))
    shown = [(key.removeprefix("image."), image, "gray", (0.0, None)) for key, image in inputs]
    for channel, key in enumerate(glimpse.task.target):
        name, peak = key.removeprefix("image."), glimpse.data_range[key]
        real, fake = glimpse.x[row, channel], drawn[row, channel]
        shown += [(f"real {name}", real, "gray", (0.0, peak)), (f"synthetic {name}", fake, "gray", (0.0, peak))]
        shown += [("error", fake - real, "coolwarm", (-peak / 3, peak / 3))]
    for ax, (title, image, colours, (low, high)) in zip(axes, shown, strict=True):
        ax.imshow(
            middle(np.asarray(image)).T[::-1, ::-1], cmap=colours, vmin=low, vmax=high
        )  # patient right on the left
        ax.set_title(title if row == 0 else "", fontsize=9)
        ax.set_axis_off()


def middle(image: np.ndarray) -> np.ndarray:
    """A 2D picture as it is; the middle axial slice of a volume."""
    return image if image.ndim == 2 else image[:, :, image.shape[2] // 2]


class Bar:
    """A progress bar with time left on a terminal; silent on other processes.

    Elsewhere a line every tenth, but not sooner than 5 seconds after the line before, and one for the last step.
    """

    def __init__(self, steps: int, *, silent: bool) -> None:
        self.steps, self.silent, self.tenth, self.said = steps, silent, 0, time.monotonic()
        self.bar = None
        if not silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            left = TextColumn("time left")
            parts = (TextColumn("train"), BarColumn(), MofNCompleteColumn(), left, TimeRemainingColumn())
            self.bar = Progress(*parts, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("train", total=steps)
            self.bar.start()

    def show(self, step: int, seconds: float, first: int) -> None:
        """Shows that `step` steps are done; `first` is where this process began."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step)
        elif not self.silent and self._due(step, first):
            self.tenth, self.said = 10 * step // self.steps, time.monotonic()
            left = seconds / step * (self.steps - step)
            rest = f"{left:.0f} s left" if step < self.steps else f"done in {seconds:.0f} s"
            print(f"train: step {step} of {self.steps}, {rest}", file=sys.stderr, flush=True)

    def _due(self, step: int, first: int) -> bool:
        new_tenth = step > first and 10 * step // self.steps > max(self.tenth, 10 * first // self.steps)
        return step == self.steps or (new_tenth and time.monotonic() - self.said >= _SECONDS_BETWEEN_LINES)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.stop()
