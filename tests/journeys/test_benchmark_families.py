"""The league table of families runs, goes on where it stopped, and is whole; no time or rank is judged here."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    run(folder)
    return folder


def run(out: Path) -> str:
    command = [sys.executable, str(BENCHMARKS / "families.py"), "--quick", "--only", "kingma2014_vae",
               "--tasks", "brain", "--out", str(out), "--docs", str(out / "docs" / "families.md")]  # fmt: skip
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_rehearsal_writes_the_table_the_json_and_the_sheets(out: Path) -> None:
    text = (out / "families.md").read_text()
    assert "do not quote" in text
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [line[0] for line in lines[2:]] == [
        "kingma2014_vae", "*training images again*", "*gaussian*", "*mean and noise*", "*real halves*"]  # fmt: skip
    assert len({len(line) for line in lines}) == 1
    row = json.loads((out / "families.json").read_text())["rows"]["brain.kingma2014_vae"]
    assert row["error"] == ""
    assert row["steps"] > 1
    assert 0.9 < row["cpu_seconds"] < 30  # the budget of a second, the last step on a busy machine included
    assert (out / "families" / "brain.kingma2014_vae.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "docs" / "families.md").read_text()
    assert "kingma2014_vae" in page
    assert "](../families/brain.png)" in page
    assert (out / "families" / "brain.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_row_is_not_run_again(out: Path) -> None:
    assert "families: brain" not in run(out)


def test_what_people_wrote_of_the_samples_stays_when_the_page_is_written_again(out: Path) -> None:
    page = out / "docs" / "families.md"
    page.write_text(page.read_text().replace("## How to read", "## What we saw\n\nHeads.\n\n## How to read"))
    run(out)
    assert page.read_text().count("## What we saw\n\nHeads.\n\n## How to read") == 1


def row(fd: tuple[float, float], seconds: float) -> dict[str, object]:
    def one(arm: str, metric: str, low: float, high: float, extractor: str) -> dict[str, object]:
        return {"arm": arm, "metric": metric, "estimate": (low + high) / 2, "low": low, "high": high, "n": 9,
                "extractor": extractor}  # fmt: skip

    spaces = ("multiscale_texture_2d", "radiomic_frd_v0_2d, z-scored")
    measures = [one("synthetic", "fd_equal_n", *fd, space) for space in spaces]
    measures += [one("gaussian", "fd_equal_n", 4.0, 6.0, space) for space in spaces]
    measures += [one("synthetic", "cpu_seconds_per_image", seconds, seconds, "")]
    measures += [one("synthetic", "coverage", 0.5, 0.5, spaces[0])]
    return {"error": "", "family": "x", "steps": 3, "measures": measures}


def test_the_advice_names_who_beats_the_gaussian_and_who_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    families_page = import_module("families_page")
    rows = {"t.near": row((1.0, 2.0), 3.0), "t.quick": row((2.0, 3.0), 1.0), "t.far": row((5.0, 7.0), 0.1)}
    about = {"tasks": {"t": "Title"}, "seconds": 1, "count": 2}
    text = families_page.explanation(about, rows, {"t": "t.png"}, ["## What we saw", "", "Written."])
    assert "Nearest to real images: **near**, Frechet distance 1.50 and 1.50 against 5.00 and 5.00" in text
    assert "Quickest to draw among those that beat the Gaussian in both spaces: **quick**" in text
    assert "Do not beat the Gaussian in both spaces at this budget: far." in text
    assert "Written." in text
    lost = families_page.explanation(about, {"t.far": rows["t.far"]}, {}, [])
    assert "No system beats a Gaussian" in lost
    sys.modules.pop("families_page")
