"""What a network keeps of its blocks for the way back: all that they computed, or their inputs alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Run = Callable[..., Tensor]  # (block, *inputs) -> the block's answer


def kept(block: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """The block's answer; what its gradient needs stays in memory."""
    return block(*inputs)


def recomputed(block: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """The block's answer; its inputs alone stay, and the way back computes the rest anew (Chen et al. 2016).

    Gradients are the same, and what stays is one input a block; a training step costs up to one more pass forward.
    """
    if not torch.is_grad_enabled():
        return block(*inputs)
    answer = checkpoint(block, *inputs, use_reentrant=False)
    assert isinstance(answer, Tensor)
    return answer
