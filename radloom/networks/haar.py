"""The Haar wavelet transform of 2D and 3D images, one level, orthonormal; no other wavelet and no model."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from radloom.networks import layers


def haar(x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *t"]:
    """The bands of x (b, 2**dims c, *s / 2), channel by channel: the coarse one first, then the details.

    Band j of a channel has, along axis i, sums where bit i of j is 0 and differences where it is 1 (the last axis has
    the lowest bit), all over sqrt(2) for each axis: the energy sum z**2 is sum x**2. The coarse band is the mean of
    2**dims voxels times sqrt(2**dims). An axis of odd length has its far edge repeated once, whose energy then counts
    as well. (Haar, Math Ann 1910;69:331-371; Daubechies 1992.)

    >>> haar(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
    [5.0, -1.0, -2.0, 0.0]
    """
    cells = 2 ** (x.ndim - 2)
    z = layers.patches_to_channels(layers.padded_to_multiple(x, 2), 2)
    split = z.reshape(len(x), x.shape[1], cells, *z.shape[2:])
    return torch.einsum("jk,bck...->bcj...", _butterfly(cells, x), split).flatten(1, 2)


def inverse_haar(z: Float[Tensor, "b k *t"], size: tuple[int, ...]) -> Float[Tensor, "b c *s"]:
    """The images (b, c, *size) of their bands; `size` tells an odd axis from the even one that has as many bands.

    >>> inverse_haar(torch.tensor([[[[5.0]], [[-1.0]], [[-2.0]], [[0.0]]]]), (2, 2)).flatten().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    cells = 2 ** (z.ndim - 2)
    split = z.reshape(len(z), -1, cells, *z.shape[2:])
    patches = torch.einsum("jk,bcj...->bck...", _butterfly(cells, z), split).flatten(1, 2)
    return layers.cropped_to(layers.channels_to_patches(patches, 2), torch.Size(size))


def _butterfly(cells: int, like: Tensor) -> Tensor:
    """The symmetric orthogonal matrix (cells, cells) of signs over sqrt(cells)."""
    index = torch.arange(cells, device=like.device)
    shared = index[:, None] & index[None, :]
    odd = sum(((shared >> bit) & 1 for bit in range(cells.bit_length() - 1)), torch.zeros_like(shared)) % 2
    return (1 - 2 * odd).to(like) / math.sqrt(cells)
