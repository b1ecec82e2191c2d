"""The benchmark of image metrics runs, refuses unequal values and writes a whole table; no time is judged here."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_rehearsal_writes_a_whole_table_of_equal_values(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "images.py"), "--quick", "--out", str(tmp_path)]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "images.md").read_text()
    assert "do not quote" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"][2:]
    assert [row[1].split(",")[0] for row in rows] == [
        "radloom", "scikit-image", "scikit-image", "MONAI", "radloom", "MONAI"]  # fmt: skip
    assert all(float(row[2]) > 0 for row in rows)


def test_times_of_unequal_values_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    images = import_module("images")
    field = [
        images.Contender("task", "ours", lambda: (1.0,), 0.0),
        images.Contender("task", "peer", lambda: (1.1,), 0.01),
    ]
    with pytest.raises(AssertionError, match="peer finds"):
        images.check(images.timed(field, 1))
    sys.modules.pop("images")
