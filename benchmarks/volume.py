"""Wall and CPU time to draw one volume of 240x240x155 voxels, slice by slice, with untrained weights of size cpu.

python benchmarks/volume.py                 # both cores
python benchmarks/volume.py --quick         # eight slices of 64x64, a rehearsal
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from measured import command_of, origin

from radloom.files import write_text
from radloom.given import Given
from radloom.sampling import on_volumes
from radloom.system import Recipe, translation
from radloom.systems import load

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("radloom_translation", "conte2021_missing_sequence")
SHAPE = (240, 240, 155)  # BraTS


def main() -> None:
    """Times each system and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    parser.add_argument("--quick", action="store_true", help="a small volume: a rehearsal")
    options = parser.parse_args()
    shape = (64, 64, 8) if options.quick else SHAPE
    lines = ["# One volume, slice by slice", "", *(["**A rehearsal.**", ""] if options.quick else []),
             *origin(command_of("volume.py"), ("torch",)), f"- threads: {torch.get_num_threads()}", "",
             f"A volume of {'x'.join(map(str, shape))} voxels, all of it inside the head; the faster of two.", "",
             "| system | wall, s | CPU, s |", "|---|---|---|"]  # fmt: skip
    for name in SYSTEMS:
        wall, cpu = min(timed(load(name).resolve("cpu", 2, {}), shape) for _ in range(2))
        lines.append(f"| `{name}` | {wall:.1f} | {cpu:.1f} |")
    write_text(options.out / "volume.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


def timed(recipe: Recipe, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Wall and CPU seconds of one draw."""
    task = translation(recipe)
    model = on_volumes(recipe.build().eval().requires_grad_(False), recipe)
    image = torch.rand((1, len(task.inputs), *shape), generator=torch.Generator().manual_seed(0))
    given = Given(image=image, mask=torch.ones((1, 1, *shape), dtype=torch.bool))
    wall, cpu = time.perf_counter(), time.process_time()
    model.sample(given, (1, len(task.target), *shape), rng=torch.Generator())
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
