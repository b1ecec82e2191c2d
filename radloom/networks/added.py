"""An image on top of one of the inputs: the network draws the difference; no network of its own."""

from jaxtyping import Float
from torch import Tensor, nn


class AddedTo(nn.Module):
    """x[:, channel] + network(x): what a contrast agent adds is easier to learn than the whole image.

    network: (b, inputs, *s) -> (b, outputs, *s); the one channel is added to every output.

    >>> import torch
    >>> added = AddedTo(nn.Conv2d(2, 1, 1), channel=1)
    >>> _ = nn.init.zeros_(added.network.weight), nn.init.zeros_(added.network.bias)
    >>> added(torch.tensor([[[[1.0]], [[5.0]]]])).item()
    5.0
    """

    def __init__(self, network: nn.Module, *, channel: int) -> None:
        super().__init__()
        self.network, self.channel = network, channel

    def forward(self, x: Float[Tensor, "b c *s"]) -> Float[Tensor, "b k *s"]:
        """The channel and what the network adds to it."""
        return x[:, self.channel : self.channel + 1] + self.network(x)
