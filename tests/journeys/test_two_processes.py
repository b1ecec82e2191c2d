"""Two processes under torchrun train to the same numbers as one with twice the batch, and draw the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from radloom.io import read
from radloom.phantom import write_cohort

pytestmark = pytest.mark.slow
CORE = {min(os.sched_getaffinity(0))}
# bfloat16 rounds a weight's gradient once a batch, so that two halves differ from the whole: compare in float32
SCRIPT = """
from radloom.__main__ import main
from radloom.training import hardware
hardware.has_fast_bfloat16 = lambda device: False
main()
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort("brain", tmp_path_factory.mktemp("two") / "c", subjects=6, shape=(32, 32, 4))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "float32.py"
    path.write_text(SCRIPT)
    return path


def run(script: Path, processes: int, *arguments: str | Path) -> None:
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(several if processes > 1 else []), str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240,
                          preexec_fn=lambda: os.sched_setaffinity(0, CORE))  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def trained(script: Path, cohort: Path, out: Path, processes: int, batch: int) -> Path:
    run(script, processes, "train", "conte2021_missing_sequence", "--data", cohort, "--out", out, "--size", "tiny",
        "--set", f"batch={batch}", "--set", "steps=8")  # fmt: skip
    return out


@pytest.fixture(scope="module")
def one(script: Path, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(script, cohort, tmp_path_factory.mktemp("one") / "run", 1, 4)


def test_two_processes_learn_what_one_learns_from_twice_the_batch(
    script: Path, cohort: Path, one: Path, tmp_path: Path
) -> None:
    two = trained(script, cohort, tmp_path / "run", 2, 2)
    ours, theirs = (pd.read_csv(run / "losses.csv").set_index(["step", "name"])["value"] for run in (two, one))
    assert ours.index.equals(theirs.index)
    first = ours.index.get_level_values("step") == 1
    np.testing.assert_allclose(ours[first], theirs[first], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours, theirs, rtol=5e-3, atol=1e-4)
    a, b = load_file(two / "weights.safetensors"), load_file(one / "weights.safetensors")
    assert a.keys() == b.keys()
    moved = np.concatenate([(a[name] - b[name]).ravel() for name in a])
    assert np.sqrt(np.mean(moved**2)) < 1e-4  # a step of Adam is 1e-3
    assert (two / "progress.png").is_file()


def test_two_processes_draw_the_bits_that_one_draws(script: Path, one: Path, tmp_path: Path) -> None:
    def drawn() -> dict[str, np.ndarray]:
        found = {path.name: read(path).voxels for path in sorted((one / "samples").glob("*.nii.gz"))}
        for path in (one / "samples").iterdir():
            path.unlink()
        return found

    cases = [argument for case in ("sub-0000", "sub-0001", "sub-0002") for argument in ("--case", case)]
    run(script, 1, "draw", one, *cases)
    alone = drawn()
    run(script, 2, "draw", one, *cases)
    together = drawn()
    assert len(alone) == 3 * 2
    assert alone.keys() == together.keys()
    assert all(np.array_equal(alone[name], together[name]) for name in alone)
    assert all(voxels.std() > 0 for voxels in alone.values())
