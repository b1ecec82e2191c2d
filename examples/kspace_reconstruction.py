"""Reconstructs real, undersampled 8-coil k-space from part of its samples and checks it against the others.

python examples/kspace_reconstruction.py shared/data/kspace_brain_8ch_undersampled/cartesian_ksp.npy picture.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from radloom.operators.mri import MultiCoil
from radloom.operators.mri_sensitivity import espirit
from radloom.operators.solvers import tikhonov, wavelet_least_squares
from radloom.random import torch_stream

CENTRE = (24, 24)


def main() -> None:
    """Prints the error at held-out samples for each method and writes the pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kspace", type=Path, help="complex .npy file (coils, rows, columns), 0 where unsampled")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    options = parser.parse_args()
    y = torch.from_numpy(np.load(options.kspace))[None]
    y = y / y.abs().max()
    pictures = []
    for name, (image, error) in reconstructions(y).items():
        print(f"{name}: relative error at held-out samples {error:.3f}")
        pictures.append(image)
    _write(options.picture, pictures)


def reconstructions(y: Tensor) -> dict[str, tuple[Tensor, float]]:
    """For each method the magnitude image and |A x - y| / |y| over the tenth of the outer samples that it never saw."""
    mask = (y.abs().sum(1, keepdim=True) > 0).float()
    held_out = mask * (torch.rand(mask.shape, generator=torch_stream(0, "held-out")) < 0.1)
    rows, columns = (slice(n // 2 - c // 2, n // 2 - c // 2 + c) for n, c in zip(y.shape[2:], CENTRE, strict=True))
    held_out[..., rows, columns] = 0
    maps = espirit(y, centre=CENTRE)
    seen = MultiCoil(mask - held_out, maps)
    given, scale = y * seen.mask, float(seen.adjoint(y * seen.mask).abs().max())
    methods: dict[str, Callable[[], Tensor]] = {
        "zero-filled": lambda: seen.adjoint(given),
        "SENSE": lambda: tikhonov(seen, given, weight=0.01, iterations=30),
        "wavelets": lambda: wavelet_least_squares(
            seen, given, weight=0.005 * scale, iterations=60, rng=torch_stream(0, "shifts")
        ),
    }
    unseen = MultiCoil(held_out, maps)
    found = {}
    for name, method in methods.items():
        x = method()
        error = torch.linalg.vector_norm(unseen(x) - y * held_out) / torch.linalg.vector_norm(y * held_out)
        found[name] = (x[0, 0].abs(), float(error))
    return found


def _write(path: Path, pictures: list[Tensor]) -> None:
    from PIL import Image

    scaled = [torch.clamp(one / torch.quantile(one, 0.995), 0, 1) for one in pictures]
    Image.fromarray((255 * torch.cat(scaled, 1)).to(torch.uint8).numpy()).save(path)


if __name__ == "__main__":
    main()
