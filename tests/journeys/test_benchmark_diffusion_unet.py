"""The benchmark of diffusion U-Nets runs and its page is whole; no time is judged here."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from radloom.given import Given

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    yield import_module("diffusion_unet")
    torch.set_num_threads(threads)
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def in_this_process(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = import_module("diffusion_unet_round")

    def answer(job: object, work: Path) -> dict[str, object]:
        return rounds.volume(job) if isinstance(job, rounds.VolumeJob) else rounds.trained(job)

    monkeypatch.setattr(script, "_answer", answer)


def test_a_rehearsal_writes_a_whole_page_and_says_who_is_absent(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_this_process(script, monkeypatch)
    monkeypatch.setattr(script, "present", lambda: ("ours", "monai"))
    monkeypatch.setattr(sys, "argv", ["diffusion_unet.py", "--quick", "--seconds", "0.2", "--out", str(tmp_path)])
    script.main()
    page = (tmp_path / "diffusion_unet.md").read_text()
    assert page.strip() == capsys.readouterr().out.strip()
    assert "do not quote" in page
    assert "diffusers UNet2DModel is absent" in page
    assert all(f"- {entry}: " in page for entry in ("machine", "date", "commit", "versions", "command"))
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    networks, cubes = tables[:4], tables[4:]
    assert [row[0] for row in networks[2:]] == ["DiffusionUNet (ours)", "MONAI DiffusionModelUNet"]
    for row in networks[2:]:
        assert all(float(cell) > 0 for cell in (*row[4:6], *row[7:9]))
    assert "n = 2 patients" in networks[3][9]
    assert [row[0] for row in cubes[2:]] == [
        "DiffusionUNet (ours)", "DiffusionUNet (ours), blocks recomputed", "MONAI DiffusionModelUNet"]  # fmt: skip


def test_a_round_runs_in_a_process_of_its_own(script: ModuleType, tmp_path: Path) -> None:
    found = script._answer(import_module("diffusion_unet_round").VolumeJob("ours", (8, 8), 8), tmp_path)
    assert found["parameters"] > 1000
    assert np.isfinite(found["loss"])


def test_the_pilot_takes_the_best_widths_and_then_the_best_rate(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    narrow, wide = script.FIELD["monai"].variants
    quality = {(narrow, 1e-3): 0.4, (wide, 1e-3): 0.3, (wide, 3e-3): float("nan"), (wide, 3e-4): 0.2}

    def answer(job, work: Path) -> dict[str, object]:
        return {"steps": 1, "training_rate": 1.0, "val": {"a": quality[tuple(job.widths), job.rate]}}

    monkeypatch.setattr(script, "_answer", answer)
    budget = script.WHOLE
    pilot, rounds = script._trained(("monai",), budget, tmp_path)
    assert len(pilot) == 4
    assert {(row["widths"], row["rate"], row["seconds"]) for row in rounds} == {(wide, 3e-4, budget.seconds)}
    assert [row["seed"] for row in rounds] == [1, 2]


def test_peers_have_our_parameters_within_three_percent(script: ModuleType) -> None:
    field = import_module("diffusion_unet_contenders")
    flat = [field.size(field.FIELD[name].build, 2, widths) for name in ("ours", "monai")
            for widths in field.FIELD[name].variants]  # fmt: skip
    cubes = [field.size(one.build, 3, one.variants[0]) for one in field.VOLUMES.values()]
    for counts in (flat, cubes):
        assert max(abs(count / np.mean(counts) - 1) for count in counts) < 0.03


def test_the_loss_of_a_network_that_answers_zero_is_known(script: ModuleType) -> None:
    rounds, field = import_module("diffusion_unet_round"), import_module("diffusion_unet_contenders")

    class Zero(torch.nn.Module):
        def forward(self, x: torch.Tensor, noise: torch.Tensor, given: Given) -> torch.Tensor:
            return torch.zeros_like(x)

    x = torch.full((2, 1, 64, 64), 0.5)  # of spread 0.5: the right answer has unit variance about 0 at every sigma
    losses = rounds.denoising_loss(field.model(Zero(), 0.5, 4), x)
    assert losses == pytest.approx([1.0, 1.0], abs=0.05)
