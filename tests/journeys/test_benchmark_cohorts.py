"""The benchmark of the embedded cohorts: a rehearsal with one of them."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_rehearsal_writes_a_row_with_time_memory_and_identity(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "cohorts.py"), "knee-mri", "--quick", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)})
    page = (tmp_path / "cohorts.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| knee-mri"))
    name, variant, voxels, wall, cpu, half, peak, disk, alike = (one.strip() for one in row.strip("|").split("|"))
    assert (name, variant, voxels, alike) == ("knee-mri", "pd", "32 x 32 x 6", "yes")
    assert float(peak) > 0.02  # a process with NumPy holds more
    assert float(wall) >= 0
    assert abs(float(half) - float(cpu) / 2) <= 1
    assert float(disk) >= 0
