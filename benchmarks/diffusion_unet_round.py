"""One round of benchmarks/diffusion_unet.py in a fresh process: a network trained for some CPU seconds, then judged.

Run as `python diffusion_unet_round.py JOB.json ANSWER.json`; diffusion_unet.py writes the job and reads the answer.
"""

from __future__ import annotations

import copy
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusion_unet_contenders import FIELD, VOLUMES, model, size
from generator_contenders import parameters
from generator_round import highest_mb, resident_mb
from lightning_fabric import Fabric
from torch import Tensor, nn

from radloom.files import read_json, write_json
from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.networks.precision import channels_last, has_fast_bfloat16, in_channels_last
from radloom.random import derived_seed, numpy_stream, torch_stream
from radloom.system import Training
from radloom.training.loop import Trainer

BATCH, DRAWN, STEPS = 16, 8, 6  # examples a step; images drawn by this many of Heun's steps
SIGMAS = (0.05, 0.15, 0.4, 1.0, 2.5, 6.0)  # at which the denoising loss is measured
SCHEDULE = Training(10**12, BATCH, (64, 64), 1e-3, betas=(0.9, 0.99), decay_from=1.0, ema=0.99)
WARM, FALL = 0.05, 0.4  # shares of the budget: the rate rises up to the one, and falls to 0 from the other on


@dataclass(frozen=True)
class Job:
    """What to train and judge. seconds: CPU time of training; data: the splits (n, 1, 64, 64) and their patients."""

    contender: str
    widths: tuple[int, ...]
    rate: float
    seconds: float
    seed: int
    data: str
    judged: tuple[str, ...]


@dataclass(frozen=True)
class VolumeJob:
    """Training steps on one noisy cube of this edge."""

    contender: str
    widths: tuple[int, ...]
    edge: int


def trained(job: Job) -> dict[str, Any]:
    """What a round measured: CPU seconds, MiB, and the denoising loss by patient."""
    fabric, data = _fabric(), np.load(job.data)
    sets = {name: torch.from_numpy(data[name]) for name in ("train", *job.judged)}
    spread = float(sets["train"].square().mean().sqrt())
    build = FIELD[job.contender].build
    size(build, 2, job.widths)
    before = resident_mb()
    torch.manual_seed(derived_seed(job.seed, "weights"))
    begun = in_channels_last(model(build(2, job.widths), spread, STEPS))
    trainer = Trainer(begun, copy.deepcopy(begun).eval().requires_grad_(False), SCHEDULE, fabric, job.seed)
    steps, seconds = _train(trainer, sets["train"], job)
    found: dict[str, Any] = {
        "parameters": parameters(begun), "steps": steps, "memory_mb": highest_mb() - before,
        "training_rate": steps * BATCH / seconds,
    }  # fmt: skip
    average = trainer.average
    assert isinstance(average, Diffusion)
    with fabric.autocast(), torch.no_grad():
        for name in job.judged:
            losses = denoising_loss(average, sets[name])
            patients = data[f"{name}_patients"]
            found[name] = {str(one): float(losses[patients == one].mean()) for one in np.unique(patients)}
        return found | _sampled(average, tuple(sets["train"].shape[2:]))


def _fabric() -> Fabric:
    torch.set_num_threads(1)
    return Fabric(accelerator="cpu", devices=1, precision="bf16-mixed" if has_fast_bfloat16("cpu") else "32-true")


def _train(trainer: Trainer, x: Tensor, job: Job) -> tuple[int, float]:
    """Steps done and CPU seconds taken, rate by the share of the budget that is gone."""
    began, steps = time.process_time(), 0
    while (spent := time.process_time() - began) < job.seconds or steps == 0:
        done = spent / job.seconds
        rate = job.rate * min(1.0, (done + 0.01) / WARM) * min(1.0, (1 - done) / (1 - FALL))
        trainer.training = replace(SCHEDULE, learning_rate=max(rate, 1e-8))
        chosen = numpy_stream(job.seed, "batch", steps).integers(len(x), size=BATCH)
        trainer.step(x[torch.from_numpy(chosen)], Given())
        steps += 1
    return steps, time.process_time() - began


def denoising_loss(one: Diffusion, x: Tensor) -> np.ndarray:
    """EDM's weighted squared error of each image, mean over voxels and SIGMAS; the noise is the same for all models."""
    total = torch.zeros(len(x))
    for sigma in SIGMAS:
        n = torch.randn(x.shape, generator=torch_stream(0, "benchmark noise", str(sigma)))
        weight = (sigma**2 + one.spread**2) / (sigma * one.spread) ** 2
        for part in torch.arange(len(x)).split(BATCH):
            clean = one.denoise(channels_last(x[part] + sigma * n[part]), torch.tensor(sigma), Given())
            total[part] += weight * (clean - x[part]).square().flatten(1).mean(1)
    return (total / len(SIGMAS)).numpy()


def _sampled(one: Diffusion, shape: tuple[int, ...]) -> dict[str, float]:
    """Images drawn per CPU second, and the share of the time beyond the network's own."""
    inside = [0.0]
    began = [0.0]

    def enter(network: nn.Module, inputs: Any) -> None:
        began[0] = time.process_time()

    def leave(network: nn.Module, inputs: Any, answer: Any) -> None:
        inside[0] += time.process_time() - began[0]

    one.sample(Given(), (DRAWN, 1, *shape), rng=torch_stream(0, "warm"))
    hooks = [one.network.register_forward_pre_hook(enter), one.network.register_forward_hook(leave)]
    start = time.process_time()
    one.sample(Given(), (DRAWN, 1, *shape), rng=torch_stream(0, "drawn"))
    seconds = time.process_time() - start
    for hook in hooks:
        hook.remove()
    return {"sampling_rate": DRAWN / seconds, "overhead": seconds / inside[0] - 1}


def volume(job: VolumeJob) -> dict[str, Any]:
    """Memory and CPU seconds of a 3D training step, forward, backward and Adam; the faster of two after a first."""
    fabric = _fabric()
    build = VOLUMES[job.contender].build
    size(build, 3, job.widths)
    x = channels_last(torch.randn((1, 1, *(job.edge,) * 3), generator=torch_stream(0, "volume")))
    before = resident_mb()
    torch.manual_seed(0)
    begun = in_channels_last(model(build(3, job.widths), 0.5, STEPS))
    trainer = Trainer(begun, copy.deepcopy(begun).eval().requires_grad_(False), SCHEDULE, fabric, 0)
    took = []
    for _ in range(3):
        start = time.process_time()
        loss = trainer.step(x, Given())["all.total"]
        took.append(time.process_time() - start)
    return {"parameters": parameters(begun), "memory_mb": highest_mb() - before, "seconds": min(took[1:]),
            "loss": float(loss)}  # fmt: skip


if __name__ == "__main__":
    described = read_json(Path(sys.argv[1]))
    described |= {key: tuple(value) for key, value in described.items() if isinstance(value, list)}
    answer = volume(VolumeJob(**described)) if "edge" in described else trained(Job(**described))
    write_json(Path(sys.argv[2]), answer)
