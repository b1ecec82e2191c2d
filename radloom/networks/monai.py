"""The only file that imports MONAI's networks and losses, each under the name that radloom uses for it."""

from collections.abc import Callable

from torch import Tensor, nn

from radloom.networks import layers


def segmentation_unet(dims: int, inputs: int, classes: int, channels: tuple[int, ...]) -> nn.Module:
    """MONAI's BasicUNet between patches of 2: (b, inputs, *s) -> logits (b, classes, *s), axes multiples of 32.

    channels: width of its five levels. In front stands a lossless rearrangement of 2x2 patches into channels, behind
    its inverse: four times fewer positions, and no transposed convolution, which leaves a bright last column.
    """
    from monai.networks.nets.basic_unet import BasicUNet

    cells = 2**dims
    features = (*channels, channels[0])
    inner = BasicUNet(dims, inputs * cells, classes * cells, features, norm="instance", upsample="nontrainable")
    return nn.Sequential(layers.PatchesToChannels(2), inner, layers.ChannelsToPatches(2))


def dice_and_cross_entropy() -> Callable[[Tensor, Tensor], Tensor]:
    """The sum of soft Dice and cross-entropy, from logits (b, classes, *s) and labels (b, 1, *s)."""
    from monai.losses.dice import DiceCELoss

    return DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, squared_pred=True)
