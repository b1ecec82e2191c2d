"""CPU seconds of all radiomic features of a sphere beside mirp, equal values asserted; and of the published sets.

python benchmarks/radiomics.py            # about two minutes; writes results/radiomics.md
python benchmarks/radiomics.py --quick    # a rehearsal of seconds, marked as such
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measured import command_of, origin

from radloom.files import write_text
from radloom.metrics.radiomics import (
    CLASSES,
    FixedCount,
    frd_v0_features,
    frd_v1_features,
    lee774_features,
    mirp_features,
    radiomic_features,
)

HERE = Path(__file__).resolve().parent
BINS = FixedCount(40)
SPACING = (1.0, 1.0, 1.0)
# mirp computes in single precision; a skewness near 0 is compared in absolute terms
CLOSE, NEAR_ZERO = 1e-4, 1e-2


def main() -> None:
    """Measures every row and writes results/radiomics.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: sizes that mean nothing")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of ours, of which the fastest counts (5)")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of radiomics.md")
    options = parser.parse_args()
    sides, repeats = ((24,), 1) if options.quick else ((32, 64, 128), options.repeats)
    lines = [_against_mirp(side, repeats) for side in sides]
    classes = _classes(sides[-1], repeats)
    sets = _sets(32 if options.quick else 256, 24 if options.quick else 64, repeats)
    text = _page(options.quick, repeats, lines, classes, sets)
    write_text(Path(options.out) / "radiomics.md", text)
    print(text)


def sphere(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise smoothed over a voxel, and the ball of that diameter less two voxels on each side."""
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(np.random.default_rng(0).normal(size=(side, side, side)), 1.0)
    x = np.arange(side) - (side - 1) / 2
    mask = x[:, None, None] ** 2 + x[None, :, None] ** 2 + x**2 <= (side / 2 - 2) ** 2
    return 300 + 100 * image / image[mask].std(), mask  # a mean of 0 would make the variation's quotients noise


def _against_mirp(side: int, repeats: int) -> list[str]:
    image, mask = sphere(side)
    ours, found = _timed(lambda: radiomic_features(image, mask, SPACING, binning=BINS), repeats)
    mirp_features(image[:8, :8, :8], np.ones((8, 8, 8)), SPACING, binning=BINS)  # its imports and compilations
    theirs, wanted = _timed(lambda: mirp_features(image, mask, SPACING, binning=BINS), 1)
    shared = sorted(found.keys() & wanted.keys())
    apart = max(abs(found[name] - wanted[name]) / max(abs(wanted[name]), NEAR_ZERO) for name in shared)
    assert apart < CLOSE, f"values differ by {apart:.1e}"
    return [f"{side}^3, {int(mask.sum()):,} voxels", f"{ours:.2f}", f"{theirs:.1f}", f"{theirs / ours:.0f}",
            f"{len(found)} / {len(wanted)}", f"{len(shared)} within {apart:.0e}"]  # fmt: skip


def _classes(side: int, repeats: int) -> list[list[str]]:
    image, mask = sphere(side)
    rows = []
    for name in CLASSES:
        seconds, _ = _timed(lambda name=name: radiomic_features(image, mask, SPACING, binning=BINS, classes=(name,)),
                            repeats)  # fmt: skip
        rows.append([name, f"{seconds:.2f}"])
    return rows


def _sets(wide: int, deep: int, repeats: int) -> list[list[str]]:
    rng = np.random.default_rng(0)
    flat, cube = 50 * rng.normal(size=(wide, wide)), 50 * rng.normal(size=(deep, deep, deep))
    jobs: dict[str, Callable[[], dict[str, float]]] = {
        f"frd_v0_features, {wide}^2": lambda: frd_v0_features(flat, np.ones(flat.shape, bool), (1, 1)),
        f"frd_v1_features, {wide}^2": lambda: frd_v1_features(flat, np.ones(flat.shape, bool), (1, 1)),
        f"frd_v1_features, {deep}^3": lambda: frd_v1_features(cube, np.ones(cube.shape, bool), SPACING),
        f"lee774_features, {deep}^3": lambda: lee774_features(cube, np.ones(cube.shape, bool), SPACING),
    }
    rows = []
    for name, job in jobs.items():
        seconds, found = _timed(job, repeats)
        rows.append([name, f"{seconds:.3f}", str(len(found))])
    return rows


def _timed(job: Callable[[], dict[str, float]], repeats: int) -> tuple[float, dict[str, float]]:
    """CPU seconds of the fastest round, and what the last one gave."""
    seconds, found = [], {}
    for _ in range(repeats):
        began = time.process_time()
        found = job()
        seconds.append(time.process_time() - began)
    return min(seconds), found


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def _page(quick: bool, repeats: int, lines: list[list[str]], classes: list[list[str]], sets: list[list[str]]) -> str:
    return "\n".join([
        "# Radiomic features: CPU seconds" + (" (a rehearsal, not a measurement)" if quick else ""), "",
        f"A sphere in smoothed noise, 40 bins, all classes, features averaged over directions. Ours: the fastest of "
        f"{repeats} rounds; mirp: one round after a small one, with its reading of two NIfTI files (it also gives "
        f"Moran's I and Geary's C). The load average at the end was {os.getloadavg()[0]:.1f}.", "",
        *origin(command_of("radiomics.py")), "",
        *_table(["region", "ours, CPU s", "mirp, CPU s", "ratio", "features, ours / mirp", "equal"], lines), "",
        f"By class, {lines[-1][0]}:", "",
        *_table(["class", "CPU s"], classes), "",
        "Published sets of one image, the whole image as region (noise, the worst case for runs and zones):", "",
        *_table(["set", "CPU s", "features"], sets), "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
