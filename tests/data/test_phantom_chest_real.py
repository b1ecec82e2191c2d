"""Simulated chests beside real ones: HU of parenchyma in LUNA16 crops, films and soft images of dual-energy pairs."""

import runpy
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


COMPARE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "compare_films.py"))


def test_measures_of_films_are_those_of_white_noise_and_of_a_known_power_law() -> None:
    rng = np.random.default_rng(0)
    white = 0.5 + 0.05 * rng.standard_normal((192, 192))
    assert COMPARE["fine_noise"](white) == pytest.approx(0.05 * np.sqrt(8 / 9), rel=0.03)
    assert COMPARE["slope"](white, 0.1, 0.5) == pytest.approx(0, abs=0.15)
    f = np.hypot(np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(192)[None])
    coloured = np.fft.irfft2(np.fft.rfft2(white) / np.maximum(f, 1e-3) ** 1.5, s=white.shape)
    assert COMPARE["slope"](coloured, 0.1, 0.5) == pytest.approx(-3, abs=0.15)


def test_films_and_soft_images_are_built_like_real_pairs(shared: Path) -> None:
    real = [COMPARE["measures"](pair) for pair in COMPARE["real_pairs"](shared / "cxr_bone_suppression_pairs")]
    (ours,) = [COMPARE["measures"](pair) for pair in COMPARE["simulated_pairs"](1)]
    for name in (one for one in ours if "slope" in one):
        assert min(one[name] for one in real) - 1 < ours[name] < max(one[name] for one in real) + 1, name
    name = "correlation of film and soft image"
    assert min(one[name] for one in real) - 0.05 < ours[name]
    assert (
        abs(ours["film, 50 % of the pixels below"] - np.mean([one["film, 50 % of the pixels below"] for one in real]))
        < 0.15
    )
