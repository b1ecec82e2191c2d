"""The benchmark of metrics of sets runs and its tables are whole; no time is judged here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "distribution.py"


def test_a_rehearsal_writes_whole_tables_and_is_marked_as_one(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--quick", "--tasks", "few", "prdc", "mmd", "--out", str(tmp_path)]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "distribution.md").read_text()
    assert page.strip() == done.stdout.strip()
    assert "do not quote" in page
    assert all(f"- {entry}: " in page for entry in ("machine", "date", "commit", "versions", "command"))
    tables = [part.splitlines() for part in page.split("## ")[1:]]
    titles = ("Frechet distance of few images, 50 against 50 x 96", "Precision", "MMD")
    assert all(table[0].startswith(title) for table, title in zip(tables, titles, strict=True))
    for table, rows in zip(tables, (4, 5, 1), strict=True):
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("| ")]
        assert len(cells) == 2 + rows
        for who, statistics, distance, *ratios, peak, above, value in cells[2:]:
            assert who
            assert min(float(statistics), float(distance), float(above)) >= 0
            assert float(peak) >= float(above)
            assert all(ratio.endswith("x") for ratio in ratios)
            assert all(float(number) == float(number) for number in value.split(","))


def test_values_that_differ_stop_the_benchmark(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import distribution
    from distribution_round import FIELD, Answer

    first, second = [contender for contender in FIELD if contender.task == "frechet"][:2]
    distribution.check([first, second], [Answer(1, 1, 1, 1, [2.0]), Answer(1, 1, 1, 1, [2.0000001])])
    with pytest.raises(SystemExit, match="where ours are"):
        distribution.check([first, second], [Answer(1, 1, 1, 1, [2.0]), Answer(1, 1, 1, 1, [2.00001])])
