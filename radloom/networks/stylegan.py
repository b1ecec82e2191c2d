"""Generators that a mapped latent steers at every layer: StyleGAN (AdaIN) and StyleGAN2 (modulated weights)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import layers
from radloom.networks.equalised import (
    EqualisedConv,
    EqualisedLinear,
    convolved,
    leaky,
    pixel_norm,
    smoothly_doubled,
    start_size,
)

Noise = Callable[[Tensor], Tensor]  # x -> standard normal numbers of its shape, each item from its own stream


class Mapping(nn.Module):
    """(z, given) -> w (b, width), through `depth` layers.

    vectors: modules (given, b) -> (b, width), whose sum goes in beside z. rate: of learning, see
    EqualisedLinear.
    """

    def __init__(
        self, latent: int, width: int, *, depth: int = 2, vectors: Sequence[nn.Module] = (), rate: float = 0.01
    ) -> None:
        super().__init__()
        self.latent, self.width = latent, width
        self.vectors = nn.ModuleList(vectors)
        widths = [latent + (width if vectors else 0), *[width] * depth]
        self.layers = nn.ModuleList(EqualisedLinear(widths[i], widths[i + 1], rate=rate) for i in range(depth))

    def forward(self, z: Float[Tensor, "b l"], given: Given) -> Float[Tensor, "b w"]:
        """The styles' common source."""
        w = pixel_norm(z)
        if len(self.vectors):
            heard = torch.stack([vector(given, len(z)) for vector in self.vectors]).sum(0)
            w = torch.cat([w, pixel_norm(heard)], dim=1)
        for layer in self.layers:
            w = leaky(layer(w))
        return w


class StyleGenerator(nn.Module):
    """(z, given) -> images, by a mapping and a synthesis that hears one w for each of its layers.

    mixing: in training, the share of images whose coarse layers hear one z and whose fine layers another.
    truncation: draws outside training move w towards its mean by this factor: below 1 more usual and less varied
    images. The mean is that of `mapping` over 1000 fixed z with the same condition: no state.
    """

    def __init__(
        self, mapping: Mapping, synthesis: StyleSynthesis | StyleSynthesis2, *,
        mixing: float = 0.9, truncation: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if not (0 <= mixing <= 1 and 0 <= truncation <= 1):
            raise RadloomError(f"mixing {mixing} and truncation {truncation}", expected="shares from 0 to 1")
        self.mapping, self.synthesis, self.mixing, self.truncation = mapping, synthesis, mixing, truncation
        self.latent, self.shape = mapping.latent, synthesis.shape

    def forward(self, z: Float[Tensor, "b l"], given: Given, noise: Noise) -> Float[Tensor, "b k *s"]:
        """The images of z."""
        return self.synthesis(self.styles(z, given, noise), noise)

    def styles(self, z: Float[Tensor, "b l"], given: Given, noise: Noise) -> Float[Tensor, "b n w"]:
        """A w for each layer: mixed in training, truncated outside it."""
        count = self.synthesis.styles
        w = self.mapping(z, given)[:, None].expand(-1, count, -1)
        if self.training and self.mixing > 0:
            other = self.mapping(noise(z), given)[:, None].expand(-1, count, -1)
            chance, place = torch.special.ndtr(noise(z[:, :2].float())).unbind(1)
            first = torch.where(chance < self.mixing, 1 + (place * (count - 1)).floor(), float(count))
            return torch.where((torch.arange(count, device=z.device) < first[:, None])[..., None], w, other)
        if not self.training and self.truncation < 1:
            centre = torch.stack([self._centre(given[i : i + 1], z) for i in range(len(z))])
            return torch.lerp(centre[:, None].to(w), w, self.truncation)
        return w

    def _centre(self, given: Given, like: Tensor) -> Float[Tensor, " w"]:
        rng = torch.Generator().manual_seed(0)
        z = torch.randn(1000, self.latent, generator=rng).to(like)
        label = None if given.label is None else given.label.expand(len(z), -1)
        text = None if given.text is None else given.text * len(z)
        return self.mapping(z, Given(label=label, text=text)).mean(0)


class ModulatedConv(nn.Module):
    """A convolution with weights s_i w_ijk, demodulated by 1 / sqrt(sum over i, k of (s_i w_ijk)**2); s is linear in w.

    Written as scaling the features before and after one shared convolution, which is the same and needs no convolution
    of its own for each item. demodulated: 1 for unit variance out of unit variance in; 0 leaves it out, for images.
    (Karras et al. 2020, eq. 1 and 3)
    """

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *(kernel,) * dims))
        self.style = EqualisedLinear(width, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**dims)

    def forward(self, x: Float[Tensor, "b c *s"], w: Float[Tensor, "b w"]) -> Float[Tensor, "b k *s"]:
        """The features, demodulated."""
        style, weight = self.style(w).float(), self.weight * self.scale
        power = weight.square().flatten(2).sum(2)  # (outputs, inputs)
        demodulation = torch.rsqrt(style.square() @ power.T + 1e-8)
        return convolved(x * _along(style, x), weight) * _along(demodulation, x)


class ToImage(nn.Module):
    """A modulated 1x1 convolution without demodulation, to an image's channels.

    cells: voxels of a patch for each channel. They begin alike, or a checkerboard would have to be unlearned first.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, width: int, *, cells: int = 1) -> None:
        super().__init__()
        weight = torch.randn(outputs, inputs, *(1,) * dims)
        self.weight = nn.Parameter(weight.repeat_interleave(cells, 0))
        self.bias = nn.Parameter(torch.zeros(outputs * cells))
        self.style = EqualisedLinear(width, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "b c *s"], w: Float[Tensor, "b w"]) -> Float[Tensor, "b k *s"]:
        """The image."""
        return convolved(x * _along(self.style(w), x), self.weight * self.scale, self.bias)


class _Noisy(nn.Module):
    """leaky(x + strength noise + bias), one noise map for all channels; the strength starts at 0 and is learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, noise: Noise) -> Tensor:
        return leaky(x + self.strength * noise(x[:, :1]) + self.bias.view(1, -1, *(1,) * (x.ndim - 2)))


class StyleSynthesis2(nn.Module):
    """StyleGAN2's synthesis: modulated convolutions, and an image that each resolution adds to (Karras et al. 2020).

    size: of the images. channels: width at each resolution from coarse to fine, each twice the one before. patch: edge
    of the patches whose voxels the finest resolution holds as channels (2 leaves out the full one). The convolution
    that doubles works at the lower resolution, before linear interpolation (ours: a quarter of its cost).
    """

    def __init__(
        self, dims: int, size: tuple[int, ...], outputs: int, channels: tuple[int, ...], width: int, *, patch: int = 1
    ) -> None:
        super().__init__()
        self.shape, self.patch, self.styles = (outputs, *size), patch, 2 * len(channels)
        coarse = tuple(-(-length // patch) for length in size)
        self.start = nn.Parameter(torch.randn(1, channels[0], *start_size(coarse, len(channels))))
        pairs = [(channels[0], channels[0])]
        for before, after in pairwise(channels):
            pairs += [(before, after), (after, after)]
        self.convs = nn.ModuleList(ModulatedConv(dims, a, b, 3, width) for a, b in pairs)
        self.noises = nn.ModuleList(_Noisy(b) for _, b in pairs)
        self.images = nn.ModuleList(ToImage(dims, c, outputs, width, cells=patch**dims) for c in channels)

    def forward(self, w: Float[Tensor, "b n w"], noise: Noise) -> Float[Tensor, "b k *s"]:
        """The images of the styles."""
        x = self.start.expand(len(w), *self.start.shape[1:])
        x = self.noises[0](self.convs[0](x, w[:, 0]), noise)
        image = self.images[0](x, w[:, 1])
        for level in range(1, len(self.images)):
            first, second = 2 * level - 1, 2 * level
            x = self.noises[first](smoothly_doubled(self.convs[first](x, w[:, first])), noise)
            x = self.noises[second](self.convs[second](x, w[:, second]), noise)
            image = smoothly_doubled(image) + self.images[level](x, w[:, second + 1])
        return layers.cropped_to(layers.channels_to_patches(image, self.patch), torch.Size(self.shape[1:]))


class _Styled(nn.Module):
    """leaky(x + noise), its channels normalised over positions, then gain and shift from w (AdaIN)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.noisy = _Noisy(channels)
        self.style = EqualisedLinear(width, 2 * channels)

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        gain, shift = self.style(w).chunk(2, dim=1)
        normal = F.instance_norm(self.noisy(x, noise).float())
        return normal * (1 + _along(gain, x)) + _along(shift, x)


class StyleSynthesis(nn.Module):
    """StyleGAN's synthesis: a learned constant, convolutions, AdaIN after each (Karras et al. 2019), all at once.

    size, channels: as StyleSynthesis2's. No progressive growth (ours), which StyleGAN2 found to fix details in place.
    """

    def __init__(
        self, dims: int, size: tuple[int, ...], outputs: int, channels: tuple[int, ...], width: int
    ) -> None:  # fmt: skip
        super().__init__()
        self.shape, self.styles = (outputs, *size), 2 * len(channels)
        self.start = nn.Parameter(torch.ones(1, channels[0], *start_size(size, len(channels))))
        pairs = [(channels[0], channels[0])]
        for before, after in pairwise(channels):
            pairs += [(before, after), (after, after)]
        self.convs = nn.ModuleList(EqualisedConv(dims, a, b, 3) for a, b in pairs)
        self.styled = nn.ModuleList(_Styled(c, width) for c in (channels[0], *(b for _, b in pairs)))
        self.image = EqualisedConv(dims, channels[-1], outputs, 1)

    def forward(self, w: Float[Tensor, "b n w"], noise: Noise) -> Float[Tensor, "b k *s"]:
        """The images of the styles."""
        x = self.styled[0](self.start.expand(len(w), *self.start.shape[1:]), w[:, 0], noise)
        for i, conv in enumerate(self.convs):
            x = conv(smoothly_doubled(x) if i % 2 else x)
            x = self.styled[i + 1](x, w[:, i + 1], noise)
        return layers.cropped_to(self.image(x), torch.Size(self.shape[1:]))


def _along(values: Tensor, x: Tensor) -> Tensor:
    return values.view(*values.shape, *(1,) * (x.ndim - 2)).to(x)
