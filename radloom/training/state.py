"""The state of training on disk: weights, moving average, optimisers, step; tensors and JSON, nothing pickled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from radloom.files import read_json, whole_folder, write_json
from radloom.models.model import Model
from radloom.weights import load_tensors, tensors_of

Optimisers = dict[str, torch.optim.Optimizer]


@dataclass
class Counters:
    """Where training is. rollbacks: how often the NaN guard went back; the learning rate halves each time."""

    step: int = 0
    rollbacks: int = 0
    seconds: float = 0.0


def save_state(folder: Path, model: Model, average: Model, optimisers: Optimisers, counters: Counters) -> None:
    """Writes everything that resume needs, whole or not at all."""
    with whole_folder(folder) as temporary:
        save_file(tensors_of(model), temporary / "model.safetensors")
        save_file(tensors_of(average), temporary / "average.safetensors")
        save_file(_optimiser_tensors(optimisers), temporary / "optimisers.safetensors")
        write_json(temporary / "counters.json", asdict(counters))


def load_state(folder: Path, model: Model, average: Model, optimisers: Optimisers) -> Counters:
    """Sets model, average and optimisers to the saved state and returns where it was."""
    load_tensors(model, folder / "model.safetensors")
    load_tensors(average, folder / "average.safetensors")
    saved = load_file(folder / "optimisers.safetensors")
    for turn, optimiser in optimisers.items():
        optimiser.state.clear()  # a state saved before the first step has no moments
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for i, parameter in enumerate(parameters):
            kept = {
                name: saved[f"{turn}/{i}/{name}"]
                for name in ("step", "exp_avg", "exp_avg_sq")
                if f"{turn}/{i}/{name}" in saved
            }
            if kept:
                moments = {n: torch.empty_like(parameter).copy_(kept[n]) for n in ("exp_avg", "exp_avg_sq")}
                optimiser.state[parameter] = {"step": kept["step"].to(parameter.device), **moments}
    return Counters(**read_json(folder / "counters.json"))


def _optimiser_tensors(optimisers: Optimisers) -> dict[str, Tensor]:
    return {
        f"{turn}/{i}/{name}": value.detach().cpu().contiguous()
        for turn, optimiser in optimisers.items()
        for i, parameter in enumerate(p for group in optimiser.param_groups for p in group["params"])
        for name, value in optimiser.state.get(parameter, {}).items()
    }
