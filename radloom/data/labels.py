"""What the values of a mask mean: an explicit map from the source's labels to radloom's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.types import Image


@dataclass(frozen=True)
class LabelMap:
    """Pairs of labels (source, ours); what happens to other labels: they become 0, or the mask is refused."""

    pairs: tuple[tuple[int, int], ...]
    others: Literal["zero", "refuse"] = "zero"

    @classmethod
    def parse(cls, text: str) -> LabelMap:
        """The map in a text such as "1>1 2>2 4>3"; labels that it does not name become 0."""
        found = [re.fullmatch(r"(\d+)>(\d+)", word) for word in text.split()]
        pairs = tuple((int(pair[1]), int(pair[2])) for pair in found if pair)
        sources = [source for source, _ in pairs]
        if not pairs or len(pairs) < len(found) or len(set(sources)) < len(sources) or 0 in sources:
            raise RadloomError(
                f'the labels "{text}" are not a map',
                expected='pairs such as "1>1 2>2 4>3", each label of the source above 0 and named once',
            )
        return cls(pairs)

    def __str__(self) -> str:
        rest = "others refused" if self.others == "refuse" else "others 0"
        return " ".join(f"{source}>{ours}" for source, ours in self.pairs) + f" ({rest})"

    def apply(self, mask: Image, name: str) -> Image:
        """The mask with our labels; `name` is said when it holds a label that the map refuses."""
        present = {int(value) for value in np.unique(mask.voxels)} - {0}
        unknown = sorted(present - {source for source, _ in self.pairs})
        if unknown and self.others == "refuse":
            raise RadloomError(
                f"{name} holds the label {', '.join(map(str, unknown))}, which its naming scheme does not define",
                expected=f"0 and {', '.join(str(source) for source, _ in self.pairs)}",
                do='say which labels to keep in a table pattern,column,labels (such as "1>1 2>2 3>3") with --map',
            )
        voxels = np.zeros_like(mask.voxels)
        for source, ours in self.pairs:
            voxels[mask.voxels == source] = ours
        return mask.with_voxels(voxels)
