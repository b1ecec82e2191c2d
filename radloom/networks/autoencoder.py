"""Encoder and decoder between images and a grid of latents, 2D and 3D; what latents mean is their model's affair."""

from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers
from radloom.networks.residual_unet import PositionNorm, Residual


class Encoder(nn.Module):
    """Maps (b, inputs, *s) to (b, outputs, *t); t is s / factor, rounded up.

    channels: width at each level, the first at half of the resolution, each next at half of the one before; factor is
    2 ** levels. Images whose axes are no multiples have their far edges repeated.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, channels: tuple[int, ...], *, blocks: int = 1) -> None:
        super().__init__()
        self.factor = 2 ** len(channels)
        parts: list[nn.Module] = [layers.PatchesToChannels(2), layers.conv(dims, inputs * 2**dims, channels[0], 3)]
        for level, width in enumerate(channels):
            parts += [Residual(dims, width) for _ in range(blocks)]
            if level + 1 < len(channels):
                deeper = layers.conv(dims, width * 2**dims, channels[level + 1], 1)
                parts += [PositionNorm(width), layers.PatchesToChannels(2), deeper]
        self.body = nn.Sequential(*parts, PositionNorm(channels[-1]), nn.SiLU())
        self.head = layers.conv(dims, channels[-1], outputs, 3)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *t"]:
        """The latents of x."""
        return self.head(self.body(layers.padded_to_multiple(x, self.factor)))


class Decoder(nn.Module):
    """Maps (b, inputs, *t) to (b, outputs, *s), s = factor * t: an encoder of the same channels in reverse."""

    def __init__(self, dims: int, inputs: int, outputs: int, channels: tuple[int, ...], *, blocks: int = 1) -> None:
        super().__init__()
        self.factor = 2 ** len(channels)
        parts: list[nn.Module] = [layers.conv(dims, inputs, channels[-1], 3)]
        for level in reversed(range(len(channels))):
            width = channels[level]
            parts += [Residual(dims, width) for _ in range(blocks)]
            if level:
                shallower = layers.conv(dims, width, channels[level - 1] * 2**dims, 1)
                parts += [PositionNorm(width), shallower, layers.ChannelsToPatches(2)]
        self.body = nn.Sequential(*parts, PositionNorm(channels[0]), nn.SiLU())
        self.head = nn.Sequential(layers.conv(dims, channels[0], outputs * 2**dims, 3), layers.ChannelsToPatches(2))

    def forward(self, z: Float[Tensor, "b k *t"]) -> Float[Tensor, "b c *s"]:
        """The image of the latents z."""
        return self.head(self.body(z))
