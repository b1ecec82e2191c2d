"""The benchmarks run and their tables are whole; no time is judged here."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from radloom.given import Given

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
OUR_WIDTHS = (32, 64, 96, 128)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script as a module; it finds its neighbours by the folder that it is run from."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def run(name: str, *options: str) -> str:
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(BENCHMARKS / name), *options]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_rehearsal_of_the_generators_writes_a_whole_table(tmp_path: Path) -> None:
    small = "--seconds 1 --repeats 1 --pilot-seconds 0 --subjects 6 --shape 32,32,6 --channels 8,16 --threads 1"
    told = run("generator.py", *small.split(), "--only", "ours", "recipe", "--out", str(tmp_path))
    with (tmp_path / "generator.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["contender"]) for row in rows] == [
        ("closed form", "cubic"), ("timed", "ours"), ("timed", "recipe")]  # fmt: skip
    for row in rows[1:]:
        batch = float(row["images_per_second"]) * float(row["seconds"]) / int(row["steps"])
        assert batch == pytest.approx(2)
        assert all(float(row[name]) > 0 for name in ("memory_mb", "psnr_val", "cpu_seconds"))
        patients = json.loads(row["psnr_test_by_patient"]).values()
        assert float(row["psnr_test"]) == pytest.approx(sum(patients) / len(patients), abs=1e-3)

    page = (tmp_path / "generator.md").read_text()
    assert page.strip() == told.strip()
    table = [cells(line) for line in page.splitlines() if line.startswith("|")]
    assert table[0] == ["contender", "parameters", "settings", "rate", "images/s", "images/CPU-s", "memory, MiB",
                        "PSNR, dB", "PSNR minus ours, dB"]  # fmt: skip
    assert [row[0] for row in table[2:]] == ["residual U-Net, 2x2 patch stem (ours)",
                                             "full recipe: cubic map + correction + estimate",
                                             "cubic voxel-wise map"]  # fmt: skip
    assert "do not quote" in page
    assert all(f"- {entry}: " in page for entry in ("machine", "date", "commit", "versions", "command"))


def test_peers_have_our_parameter_count_within_three_percent_and_learn(
    script: Callable[[str], ModuleType],
) -> None:
    field = script("generator_contenders").contenders(OUR_WIDTHS)
    rng = torch.Generator().manual_seed(0)
    given = Given(image=torch.rand((2, 2, 32, 32), generator=rng), mask=torch.ones((2, 1, 32, 32), dtype=torch.bool))
    x = torch.rand((2, 1, 32, 32), generator=rng)
    counts = {}
    for contender in field.values():
        for settings in contender.variants:
            model = contender.build(**settings)
            model.loss(x, given, turn="generator", rng=rng)["total"].backward()
            learning = [p for p in model.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
            assert len(learning) > 10
            counts[contender.name, str(settings)] = sum(p.numel() for p in model.parameters())
    ours = counts["ours", str(field["ours"].variants[0])]
    assert ours > 1_000_000
    assert {name: n for name, n in counts.items() if abs(n / ours - 1) > 0.03} == {}


def test_the_pilot_takes_the_best_rate_and_then_the_best_variant(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    generator = script("generator")
    quality = {
        ("shallow", 1e-3): 20.0,
        ("shallow", 3e-3): float("nan"),
        ("shallow", 3e-4): 21.0,
        ("shallow", 1e-2): 19.0,
        ("deep", 3e-4): 22.0,
    }

    def measured(kind: str, choice, job, work: Path) -> dict[str, object]:
        return {"kind": kind, "psnr_val": quality[choice.settings["depth"], choice.rate]}

    monkeypatch.setattr(generator, "_round", measured)
    contender = generator.Contender("peer", "a peer", lambda: None, ({"depth": "shallow"}, {"depth": "deep"}))
    job = generator.Job("", {}, 0.0, 1.0, 0, 1, "", (32, 32), 1.0, {})
    rows, choice = generator._pilot(contender, job, tmp_path)
    assert (choice.settings, choice.rate) == ({"depth": "deep"}, 3e-4)
    assert len(rows) == 5


def test_start_up_lists_every_start_and_what_it_loads(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start_up = script("start_up")
    few = {name: start_up.STARTS[name] for name in ("python alone", "radloom --help", "import radloom.data.cohort")}
    monkeypatch.setattr(start_up, "STARTS", few)
    monkeypatch.setattr(sys, "argv", ["start_up.py", "--runs", "1", "--out", str(tmp_path)])
    start_up.main()
    page = (tmp_path / "start_up.md").read_text()
    rows = {row[0]: row for row in map(cells, page.splitlines()) if row[0].startswith("`")}
    assert list(rows) == [f"`{name}`" for name in few]
    assert rows["`python alone`"][-1] == "none"
    assert "torch" not in rows["`radloom --help`"][-1]
    assert "pandas" in rows["`import radloom.data.cohort`"][-1]
