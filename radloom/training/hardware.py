"""Where training runs: the Fabric of this process, its precision and its threads."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from radloom.networks.precision import has_fast_bfloat16

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def launched_fabric() -> Fabric:
    """A launched Fabric on idle threads: one process alone, or one of those that torchrun or SLURM started."""
    from lightning_fabric import Fabric

    # Fabric would announce the precision on every command
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("SLURM_NTASKS_PER_NODE", "1")))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", os.environ.get("SLURM_NNODES", "1")))
    alone = processes * nodes == 1
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(
        accelerator=device,
        strategy="auto" if alone else "ddp",
        devices=processes,
        num_nodes=nodes,
        precision="bf16-mixed" if has_fast_bfloat16(device) else "32-true",
    )
    fabric.launch()
    torch.set_num_threads(idle_threads())
    return fabric


def idle_threads() -> int:
    """Threads for one process: the cores that other work leaves free, at least one; OMP_NUM_THREADS where it is set.

    Two threads on two idle cores are 1.5 times as fast as one, but slower than one when a core is busy.
    """
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if here > 1:
        return max(1, cores // here)
    return max(1, min(cores, round(_idle_cores())))


def _idle_cores(seconds: float = 0.5) -> float:
    """How many cores did nothing over a short look; all of them where the system does not say."""
    before = _idle_and_total()
    time.sleep(seconds)
    after = _idle_and_total()
    if before is None or after is None or after[1] == before[1]:
        return float(os.cpu_count() or 1)
    return (after[0] - before[0]) / (after[1] - before[1]) * (os.cpu_count() or 1)


def _idle_and_total() -> tuple[int, int] | None:
    try:
        fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    except (OSError, ValueError):
        return None
    return fields[3], sum(fields)


def reduce_gradients(fabric: Fabric, parameters: list[torch.nn.Parameter]) -> None:
    """Replaces every gradient by its mean over the processes, in one message; one that no process has stays absent.

    One message a turn rather than DistributedDataParallel: a model's turns train different parts, which its buckets
    cannot know (docs/decisions/0003-one-message-a-turn.md).
    """
    if fabric.world_size == 1:
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    present = torch.tensor([float(p.grad is not None) for p in parameters]).to(gradients[0])
    flat = torch.cat([*(g.reshape(-1) for g in gradients), present])
    torch.distributed.all_reduce(flat)
    flat /= fabric.world_size
    *means, present = flat.split([*(p.numel() for p in parameters), len(parameters)])
    for parameter, mean, known in zip(parameters, means, present.tolist(), strict=True):
        if not known:  # a part that does not train now: the optimiser's momentum would go on moving it
            continue
        # in the parameter's memory order: the fused optimiser walks through memory and would mix the weights up
        parameter.grad = torch.empty_like(parameter).copy_(mean.view_as(parameter))
