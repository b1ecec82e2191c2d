"""CPU seconds of the parallel projector and of its transpose against scikit-image's radon at equal size."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measured import command_of, origin
from skimage.transform import radon

from radloom.files import write_text
from radloom.operators import ct

SIZES = ((128, 180), (256, 180), (512, 360))  # side in pixels, views


def main() -> None:
    """Measures every size and writes results/projectors.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest size, once")
    parser.add_argument("--out", default=str(Path(__file__).resolve().parent.parent / "results"), help="folder")
    options = parser.parse_args()
    sizes, runs = (SIZES[:1], 1) if options.quick else (SIZES, 5)
    text = _page([_line(side, views, runs) for side, views in sizes], runs)
    write_text(Path(options.out) / "projectors.md", text)
    print(text)


def _line(side: int, views: int, runs: int) -> str:
    x, z = np.meshgrid(*(np.arange(side) - side // 2,) * 2, indexing="ij")
    image = np.exp(-((x - 0.1 * side) ** 2 + (z + 0.1 * side) ** 2) / (2 * (0.08 * side) ** 2)).astype(np.float32)
    image[np.hypot(x, z) > 0.49 * side] = 0
    # scikit-image turns about pixel side // 2: for an even side half a pixel from our isocentre, so ours is padded
    padded = torch.nn.functional.pad(torch.from_numpy(image), (0, 1 - side % 2, 0, 1 - side % 2))
    geometry = ct.Parallel((len(padded), len(padded)), 1.0, ct.half_circle(views), len(padded), 1.0)
    projector, degrees = ct.Projector(geometry), -np.rad2deg(np.array(geometry.angles))  # it turns the other way
    ours = projector(padded[None, None])
    theirs = radon(image.T, degrees, circle=True).T
    error = float(np.abs(ours[0, 0, :, :side].numpy() - theirs).max() / theirs.max())
    assert error < 0.02, f"the projections differ by {error:.3f} of their maximum"
    work: list[Callable[[], object]] = [
        lambda: projector(padded[None, None]),
        lambda: projector.adjoint(ours),
        lambda: radon(image.T, degrees, circle=True),
    ]
    rounds = [[_cpu(one) for one in work] for _ in range(runs)]
    forward, back, peer = (statistics.median(times) for times in zip(*rounds, strict=True))
    return (
        f"| {side} x {side}, {views} | {forward:.3f} | {back:.3f} | {peer:.3f} | {forward / peer:.2f} | {error:.4f} |"
    )


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _page(lines: list[str], runs: int) -> str:
    return "\n".join([
        "# Parallel projector against scikit-image's radon: CPU seconds", "",
        f"Median of {runs} runs that take turns, float32; the largest difference is relative to the largest value.", "",
        *origin(command_of("projectors.py")), "",
        "| pixels, views | ours | our transpose | radon | ours / radon | largest difference |",
        "| --- | --- | --- | --- | --- | --- |", *lines, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
