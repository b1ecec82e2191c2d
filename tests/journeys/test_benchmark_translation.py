"""The benchmark of translation runs and its page sets every system beside ours; no time and no quality is judged."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_rehearsal_writes_a_row_a_system_and_arm_and_can_be_resumed(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "translation.py"), "--quick", "--tasks", "missing", "--jobs", "1",
               "--out", str(tmp_path)]  # fmt: skip
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "translation.md").read_text()
    assert "A rehearsal at size tiny" in page
    for said in ("`radloom_translation`", "`conte2021_missing_sequence`", "| cubic |", "| linear |", "95 %", "commit"):
        assert said in page
    rows = json.loads((tmp_path / "translation.json").read_text())["rows"]
    assert set(rows) == {"missing.radloom_translation", "missing.conte2021_missing_sequence"}
    values = rows["missing.radloom_translation"]["values"]
    assert {(v["target"], v["metric"]) for v in values} == {
        (target, metric) for target in ("image.t1", "image.flair") for metric in ("psnr", "ssim_slices", "mae")
    }
    again = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "translation: missing" not in again.stderr  # nothing was trained a second time
    assert "no task colour" in _refused([*command[:4], "colour", *command[5:]])


def _refused(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("script", ["translation.py", "families.py"])
def test_help_says_how_to_run_it(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--help"], capture_output=True, text=True, check=True
    )
    assert "--quick" in done.stdout


def test_the_time_of_a_volume_is_given_for_each_system(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "volume.py"), "--quick", "--out", str(tmp_path)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    page = (tmp_path / "volume.md").read_text()
    assert "64x64x8" in page
    assert len(re.findall(r"\| `\w+` \| [\d.]+ \| [\d.]+ \|", page)) == 2
