"""A network whose answer is added to the image that it is given: a translation that begins at the image itself."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn


@final
class Added(nn.Module):
    """The network's answer plus the image, channel for channel, the last one again where there are more answers.

    For kinds of images that share their outlines: training has to find the difference alone.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The sum."""
        change = self.network(x)
        return x[:, [min(i, x.shape[1] - 1) for i in range(change.shape[1])]] + change
