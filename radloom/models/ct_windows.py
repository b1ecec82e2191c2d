"""A CT slice as several grey-value windows, and back to HU; and where the inside of the skull is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from radloom.errors import RadloomError

_BONE_HU = 120.0  # fresh blood stays below, at up to some 100 HU


@dataclass(frozen=True)
class Windows:
    """pairs: the HU that become -1 and 1 in each channel. scale: the HU that are -1 and 1 in the image itself.

    The widest window is the last and holds all others. Blind to: whatever lies outside it.
    """

    scale: tuple[float, float]
    pairs: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not self.pairs or any(not high > low for low, high in (self.scale, *self.pairs)):
            raise RadloomError(f"windows {self.pairs} of images at {self.scale}", expected="pairs of rising HU")
        low, high = self.pairs[-1]
        if any(a < low or b > high for a, b in self.pairs):
            raise RadloomError(f"windows {self.pairs}", expected="the last to hold all others")

    def hu(self, x: Float[Tensor, "b 1 *s"]) -> Float[Tensor, "b 1 *s"]:
        """The HU of an image from -1 to 1.

        >>> Windows((-1000.0, 1000.0), ((0.0, 80.0),)).hu(torch.tensor([[[0.04]]])).round().item()
        40.0
        """
        low, high = self.scale
        return (x + 1) / 2 * (high - low) + low

    def image(self, hu: Float[Tensor, "b 1 *s"]) -> Float[Tensor, "b 1 *s"]:
        """The image from -1 to 1 of HU, cut there."""
        low, high = self.scale
        return (2 * (hu - low) / (high - low) - 1).clamp(-1, 1)

    def split(self, x: Float[Tensor, "b 1 *s"]) -> Float[Tensor, "b k *s"]:
        """A channel from -1 to 1 for each window, cut there."""
        hu = self.hu(x)
        return torch.cat([(2 * (hu - low) / (high - low) - 1).clamp(-1, 1) for low, high in self.pairs], dim=1)

    def joined(self, seen: Float[Tensor, "b k *s"]) -> Float[Tensor, "b 1 *s"]:
        """The HU of windowed channels: the mean of those windows that hold the HU which the widest one shows.

        >>> windows = Windows((-1000.0, 1000.0), ((5.0, 55.0), (0.0, 80.0), (-20.0, 180.0)))
        >>> windows.joined(windows.split(windows.image(torch.tensor([[[-100.0, 3.0, 30.0, 70.0]]])))).round().tolist()
        [[[-20.0, 3.0, 30.0, 70.0]]]
        """
        found = torch.cat([(seen[:, i : i + 1].clamp(-1, 1) + 1) / 2 * (high - low) + low
                           for i, (low, high) in enumerate(self.pairs)], dim=1)  # fmt: skip
        widest = found[:, -1:].detach()
        holds = torch.cat([(widest >= low) & (widest <= high) for low, high in self.pairs], dim=1).to(found)
        return (found * holds).sum(1, keepdim=True) / holds.sum(1, keepdim=True)


def inside_skull(hu: Float[Tensor, "b 1 h w"], head: Bool[Tensor, "b 1 h w"], *, rim: int) -> Bool[Tensor, "b 1 h w"]:
    """Where the inside of the skull is, slice by slice: what closed bone encloses, `rim` pixels from it.

    Bone is what lies above 120 HU in the head. Its gaps of up to two pixels are closed. Where the largest enclosed part
    holds less than a twentieth of the head (the base, the vertex), there is none.
    """
    from scipy import ndimage

    found = torch.zeros_like(head)
    for i, (one, within) in enumerate(zip(hu[:, 0].cpu().numpy(), head[:, 0].cpu().numpy(), strict=True)):
        bone = (one > _BONE_HU) & within
        closed = ndimage.binary_closing(np.pad(bone, 2), iterations=1)[2:-2, 2:-2] | bone
        enclosed = ndimage.binary_fill_holes(closed) & ~closed
        labels = np.zeros(enclosed.shape, np.int32)
        if not ndimage.label(enclosed, output=labels):
            continue
        sizes = np.bincount(labels.ravel())[1:]
        if sizes.max() < within.sum() / 20:
            continue
        largest = labels == 1 + int(sizes.argmax())
        if rim:
            largest = ndimage.binary_erosion(largest, iterations=rim)
        found[i, 0] = torch.from_numpy(largest).to(found.device)
    return found
