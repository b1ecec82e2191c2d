"""The real 8-coil k-space: SENSE and wavelets predict samples that they never saw."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT.parent / "shared" / "data" / "kspace_brain_8ch_undersampled" / "cartesian_ksp.npy"


@pytest.mark.skipif(not FILE.exists(), reason=f"needs {FILE}")
def test_held_out_samples_of_a_real_brain_are_predicted_better_by_each_stronger_method() -> None:
    reconstructions = runpy.run_path(str(ROOT / "examples" / "kspace_reconstruction.py"))["reconstructions"]
    y = torch.from_numpy(np.load(FILE))[None]
    errors = {name: error for name, (_, error) in reconstructions(y / y.abs().max()).items()}
    assert errors["SENSE"] < 0.35
    assert errors["wavelets"] < errors["SENSE"] < 0.5 * errors["zero-filled"]
