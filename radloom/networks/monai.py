"""The only file that imports MONAI's networks and losses, each under the name that radloom uses for it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from radloom.given import Given
from radloom.networks import layers
from radloom.networks.conditions import Maps


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


class DiffusionModelUNet(nn.Module):
    """MONAI's diffusion U-Net in the place of DiffusionUNet: (x_t, noise, given) -> (b, outputs, *s).

    channels: width of each level, multiples of 8; axes are multiples of 2**(levels - 1). classes: of given.label's
    first column, or 0. maps: laid beside x. An unknown class is a class of its own.
    """

    def __init__(
        self, dims: int, inputs: int, outputs: int, channels: tuple[int, ...], *, blocks: int = 1,
        attention: tuple[bool, ...] = (), classes: int = 0, maps: Sequence[Maps] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet as Peer

        self.maps, self.classes = tuple(maps), classes
        self.inner = Peer(
            spatial_dims=dims, in_channels=inputs + sum(one.channels for one in self.maps), out_channels=outputs,
            num_res_blocks=blocks, channels=channels, attention_levels=attention or (False,) * len(channels),
            norm_num_groups=8, num_head_channels=8, num_class_embeds=classes + 1 if classes else None,
        )  # fmt: skip

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        """The answer; noise is ln(sigma / alpha) / 4, spread over MONAI's time steps 0 to 1000."""
        x = torch.cat([x, *(one.draw(given, x) for one in self.maps)], dim=1)
        steps = 250 * (noise + 2)
        if not self.classes:
            return self.inner(x, steps)
        label = x.new_full((len(x),), float("nan")) if given.label is None else given.label[:, 0].to(x)
        return self.inner(x, steps, class_labels=label.nan_to_num(self.classes).long())
