"""Layers for 2D and 3D by one name: convolution, resampling by patches, padding to a multiple; no whole networks."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError


class _Conv2d(nn.Conv2d):
    """A convolution that pads by itself where an axis is shorter than the kernel.

    There PyTorch 2.13 on a CPU leaves parts of the weight's bfloat16 gradient unset: NaN, or numbers near 1e30.
    """

    def forward(self, input: Tensor) -> Tensor:
        if min(input.shape[2:]) >= max(self.kernel_size):
            return super().forward(input)
        return F.conv2d(_zero_padded(input, self.padding), self.weight, self.bias, self.stride)


class _Conv3d(nn.Conv3d):
    """The same in 3D."""

    def forward(self, input: Tensor) -> Tensor:
        if min(input.shape[2:]) >= max(self.kernel_size):
            return super().forward(input)
        return F.conv3d(_zero_padded(input, self.padding), self.weight, self.bias, self.stride)


def _zero_padded(x: Tensor, padding: str | tuple[int, ...]) -> Tensor:
    return F.pad(x, [int(width) for width in reversed(padding) for _ in range(2)])


_CONV = {2: _Conv2d, 3: _Conv3d}
_INSTANCE = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_BATCH = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_PAD = {2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d}


def conv(
    dims: int, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int | None = None
) -> nn.Module:
    """A convolution over `dims` axes; padding keeps the size at stride 1 unless given."""
    return _CONV[dims](inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding)


def instance_norm(dims: int, channels: int) -> nn.Module:
    """Instance normalisation without affine parameters (pix2pix at batch size 1)."""
    return _INSTANCE[dims](channels)


def reflect_pad(dims: int, width: int) -> nn.Module:
    """Reflection padding by `width` on every side."""
    return _PAD[dims](width)


def check_size(x: Float[Tensor, "b c *s"], least: int, what: str) -> None:
    """Raises RadloomError when an axis of x is shorter than `least` positions, the fewest that `what` can work on."""
    if min(x.shape[2:]) < least:
        axes = "x".join(map(str, x.shape[2:]))
        raise RadloomError(f"a patch of {axes} is too small for {what}", expected=f"at least {least} along every axis",
                           do="choose a larger --set patch=[...]")  # fmt: skip


def patches_to_channels(x: Float[Tensor, "b c *s"], size: int) -> Float[Tensor, "b p *t"]:
    """Each size x size (x size) patch as one position with size**dims times the channels; lossless."""
    dims = x.ndim - 2
    if dims == 2:
        return F.pixel_unshuffle(x, size)
    b, c, *s = x.shape
    split = x.reshape(b, c, *(n for length in s for n in (length // size, size)))
    order = (0, 1, *range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2))
    return split.permute(order).reshape(b, c * size**dims, *(length // size for length in s))


def channels_to_patches(x: Float[Tensor, "b p *t"], size: int) -> Float[Tensor, "b c *s"]:
    """The inverse of patches_to_channels."""
    dims = x.ndim - 2
    if dims == 2:
        return F.pixel_shuffle(x, size)
    b, p, *t = x.shape
    split = x.reshape(b, p // size**dims, *(size,) * dims, *t)
    order = (0, 1, *(axis for d in range(dims) for axis in (2 + dims + d, 2 + d)))
    return split.permute(order).reshape(b, p // size**dims, *(length * size for length in t))


def padded_to_multiple(x: Float[Tensor, "b c *s"], multiple: int) -> Float[Tensor, "b c *t"]:
    """Repeats the edges of x at the far ends so that every axis is a multiple; `cropped_to` undoes it."""
    widths = [n for length in reversed(x.shape[2:]) for n in (0, -length % multiple)]
    return F.pad(x, widths, mode="replicate") if any(widths) else x


def cropped_to(x: Float[Tensor, "b c *t"], shape: torch.Size) -> Float[Tensor, "b c *s"]:
    """The near corner of x with this spatial shape."""
    return x[(..., *(slice(length) for length in shape))]


class PatchesToChannels(nn.Module):
    """`patches_to_channels` as a layer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """The rearranged x."""
        return patches_to_channels(x, self.size)


class ChannelsToPatches(nn.Module):
    """`channels_to_patches` as a layer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """The rearranged x."""
        return channels_to_patches(x, self.size)
