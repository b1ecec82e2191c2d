"""Lesions lost and structures invented, on images whose truth is drawn by hand."""

import doctest

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.safety import hallucination
from radloom.safety.hallucination import false_structures, lesion_fates, noise_sd

SHAPE = (20, 20, 6)
HEAD = np.ones(SHAPE, bool)


def with_box(value: float, place: tuple[slice, slice, slice], image: np.ndarray | None = None) -> np.ndarray:
    made = np.ones(SHAPE) if image is None else image.copy()
    made[place] = value
    return made


FIRST = (slice(3, 6), slice(3, 6), slice(1, 4))
SECOND = (slice(12, 14), slice(12, 14), slice(2, 4))
LESION = with_box(2, FIRST, with_box(2, SECOND)) == 2


@pytest.mark.parametrize(("kept", "lost"), [(1.0, False), (0.51, False), (0.49, True), (0.0, True), (-1.0, True)])
def test_a_lesion_is_lost_below_half_of_its_contrast_or_with_the_other_sign(kept: float, lost: bool) -> None:
    for sign in (1.0, -1.0):
        real = with_box(1 + 0.8 * sign, FIRST)
        made = with_box(1 + 0.8 * sign * kept, FIRST)
        (fate,) = lesion_fates(real, made, real != 1, HEAD, voxel_ml=0.002)
        assert fate.visible
        assert fate.lost is lost
        assert (fate.volume_ml, fate.real, fate.synthetic) == pytest.approx((27 * 0.002, 0.8 * sign, 0.8 * sign * kept))


def test_each_connected_part_has_a_fate_of_its_own() -> None:
    real = with_box(1.5, FIRST, with_box(1.5, SECOND))
    fates = lesion_fates(real, with_box(1.5, FIRST), LESION, HEAD, voxel_ml=1.0)
    assert [(fate.volume_ml, fate.lost) for fate in fates] == [(27.0, False), (8.0, True)]


def test_what_the_real_image_does_not_show_cannot_be_lost() -> None:
    rng = np.random.default_rng(0)
    noisy = 1 + 0.3 * rng.standard_normal(SHAPE)
    real = noisy + 0.1 * (with_box(2, FIRST) == 2)
    (fate,) = lesion_fates(real, np.ones(SHAPE), with_box(2, FIRST) == 2, HEAD, voxel_ml=1.0)
    assert not fate.visible
    assert not fate.lost


def test_surroundings_are_tissue_without_other_lesions() -> None:
    real = with_box(9.0, (slice(7, 9), slice(3, 6), slice(1, 4)), with_box(2.0, FIRST))  # a voxel away from the first
    lesion = real > 1.5
    head = HEAD.copy()
    head[:, :2] = False
    real[:, :2] = -50.0  # background must not count
    fates = lesion_fates(real, real, lesion, head, voxel_ml=1.0)
    assert [fate.real for fate in fates] == pytest.approx([1.0, 8.0])


def test_a_part_without_surroundings_or_of_two_voxels_is_left_out() -> None:
    everything = np.ones(SHAPE, bool)
    assert lesion_fates(np.ones(SHAPE), np.ones(SHAPE), everything, HEAD, voxel_ml=1.0) == []
    two = np.zeros(SHAPE, bool)
    two[5, 5, 2:4] = True
    assert lesion_fates(1.0 + two, 1.0 + two, two, HEAD, voxel_ml=1.0) == []
    assert lesion_fates(np.ones(SHAPE), np.ones(SHAPE), ~HEAD, HEAD, voxel_ml=1.0) == []


@pytest.mark.parametrize("sd", [0.02, 0.3])
def test_noise_is_found_on_top_of_anatomy_that_bends(sd: float) -> None:
    rng = np.random.default_rng(1)
    x, y, _ = np.meshgrid(*(np.linspace(0, 3, n) for n in (96, 96, 6)), indexing="ij")
    smooth = 1 + np.sin(x) * np.cos(2 * y)
    found = noise_sd(smooth + sd * rng.standard_normal(smooth.shape), np.ones(smooth.shape, bool))
    assert found == pytest.approx(sd, rel=0.05)


def test_noise_of_the_background_does_not_count_and_a_region_without_inside_has_none() -> None:
    rng = np.random.default_rng(2)
    image = np.zeros((40, 40, 4))
    region = np.zeros(image.shape, bool)
    region[8:32, 8:32] = True
    image[region] = 1 + 0.1 * rng.standard_normal(region.sum())
    assert noise_sd(image, region) == pytest.approx(0.1, rel=0.1)
    thin = np.zeros(image.shape, bool)
    thin[8:10] = True
    assert np.isnan(noise_sd(image, thin))


def test_false_structures_are_large_strong_inside_the_region_and_of_one_sign() -> None:
    real = np.ones(SHAPE)
    made = with_box(1.6, FIRST)  # 27 voxels, six sd
    made[6:8, 3:6, 1:4] = 0.4  # touches it, of the other sign: 18 voxels
    made[12:14, 12:14, 2:4] = 2.0  # eight voxels only
    made[16:19, 16:19, 1:4] = 1.4  # four sd
    assert false_structures(real, made, HEAD, noise=0.1) == [27, 18]
    assert false_structures(real, made, HEAD, noise=0.1, least_voxels=8) == [27, 18, 8]
    outside = HEAD.copy()
    outside[FIRST] = False
    assert false_structures(real, made, outside, noise=0.1) == [18]
    assert false_structures(real, real, HEAD, noise=0.1) == []


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(RadloomError, match="have 2 shapes"):
        false_structures(np.ones(SHAPE), np.ones((4, 4, 4)), HEAD, noise=0.1)
    for noise in (0.0, -1.0, float("nan")):
        with pytest.raises(RadloomError, match="expected a standard deviation above 0"):
            false_structures(np.ones(SHAPE), np.ones(SHAPE), HEAD, noise=noise)


def test_examples_of_the_docstrings_run() -> None:
    done = doctest.testmod(hallucination)
    assert done.attempted
    assert not done.failed
