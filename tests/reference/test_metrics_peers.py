"""Paired image metrics against MONAI and torchmetrics where their definitions are ours, and where they are not."""

import numpy as np
import pytest
import torch

from radloom.metrics import fidelity, overlap


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = np.cumsum(rng.standard_normal((180, 192)), axis=0)
    target = (target - target.min()) / np.ptp(target)
    return target + 0.1 * rng.standard_normal(target.shape), target


def batch(*images: np.ndarray) -> list[torch.Tensor]:
    return [torch.tensor(image)[None, None] for image in images]


def test_differences_agree_with_torchmetrics(pair):
    from torchmetrics.functional import mean_absolute_error, mean_squared_error, normalized_root_mean_squared_error
    from torchmetrics.functional.image import peak_signal_noise_ratio

    (p, t), tensors = pair, [image.flatten() for image in batch(*pair)]
    assert fidelity.mse(p, t) == pytest.approx(mean_squared_error(*tensors).item(), rel=1e-9)
    assert fidelity.mae(p, t) == pytest.approx(mean_absolute_error(*tensors).item(), rel=1e-9)
    assert fidelity.psnr(p, t, data_range=1) == pytest.approx(
        peak_signal_noise_ratio(*tensors, data_range=1.0).item(), rel=1e-6
    )
    for ours in ("range", "mean"):
        want = normalized_root_mean_squared_error(*tensors, normalization=ours).item()
        assert fidelity.nrmse(p, t, normalisation=ours) == pytest.approx(want, rel=1e-6)


def test_ssim_and_ms_ssim_agree_with_monai_to_its_float32(pair):
    from monai.metrics import MultiScaleSSIMMetric, SSIMMetric

    (p, t), tensors = pair, batch(*pair)
    want = SSIMMetric(2, data_range=1.0)(*tensors).item()
    assert fidelity.ssim(p, t, data_range=1) == pytest.approx(want, rel=5e-6)
    want = MultiScaleSSIMMetric(2, data_range=1.0)(*tensors).item()
    assert fidelity.ms_ssim(p, t, data_range=1) == pytest.approx(want, rel=2e-5)
    volumes = [image.reshape(18, 10, 192)[:, :, :20].repeat(2, axis=1) for image in pair]
    want = SSIMMetric(3, data_range=1.0)(*batch(*volumes)).item()
    assert fidelity.ssim(*volumes, data_range=1) == pytest.approx(want, rel=2e-5)


def test_torchmetrics_ssim_is_another_number_because_it_averages_the_padded_edges_too(pair):
    from torchmetrics.functional.image import structural_similarity_index_measure

    p, t = pair
    theirs = structural_similarity_index_measure(*batch(p, t), data_range=1.0).item()
    assert abs(theirs - fidelity.ssim(p, t, data_range=1)) > 5e-3
    # the mean over a mask of everything takes the edges in, continued by repeating the last voxel where theirs does not
    assert fidelity.ssim(p, t, data_range=1, mask=np.ones(t.shape, bool)) == pytest.approx(theirs, abs=5e-4)


def test_the_mean_of_psnr_over_cases_is_not_the_psnr_of_pooled_errors(pair):
    from torchmetrics.functional.image import peak_signal_noise_ratio

    p, t = pair
    cases = [(p, t), (t + 3 * (p - t), t)]
    each = np.mean([fidelity.psnr(*case, data_range=1) for case in cases])
    pooled = peak_signal_noise_ratio(
        *(torch.tensor(np.stack(part)) for part in zip(*cases, strict=True)), data_range=1.0
    )
    assert each == pytest.approx(fidelity.psnr(p, t, data_range=1) - 10 * np.log10(9) / 2, rel=1e-9)
    assert each - pooled.item() > 1


def test_monai_drops_the_case_of_a_missed_structure_and_we_do_not():
    from monai.metrics import HausdorffDistanceMetric

    truth = np.zeros((12, 12), bool)
    truth[3:7, 3:7] = True
    none = np.zeros_like(truth)
    one_hot = [torch.tensor(np.stack([~mask, mask])[None]).float() for mask in (none, truth)]
    theirs = HausdorffDistanceMetric(include_background=False, percentile=95)(*one_hot)
    assert not np.isfinite(float(torch.as_tensor(theirs)))
    assert overlap.hausdorff95(none, truth, spacing_mm=(1, 1)) == np.inf
    # a finite penalty in its place makes every missed case count
    missed = overlap.hausdorff95(none, truth, spacing_mm=(1, 1), one_empty=overlap.diagonal_mm(truth.shape, (1, 1)))
    assert missed > overlap.hausdorff95(np.roll(truth, 2, axis=0), truth, spacing_mm=(1, 1))
