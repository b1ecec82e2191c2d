"""Where the head or body is: stripped heads, heads in air, limbs, bodies on a couch."""

import numpy as np
import pytest

from radloom.data.region import foreground
from radloom.errors import RadloomError
from radloom.types import Image


def stripped(shape: tuple[int, int, int], nothing: float) -> Image:
    """An ellipsoid of varied values above an exact background."""
    axes = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    values = np.random.default_rng(0).uniform(0.2, 1, shape)
    return Image(np.where((axes**2).sum(0) < 0.6, nothing + values, nothing).astype(np.float32), np.eye(4))


@pytest.mark.parametrize("nothing", [0.0, -1.0, 40.0])
def test_the_foreground_of_a_stripped_head_is_every_other_value(nothing):
    image = stripped((24, 24, 12), nothing)
    np.testing.assert_array_equal(foreground(image), image.voxels != np.float32(nothing))


def test_the_foreground_of_a_noisy_head_is_the_head_with_its_hole_and_without_the_speck():
    rng = np.random.default_rng(1)
    axes = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (40, 40, 16)), indexing="ij"))
    head = (axes[:2] ** 2).sum(0) < 0.5
    voxels = np.where(head, 100.0, 0.0) + np.abs(rng.normal(0, 4, head.shape))
    voxels[18:22, 18:22] = 2.0  # a ventricle through all slices
    voxels[1:3, 1:3, 1:3] = 120.0
    found = foreground(Image(voxels.astype(np.float32), np.eye(4)))
    assert np.sum(found != head) < 10


def limb(noise: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """A T1 of a limb and where the limb is: fat of 900 around muscle of 250, Rician noise, cut off at the bottom."""
    rng = np.random.default_rng(2)
    x, y, _ = np.meshgrid(np.arange(60.0), np.arange(60.0), np.arange(8.0), indexing="ij")
    inside = (x - 30) ** 2 + (y - 42) ** 2 < 26**2
    muscle = (x - 30) ** 2 + (y - 42) ** 2 < 20**2
    values = np.where(muscle, 250.0, np.where(inside, 900.0, 0.0))
    voxels = np.hypot(values + rng.normal(0, noise, values.shape), rng.normal(0, noise, values.shape))
    return voxels.astype(np.float32), inside


def test_the_foreground_of_a_limb_holds_the_muscle_that_is_far_darker_than_fat():
    voxels, inside = limb()
    assert np.sum(foreground(Image(voxels, np.eye(4))) != inside) < 10


def test_a_bone_that_the_field_of_view_cuts_belongs_to_the_limb_and_air_in_a_corner_does_not():
    voxels, inside = limb()
    x, y, _ = np.meshgrid(np.arange(60), np.arange(60), np.arange(8), indexing="ij")
    bone = (x - 30) ** 2 + (y - 59) ** 2 < 7**2  # open to the side y = 59 alone
    voxels[bone] = 3
    assert np.sum(foreground(Image(voxels, np.eye(4))) != inside) < 10


def test_a_tilted_field_of_view_filled_with_zeros_is_not_taken_for_a_stripped_head():
    voxels, inside = limb()
    x, y, _ = np.meshgrid(np.arange(60), np.arange(60), np.arange(8), indexing="ij")
    corners = np.abs(x - 30) + np.abs(y - 30) > 40
    voxels[corners] = 0
    assert np.mean(corners) > 0.2
    assert np.sum(foreground(Image(voxels, np.eye(4))) != (inside & ~corners)) < 20


def test_the_foreground_of_a_ct_is_the_body_with_its_lung_and_without_the_couch():
    voxels, body = np.full((48, 48, 4), -1000.0, np.float32), np.zeros((48, 48, 4), bool)
    body[10:38, 8:30] = True
    voxels[body] = 40
    voxels[16:22, 12:24] = -850  # lung
    voxels[4:44, 34] = 100  # the couch, a voxel thick, 4 below the back
    voxels[:2] = -3024  # outside the scanner's field
    np.testing.assert_array_equal(foreground(Image(voxels, np.eye(4), unit="HU")), body)


def test_an_image_with_nan_is_refused():
    voxels = np.ones((4, 4, 4), np.float32)
    voxels[1, 1, 1] = np.nan
    with pytest.raises(RadloomError, match="NaN"):
        foreground(Image(voxels, np.eye(4)))
