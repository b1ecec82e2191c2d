"""Where training runs: the Fabric of this process, its precision and its threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def launched_fabric() -> Fabric:
    """A launched Fabric: one process alone, or this process of those that torchrun or SLURM started."""
    from lightning_fabric import Fabric

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads halve the speed of a shared machine
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("SLURM_NTASKS_PER_NODE", "1")))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", os.environ.get("SLURM_NNODES", "1")))
    alone = processes * nodes == 1
    fabric = Fabric(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        strategy="auto" if alone else "ddp",
        devices=processes,
        num_nodes=nodes,
        precision="bf16-mixed" if has_fast_bfloat16() else "32-true",
    )
    fabric.launch()
    return fabric


def has_fast_bfloat16() -> bool:
    """Whether this device multiplies bfloat16 in hardware (a GPU since Ampere; a CPU with AMX or AVX512-BF16)."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def idle_threads() -> int:
    """Threads for one process: the cores that other work leaves free, at least one.

    Two threads on two idle cores are 1.7 times as fast as one, but ten times slower than one when a core is busy.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if here > 1:
        return max(1, cores // here)
    return max(1, cores - round(os.getloadavg()[0]))


def reduce_gradients(fabric: Fabric, parameters: list[torch.nn.Parameter]) -> None:
    """Replaces every gradient by its mean over the processes, in one message.

    One message a turn rather than DistributedDataParallel: a model's turns train different parts, which its buckets
    cannot know (docs/decisions/0003-one-message-a-turn.md).
    """
    if fabric.world_size == 1:
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    torch.distributed.all_reduce(flat)
    flat /= fabric.world_size
    for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = mean.view_as(parameter)


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with channels innermost in memory, 1.1-1.2 times faster for convolutions."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.contiguous(memory_format=formats[tensor.ndim]) if tensor.ndim in formats else tensor


def in_channels_last(model: torch.nn.Module) -> torch.nn.Module:
    """The model with every convolution's weights in channels_last."""
    for parameter in model.parameters():
        parameter.data = channels_last(parameter.data)
    return model
