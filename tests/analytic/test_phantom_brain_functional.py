"""T2*, diffusion and perfusion of known mixtures against values worked by hand; other contrasts stay as they are."""

from functools import cache

import numpy as np
import pytest

from radloom.phantom.anatomy import Anatomy, head_grid, load_atlas
from radloom.phantom.brain import subject
from radloom.phantom.compartments import Compartment
from radloom.phantom.functional import FUNCTIONAL, functional_image
from radloom.phantom.scanners import SCANNERS
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (48, 48, 8)
NORTH = SCANNERS[0]  # 3 T
T1 = {"white": 880.0, "csf": 4000.0, "blood": 1800.0, "grey": 1400.0}
T2 = {"white": 70.0, "csf": 1700.0, "blood": 275.0, "grey": 95.0}


def halves(contrast: str, left: str, right: str) -> tuple[float, float]:
    """Median of the image where the head is all `left` and where it is all `right`, away from their border."""
    grid = head_grid(SHAPE, centre_z_mm=20.0)
    everywhere = np.ones(SHAPE, bool)
    anatomy = Anatomy(grid, np.zeros((3, *SHAPE)), everywhere, np.zeros(SHAPE), grid.points_mm()[0])
    on_left = (grid.points_mm()[0] < 0).ravel().astype(float)
    n = on_left.size
    made = [Compartment(name, share, np.ones(n), np.full(n, T1[name]), np.full(n, T2[name]), 0.0)
            for name, share in ((left, on_left), (right, 1 - on_left))]  # fmt: skip
    found = functional_image(contrast, made, anatomy, NORTH, stream=lambda name: numpy_stream(4, name))
    return float(np.median(found[:20])), float(np.median(found[28:]))


def test_diffusion_coefficients_come_back_from_the_noisy_images() -> None:
    white, csf = halves("adc", "white", "csf")
    assert white == pytest.approx(720, rel=0.02)
    assert csf == pytest.approx(3000, rel=0.05)


def test_diffusion_darkens_water_that_moves() -> None:
    white, csf = halves("dwi", "white", "csf")
    # exp(-3.0 + 0.72) exp(-75 / 1700 + 75 / 70) (1 - exp(-6000 / 4000)) / (1 - exp(-6000 / 880)); the coil is uneven.
    assert csf / white == pytest.approx(0.1023 * 2.7938 * 0.7778, rel=0.15)


def test_venous_blood_is_dark_on_t2_star() -> None:
    white, blood = halves("t2s", "white", "blood")
    # TR 650, TE 20, flip 18: the Ernst formula without its common sine; T2* is 0.7 * 70 = 49 ms and 22 ms.
    ernst = [(1 - e1) / (1 - e1 * np.cos(np.deg2rad(18))) for e1 in (np.exp(-650 / 880), np.exp(-650 / 1800))]
    expected = ernst[1] * np.exp(-20 / 22) / (ernst[0] * np.exp(-20 / 49))
    assert blood / white == pytest.approx(expected, rel=0.15)
    assert expected < 0.65


def test_grey_matter_has_two_and_a_half_times_the_flow_of_white() -> None:
    grey, white = halves("asl", "grey", "white")
    assert grey / white == pytest.approx(58 / 22, rel=0.25)
    assert 15 < white < 30  # mL/100 g/min


@cache
def ill() -> Case:
    contrasts = ("flair", *FUNCTIONAL)
    return subject(load_atlas(), 2, seed=3, shape=(64, 64, 10), contrasts=contrasts, disease="tumour")


def test_the_other_contrasts_stay_as_they_are_and_units_are_told() -> None:
    alone = subject(load_atlas(), 2, seed=3, shape=(64, 64, 10), contrasts=("flair",), disease="tumour")
    assert np.array_equal(alone.images["image.flair"].voxels, ill().images["image.flair"].voxels)
    assert [ill().images[f"image.{one}"].unit for one in FUNCTIONAL] == ["1", "1", "1e-6 mm2/s", "mL/100 g/min"]


def test_functional_images_are_zero_outside_the_brain_and_oedema_diffuses_more() -> None:
    brain = ill().images["mask.brain"].voxels > 0
    for one in FUNCTIONAL:
        voxels = ill().images[f"image.{one}"].voxels
        assert voxels.dtype == np.int16
        assert not voxels[~brain].any()
    adc, oedema = ill().images["image.adc"].voxels, ill().images["mask.tumour"].voxels == 2
    assert np.median(adc[oedema]) > 1.15 * np.median(adc[brain & ~oedema])
