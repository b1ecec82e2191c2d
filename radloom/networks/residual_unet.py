"""Residual U-Net that starts from 2x2 patches: our generator of images, 2D and 3D."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers


class PositionNorm(nn.Module):
    """Layer normalisation of each position's channels (Ba et al. 2016; between convolutions, Liu et al. 2022).

    A group or instance norm takes its statistics over positions: a tile then answers otherwise than the whole volume
    and a slice with a large tumour otherwise than its neighbour. Without any norm an earlier network diverged at 1e-3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The normalised features."""
        return F.layer_norm(x.movedim(1, -1), self.gain.shape, self.gain, self.shift, eps=1e-4).movedim(-1, 1)


Norm = Callable[[int], nn.Module]


class ChannelNorm(nn.Module):
    """Instance normalisation with a gain and a shift for each channel (Ulyanov et al. 2016).

    One image at a time through batch_norm: the same numbers as GroupNorm(channels, channels), which on a CPU takes
    about twice as long on tensors in channels_last.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The normalised features."""
        if x[0, 0].numel() == 1:  # batch_norm refuses a single position, where the answer is the shift
            return F.group_norm(x, x.shape[1], self.gain, self.shift)
        return torch.cat([F.batch_norm(one, None, None, self.gain, self.shift, training=True) for one in x.split(1)])


class Residual(nn.Module):
    """x + conv(silu(conv(silu(norm(x)))))."""

    def __init__(self, dims: int, channels: int, norm: Norm = PositionNorm) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.first = layers.conv(dims, channels, channels, 3)
        self.second = layers.conv(dims, channels, channels, 3)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b c *s"]:
        """The features after the block."""
        return x + self.second(F.silu(self.first(F.silu(self.norm(x)))))


class ResidualUNet(nn.Module):
    """Maps (b, inputs, *s) to (b, outputs, *s) of any spatial size.

    channels: width at each level, the first at 1/patch of the resolution, each next at half of the one before.
    blocks: residual blocks per level and side. patch: edge of the patches that the stem turns into channels
    (2 leaves out the full resolution; see docs/explanation/generator.md). finish: width of two convolutions at full
    resolution that see what the patches became beside the inputs, 0 for none. norm: PositionNorm answers a tile as the
    volume around it would be; ChannelNorm learns faster where whole slices are drawn.
    """

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        channels: tuple[int, ...],
        *,
        blocks: int = 1,
        patch: int = 2,
        finish: int = 0,
        norm: Norm = PositionNorm,
    ) -> None:
        super().__init__()
        self.patch, self.levels = patch, len(channels)
        self.stem = layers.conv(dims, inputs * patch**dims, channels[0], 3)
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        self.decoder, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(channels):
            self.encoder.append(nn.Sequential(*(Residual(dims, width, norm) for _ in range(blocks))))
            if level + 1 < len(channels):
                deeper = channels[level + 1]
                self.down.append(nn.Sequential(norm(width), layers.conv(dims, width, deeper, 3, stride=2)))
                # a 1x1 convolution at the lower resolution: a 3x3 one behind the upsampling took a fifth of all time
                widen = layers.conv(dims, deeper, width * 2**dims, 1)
                self.up.append(nn.Sequential(norm(deeper), widen, layers.ChannelsToPatches(2)))
                self.decoder.append(nn.Sequential(*(Residual(dims, width, norm) for _ in range(blocks))))
        head = layers.conv(dims, channels[0], (finish or outputs) * patch**dims, 3)
        self.head = nn.Sequential(norm(channels[0]), nn.SiLU(), head)
        self.finish = None
        if finish:
            join = layers.conv(dims, finish + inputs, finish, 3)
            self.finish = nn.Sequential(join, nn.SiLU(), layers.conv(dims, finish, outputs, 3))

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The image predicted from x."""
        shape = x.shape[2:]
        x = layers.padded_to_multiple(x, self.patch * 2 ** (self.levels - 1))
        h = self.stem(layers.patches_to_channels(x, self.patch))
        kept: list[Tensor] = []
        for level in range(self.levels):
            h = self.encoder[level](h)
            if level + 1 < self.levels:
                kept.append(h)
                h = self.down[level](h)
        for level in reversed(range(self.levels - 1)):
            h = self.decoder[level](kept[level] + self.up[level](h))
        full = layers.channels_to_patches(self.head(h), self.patch)
        if self.finish is not None:
            full = self.finish(torch.cat([F.silu(full), x], dim=1))
        return layers.cropped_to(full, torch.Size(shape))
