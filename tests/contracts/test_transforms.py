"""Every transform: apply and inverse, the grid that it says, and the values worked by hand."""

import json

import numpy as np
import pytest

from radloom.data.region import background, foreground
from radloom.data.transforms import (
    PadOrCrop,
    Resample,
    Rescale,
    brain_median_scale,
    resampled_like,
    resampled_to_spacing,
)
from radloom.errors import RadloomError
from radloom.types import Image


def turned(degrees: float, spacing: float, origin: tuple[float, float, float]) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * spacing
    affine[:3, 3] = origin
    return affine


def positions(image: Image) -> np.ndarray:
    """The position of every voxel in mm, (x, y, z, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1)
    return index @ image.affine[:3, :3].T + image.affine[:3, 3]


def ramp(shape: tuple[int, int, int], affine: np.ndarray) -> Image:
    """An image whose value is a linear function of the position in mm."""
    image = Image(np.zeros(shape, np.float32), affine)
    return image.with_voxels((positions(image) @ [1.0, 0.5, -0.25] + 7).astype(np.float32))


def blob(shape: tuple[int, int, int], nothing: float = 0.0, seed: int = 0) -> Image:
    """A stripped head: an ellipsoid of varied values above an exact background."""
    axes = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    inside = (axes**2).sum(0) < 0.6
    noise = np.random.default_rng(seed).uniform(0.2, 1, shape)
    return Image(np.where(inside, nothing + noise, nothing).astype(np.float32), np.diag([1.0, 1, 3, 1]))


HISTORIES = [
    Rescale(3.0, 2.5),
    PadOrCrop((31, 24, 12)),
    PadOrCrop((9, 40, 7)),
    Resample(turned(20, 0.9, (-2, -9, 0)), (32, 40, 30)),
]


@pytest.mark.parametrize(
    ("transform", "kind"),
    [(t, kind) for t in HISTORIES for kind in ("intensity", "label") if not (kind == "label" and t is HISTORIES[0])],
)
def test_a_transform_is_recorded_and_its_inverse_returns_to_the_source_grid(transform, kind):
    source = blob((20, 24, 12))
    image = Image((source.voxels > 0.6).astype(np.uint8), source.affine, kind) if kind == "label" else source
    done = transform.apply(image)
    back = done.on_source_grid()
    assert len(done.history) == 1
    assert done.history[0].record()["name"] == json.loads(json.dumps(done.history[0].record()))["name"]
    assert back.same_grid(image)
    assert back.unit == image.unit
    assert back.kind == kind
    assert back.history == ()


def test_rescale_gives_the_hand_worked_value_without_unit_and_back_again():
    hounsfield = Image(np.array([-1000, 0, 500], np.int16).reshape(3, 1, 1), np.eye(4), unit="HU")
    scaled = Rescale(-1000.0, 2000.0).apply(hounsfield)
    assert scaled.unit == "1"
    np.testing.assert_allclose(scaled.voxels.ravel(), [0, 0.5, 0.75])
    back = scaled.on_source_grid()
    assert back.unit == "HU"
    np.testing.assert_allclose(back.voxels.ravel(), [-1000, 0, 500], atol=1e-3)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_rescale_refuses_a_scale_that_cannot_be_undone(scale):
    with pytest.raises(RadloomError, match="scale above 0"):
        Rescale(0.0, scale)


@pytest.mark.parametrize("shape", [(8, 8, 8), (3, 9, 4), (5, 4, 5)])
def test_pad_or_crop_keeps_every_value_at_its_place_in_the_patient(shape):
    image = ramp((5, 6, 4), turned(30, 1.5, (3, -2, 8)))
    moved = PadOrCrop(shape, fill=-99.0).apply(image)
    expected = positions(moved) @ [1.0, 0.5, -0.25] + 7
    kept = moved.voxels != -99
    assert kept.sum() == np.prod([min(a, b) for a, b in zip(image.shape, shape, strict=True)])
    np.testing.assert_allclose(moved.voxels[kept], expected[kept], atol=1e-4)


def test_pad_or_crop_back_again_fills_what_was_cut_with_the_background():
    image = blob((20, 20, 20), nothing=-1.0)
    back = PadOrCrop((10, 30, 20)).apply(image).on_source_grid()
    np.testing.assert_array_equal(back.voxels[5:15], image.voxels[5:15])
    assert (back.voxels[:5] == -1).all()
    assert (back.voxels[15:] == -1).all()


def test_padding_and_back_again_changes_nothing():
    image = blob((11, 12, 7))
    np.testing.assert_array_equal(PadOrCrop((20, 13, 7)).apply(image).on_source_grid().voxels, image.voxels)


def test_resampling_a_linear_function_of_position_gives_that_function():
    image = ramp((24, 24, 24), turned(0, 1.0, (0, 0, 0)))
    moved = Resample(turned(25, 0.8, (8, 5, 6.3)), (9, 9, 9)).apply(image)
    np.testing.assert_allclose(moved.voxels, positions(moved) @ [1.0, 0.5, -0.25] + 7, atol=1e-3)


def test_resampling_onto_the_own_grid_changes_nothing():
    image = blob((11, 12, 7))
    np.testing.assert_allclose(resampled_like(image, image).voxels, image.voxels, atol=1e-6)


def test_a_new_spacing_keeps_centre_and_field_of_view():
    image = ramp((21, 20, 10), turned(10, 1.0, (5, 6, 7)))
    coarse = resampled_to_spacing(image, (2.0, 2.0, 2.5))
    assert coarse.shape == (11, 10, 4)
    np.testing.assert_allclose(coarse.spacing_mm, (2, 2, 2.5))
    np.testing.assert_allclose(positions(coarse).mean((0, 1, 2)), positions(image).mean((0, 1, 2)), atol=1e-6)


def test_a_picture_one_voxel_thick_stays_one_voxel_thick():
    flat = Image(np.random.default_rng(0).random((40, 30, 1)).astype(np.float32), np.eye(4))
    assert resampled_to_spacing(flat, (2.0, 2.0, 1.0)).shape == (20, 15, 1)


def test_downsampling_does_not_alias_a_checkerboard():
    index = np.indices((32, 32, 32)).sum(0)
    grey = np.random.default_rng(0).normal(0, 0.01, index.shape)  # so that no exact value counts as background
    board = Image((index % 2 + grey).astype(np.float32), np.eye(4))
    coarse = resampled_to_spacing(board, (4.0, 4.0, 4.0)).voxels
    assert np.abs(coarse[1:-1, 1:-1, 1:-1] - 0.5).max() < 0.05


def test_labels_are_resampled_to_labels_and_outside_is_zero():
    labels = Image(np.full((6, 6, 6), 4, np.uint8), np.eye(4), "label")
    moved = Resample(turned(0, 0.7, (-3, 0, 0)), (12, 8, 8)).apply(labels)
    assert set(np.unique(moved.voxels)) == {0, 4}
    assert moved.voxels.dtype == np.uint8
    # voxel i lies at -3 + 0.7 i mm; the field of view begins at -0.5 mm, between i = 3 and i = 4
    np.testing.assert_array_equal(moved.voxels[:, 0, 0] == 4, np.arange(12) > 3)


def test_a_stripped_background_stays_exact_when_resampled():
    image = blob((40, 40, 20), nothing=-1.0)
    coarse = resampled_to_spacing(image, (2.0, 2.0, 4.0))
    share = np.mean(image.voxels == -1)
    assert np.mean(coarse.voxels == -1) == pytest.approx(share, abs=0.03)
    assert background(coarse) == -1


def test_the_median_of_the_brain_becomes_one_and_the_background_zero_whatever_the_carrier_did():
    plain = blob((24, 24, 12))
    moved = plain.with_voxels(plain.voxels * 3 - 1)
    for image in (plain, moved):
        scaled = brain_median_scale(image).apply(image)
        assert np.median(scaled.voxels[foreground(image)]) == pytest.approx(1, abs=1e-5)
        assert scaled.voxels[0, 0, 0] == 0
    scaled, same = (brain_median_scale(i).apply(i).voxels for i in (plain, moved))
    np.testing.assert_allclose(scaled, same, atol=1e-5)


def test_a_lesion_hardly_moves_the_scale():
    image = blob((24, 24, 12))
    lesion = image.voxels.copy()
    lesion[10:14, 10:14, 5:8] = 50
    assert brain_median_scale(image.with_voxels(lesion)).scale == pytest.approx(
        brain_median_scale(image).scale, rel=0.05
    )


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_constant_image_cannot_be_scaled(value):
    with pytest.raises(RadloomError, match="no foreground"):
        brain_median_scale(Image(np.full((4, 4, 4), value, np.float32), np.eye(4)))
