"""Number and memory formats in which convolutions are fast on this machine."""

from typing import TypeVar

import torch

Network = TypeVar("Network", bound=torch.nn.Module)


def has_fast_bfloat16(device: str) -> bool:
    """Whether a device, "cpu" or "cuda", multiplies bfloat16 in hardware.

    A GPU does since Ampere, a CPU with AMX or AVX512-BF16.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with channels innermost in memory, which convolutions read faster."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.contiguous(memory_format=formats[tensor.ndim]) if tensor.ndim in formats else tensor


def in_channels_last(model: Network) -> Network:
    """The model with every convolution's weights in channels_last."""
    for parameter in model.parameters():
        parameter.data = channels_last(parameter.data)
    return model
