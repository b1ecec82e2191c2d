"""The benchmark of reader studies runs and its table is whole; no time is judged here."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "reader_studies.py"


def test_a_rehearsal_writes_a_whole_table_of_equal_values(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--quick", "--out", str(tmp_path)]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reader_studies.md").read_text()
    assert page.strip() == done.stdout.strip()
    assert "do not quote" in page
    assert all(f"- {entry}: " in page for entry in ("machine", "date", "commit", "versions", "command", "peer"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"][2:]
    assert [row[0].split(",")[0] for row in rows] == ["ROC", "weighted AFROC"]
    for row in rows:
        assert float(row[1]) >= 0
        assert row[-1].startswith("F ")
