"""What is known when sampling: Given. Knowledge only, never settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from radloom.operators.base import Measurement


@dataclass(frozen=True)
class Given:
    """The condition of p(x | given) for a batch of b: each entry is absent or has b items along its first axis.

    image: (b, c, *s) known images. mask: (b, m, *s) regions. label: (b, k) classes or values. text: b strings.
    measured: what a device measured of x, (b, ...) by one operator that serves all items alike.
    An item whose entry is unknown holds NaN there (text: an empty string); an absent entry is unknown for all items.
    """

    image: Tensor | None = None
    mask: Tensor | None = None
    label: Tensor | None = None
    text: tuple[str, ...] | None = None
    measured: Measurement | None = None

    def __getitem__(self, items: slice) -> Given:
        """The condition of some items of the batch."""

        def some(x: Tensor | None) -> Tensor | None:
            return None if x is None else x[items]

        text = self.text if self.text is None else self.text[items]
        measured = self.measured if self.measured is None else replace(self.measured, y=self.measured.y[items])
        return Given(some(self.image), some(self.mask), some(self.label), text, measured)

    def to(self, device: torch.device | str) -> Given:
        """The same condition on another device; an operator follows its input by itself."""

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device)

        measured = self.measured if self.measured is None else replace(self.measured, y=self.measured.y.to(device))
        return Given(moved(self.image), moved(self.mask), moved(self.label), self.text, measured)

    def channels(self, chosen: tuple[int, ...]) -> Given:
        """The same condition with only the chosen channels of the image."""
        return replace(self, image=self.image if self.image is None else self.image[:, list(chosen)])
