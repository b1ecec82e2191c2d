"""The only file that imports MONAI's networks and losses, each under the name that radloom uses for it."""

from collections.abc import Callable

from torch import Tensor, nn


def segmentation_unet(dims: int, inputs: int, classes: int, channels: tuple[int, ...]) -> nn.Module:
    """MONAI's residual U-Net: (b, inputs, *s) -> logits (b, classes, *s); each axis a multiple of 2**(levels - 1)."""
    from monai.networks.nets.unet import UNet

    strides = (2,) * (len(channels) - 1)
    return UNet(dims, inputs, classes, channels, strides, num_res_units=2, norm="INSTANCE", act="LEAKYRELU")


def dice_and_cross_entropy() -> Callable[[Tensor, Tensor], Tensor]:
    """The sum of soft Dice and cross-entropy, from logits (b, classes, *s) and labels (b, 1, *s)."""
    from monai.losses.dice import DiceCELoss

    return DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, squared_pred=True)
