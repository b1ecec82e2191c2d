"""A diffusion U-Net that computes its blocks anew: the same gradients from less memory."""

import pytest
import torch
from torch import Tensor

from radloom.given import Given
from radloom.networks.conditions import mask_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.memory import Run, kept, recomputed


def answer_and_gradients(dims: int, run: Run) -> tuple[list[Tensor], int]:
    """The answer, every gradient, and how many numbers the way forward left for the way back."""
    torch.manual_seed(0)
    network = DiffusionUNet(dims, 1, 1, (8, 16), blocks=2, spade=mask_maps(1), run=run)
    for block in network.modules():  # SPADE and noise have a say from the start
        if isinstance(block, torch.nn.Linear):
            torch.nn.init.normal_(block.weight, std=0.1)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn((2, 1, *(16,) * dims), generator=rng, requires_grad=True)
    given, left = Given(mask=x > 0), []

    def note(value: Tensor) -> Tensor:
        left.append(value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        answer = network(x, torch.tensor([-0.3, 0.2]), given)
    numbers = sum(one.numel() for one in {value.data_ptr(): value for value in left}.values())
    answer.square().sum().backward()
    gradients = [p.grad for p in [x, *network.parameters()] if p.grad is not None]
    assert len(gradients) == 1 + len(list(network.parameters()))
    return [answer.detach(), *gradients], numbers


@pytest.mark.parametrize("dims", [2, 3])
def test_computing_blocks_anew_gives_the_same_gradients_from_less_than_half_of_the_memory(dims: int) -> None:
    wanted, all_kept = answer_and_gradients(dims, kept)
    found, inputs_kept = answer_and_gradients(dims, recomputed)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert inputs_kept < all_kept / 2
