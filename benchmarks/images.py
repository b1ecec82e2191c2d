"""CPU seconds of SSIM in 3D and of surface distances, ours against scikit-image and MONAI, with equal values.

python benchmarks/images.py            # about a minute; writes results/images.md
python benchmarks/images.py --quick --out /tmp/rehearsal
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measured import command_of, origin
from scipy.ndimage import gaussian_filter

from radloom.files import write_text
from radloom.metrics.fidelity import ssim
from radloom.metrics.overlap import surface_distances

HERE = Path(__file__).resolve().parent
SPACING = (0.9, 0.9, 1.2)
Values = tuple[float, ...]


@dataclass(frozen=True)
class Contender:
    """One way to the values of a task; within: how far they may be from ours, relatively."""

    task: str
    name: str
    values: Callable[[], Values]
    within: float


@dataclass(frozen=True)
class Timed:
    """What a contender took in every round, CPU seconds, and what it found."""

    contender: Contender
    seconds: list[float]
    values: Values


def main() -> None:
    """Times every contender and writes images.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="rounds over all contenders (5)")
    parser.add_argument("--quick", action="store_true", help="small images and one round: a rehearsal, not a result")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of images.md")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="monai")
    edge = 48 if options.quick else 160
    shape = (64, 64, 48) if options.quick else (256, 256, 192)
    field = [*of_ssim(*images(edge), edge), *of_surfaces(*masks(shape), shape)]
    found = timed(field, 1 if options.quick else options.runs)
    check(found)
    text = page(found, options.quick)
    write_text(Path(options.out) / "images.md", text)
    print(text)


def images(edge: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image in [0, 1] and the same with noise, float32."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.random((edge,) * 3), 2)
    target = (smooth - smooth.min()) / np.ptp(smooth)
    return (target + 0.1 * rng.standard_normal(target.shape)).astype(np.float32), target.astype(np.float32)


def masks(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A ragged ball a quarter of the array wide in radius, and the same moved with a bite taken out."""
    rough = gaussian_filter(np.random.default_rng(1).standard_normal(shape), 3)
    away = np.sqrt(sum(((axis / n - 0.5) ** 2 for axis, n in zip(np.indices(shape), shape, strict=True)), start=0.0))
    ball = away + 0.05 * rough / rough.std() * 0.3 < 0.24
    bite = np.roll(away, shape[0] // 5, axis=0) < 0.08
    return ball, np.roll(ball, (3, -2, 1), axis=(0, 1, 2)) & ~bite


def of_ssim(prediction: np.ndarray, target: np.ndarray, edge: int) -> list[Contender]:
    """Contenders for the SSIM of two volumes; each gets the float32 arrays or tensors that its users have."""
    import torch
    from monai.metrics import SSIMMetric
    from skimage.metrics import structural_similarity

    def wang(p: np.ndarray, t: np.ndarray) -> Values:
        found = structural_similarity(
            p, t, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=False
        )
        return (float(np.asarray(found)),)

    pair = [torch.tensor(image)[None, None] for image in (prediction, target)]
    monai = SSIMMetric(spatial_dims=3, data_range=1.0)
    task = f"SSIM {edge}^3"
    return [
        Contender(task, "radloom, float64", lambda: (ssim(prediction, target, data_range=1),), 0.0),
        Contender(task, "scikit-image, float32", lambda: wang(prediction, target), 1e-6),
        Contender(task, "scikit-image, float64",
                  lambda: wang(prediction.astype(np.float64), target.astype(np.float64)), 1e-9),
        Contender(task, "MONAI, float32", lambda: (float(torch.as_tensor(monai(*pair)).mean()),), 1e-4),
    ]  # fmt: skip


def of_surfaces(predicted: np.ndarray, truth: np.ndarray, shape: tuple[int, ...]) -> list[Contender]:
    """Contenders for the 95th percentile and the average surface distance of two masks."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    a, b = [torch.tensor(np.stack([~mask, mask])[None]) for mask in (predicted, truth)]

    def ours() -> Values:
        found = surface_distances(predicted, truth, spacing_mm=SPACING)
        return found.hausdorff95, found.average

    def monai() -> Values:
        far = compute_hausdorff_distance(a, b, percentile=95, spacing=list(SPACING))
        mean = compute_average_surface_distance(a, b, symmetric=True, spacing=list(SPACING))
        return float(far.item()), float(mean.item())

    task = f"HD95 and ASSD {'x'.join(map(str, shape))}"
    return [Contender(task, "radloom", ours, 0.0), Contender(task, "MONAI", monai, 1e-5)]


def timed(field: list[Contender], runs: int) -> list[Timed]:
    """Every contender's CPU seconds; they take turns, so that a busy moment hits all, after one round unmeasured."""
    values = [contender.values() for contender in field]
    seconds: list[list[float]] = [[] for _ in field]
    for _ in range(runs):
        for contender, taken in zip(field, seconds, strict=True):
            began = time.process_time()
            contender.values()
            taken.append(time.process_time() - began)
    return [Timed(*row) for row in zip(field, seconds, values, strict=True)]


def check(found: list[Timed]) -> None:
    """Refuses to compare times of different numbers."""
    for one in found:
        ours = next(other.values for other in found if other.contender.task == one.contender.task)
        if not np.allclose(one.values, ours, rtol=one.contender.within, atol=0):
            raise AssertionError(f"{one.contender.task}: {one.contender.name} finds {one.values}, radloom {ours}")


def page(found: list[Timed], quick: bool) -> str:
    """The table as Markdown, with machine, date, commit and command."""
    lines = []
    for one in found:
        first = next(other for other in found if other.contender.task == one.contender.task)
        median, ours = statistics.median(one.seconds), statistics.median(first.seconds)
        spread = f"{min(one.seconds):.3f}-{max(one.seconds):.3f}"
        values = ", ".join(f"{value:.7f}" for value in one.values)
        lines.append(f"| {one.contender.task} | {one.contender.name} | {median:.3f} | {spread} | "
                     f"{median / ours:.2f} | {values} |")  # fmt: skip
    note = "**A rehearsal on small images: do not quote.** " if quick else ""
    return "\n".join([
        "# Image metrics: CPU seconds against peers, equal values", "",
        f"{note}Median of {len(found[0].seconds)} rounds in one process with one thread; contenders take turns. Values "
        f"agree or the script stops. The load average at the end was {os.getloadavg()[0]:.1f}.", "",
        *origin(command_of("images.py")), "",
        "| task | contender | CPU, s | lowest-highest | times ours | values |",
        "| --- | --- | --- | --- | --- | --- |", *lines, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
