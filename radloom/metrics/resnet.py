"""ResNet-50 in plain PyTorch, whose pooled 2048 features RadImageNet's weights give; no weights, no classifier.

He K et al. CVPR 2016:770-778. The stride is in the 3 x 3 convolution, as in the public PyTorch weights.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WIDTH = 2048
DEPTHS = (3, 4, 6, 3)
# RadImageNet's own file numbers the children of a sequence instead of naming them
NUMBERED = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut."""

    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        after = 4 * inner
        self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            if stride > 1 or before != after
            else nn.Sequential()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of the next block."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet50(nn.Module):
    """The network up to the mean over space."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for stage, depth in enumerate(DEPTHS):
            inner = 64 * 2**stage
            first = Bottleneck(before, inner, 1 if stage == 0 else 2)
            rest = [Bottleneck(4 * inner, inner, 1) for _ in range(depth - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
            before = 4 * inner

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2048"]:
        """The 2048 pooled features."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(len(DEPTHS)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x.mean((2, 3))


def plain_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state under this network's names, without a classifier; RadImageNet's `backbone.4.0.conv1.weight` is renamed.

    >>> import torch
    >>> sorted(plain_names({"backbone.4.0.bn1.bias": torch.zeros(1), "fc.bias": torch.zeros(1)}))
    ['layer1.0.bn1.bias']
    """
    found = {}
    for name, value in state.items():
        parts = name.removeprefix("module.").removeprefix("backbone.").split(".")
        parts[0] = NUMBERED.get(parts[0], parts[0])
        if parts[0] != "fc":
            found[".".join(parts)] = value
    return found
