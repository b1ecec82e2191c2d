"""Random streams, one for each name: results depend neither on batch size nor on the number of processes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derived_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed, a pure function of `seed` and `names`: stream ("draw", case) never meets ("train", step)."""
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *names))).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def torch_stream(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator of its own for these names."""
    import torch

    return torch.Generator(device).manual_seed(derived_seed(seed, *names))


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator of its own for these names; Philox, the same on every machine."""
    return np.random.Generator(np.random.Philox(derived_seed(seed, *names)))
