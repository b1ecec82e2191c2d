"""What is known when sampling: Given. Knowledge only, never settings."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Given:
    """The condition of p(x | given) for a batch of b: each entry is absent or has b items along its first axis.

    image: (b, c, *s) known images. mask: (b, m, *s) regions. label: (b, k) classes or values. text: b strings.
    """

    image: Tensor | None = None
    mask: Tensor | None = None
    label: Tensor | None = None
    text: tuple[str, ...] | None = None

    def __getitem__(self, items: slice) -> Given:
        """The condition of some items of the batch."""
        return Given(**{f.name: None if (v := getattr(self, f.name)) is None else v[items] for f in fields(self)})

    def to(self, device: torch.device | str) -> Given:
        """The same condition on another device."""

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device)

        return Given(moved(self.image), moved(self.mask), moved(self.label), self.text)

    def channels(self, chosen: tuple[int, ...]) -> Given:
        """The same condition with only the chosen channels of the image."""
        image = self.image if self.image is None else self.image[:, list(chosen)]
        return Given(image=image, mask=self.mask, label=self.label, text=self.text)
