"""U-Nets whose skips pass a gate, alone and stacked so that the second corrects the first; 2D and 3D."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers
from radloom.networks.residual_unet import Norm, PositionNorm, Residual


class Gate(nn.Module):
    """Attention gate (Oktay et al. 2018, eq. 1-2): skip * sigmoid(psi(relu(W_x skip + W_g deeper))).

    Additive attention with one weight a position; `deeper` is what comes from below, already at the skip's resolution.
    It begins almost open, so that training starts from a plain U-Net (ours).
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.of_skip = layers.conv(dims, channels, inner, 1)
        self.of_deeper = layers.conv(dims, channels, inner, 1)
        self.weight = layers.conv(dims, inner, 1, 1)
        bias = self.weight.bias
        assert isinstance(bias, Tensor), "a convolution of ours has a bias"
        nn.init.constant_(bias, 2.0)

    def forward(self, skip: Float[Tensor, "b c *s"], deeper: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The gated skip."""
        return skip * torch.sigmoid(self.weight(F.relu(self.of_skip(skip) + self.of_deeper(deeper))))


class AttentionUNet(nn.Module):
    """Maps (b, inputs, *s) to (b, outputs, *s) of any spatial size: residual blocks, gated skips.

    channels: width at each level, the first at 1/patch of the resolution, each next at half of the one before.
    """

    def __init__(
        self, dims: int, inputs: int, outputs: int, channels: tuple[int, ...], *, patch: int = 2,
        norm: Norm = PositionNorm,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch, self.levels = patch, len(channels)
        self.stem = layers.conv(dims, inputs * patch**dims, channels[0], 3)
        self.encoder = nn.ModuleList(Residual(dims, width, norm) for width in channels)
        self.decoder = nn.ModuleList(Residual(dims, width, norm) for width in channels[:-1])
        self.gates = nn.ModuleList(Gate(dims, width) for width in channels[:-1])
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for width, deeper in pairwise(channels):
            self.down.append(nn.Sequential(norm(width), layers.conv(dims, width, deeper, 3, stride=2)))
            widen = layers.conv(dims, deeper, width * 2**dims, 1)
            self.up.append(nn.Sequential(norm(deeper), widen, layers.ChannelsToPatches(2)))
        self.head = nn.Sequential(
            norm(channels[0]), nn.SiLU(), layers.conv(dims, channels[0], outputs * patch**dims, 3)
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The image predicted from x."""
        shape = x.shape[2:]
        x = layers.padded_to_multiple(x, self.patch * 2 ** (self.levels - 1))
        h = self.stem(layers.patches_to_channels(x, self.patch))
        kept: list[Tensor] = []
        for level in range(self.levels - 1):
            h = self.encoder[level](h)
            kept.append(h)
            h = self.down[level](h)
        h = self.encoder[-1](h)
        for level in reversed(range(self.levels - 1)):
            h = self.up[level](h)
            h = self.decoder[level](h + self.gates[level](kept[level], h))
        return layers.cropped_to(layers.channels_to_patches(self.head(h), self.patch), torch.Size(shape))


class Stacked(nn.Module):
    """Two networks in a row: the second sees the inputs beside the first answer and draws what is to be added to it.

    first: (b, c, *s) -> (b, k, *s). second: (b, c + k, *s) -> (b, k, *s).
    """

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The corrected answer."""
        answer = self.first(x)
        return answer + self.second(torch.cat([x, answer], dim=1))
