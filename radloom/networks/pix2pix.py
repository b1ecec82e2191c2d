"""The networks of pix2pix and CycleGAN: U-Net generator, ResNet generator, PatchGAN discriminator (2D and 3D)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers


def initialised(network: nn.Module, *, deviation: float = 0.02) -> nn.Module:
    """The network with convolution weights from N(0, deviation^2) and biases 0 (Isola et al. 2017, section 6.2)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class UNetGenerator(nn.Module):
    """Pix2pix's U-Net: 4x4 stride-2 convolutions down, nearest resize and 3x3 convolutions up, concatenated skips.

    Resize and convolution replace pix2pix's transposed convolution, whose checkerboard the review shows in Fig. 8B.
    channels: width after each halving; pix2pix at 256x256 has (64, 128, 256, 512, 512, 512, 512).
    dropout: probability in the three deepest decoder blocks (pix2pix: 0.5).
    """

    def __init__(
        self, dims: int, inputs: int, outputs: int, channels: tuple[int, ...], *, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        last = len(channels) - 1
        for level, width in enumerate(channels):
            before = inputs if level == 0 else channels[level - 1]
            normed = 0 < level < last  # no norm on the first block, nor where one position may remain
            self.down.append(_down(dims, before, width, normed=normed))
        for level in reversed(range(1, len(channels))):
            deeper = channels[level] * (1 if level == last else 2)
            kept = dropout if last - level < 3 and level > 1 else 0.0
            self.up.append(_up(dims, deeper, channels[level - 1], dropout=kept))
        self.head = layers.conv(dims, 2 * channels[0] if last else channels[0], outputs, 3)
        initialised(self)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The image predicted from x."""
        shape = x.shape[2:]
        h = layers.padded_to_multiple(x, 2 ** len(self.down))
        kept: list[Tensor] = []
        for block in self.down:
            h = block(h)
            kept.append(h)
        for block, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            h = torch.cat([block(h), skip], dim=1)
        return layers.cropped_to(self.head(F.interpolate(F.relu(h), scale_factor=2)), torch.Size(shape))


def _down(dims: int, inputs: int, outputs: int, *, normed: bool) -> nn.Module:
    norm = [layers.instance_norm(dims, outputs)] if normed else []
    return nn.Sequential(layers.conv(dims, inputs, outputs, 4, stride=2, padding=1), *norm, nn.LeakyReLU(0.2))


def _up(dims: int, inputs: int, outputs: int, *, dropout: float) -> nn.Module:
    parts: list[nn.Module] = [nn.ReLU(), nn.Upsample(scale_factor=2), layers.conv(dims, inputs, outputs, 3)]
    parts.append(layers.instance_norm(dims, outputs))
    return nn.Sequential(*parts, *([nn.Dropout(dropout)] if dropout else []))


class ResNetGenerator(nn.Module):
    """CycleGAN's generator: two halvings, `blocks` residual blocks, two doublings (Zhu et al. 2017; Johnson 2016).

    width: channels at full resolution (64 in 2D; 32 is usual in 3D).
    """

    def __init__(self, dims: int, inputs: int, outputs: int, *, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        stem = [layers.reflect_pad(dims, 3), layers.conv(dims, inputs, width, 7, padding=0), *_norm_relu(dims, width)]
        down, up = [], []
        for factor in (1, 2):
            down += [layers.conv(dims, width * factor, width * factor * 2, 3, stride=2)]
            down += _norm_relu(dims, width * factor * 2)
        for factor in (4, 2):
            up += [nn.Upsample(scale_factor=2), layers.conv(dims, width * factor, width * factor // 2, 3)]
            up += _norm_relu(dims, width * factor // 2)
        middle = [_ResNetBlock(dims, width * 4) for _ in range(blocks)]
        head = [layers.reflect_pad(dims, 3), layers.conv(dims, width, outputs, 7, padding=0)]
        self.layers = nn.Sequential(*stem, *down, *middle, *up, *head)
        initialised(self)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The image predicted from x. Raises RadloomError when x is too small for the reflected borders."""
        layers.check_size(x, 5, "the ResNet generator")  # a reflection of 3 voxels, and of 1 at a quarter of the size
        return layers.cropped_to(self.layers(layers.padded_to_multiple(x, 4)), x.shape[2:])


def _norm_relu(dims: int, channels: int) -> list[nn.Module]:
    return [layers.instance_norm(dims, channels), nn.ReLU()]


class _ResNetBlock(nn.Module):
    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        half = [layers.reflect_pad(dims, 1), layers.conv(dims, channels, channels, 3, padding=0)]
        rest = [layers.reflect_pad(dims, 1), layers.conv(dims, channels, channels, 3, padding=0)]
        norm = layers.instance_norm(dims, channels)
        self.branch = nn.Sequential(*half, *_norm_relu(dims, channels), *rest, norm)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class PatchDiscriminator(nn.Module):
    """PatchGAN: a map of scores, one per overlapping patch (70x70 with three halvings; Isola et al. 2017).

    The input is the condition and the image, concatenated. halvings: 3 in 2D; RevGAN's 3D uses 2.
    """

    def __init__(self, dims: int, inputs: int, *, width: int = 64, halvings: int = 3) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = inputs
        for level in range(halvings + 1):
            after = width * min(2**level, 8)
            stride = 2 if level < halvings else 1
            parts.append(layers.conv(dims, before, after, 4, stride=stride, padding=1))
            parts += [layers.instance_norm(dims, after)] if level else []
            parts.append(nn.LeakyReLU(0.2))
            before = after
        self.layers = nn.Sequential(*parts, layers.conv(dims, before, 1, 4, padding=1))
        self.least = 3 * 2**halvings  # two 4x4 convolutions at stride 1 take a position each; one must be left
        initialised(self)

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b 1 *t"]:
        """A score per patch; real is high. Raises RadloomError when x is too small to be scored."""
        layers.check_size(x, self.least, "the discriminator")
        return self.layers(x)
