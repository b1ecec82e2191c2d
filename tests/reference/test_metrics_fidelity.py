"""Paired image metrics against hand-worked values, scikit-image and the papers' formulas restated with loops."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage import metrics as skimage

from radloom.errors import RadloomError
from radloom.metrics import fidelity
from radloom.metrics.structural import SCALE_WEIGHTS

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def pair(seed: int, shape: tuple[int, ...], offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = np.cumsum(rng.standard_normal(shape), axis=0)
    target = (target - target.min()) / np.ptp(target)
    return target + 0.1 * rng.standard_normal(shape) + offset, target + offset


def test_differences_have_the_values_worked_by_hand():
    p, t = np.array([[1, 2], [3, 8]]), np.array([[1, 4], [3, 4]])  # errors 0, -2, 0, 4
    assert fidelity.mse(p, t) == 5
    assert fidelity.rmse(p, t) == math.sqrt(5)
    assert fidelity.mae(p, t) == 1.5
    assert fidelity.nmse(p, t) == 20 / 42
    assert fidelity.nrmse(p, t) == pytest.approx(math.sqrt(20 / 42), rel=1e-15)
    assert fidelity.nrmse(p, t, normalisation="range") == math.sqrt(5) / 3
    assert fidelity.nrmse(p, t, normalisation="mean") == math.sqrt(5) / 3
    assert fidelity.psnr(p, t, data_range=10) == pytest.approx(10 * math.log10(20), rel=1e-15)


@pytest.mark.parametrize("shape", [(23, 31), (13, 17, 15)])
@pytest.mark.parametrize("offset", [0.0, -1024.0])
def test_ssim_psnr_and_nrmse_agree_with_scikit_image(shape, offset):
    p, t = pair(1, shape, offset)
    want = skimage.structural_similarity(p, t, data_range=1.3, **WANG)
    assert fidelity.ssim(p, t, data_range=1.3) == pytest.approx(want, rel=1e-8)
    assert fidelity.psnr(p, t, data_range=1.3) == pytest.approx(skimage.peak_signal_noise_ratio(t, p, data_range=1.3))
    for ours, theirs in (("euclidean", "euclidean"), ("range", "min-max")):
        want = skimage.normalized_root_mse(t, p, normalization=theirs)
        assert fidelity.nrmse(p, t, normalisation=ours) == pytest.approx(want, rel=1e-10)


def test_ssim_is_not_the_number_of_scikit_images_defaults():
    p, t = pair(2, (40, 40))
    assert abs(fidelity.ssim(p, t, data_range=1) - skimage.structural_similarity(p, t, data_range=1)) > 1e-3


@pytest.mark.parametrize("shape", [(20, 24), (12, 14, 13)])
def test_masked_ssim_is_the_mean_of_the_reflected_map_over_the_mask(shape):
    p, t = pair(3, shape)
    mask = np.random.default_rng(0).random(shape) < 0.3
    _, full = skimage.structural_similarity(p, t, data_range=1, full=True, **WANG)
    assert fidelity.ssim(p, t, data_range=1, mask=mask) == pytest.approx(full[mask].mean(), rel=1e-10)


def test_ssim_is_negative_for_an_inverted_texture():
    t = np.indices((16, 16)).sum(0) % 2 * 1.0
    assert fidelity.ssim(1 - t, t, data_range=1) < -0.9


def test_slice_mean_of_ssim_differs_from_ssim_in_3d_and_takes_thin_volumes():
    p, t = pair(4, (16, 18, 14))
    slices = [skimage.structural_similarity(p[..., z], t[..., z], data_range=1, **WANG) for z in range(14)]
    assert fidelity.ssim_slices(p, t, data_range=1) == pytest.approx(np.mean(slices), rel=1e-10)
    assert abs(fidelity.ssim_slices(p, t, data_range=1) - fidelity.ssim(p, t, data_range=1)) > 1e-3
    with pytest.raises(RadloomError, match="ssim_slices"):
        fidelity.ssim(p[..., :5], t[..., :5], data_range=1)
    one = fidelity.ssim_slices(p[..., :1], t[..., :1], data_range=1)
    assert one == fidelity.ssim(p[..., 0], t[..., 0], data_range=1)
    moved = fidelity.ssim_slices(np.moveaxis(p, 2, 0), np.moveaxis(t, 2, 0), data_range=1, axis=0)
    assert moved == pytest.approx(fidelity.ssim_slices(p, t, data_range=1), rel=1e-12)


def test_slice_mean_of_ssim_leaves_out_slices_without_mask():
    p, t = pair(5, (14, 14, 3))
    mask = np.zeros(t.shape, bool)
    mask[4:9, 4:9, 1] = True
    want = fidelity.ssim(p[..., 1], t[..., 1], data_range=1, mask=mask[..., 1])
    assert fidelity.ssim_slices(p, t, data_range=1, mask=mask) == want


def ms_ssim_by_scikit_image(p, t, weights):
    """Wang 2003 from scikit-image's map: cs is SSIM where C1 swamps the means."""
    product = 1.0
    for scale, weight in enumerate(weights):
        last = scale == len(weights) - 1
        # a huge offset with the same constants makes the luminance factor 1
        offset = 0.0 if last else 1e5
        product *= max(skimage.structural_similarity(p + offset, t + offset, data_range=1, **WANG), 0) ** weight
        p, t = (i[: i.shape[0] // 2 * 2, : i.shape[1] // 2 * 2] for i in (p, t))
        p, t = (i.reshape(i.shape[0] // 2, 2, i.shape[1] // 2, 2).mean((1, 3)) for i in (p, t))
    return product


def test_ms_ssim_is_the_product_over_scales_with_odd_sizes_floored():
    p, t = pair(6, (177, 183))
    assert fidelity.ms_ssim(p, t, data_range=1) == pytest.approx(ms_ssim_by_scikit_image(p, t, SCALE_WEIGHTS), rel=1e-4)
    shares = np.array(SCALE_WEIGHTS[:2]) / sum(SCALE_WEIGHTS[:2])
    want = ms_ssim_by_scikit_image(p[:23, :25], t[:23, :25], shares)
    assert fidelity.ms_ssim(p[:23, :25], t[:23, :25], data_range=1, weights=SCALE_WEIGHTS[:2]) == pytest.approx(
        want, 1e-4
    )


def test_ms_ssim_with_one_scale_is_ssim_in_3d_and_is_zero_for_an_inverted_texture():
    p, t = pair(7, (12, 13, 14))
    assert fidelity.ms_ssim(p, t, data_range=1, weights=[1]) == fidelity.ssim(p, t, data_range=1)
    checks = np.indices((22, 22)).sum(0) % 2 * 1.0
    assert fidelity.ms_ssim(1 - checks, checks, data_range=1, weights=[0.5, 0.5]) == 0


def test_ms_ssim_names_the_number_of_scales_that_fit():
    with pytest.raises(RadloomError, match=r"at least 176 .*SCALE_WEIGHTS\[:4\]"):
        fidelity.ms_ssim(np.ones((170, 170)), np.ones((170, 170)), data_range=1)
    with pytest.raises(RadloomError, match=r"SCALE_WEIGHTS\[:1\]"):
        fidelity.ms_ssim(np.ones((11, 90)), np.ones((11, 90)), data_range=1)


def test_gmsd_follows_the_equations_of_xue_2014():
    p, t = pair(8, (32, 28))
    prewitt = np.array([[1, 0, -1]] * 3) / 3

    def gradient(image):
        half = image.reshape(16, 2, 14, 2).mean((1, 3))
        return np.hypot(convolve2d(half, prewitt, "same"), convolve2d(half, prewitt.T, "same"))

    g_p, g_t, c = gradient(p), gradient(t), 0.0026 * 1.5**2
    want = ((2 * g_p * g_t + c) / (g_p**2 + g_t**2 + c)).std()
    assert fidelity.gmsd(p, t, data_range=1.5) == pytest.approx(want, rel=1e-10)


def test_gmsd_of_a_volume_without_change_along_z_is_that_of_its_slice_away_from_the_ends():
    p, t = pair(9, (20, 22))
    p3, t3 = np.repeat(p[..., None], 12, 2), np.repeat(t[..., None], 12, 2)
    middle = np.zeros(p3.shape, bool)
    middle[..., 4:8] = True
    assert fidelity.gmsd(p3, t3, data_range=1, mask=middle) == pytest.approx(
        fidelity.gmsd(p, t, data_range=1), rel=1e-10
    )


SCALED = ("psnr", "ssim", "ms_ssim", "gmsd")
UNSCALED = ("mse", "rmse", "mae", "nmse", "nrmse")


def value(name: str, p, t, *, scale: float = 1.0, mask=None) -> float:
    more = {"data_range": scale} if name in SCALED else {}
    more |= {"weights": SCALE_WEIGHTS[:2]} if name == "ms_ssim" else {}
    return getattr(fidelity, name)(p, t, mask=mask, **more)


@pytest.mark.parametrize("name", SCALED + UNSCALED)
@pytest.mark.parametrize("shape", [(25, 27), (22, 23, 24)])
def test_metric_is_best_for_identical_images_and_worse_with_more_noise(name, shape):
    for seed in range(3):
        _, t = pair(seed, shape)
        noise = np.random.default_rng(seed).standard_normal(shape)
        levels = [value(name, t + sd * noise, t) for sd in (0.0, 0.02, 0.1, 0.4)]
        best = {"psnr": math.inf, "ssim": 1.0, "ms_ssim": 1.0}.get(name, 0.0)
        assert levels[0] == pytest.approx(best, abs=1e-12)
        assert levels == sorted(levels, reverse=best > 0)
        assert len(set(levels)) == 4


@pytest.mark.parametrize("name", SCALED + UNSCALED)
def test_metric_takes_torch_integers_and_views_and_does_not_change_them(name):
    p, t = pair(11, (26, 24))
    p, t = np.round(200 * np.abs(p)).clip(0, 255), np.round(200 * t)
    want = value(name, p, t, scale=255.0)
    as_uint8 = value(name, p.astype(np.uint8), t.astype(np.uint8), scale=255.0)
    tensors = torch.tensor(p, dtype=torch.float32, requires_grad=True), torch.tensor(t, dtype=torch.bfloat16)
    assert as_uint8 == pytest.approx(want, rel=1e-12)
    assert value(name, *tensors, scale=255.0) == pytest.approx(want, rel=1e-12)
    before = p.copy()
    assert value(name, p.T, t.T, scale=255.0) == pytest.approx(want, rel=1e-9)
    assert np.array_equal(p, before)


@pytest.mark.parametrize("name", SCALED + UNSCALED)
def test_metric_has_the_declared_invariances(name):
    for seed in range(3):
        p, t = pair(seed, (24, 26))
        flipped = value(name, p[::-1].copy(), t[::-1].copy())
        assert flipped == pytest.approx(value(name, p, t), rel=1e-9)
        if name in ("nmse", "nrmse"):
            assert value(name, 7 * p, 7 * t) == pytest.approx(value(name, p, t), rel=1e-9)
            assert value(name, t, p) != value(name, p, t)
        else:
            assert value(name, t, p) == pytest.approx(value(name, p, t), rel=1e-12)
        if name in SCALED:
            assert value(name, 4095 * p, 4095 * t, scale=4095.0) == pytest.approx(value(name, p, t), rel=1e-9)


@pytest.mark.parametrize("name", [*UNSCALED, "psnr"])
def test_masked_difference_sees_only_the_mask(name):
    p, t = pair(12, (8, 9, 7))
    mask = np.zeros(t.shape, bool)
    mask[2:5, 3:6, 1:4] = True
    outside = np.where(mask, p, 1e6)
    assert value(name, outside, t, mask=mask) == value(name, p[2:5, 3:6, 1:4], t[2:5, 3:6, 1:4])
    assert value(name, p, t, mask=mask.astype(np.uint8)) == value(name, p, t, mask=torch.tensor(mask))


@pytest.mark.parametrize("name", SCALED + UNSCALED)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:-1], "same grid"),
        (lambda p: np.where(p == p[3, 3], np.nan, p), "1 NaN"),
        (lambda p: p + np.inf, "infinite"),
        (lambda p: p[None, None], "without batch and channel axes"),
        (lambda p: p + 1j, "magnitude"),
        (lambda p: p[:0], "non-empty"),
    ],
)
def test_bad_images_give_one_clear_line(name, change, message):
    p, t = pair(13, (24, 24))
    for images in ((change(p), t), (t, change(p))):
        with pytest.raises(RadloomError, match=message) as caught:
            value(name, *images)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SCALED + UNSCALED)
@pytest.mark.parametrize(
    ("mask", "message"),
    [(np.zeros((24, 24), bool), "empty"), (np.ones((24, 23), bool), "same grid"), (np.full((24, 24), 3), "mask == 3")],
)
def test_bad_masks_give_one_clear_line(name, mask, message):
    with pytest.raises(RadloomError, match=message):
        value(name, *pair(14, (24, 24)), mask=mask)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_data_range_is_refused(name, scale):
    with pytest.raises(RadloomError, match="data_range"):
        value(name, *pair(15, (24, 24)), scale=scale)


def test_constant_targets_are_refused_where_they_would_be_divided_by():
    flat = np.ones((5, 5))
    with pytest.raises(RadloomError, match="zero everywhere"):
        fidelity.nmse(flat, 0 * flat)
    with pytest.raises(RadloomError, match="range"):
        fidelity.nrmse(flat, flat, normalisation="range")
    with pytest.raises(RadloomError, match="mean"):
        fidelity.nrmse(flat, -flat, normalisation="mean")
    assert fidelity.ssim(np.ones((12, 12)), np.ones((12, 12)), data_range=1) == 1


def test_real_mr_images_agree_with_scikit_image(shared):
    import nibabel

    files = sorted((shared / "glioma_4contrast_tcga_du7294").rglob("*.nii.gz"))
    assert files, "the folder of real glioma images holds no NIfTI file"
    t = np.asarray(nibabel.load(files[0]).dataobj)[60:160, 60:160, 40:60]
    p = np.roll(t, 1, axis=0)
    width = float(np.ptp(t))
    want = skimage.structural_similarity(p.astype(float), t.astype(float), data_range=width, **WANG)
    assert fidelity.ssim(p, t, data_range=width) == pytest.approx(want, rel=1e-9)
