"""The benchmark of steps against quality runs, its page is whole, and its sums are right; no time is judged here."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from radloom.errors import RadloomError
from radloom.given import Given

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script as a module; it finds its neighbours by the folder that it is run from."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_a_rehearsal_writes_page_figure_and_section_and_can_be_resumed(script, tmp_path: Path) -> None:
    place = tmp_path / "docs" / "explanation" / "diffusion.md"
    place.parent.mkdir(parents=True)
    place.write_text("Before.\n<!-- written by benchmarks/steps.py: begin -->\nold\n"
                     "<!-- written by benchmarks/steps.py: end -->\nAfter.\n")  # fmt: skip
    command = [sys.executable, str(BENCHMARKS / "steps.py"), "--quick", "--out", str(tmp_path),
               "--docs", str(tmp_path / "docs")]  # fmt: skip
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "steps.md").read_text()
    assert page.strip() == done.stdout.strip()
    assert "do not quote" in page
    assert all(f"- {entry}: " in page for entry in ("machine", "date", "commit", "versions", "command"))

    found = json.loads((tmp_path / "steps.json").read_text())
    rows = {(row["name"], row["allowed"]): row for row in found["rows"]}
    assert {row["allowed"] for row in found["rows"]} == {2, 8, 16}
    assert {(name, 16) for name in ("heun", "ancestral")} == {key for key in rows if key[1] == 16}
    assert len({name for name, allowed in rows if allowed == 8}) == len(found["about"]["titles"]) == 13
    for (name, allowed), row in rows.items():
        assert allowed - 1 <= row["evaluations"] <= allowed
        assert row["frechet_interval"][0] < row["frechet_interval"][1]
        assert row["milliseconds"] > 0
        assert row["apart"] >= 0
        if allowed == 16:
            assert row["change"] == 0
            assert row["change_interval"] == [0, 0]
            assert (row["apart"] == 0) == (name == "heun")
    # DDIM is Euler: on one grid they draw the same images, on two grids they do not
    assert rows["euler", 8]["frechet"] != rows["ddim", 8]["frechet"]
    assert len(found["crossed"]) == 7 * 6

    section = place.read_text()
    assert section.startswith("Before.\n")
    assert section.endswith("After.\n")
    assert "old" not in section
    assert "## How many steps" in section
    assert (tmp_path / "docs" / "images" / "steps.png").stat().st_size < 150_000

    # the network is not trained again, and finished draws are read: there is no model to draw with
    rounds, heun = script("steps_round"), script("steps_field").FIELD[0]
    job = rounds.Job(**{name: found["about"][name] for name in ("subjects", "seconds", "count", "longest", "seed")})
    model, trained = rounds.network(job, tmp_path / "steps.work")
    assert trained["steps"] == found["about"]["steps"]
    assert sum(p.numel() for p in model.parameters()) == trained["parameters"]
    kept = rounds.drawn(None, heun, 8, job, tmp_path / "steps.work")
    assert kept.apart.mean() == rows["heun", 8]["apart"]
    assert kept.features.shape == (8, 44)


def test_every_contender_costs_what_it_says_and_no_more_than_allowed(script) -> None:
    field, rounds = script("steps_field"), script("steps_round")
    from radloom.samplers.denoiser import streams

    for one in (*field.FIELD, *field.CROSSED):
        for allowed in (1, 2, 3, 8, 19):
            if not one.steps(allowed):
                assert allowed < one.each
                continue
            denoise = rounds.Counted(lambda x, sigma, given: x / (1 + sigma**2))
            own = streams(torch.Generator().manual_seed(0), 2)
            sigmas = one.sigmas(allowed)
            one.solver(denoise, float(sigmas[0]) * own.normal(torch.empty(2, 1, 4, 4)), sigmas, Given(), own)
            assert denoise.calls == one.each * one.steps(allowed) - one.saved
            assert denoise.calls <= allowed < denoise.calls + one.each


def test_every_grid_but_the_short_one_begins_at_the_same_noise(script) -> None:
    field = script("steps_field")
    for grid in field.GRIDS.values():
        for steps in (2, 7):
            sigmas = grid(steps)
            torch.testing.assert_close(
                sigmas[[0, -2, -1]], torch.tensor([80.0, 0.002, 0.0]).double(), rtol=1e-5, atol=0
            )
    torch.testing.assert_close(field.short_karras(5)[[0, -2]], torch.tensor([20.0, 0.02]).double())
    assert field.FIELD[0].sigmas(1).tolist() == [80.0, 0.0]


def test_distance_from_the_end_point_is_in_shares_of_the_spread(script) -> None:
    apart = script("steps_round").apart
    ends = np.array([[[0.0, 1.0]], [[2.0, 5.0]]])  # variances 2 and 8, mean 5
    moved = ends + np.array([3.0, 4.0])  # root mean square sqrt(12.5)
    np.testing.assert_allclose(apart(moved, ends), np.sqrt(12.5 / 5))
    np.testing.assert_array_equal(apart(ends[:1], ends), [0])
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 400, 8, 8))
    assert np.sqrt(np.mean(apart(one, other) ** 2)) == pytest.approx(np.sqrt(2), rel=0.02)


def test_a_bootstrap_keeps_the_same_draws_in_every_set(script, monkeypatch) -> None:
    judge = script("steps_judge")
    monkeypatch.setattr(judge, "RESAMPLED", 20)
    rng = np.random.default_rng(0)
    real, draws = rng.normal(size=(60, 3)), rng.normal(size=(40, 3))
    patients = np.repeat(np.arange(12), 5)
    off = draws.mean(axis=0) - real.mean(axis=0)
    # a copy keeps step in every bootstrap, and a set that is moved away is further in each
    found = judge.resampled(real, patients, [draws, draws.copy(), draws + 100 * off], np.random.default_rng(1))
    assert (found[:, 0] == found[:, 1]).all()
    assert found[:, 0].std() > 0
    assert (found[:, 2] > found[:, 0]).all()


def test_the_goal_is_judged_by_the_whole_interval(script) -> None:
    row = script("steps_judge").Row

    def verdict(low: float, high: float) -> str:
        return row("heun", 20, 19, 1.0, 1.0, (0.9, 1.1), 0.0, (low, high), 0.0, (0.0, 0.0), 0.0, (0.0, 0.0)).verdict

    assert [verdict(-0.1, 0.04), verdict(0.01, 0.06), verdict(0.06, 0.2)] == ["yes", "cannot be told", "no"]


def test_work_of_other_settings_and_a_page_without_marks_are_refused(script, tmp_path: Path) -> None:
    rounds, pages = script("steps_round"), script("steps_page")
    rounds.agreed(rounds.Job(6, 1.0, 8, 16, 0), tmp_path)
    rounds.agreed(rounds.Job(6, 1.0, 8, 16, 0), tmp_path)
    with pytest.raises(RadloomError, match="the work of other settings"):
        rounds.agreed(rounds.Job(6, 1.0, 8, 16, 1), tmp_path)
    (tmp_path / "page.md").write_text("nothing here\n")
    with pytest.raises(RadloomError, match="has no place for the section"):
        pages.insert(tmp_path / "page.md", "text\n")
