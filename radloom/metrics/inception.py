"""Inception-v3 as the TensorFlow graph of the Frechet inception distance computes it, in plain PyTorch; no weights.

Names of parameters are those of the public PyTorch port, so that its state dict loads. It departs from the network of
the paper in three places: averages do not count padding, the last block pools by maximum, and there are 1008 classes.
Szegedy C et al. CVPR 2016:2818-2826; Heusel M et al. NeurIPS 2017;30.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CLASSES = 1008
WIDTH = 2048


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation (epsilon 0.001), ReLU."""

    def __init__(
        self, before: int, after: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | None = None
    ) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        # the graph keeps the size where it does not stride, save for two convolutions of the stem
        same = (high // 2, wide // 2) if stride == 1 else (0, 0)
        around = same if padding is None else (padding, padding)
        self.conv = nn.Conv2d(before, after, (high, wide), stride, around, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Features of the next layer."""
        return F.relu(self.bn(self.conv(x)))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: 1 x 1, 5 x 5, double 3 x 3 and pooled branches."""

    def __init__(self, before: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = ConvUnit(before, 64, 1)
        self.branch5x5_1 = ConvUnit(before, 48, 1)
        self.branch5x5_2 = ConvUnit(48, 64, 5)
        self.branch3x3dbl_1 = ConvUnit(before, 64, 1)
        self.branch3x3dbl_2 = ConvUnit(64, 96, 3)
        self.branch3x3dbl_3 = ConvUnit(96, 96, 3)
        self.branch_pool = ConvUnit(before, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The four branches side by side."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat((self.branch1x1(x), five, double, self.branch_pool(_average(x))), 1)


class BlockB(nn.Module):
    """From 35 x 35 to 17 x 17."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.branch3x3 = ConvUnit(before, 384, 3, 2)
        self.branch3x3dbl_1 = ConvUnit(before, 64, 1)
        self.branch3x3dbl_2 = ConvUnit(64, 96, 3)
        self.branch3x3dbl_3 = ConvUnit(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Two strided branches and the maximum."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat((self.branch3x3(x), double, F.max_pool2d(x, 3, 2)), 1)


class BlockC(nn.Module):
    """17 x 17: branches of 1 x 7 and 7 x 1."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch1x1 = ConvUnit(768, 192, 1)
        self.branch7x7_1 = ConvUnit(768, inner, 1)
        self.branch7x7_2 = ConvUnit(inner, inner, (1, 7))
        self.branch7x7_3 = ConvUnit(inner, 192, (7, 1))
        self.branch7x7dbl_1 = ConvUnit(768, inner, 1)
        self.branch7x7dbl_2 = ConvUnit(inner, inner, (7, 1))
        self.branch7x7dbl_3 = ConvUnit(inner, inner, (1, 7))
        self.branch7x7dbl_4 = ConvUnit(inner, inner, (7, 1))
        self.branch7x7dbl_5 = ConvUnit(inner, 192, (1, 7))
        self.branch_pool = ConvUnit(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The four branches side by side."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat((self.branch1x1(x), seven, double, self.branch_pool(_average(x))), 1)


class BlockD(nn.Module):
    """From 17 x 17 to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = ConvUnit(768, 192, 1)
        self.branch3x3_2 = ConvUnit(192, 320, 3, 2)
        self.branch7x7x3_1 = ConvUnit(768, 192, 1)
        self.branch7x7x3_2 = ConvUnit(192, 192, (1, 7))
        self.branch7x7x3_3 = ConvUnit(192, 192, (7, 1))
        self.branch7x7x3_4 = ConvUnit(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Two strided branches and the maximum."""
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat((self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), F.max_pool2d(x, 3, 2)), 1)


class _BlockE(nn.Module):
    """8 x 8: the parts of both last blocks; how they pool is left to them."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.branch1x1 = ConvUnit(before, 320, 1)
        self.branch3x3_1 = ConvUnit(before, 384, 1)
        self.branch3x3_2a = ConvUnit(384, 384, (1, 3))
        self.branch3x3_2b = ConvUnit(384, 384, (3, 1))
        self.branch3x3dbl_1 = ConvUnit(before, 448, 1)
        self.branch3x3dbl_2 = ConvUnit(448, 384, 3)
        self.branch3x3dbl_3a = ConvUnit(384, 384, (1, 3))
        self.branch3x3dbl_3b = ConvUnit(384, 384, (3, 1))
        self.branch_pool = ConvUnit(before, 192, 1)

    def join(self, x: Tensor, pooled: Tensor) -> Tensor:
        """The six branches side by side."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat((
            self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled),
        ), 1)  # fmt: skip


class AverageE(_BlockE):
    """8 x 8 with averages."""

    def forward(self, x: Tensor) -> Tensor:
        """The branches, one of them averaged."""
        return self.join(x, _average(x))


class MaximumE(_BlockE):
    """8 x 8 with maxima, as in the graph and unlike in the paper."""

    def forward(self, x: Tensor) -> Tensor:
        """The branches, one of them the maximum."""
        return self.join(x, F.max_pool2d(x, 3, 1, 1))


class InceptionV3(nn.Module):
    """The whole network; `pooled` gives the 2048 features of the distance, calling it the 1008 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvUnit(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = ConvUnit(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = ConvUnit(32, 64, 3)
        self.Conv2d_3b_1x1 = ConvUnit(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvUnit(80, 192, 3, padding=0)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = AverageE(1280)
        self.Mixed_7c = MaximumE(2048)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def pooled(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2048"]:
        """The mean over space of the last block."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1008"]:
        """The logits of the 1008 classes."""
        return self.fc(self.pooled(x))
