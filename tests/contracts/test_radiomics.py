"""What every radiomic feature keeps: invariances, edge cases that have a stated value, bad input in one line."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radloom.errors import RadloomError
from radloom.metrics.radiomics import (
    FixedCount,
    FixedWidth,
    as_levels,
    frd_v0_features,
    frd_v1_features,
    lee774_features,
    radiomic_features,
    resampled,
    shape_features,
)

TEXTURE = ("ih", "cm", "rlm", "szm", "ngl", "ngt")
BINS = FixedCount(6)
VOLUMES = arrays(np.int16, (4, 5, 3), elements=st.integers(0, 60))


def same(a, b, rel=1e-9):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name] == pytest.approx(b[name], rel=rel, abs=1e-9, nan_ok=True), name


@settings(max_examples=25, deadline=None)
@given(VOLUMES, st.permutations((0, 1, 2)), st.sampled_from(("average", "merge")))
def test_features_do_not_change_when_axes_turn_or_flip(image, axes, aggregation):
    mask = image > 5
    mask[0, 0, 0] = True
    turned = [np.flip(array, 1).transpose(axes) for array in (image, mask)]
    spacing = (1.0, 2.0, 3.0)
    moved = tuple(spacing[axis] for axis in axes)
    # the mesh of ambiguous cells may differ between turns
    before, after = (
        radiomic_features(*pair, space, binning=BINS, aggregation=aggregation, classes=("stat", *TEXTURE))
        for pair, space in (((image, mask), spacing), (turned, moved))
    )
    same(before, after)


@settings(max_examples=25, deadline=None)
@given(VOLUMES, st.floats(0.1, 10), st.floats(-100, 100))
def test_texture_at_a_fixed_count_does_not_see_gain_and_offset(image, gain, offset):
    mask = np.ones(image.shape, bool)
    scaled = gain * image.astype(float) + offset
    levels = [FixedCount(6)(values.ravel().astype(float)) for values in (image, scaled)]
    if (levels[0] == levels[1]).all():  # rounding may move a value that lies on an edge
        same(*(radiomic_features(one, mask, (1, 1, 1), binning=BINS, classes=TEXTURE) for one in (image, scaled)))


@settings(max_examples=25, deadline=None)
@given(VOLUMES)
def test_what_lies_outside_the_mask_is_never_seen(image):
    mask = np.zeros(image.shape, bool)
    mask[1:3, 1:4, :2] = True
    other = np.where(mask, image, 9999)
    same(*(radiomic_features(one, mask, (1, 1, 1), binning=BINS) for one in (image, other)), rel=0)


@settings(max_examples=25, deadline=None)
@given(VOLUMES)
def test_shares_and_correlations_keep_their_bounds(image):
    found = radiomic_features(image, np.ones(image.shape), (1, 1, 1), binning=BINS, classes=TEXTURE)
    for name in ("cm_joint_max", "cm_energy", "ih_uniformity", "cm_inv_diff", "rlm_sre", "szm_z_perc", "ngl_dc_energy"):
        assert 0 < found[name] <= 1 + 1e-12, name
    assert -1 - 1e-9 <= found["cm_corr"] <= 1 + 1e-9
    assert 0 <= found["cm_mcc"] <= 1 + 1e-9
    assert -1 - 1e-9 <= found["cm_info_corr1"] <= 1e-9


def test_torch_tensors_have_the_features_of_their_numpy_arrays():
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).normal(size=(5, 6, 4))
    mask = image > -1
    tensors = torch.from_numpy(image), torch.from_numpy(mask)
    same(*(radiomic_features(*pair, (1, 1, 2), binning=BINS) for pair in ((image, mask), tensors)), rel=0)


def test_a_single_slice_has_the_texture_of_the_2d_image():
    image = np.random.default_rng(0).integers(0, 9, (7, 6)).astype(float)
    flat = radiomic_features(image, np.ones((7, 6)), (1, 1), binning=BINS)
    thick = radiomic_features(
        image[:, :, None], np.ones((7, 6, 1)), (1, 1, 1), binning=BINS, classes=("stat", *TEXTURE)
    )
    same(flat, thick)


def test_one_voxel_has_stated_values():
    found = radiomic_features(np.full((3, 3, 3), 7.0), _point(), (1, 1, 1), binning=FixedWidth(25))
    assert found["stat_mean"] == 7
    assert found["stat_var"] == found["stat_skew"] == found["stat_kurt"] == found["ih_entropy"] == 0
    assert math.isnan(found["cm_contrast"])  # no neighbours, so no co-occurrence
    assert found["rlm_sre"] == found["rlm_lre"] == found["szm_z_perc"] == found["ngl_lde"] == 1
    assert found["ngt_coarseness"] == 1e6
    assert found["ngt_contrast"] == 0
    assert found["morph_diam"] == 1
    assert math.isnan(found["morph_pca_elongation"])


def test_a_flat_region_has_stated_values():
    found = radiomic_features(np.full((4, 4, 4), 0.1), np.ones((4, 4, 4)), (1, 1, 1), binning=FixedCount(8))
    assert found["stat_var"] == found["stat_skew"] == found["stat_kurt"] == 0
    assert found["cm_corr"] == found["cm_mcc"] == found["cm_energy"] == found["ih_uniformity"] == 1
    assert found["cm_contrast"] == found["cm_joint_entr"] == found["cm_info_corr1"] == found["cm_info_corr2"] == 0
    assert found["szm_lze"] == 64**2
    assert found["ngt_coarseness"] == 1e6
    assert not any(math.isnan(value) for value in found.values())


def test_a_box_has_the_shape_worked_by_hand():
    found = shape_features(np.ones((4, 6, 10)), (1, 1, 0.5))
    assert found["morph_vol_approx"] == 120
    # variance of n points in a row at distance d over N - 1, here over all 240 points
    long_axis = 4 * math.sqrt((6**2 - 1) / 12 * 240 / 239)
    assert found["morph_pca_maj_axis"] == pytest.approx(long_axis)
    assert found["morph_diam"] < math.sqrt(4**2 + 6**2 + 5**2)
    assert found["morph_vol_dens_conv_hull"] == pytest.approx(1, abs=1e-6)
    assert found["morph_vol_dens_aabb"] < 1


def test_a_large_ball_is_nearly_round():
    x, y, z = np.mgrid[-21:22, -21:22, -21:22]
    found = shape_features(x**2 + y**2 + z**2 <= 400, (1, 1, 1))
    assert found["morph_volume"] == pytest.approx(4 / 3 * math.pi * 20**3, rel=0.01)
    assert found["morph_diam"] == pytest.approx(41, abs=0.1)
    # the mesh of a binary ball is stepped, so its area is too large by some 8 to 9 % at any radius
    assert found["morph_sphericity"] == pytest.approx(1 / 1.085, abs=0.01)
    assert found["morph_pca_least_axis"] == pytest.approx(4 * 20 / math.sqrt(5), rel=0.01)


def test_published_sets_have_their_published_sizes():
    rng = np.random.default_rng(0)
    cube, mask = 100 * rng.normal(size=(16, 16, 16)), np.ones((16, 16, 16), bool)
    lee = lee774_features(cube, mask, (1, 1, 1))
    assert len(lee) == 774
    assert sum(name.startswith("original") for name in lee) == 86
    assert sum("_stat_" in name or "_ih_" in name for name in lee) == 18 * 9
    assert len(frd_v1_features(cube, mask, (1, 1, 1))) == 1001
    assert len(frd_v1_features(rng.normal(size=(20, 24)), np.ones((20, 24)), (1, 1))) == 385
    assert len(frd_v0_features(cube[0], mask[0], (1, 1))) == 93


def test_sub_bands_of_a_cropped_region_are_those_of_the_whole_image():
    rng = np.random.default_rng(1)
    image, mask = 100 * rng.normal(size=(40, 30, 30)), np.zeros((40, 30, 30), bool)
    mask[12:23, 8:17, 9:20] = True
    far = image.copy()
    far[:2], far[-2:] = 5000, -5000  # beyond the wavelet's reach of the region
    same(lee774_features(image, mask, (1, 1, 1)), lee774_features(far, mask, (1, 1, 1)), rel=0)


def test_the_radiomic_vector_does_not_see_gain_and_offset():
    image = np.random.default_rng(0).normal(size=(24, 24))
    same(*(frd_v1_features(one, np.ones((24, 24)), (1, 1)) for one in (image, 3 * image + 50)), rel=1e-6)


def test_resampling_keeps_a_plane():
    x, y = np.mgrid[:9, :7].astype(float)
    found, mask = resampled(2 * x + y, np.ones((9, 7)), (1, 1), (0.5, 0.5))
    assert found.shape == (18, 14)
    assert mask.all()
    inside = found[1:-1, 1:-1]
    np.testing.assert_allclose(np.diff(inside, axis=0), 1)
    np.testing.assert_allclose(np.diff(inside, axis=1), 0.5)
    assert found.mean() == pytest.approx((2 * x + y).mean())


def _point():
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    return mask


FINE = np.arange(27.0).reshape(3, 3, 3)
BAD = {
    "the region mask is empty": lambda: radiomic_features(FINE, np.zeros((3, 3, 3)), (1, 1, 1), binning=BINS),
    "same grid": lambda: radiomic_features(FINE, np.ones((3, 3, 2)), (1, 1, 1), binning=BINS),
    "NaN": lambda: radiomic_features(np.where(FINE == 3, np.nan, FINE), np.ones((3, 3, 3)), (1, 1, 1), binning=BINS),
    "spacing_mm": lambda: radiomic_features(FINE, np.ones((3, 3, 3)), (1, -1, 1), binning=BINS),
    "unknown feature classes": lambda: radiomic_features(FINE, FINE >= 0, (1, 1, 1), binning=BINS, classes=("glcm",)),
    "bin width": lambda: radiomic_features(FINE, FINE >= 0, (1, 1, 1), binning=FixedWidth(0)),
    "bin count": lambda: radiomic_features(FINE, FINE >= 0, (1, 1, 1), binning=FixedCount(0)),
    "origin": lambda: radiomic_features(FINE - 9, FINE >= 0, (1, 1, 1), binning=FixedWidth(25, 0)),
    "widen the bins": lambda: radiomic_features(FINE * 1e6, FINE >= 0, (1, 1, 1), binning=FixedWidth(1)),
    "grey levels": lambda: radiomic_features(FINE, FINE >= 0, (1, 1, 1), binning=as_levels),
    "3D mask": lambda: shape_features(np.ones((3, 3)), (1, 1)),
    "3 axes": lambda: lee774_features(FINE[0], FINE[0] >= 0, (1, 1)),
    "flat": lambda: frd_v1_features(np.ones((9, 9)), np.ones((9, 9)), (1, 1)),
    "at least 4 voxels": lambda: frd_v1_features(FINE[0], FINE[0] >= 0, (1, 1)),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_clear_line(words):
    with pytest.raises(RadloomError, match=words) as caught:
        BAD[words]()
    assert "\n" not in str(caught.value)
