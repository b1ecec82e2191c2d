"""Weights of feature extractors on disk: read without unpickling code, or one clear line why not; no network here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from radloom.errors import RadloomError

if TYPE_CHECKING:
    from torch import Tensor, nn

IGNORED = "num_batches_tracked"  # counts training batches; evaluation does not read it


@dataclass(frozen=True)
class Origin:
    """Where a network's weights come from and under which licence; radloom ships none and downloads none."""

    network: str
    file: str
    address: str
    licence: str


def existing(path: Path | str | None, origin: Origin) -> Path:
    """The path of the weights. Raises RadloomError that says which file, from where, its licence and what to do.

    >>> existing(None, Origin("net", "net.pt", "https://example.org", "MIT"))
    Traceback (most recent call last):
    radloom.errors.RadloomError: net has no weights; expected net.pt (MIT) from https://example.org; download it \
and give its path as weights.
    """
    if path is None or not Path(path).is_file():
        where = f"no weights at {path}" if path is not None else "no weights"
        raise RadloomError(
            f"{origin.network} has {where}",
            expected=f"{origin.file} ({origin.licence}) from {origin.address}",
            do="download it and give its path as weights",
        )
    return Path(path)


def digest(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a PyTorch state dict, on the CPU; nothing else is unpickled."""
    import pickle
    import struct

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, struct.error, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise RadloomError(
            f"cannot read weights {path}: {reason}", expected="a safetensors file or a state dict of tensors"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (isinstance(state, dict) and state and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise RadloomError(f"{path} does not hold named tensors", expected="a state dict")
    return state


def fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Sets every parameter and statistic of the network. Raises RadloomError when one is missing, left or misshapen."""
    own = {name: value for name, value in network.state_dict().items() if not name.endswith(IGNORED)}
    given = {name: value for name, value in state.items() if not name.endswith(IGNORED)}
    missing, left = own.keys() - given.keys(), given.keys() - own.keys()
    if missing or left:
        first = min(missing or left)
        raise RadloomError(
            f"{path} holds the weights of another network: {len(missing)} names are missing and {len(left)} unknown, "
            f"for instance {first}",
            expected=f"the {len(own)} tensors of {type(network).__name__}",
        )
    wrong = [name for name in own if own[name].shape != given[name].shape]
    if wrong:
        raise RadloomError(
            f"{path}: {wrong[0]} has shape {tuple(given[wrong[0]].shape)}", expected=f"{tuple(own[wrong[0]].shape)}"
        )
    network.load_state_dict(given, strict=False)
    network.eval().requires_grad_(False)
