"""What one looks at while a generator of whole images trains: a few draws beside real images, at one grey window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from radloom.files import whole_file
from radloom.given import Given
from radloom.models.model import Model
from radloom.training.progress import curves, middle

_SHARE = 0.1  # of the training time that looking may take, but for the last look


@dataclass(frozen=True)
class DrawnGlimpse:
    """Real images x (b, c, *s) of validation (else training) patients, what was given with them, and their name."""

    x: torch.Tensor
    given: Given
    label: str

    def drawn(self, model: Model) -> torch.Tensor:
        """The moving average's images under the same conditions."""
        device = next(model.parameters()).device
        rng = torch.Generator(device).manual_seed(0)
        model.eval()
        with torch.no_grad():
            return model.sample(self.given.to(device), tuple(self.x.shape), rng=rng).float().cpu()

    def scores(self, drawn: torch.Tensor) -> dict[str, float]:
        """None: a few images say nothing of a distribution."""
        return {}

    def worth(self, looked: float, trained: float) -> bool:
        """Whether one look that took `looked` seconds is short beside `trained` seconds of training."""
        return looked <= _SHARE * trained

    def picture(self, path: Path, losses: pd.DataFrame, drawn: torch.Tensor, title: str) -> None:
        """Writes progress.png: the loss curves, real images above drawn ones."""
        from matplotlib.figure import Figure

        count = len(self.x)
        figure = Figure(figsize=(max(6.0, 2.1 * count), 8.0), dpi=80, layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=(3.0, 5.0))
        top, bottom = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        curves(top.add_subplot(111), losses, lambda name: name.endswith("total"), "loss", "linear")
        for row, (name, images) in enumerate((("real", self.x), ("synthetic", drawn))):
            for column, image in enumerate(images[:, 0]):
                ax = bottom.add_subplot(2, count, 1 + row * count + column)
                ax.imshow(middle(np.asarray(image)).T[::-1, ::-1], cmap="gray", vmin=-1, vmax=1)
                ax.set_title(name if column == 0 else "", fontsize=9)
                ax.set_axis_off()
        figure.suptitle(f"{title} - real images: {self.label}, never test")
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")
