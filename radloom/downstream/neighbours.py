"""How far each voxel of an image lies from healthy ones: nearest neighbours in features that need no training."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError

_WIDTHS = (3, 7)  # voxels, of the means that are features


def local_features(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f h w"]:
    """By channel the value, its means in two windows, the larger mean minus its mirror image's; and the place.

    The mirror is about the middle of the first axis: a lesion on one side differs from the other side.
    """
    means = [F.avg_pool2d(x, width, 1, width // 2, count_include_pad=False) for width in _WIDTHS]
    row, column = (torch.linspace(-1, 1, length, device=x.device) for length in x.shape[2:])
    place = torch.stack([row[:, None].expand(x.shape[2:]).abs(), column[None].expand(x.shape[2:])])
    return torch.cat([x, *means, means[-1] - means[-1].flip(2), place.expand(len(x), -1, -1, -1)], dim=1)


@final
class Neighbours(nn.Module):
    """Healthy voxels in memory; `forward` is the mean distance to the nearest few, in their standard deviations."""

    bank: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(self, channels: int, size: int, *, nearest: int = 5) -> None:
        super().__init__()
        width = channels * (2 + len(_WIDTHS)) + 2
        self.nearest = nearest
        self.register_buffer("bank", torch.zeros(size, width))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, x: Float[Tensor, "b c h w"], region: Tensor, rng: torch.Generator) -> None:
        """Remembers voxels of healthy images, drawn at random from their regions (b, 1, h, w).

        Raises RadloomError when there are fewer than the memory holds neighbours for.
        """
        features = local_features(x).movedim(1, -1)[region[:, 0] > 0]
        if len(features) <= self.nearest:
            raise RadloomError(f"{len(features)} healthy voxels to compare with", expected=f"more than {self.nearest}")
        chosen = torch.randint(len(features), (len(self.bank),), generator=rng, device=rng.device)
        self.centre, self.scale = features.mean(0), features.std(0).clamp_min(1e-3)
        self.bank = (features[chosen] - self.centre) / self.scale

    def forward(self, x: Float[Tensor, "b c h w"], region: Tensor) -> Float[Tensor, "b 1 h w"]:
        """The distances in the region, 0 elsewhere."""
        inside = region[:, 0] > 0
        features = (local_features(x).movedim(1, -1)[inside] - self.centre) / self.scale
        found = [torch.cdist(part, self.bank).topk(self.nearest, largest=False).values.mean(1)
                 for part in features.split(4096)]  # fmt: skip
        distances = x.new_zeros(inside.shape)
        distances[inside] = torch.cat(found) if found else x.new_zeros(0)
        return distances[:, None]
