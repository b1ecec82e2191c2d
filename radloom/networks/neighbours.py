"""How far each voxel lies from healthy ones: nearest neighbours in the intensities of all contrasts together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError

_EACH, _JUDGED = 200, 4000  # voxels taken of an image; voxels that the unit rests on


@final
class Neighbours(nn.Module):
    """Healthy voxels in memory; `forward` is the mean distance to the nearest few, 1 where healthy voxels rarely lie.

    A voxel is the vector of its intensities, each in its standard deviation over healthy voxels. Means of the
    neighbourhood, the other side of the head and the place were tried as well: with them tumours of the embedded
    brains were found worse. size: voxels in memory. The unit is the 95th percentile of the distances of other healthy
    voxels than those. Blind to: what is ill by its shape or its place alone; with one contrast, to all but brightness.
    """

    bank: Tensor
    centre: Tensor
    scale: Tensor
    usual: Tensor

    def __init__(self, channels: int, size: int, *, nearest: int = 5) -> None:
        super().__init__()
        self.nearest = nearest
        self.register_buffer("bank", torch.zeros(size, channels))
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("usual", torch.ones(()))

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], rng: torch.Generator) -> None:
        """Remembers voxels of healthy images (b, c, h, w), drawn at random from their regions (b, 1, h, w).

        Every second image is for the memory, the others for the unit. Raises RadloomError when there are too few.
        """
        halves: tuple[list[Tensor], list[Tensor]] = ([], [])
        number = 0
        for x, region in batches:
            for voxels, inside in zip(x.movedim(1, -1), region[:, 0] > 0, strict=True):
                found = voxels[inside]
                few = torch.randint(max(len(found), 1), (min(len(found), _EACH),), generator=rng, device=rng.device)
                halves[number % 2].append(found[few])
                number += 1
        kept, others = (torch.cat(half) if half else self.bank[:0] for half in halves)
        if min(len(kept), len(others)) <= self.nearest:
            raise RadloomError(f"{len(kept)} healthy voxels to compare with", do="more healthy images are needed",
                               expected=f"more than {self.nearest}, of two images or more")  # fmt: skip
        chosen = torch.randint(len(kept), (len(self.bank),), generator=rng, device=rng.device)
        self.centre, self.scale = kept.mean(0), kept.std(0).clamp_min(1e-3)
        self.bank = (kept[chosen] - self.centre) / self.scale
        self.usual = self._distances(others[:: max(1, len(others) // _JUDGED)]).quantile(0.95).clamp_min(1e-6)

    def forward(self, x: Float[Tensor, "b c h w"], region: Tensor) -> Float[Tensor, "b 1 h w"]:
        """The distances in the region, 0 elsewhere."""
        inside = region[:, 0] > 0
        distances = x.new_zeros(inside.shape)
        distances[inside] = self._distances(x.movedim(1, -1)[inside]) / self.usual
        return distances[:, None]

    def _distances(self, features: Float[Tensor, "n f"]) -> Float[Tensor, " n"]:
        parts = ((features - self.centre) / self.scale).split(4096)
        found = [torch.cdist(part, self.bank).topk(self.nearest, largest=False).values.mean(1) for part in parts]
        return torch.cat(found) if found else features.new_zeros(0)
