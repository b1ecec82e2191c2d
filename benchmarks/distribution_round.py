"""One contender of benchmarks/distribution.py in this fresh process: CPU seconds, peak memory and what it found.

Run as `python distribution_round.py TASK CONTENDER FOLDER`; FOLDER holds real.npy and synthetic.npy. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

K = 5  # neighbours of precision, recall, density and coverage
SUBSET, SUBSETS = 1000, 100  # of the published kernel distances
Steps = tuple[Callable[[np.ndarray, np.ndarray], Any], Callable[[Any], list[float]]]


@dataclass(frozen=True)
class Contender:
    """One way to a task's values: what each set is summed up to, and the values from that.

    steps: imports what the contender needs and returns the two steps. within: relative distance allowed from ours.
    """

    task: str
    name: str
    steps: Callable[[], Steps]
    within: float


@dataclass(frozen=True)
class Answer:
    """CPU seconds of both steps, highest resident memory of the process and above what it held before, MiB, values."""

    statistics: float
    distance: float
    peak: float
    above: float
    values: list[float]


def run(contender: Contender, folder: Path) -> Answer:
    """Measures the contender on the two sets in the folder."""
    first, second = contender.steps()
    x, y = (np.load(folder / f"{name}.npy") for name in ("real", "synthetic"))
    before, began = memory("VmRSS"), time.process_time()
    summed = first(x, y)
    between = time.process_time()
    values = second(summed)
    ended, peak = time.process_time(), memory("VmHWM")
    return Answer(between - began, ended - between, peak, peak - before, values)


def memory(entry: str) -> float:
    """The resident memory of this process now (VmRSS) or at its highest (VmHWM), MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:")) / 1024


def _both(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x, y


def _ours_frechet() -> Steps:
    import scipy.linalg  # noqa: F401  what frechet_distance imports at its first call

    from radloom.metrics.frechet import frechet_distance
    from radloom.metrics.moments import Moments

    def statistics(x: np.ndarray, y: np.ndarray) -> Any:
        return [Moments.of(z) if len(z) > z.shape[1] else z for z in (x, y)]

    return statistics, lambda sets: [frechet_distance(*sets).value]


def _mean_and_covariance(x: np.ndarray, y: np.ndarray) -> Any:
    """What pytorch-fid and torch-fidelity sum a set up to."""
    return [(z.mean(axis=0, dtype=np.float64), np.cov(z, rowvar=False, dtype=np.float64)) for z in (x, y)]


def _frechet(given: Any, trace_of_root: Callable[[np.ndarray, np.ndarray], float]) -> list[float]:
    (m, a), (n, b) = given
    return [float((m - n) @ (m - n) + np.trace(a) + np.trace(b) - 2 * trace_of_root(a, b))]


def _pytorch_fid() -> Steps:
    from scipy.linalg import sqrtm

    def trace_of_root(a: np.ndarray, b: np.ndarray) -> float:
        root = sqrtm(a @ b)
        if not np.isfinite(root).all():
            little = 1e-6 * np.eye(len(a))
            root = sqrtm((a + little) @ (b + little))
        return float(np.trace(np.real(root)))

    return _mean_and_covariance, lambda given: _frechet(given, trace_of_root)


def _torch_fidelity() -> Steps:
    def trace_of_root(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.real(np.sqrt(np.linalg.eigvals(a @ b).astype(complex))).sum())

    return _mean_and_covariance, lambda given: _frechet(given, trace_of_root)


def _torchmetrics_frechet() -> Steps:
    import torch
    from torchmetrics.image.fid import _compute_fid

    torch.set_num_threads(1)

    def statistics(x: np.ndarray, y: np.ndarray) -> list[torch.Tensor]:
        parts = []
        for z in (torch.from_numpy(x).double(), torch.from_numpy(y).double()):
            mean = z.mean(0)
            parts += [mean, (z.T @ z - len(z) * torch.outer(mean, mean)) / (len(z) - 1)]
        return parts

    return statistics, lambda parts: [float(_compute_fid(*parts))]


def _ours_prdc(arithmetic: Any) -> Steps:
    from radloom.metrics.manifold import prdc

    def four(sets: Any) -> list[float]:
        found = prdc(sets[0], sets[1], K, arithmetic=arithmetic)
        return [found.precision, found.recall, found.density, found.coverage]

    return _both, four


def _prdc(kind: type) -> Steps:
    from prdc import compute_prdc

    def four(sets: Any) -> list[float]:
        found = compute_prdc(sets[0], sets[1], K)
        return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]

    return lambda x, y: (x.astype(kind, copy=False), y.astype(kind, copy=False)), four


def _ours_subsets() -> Steps:
    from radloom.metrics.kernel import kid

    def mean(sets: Any) -> list[float]:
        x, y = sets
        return [kid(x, y, min(SUBSET, len(x)), SUBSETS, rng=np.random.default_rng(0)).mean]

    return _both, mean


def _subsets(x: np.ndarray, y: np.ndarray) -> list[list[np.ndarray]]:
    """The very subsets that ours draws."""
    rng, size = np.random.default_rng(0), min(SUBSET, len(x))
    return [[z[rng.choice(len(z), size, replace=False)] for z in (x, y)] for _ in range(SUBSETS)]


def _torch_fidelity_subsets() -> Steps:
    def one(x: np.ndarray, y: np.ndarray) -> float:
        n, (xx, yy, xy) = len(x), ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
        return float(within - 2 * xy.sum() / n**2)

    def mean(sets: Any) -> list[float]:
        return [float(np.mean([one(x.astype(np.float64), y.astype(np.float64)) for x, y in _subsets(*sets)]))]

    return _both, mean


def _torchmetrics_subsets() -> Steps:
    import torch
    from torchmetrics.image.kid import poly_mmd

    torch.set_num_threads(1)

    def mean(sets: Any) -> list[float]:
        found = [poly_mmd(torch.from_numpy(x).double(), torch.from_numpy(y).double()) for x, y in _subsets(*sets)]
        return [float(torch.stack(found).mean())]

    return _both, mean


def _ours_all_pairs() -> Steps:
    from radloom.metrics.kernel import mmd2_polynomial

    return _both, lambda sets: [mmd2_polynomial(*sets)]


FIELD = (
    Contender("frechet", "radloom", _ours_frechet, 0),
    Contender("frechet", "torchmetrics, torch eigvals", _torchmetrics_frechet, 1e-6),
    Contender("frechet", "torch-fidelity, numpy eigvals", _torch_fidelity, 1e-6),
    Contender("frechet", "pytorch-fid, scipy sqrtm", _pytorch_fid, 1e-6),
    Contender("few", "radloom", _ours_frechet, 0),
    # with fewer images than features the peers take roots of rounding errors
    Contender("few", "torchmetrics, torch eigvals", _torchmetrics_frechet, 1e-3),
    Contender("few", "torch-fidelity, numpy eigvals", _torch_fidelity, 1e-3),
    Contender("few", "pytorch-fid, scipy sqrtm", _pytorch_fid, 1e-3),
    Contender("prdc", "radloom", lambda: _ours_prdc("screened"), 0),
    Contender("prdc", "radloom, arithmetic float32", lambda: _ours_prdc("float32"), 1e-4),
    Contender("prdc", "radloom, arithmetic float64", lambda: _ours_prdc("float64"), 1e-6),
    Contender("prdc", "prdc, float32 features", lambda: _prdc(np.float32), 1e-4),
    Contender("prdc", "prdc, float64 features", lambda: _prdc(np.float64), 1e-6),
    Contender("kid", "radloom", _ours_subsets, 0),
    Contender("kid", "torchmetrics poly_mmd", _torchmetrics_subsets, 1e-6),
    Contender("kid", "torch-fidelity, numpy", _torch_fidelity_subsets, 1e-6),
    Contender("mmd", "radloom mmd2_polynomial", _ours_all_pairs, 0),
)


def main() -> None:
    """Runs the contender that the command names."""
    task, name, folder = sys.argv[1:]
    chosen = next(c for c in FIELD if (c.task, c.name) == (task, name))
    print(json.dumps(asdict(run(chosen, Path(folder)))))


if __name__ == "__main__":
    main()
