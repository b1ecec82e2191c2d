"""Registration by displacements, 2D and 3D: the network that finds them and the warp that follows them; no training."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers
from radloom.networks.pix2pix import initialised


class RegistrationNet(nn.Module):
    """The displacement (b, dims, *s), in voxels, under which `warped` lays one image on another.

    A U-Net over both images side by side, as Kong et al. 2021 and Lyu et al. 2023 put behind their generator: halvings
    by 3x3 convolutions, `blocks` residual blocks at the bottom, concatenated skips, leaky ReLU, no normalisation.
    channels: width after each halving (Lyu's code: 32 and six of 64). It starts near no displacement at all.
    """

    def __init__(self, dims: int, inputs: int, channels: tuple[int, ...], *, blocks: int = 3) -> None:
        super().__init__()
        self.dims, self.factor = dims, 2 ** len(channels)
        self.stem = _leaky(layers.conv(dims, inputs, channels[0], 3))
        widths = (channels[0], *channels)
        self.down = nn.ModuleList(_leaky(layers.conv(dims, a, b, 3, stride=2)) for a, b in pairwise(widths))
        self.bottom = nn.ModuleList(
            nn.Sequential(_leaky(layers.conv(dims, widths[-1], widths[-1], 3)),
                          layers.conv(dims, widths[-1], widths[-1], 3))
            for _ in range(blocks)
        )  # fmt: skip
        upwards = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(_leaky(layers.conv(dims, deep + wide, wide, 3)) for deep, wide in upwards)
        self.refine = _leaky(layers.conv(dims, channels[0], channels[0], 3))
        self.head = layers.conv(dims, channels[0], dims, 3)
        initialised(self.head, deviation=1e-2)

    def forward(self, moving: Float[Tensor, "b c *s"], fixed: Float[Tensor, "b c *s"]) -> Float[Tensor, "b d *s"]:
        """The displacement d with moving(p + d(p)) = fixed(p)."""
        shape = moving.shape[2:]
        h = self.stem(layers.padded_to_multiple(torch.cat([moving, fixed], dim=1), self.factor))
        kept = [h]
        for down in self.down:
            h = down(h)
            kept.append(h)
        for block in self.bottom:
            h = h + block(h)
        for up, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            h = up(torch.cat([F.interpolate(h, scale_factor=2), skip], dim=1))
        return layers.cropped_to(self.head(self.refine(h)), shape).float()


def _leaky(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.LeakyReLU(0.2))


def warped(image: Float[Tensor, "b c *s"], flow: Float[Tensor, "b d *s"]) -> Float[Tensor, "b c *s"]:
    """The image at p + flow(p), linear between voxels, edges repeated (the spatial transformer, Jaderberg et al. 2015).

    flow: displacement in voxels along each axis, in the axes' order.

    >>> row = torch.arange(4.0).view(1, 1, 1, 4)
    >>> warped(row, torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 1, 4)).flatten().tolist()
    [1.0, 2.0, 3.0, 3.0]
    """
    size = image.shape[2:]
    axes = [torch.arange(n, device=image.device, dtype=torch.float32) for n in size]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")) + flow.float()
    lengths = torch.tensor([max(n - 1, 1) for n in size], device=image.device).view(-1, *(1,) * len(size))
    grid = (2 * places / lengths - 1).movedim(1, -1).flip(-1)  # grid_sample names the last axis first
    return F.grid_sample(image.float(), grid, align_corners=True, padding_mode="border")


def roughness(flow: Float[Tensor, "b d *s"]) -> Float[Tensor, ""]:
    """The mean squared finite difference of the displacement, summed over the axes; a shift and no flow have 0.

    >>> slope = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 2, 4, 4)
    >>> float(roughness(slope))
    1.0
    """
    return torch.stack([flow.diff(dim=axis).square().mean() for axis in range(2, flow.ndim)]).sum()
