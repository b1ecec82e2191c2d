"""Weights on disk: parameters and buffers as safetensors, checked against the model that reads them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from radloom.errors import RadloomError
from radloom.files import whole_file


def tensors_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, on the CPU, contiguous."""
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}


def save_weights(path: Path, model: torch.nn.Module) -> None:
    """Writes parameters and buffers as safetensors, whole or not at all."""
    with whole_file(path) as temporary:
        save_file(tensors_of(model), temporary)


def load_tensors(model: torch.nn.Module, path: Path) -> None:
    """Sets parameters and buffers from a file. Raises RadloomError when the file is absent or of another model."""
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RadloomError(f"cannot read weights {path}: {error}", do="train the run first") from error
    try:
        model.load_state_dict(saved)  # what a model learns the shape of from data, it sizes by the file
    except RuntimeError as error:  # torch's word for a name or a shape that does not match
        raise RadloomError(f"{path} holds the weights of another model", expected="the settings in run.json") from error
