"""Simulated lungs beside real ones: the HU of parenchyma in LUNA16 crops and in chest-ct."""

from pathlib import Path

import numpy as np
import pytest

from radloom.phantom import chest_ct
from radloom.phantom.simulation import Request

CROPS = Path(__file__).parents[3] / "shared" / "data" / "lung_nodule_luna16_crops"


def test_parenchyma_has_the_density_of_real_lungs() -> None:
    files = sorted(CROPS.glob("*.npz"))
    if not files:
        pytest.skip("no LUNA16 crops in shared/data")
    real = []
    for file in files:
        crop = np.load(file)["ct_chunk"]
        real.append(np.median(crop[(crop > -1000) & (crop < -700)]))
    ours = []
    for index in range(4):
        case = chest_ct.subject(index, Request(0, (48, 40, 12), "none", ("reference",)))
        hu = case.images["image.reference"].voxels[case.images["mask.lung"].voxels > 0]
        ours.append(np.median(hu[(hu > -1000) & (hu < -700)]))
    assert abs(np.mean(ours) - np.mean(real)) < 40
    assert min(real) - 40 < min(ours) <= max(ours) < max(real) + 40
